package scenarios

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/mesoslab/lab"
)

// havoc is a chaos in progress, or one that is over.
type havoc struct {
	rule        string
	over, whole time.Time // when the last fault was undone; when nothing was missing any more
}

// phases of a chaos are two: single failovers run into each other.
func (h *havoc) phases(r *run, fault time.Time) ([]Phase, bool) {
	cuts := []cut{
		{name: phaseChaos, at: h.over, rule: h.rule},
		{name: phaseSettle, at: h.whole, rule: fmt.Sprintf("pings %s × %d, back-off, offers and the app's checks", r.settings().PingTimeout, r.settings().PingTimeouts)},
	}
	return phasesFrom(fault, fault, cuts), !h.whole.IsZero()
}

// verbChaos does one fault after the other, and wants to see an effect of each.
// A fault waits until what it is to hit works: what is broken already shows
// nothing new. Everything else may still be healing.
func verbChaos(ctx context.Context, r *run, a arguments) error {
	n, seed := a.count("faults"), a.count("seed")
	c := r.criterion("chaos", fmt.Sprintf("%d faults, each with an effect that somebody else sees, on every kind of victim", n))
	all, err := schedule(uint64(seed), n, a["app"], r.lab.Machines(), a.duration("keep"), func(f Fault) bool { return r.lab.Can(ctx, f) == nil })
	if err != nil {
		return err
	}
	r.chaos = &havoc{rule: fmt.Sprintf("you: %d faults by seed %d", n, seed)}
	hit, seen := map[Part]int{}, 0
	for _, s := range all {
		if err := r.strike(ctx, s, a.duration("within")); err != nil {
			if isUnmet(err) || ctx.Err() != nil {
				return c.unseen(fmt.Errorf("fault %d of %d, %s: %w", seen+1, n, s, err))
			}
			return fmt.Errorf("fault %d of %d, %s: %w", seen+1, n, s, err)
		}
		hit[s.part]++
		seen++
		if err := pause(ctx, s.rest); err != nil {
			return err
		}
	}
	r.chaos.over = time.Now()
	// Whether it heals is for expectations to judge; here only the time counts.
	healing, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	if err := r.await(healing, "everything to be there again", r.everythingBack); err == nil {
		r.chaos.whole = time.Now()
		r.moment("◆ every slave is active, every instance of " + a["app"] + " runs")
	}
	return c.pass("seed %d: %d faults, each seen: %s", seed, seen, tally(hit))
}

// strike does one fault, sees its effect, and undoes it.
func (r *run) strike(ctx context.Context, s strike, within time.Duration) error {
	f, before, err := r.hit(ctx, s, within)
	if err != nil {
		return err
	}
	_, late := r.lab.Settings().Law()
	watching, cancel := context.WithTimeout(ctx, late+effectPatience)
	defer cancel()
	var effect string
	err = r.await(watching, "an effect of "+f.String(), func(ctx context.Context) (err error) {
		effect, err = r.effect(ctx, f, before)
		return err
	})
	if err != nil {
		return unmet{err}
	}
	r.moment("◆ " + effect)
	if f.Passing() {
		r.ended(f.Node)
		return nil
	}
	if err := pause(ctx, s.keep); err != nil {
		return err
	}
	mended, err := r.mend(ctx, f.Same)
	for _, m := range mended {
		r.moment("↺ " + m.undone())
	}
	return err
}

// hit does the fault of a strike. A task may end while it is being aimed at, of
// the fault before or by Marathon's will: then another one is taken.
func (r *run) hit(ctx context.Context, s strike, within time.Duration) (f Fault, before Agent, err error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		if f, before, err = r.target(ctx, s); err != nil {
			return f, before, unmet{err}
		}
		err = r.change(f.Text(), []string{f.Node}, func() error {
			if !f.Passing() {
				r.mu.Lock()
				r.broken = append(r.broken, f)
				r.mu.Unlock()
			}
			return r.lab.Break(ctx, f)
		})
		if err == nil || f.Part != PartTask || !r.gone(ctx, f) {
			return f, before, err
		}
		if err := r.missed(ctx, f); err != nil {
			return f, before, err
		}
	}
}

// gone says whether the engine of a task's machine no longer runs it.
func (r *run) gone(ctx context.Context, f Fault) bool {
	containers, err := r.lab.Containers(ctx, f.Node)
	return err == nil && !slices.ContainsFunc(containers, func(c Container) bool { return c.ID == f.Container })
}

// missed strikes a fault that found nothing to break any more.
func (r *run) missed(ctx context.Context, f Fault) error {
	if err := r.lab.Mend(ctx, f); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.broken = slices.DeleteFunc(r.broken, f.Same)
	r.faults = r.faults[:len(r.faults)-1]
	return nil
}

// effectPatience is how long an effect may take on top of the pings, which are
// what tells of a slave that has stopped to answer.
const effectPatience = 5 * time.Second

// target waits until what a strike is to hit is in order: its slave is active
// in Mesos, which takes machine, network, Docker daemon and the slave itself.
func (r *run) target(ctx context.Context, s strike) (f Fault, before Agent, err error) {
	err = r.await(ctx, "something to break", func(ctx context.Context) error {
		var err error
		if f, err = s.find(ctx, r); err != nil {
			return err
		}
		agents, err := r.cluster.Agents(ctx)
		if err != nil {
			return fmt.Errorf("ask Mesos: %v", err)
		}
		i := slices.IndexFunc(agents, func(a Agent) bool { return a.Active && r.nodeOf(a.IP) == f.Node })
		if i < 0 {
			return fmt.Errorf("the slave on %s is not active again", f.Node)
		}
		before = agents[i]
		return r.answering(ctx, f)
	})
	return f, before, err
}

// answering says why a task that is to be broken is of no use yet, or nil: one
// that does not answer anyway would show nothing.
func (r *run) answering(ctx context.Context, f Fault) error {
	if f.Part != PartTask {
		return nil
	}
	t := r.history.Task(f.Task)
	if t.Address == "" || !t.Ended.IsZero() {
		return fmt.Errorf("%s does not run", t.Name)
	}
	if err := r.askTask(ctx, t); err != nil {
		return fmt.Errorf("%s does not answer yet: %v", t.Name, err)
	}
	return nil
}

// askTask lets the master's machine ask a task itself.
func (r *run) askTask(ctx context.Context, t TaskHistory) error {
	peer, err := r.node("master")
	if err != nil {
		return lab.Permanent(err)
	}
	_, err = r.lab.Ask(ctx, peer.Name, "http://"+t.Address+"/")
	return err
}

// effect says in words what somebody else sees of a fault, or why nobody does
// yet.
func (r *run) effect(ctx context.Context, f Fault, before Agent) (string, error) {
	switch f.Part {
	case PartMachine, PartNetwork:
		return r.seenByPeer(ctx, f)
	case PartDocker:
		return r.seenOfEngine(ctx, f)
	case PartComponent:
		return r.seenByMaster(ctx, f, before)
	}
	return r.seenOfTask(ctx, f)
}

func (r *run) seenByPeer(ctx context.Context, f Fault) (string, error) {
	peer, err := r.node("master")
	if err != nil {
		return "", lab.Permanent(err)
	}
	switch err := r.lab.Reach(ctx, peer.Name, f.Node); {
	case err == nil:
		return "", fmt.Errorf("%s still answers %s", f.Node, peer.Name)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return f.Node + " does not answer " + peer.Name, nil
	case errors.Is(err, syscall.ECONNREFUSED) && f.Part == PartMachine:
		return f.Node + " refuses " + peer.Name, nil
	default:
		return "", fmt.Errorf("%v", err)
	}
}

// enginePatience is how long an engine that works may take to list containers.
const enginePatience = 2 * time.Second

func (r *run) seenOfEngine(ctx context.Context, f Fault) (string, error) {
	asking, cancel := context.WithTimeout(ctx, enginePatience)
	defer cancel()
	if _, err := r.lab.Containers(asking, f.Node); err == nil {
		return "", fmt.Errorf("the engine of %s still lists its containers", f.Node)
	} else if ctx.Err() != nil {
		return "", ctx.Err()
	}
	return "the engine of " + f.Node + " does not answer", nil
}

func (r *run) seenByMaster(ctx context.Context, f Fault, before Agent) (string, error) {
	agents, err := r.cluster.Agents(ctx)
	if err != nil {
		return "", fmt.Errorf("ask Mesos: %v", err)
	}
	i := slices.IndexFunc(agents, func(a Agent) bool { return a.ID == before.ID })
	switch {
	case i < 0:
		return fmt.Sprintf("Mesos no longer has slave %s of %s", shortAgent(before.ID), f.Node), nil
	case !agents[i].Active:
		return fmt.Sprintf("Mesos calls slave %s of %s inactive", shortAgent(before.ID), f.Node), nil
	case agents[i].Registered.After(before.Registered):
		return fmt.Sprintf("slave %s of %s has registered again", shortAgent(before.ID), f.Node), nil
	}
	return "", fmt.Errorf("for Mesos the slave on %s is as before", f.Node)
}

func (r *run) seenOfTask(ctx context.Context, f Fault) (string, error) {
	t := r.history.Task(f.Task)
	if !t.Ended.IsZero() {
		return fmt.Sprintf("for Marathon %s is %s", t.Name, t.EndState), nil
	}
	if f.Verb != "pause" {
		return "", fmt.Errorf("%s has not ended", t.Name)
	}
	switch err := r.askTask(ctx, t); {
	case err == nil:
		return "", fmt.Errorf("%s still answers", t.Name)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return t.Name + " no longer answers the master's machine", nil
	default:
		return "", fmt.Errorf("%v", err)
	}
}

// everythingBack says what is still missing after a chaos, or nil.
func (r *run) everythingBack(ctx context.Context) error {
	agents, err := r.cluster.Agents(ctx)
	if err != nil {
		return err
	}
	for _, m := range r.slaves() {
		if !slices.ContainsFunc(agents, func(a Agent) bool { return a.Active && a.IP == m.IP.String() }) {
			return fmt.Errorf("no active slave on %s", m.Name)
		}
	}
	_, err = r.current(0)
	return err
}

// pause waits a while, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
