package scenarios

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mesoslab/lab"
)

// expectUnnoticed watches that nobody gives anything up.
func expectUnnoticed(ctx context.Context, r *run, a arguments) error {
	length := a.duration("for")
	c := r.criterion("unnoticed", fmt.Sprintf("for %s the same master leads the same slaves and the same Marathon, and both answer", seconds(length)))
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	wrong := ""
	err := r.hold(ctx, "nothing to happen", length, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		m, err := r.cluster.Master(ctx)
		if err != nil {
			return err
		}
		s, err := r.cluster.Scheduler(ctx)
		if err != nil {
			return err
		}
		if wrong = r.differs(m, s); wrong != "" {
			return lab.Permanent(errors.New(wrong))
		}
		return nil
	})
	if err := c.unless(wrong, err); err != nil {
		return err
	}
	r.history.harmless(samplerMesos, samplerMarathon)
	return c.pass("watched for %s: master %s leads since its first election, %d slaves as registered, Marathon is framework %s",
		seconds(length), briefID(r.known.master.ID), len(r.known.master.Agents), shortAgent(r.known.scheduler.Framework))
}

// differs says what is not as it is known.
func (r *run) differs(m Master, s Scheduler) string {
	was := r.known
	switch {
	case !m.Leads:
		return "the master does not lead any more"
	case m.ID != was.master.ID || !m.Elected.Equal(was.master.Elected):
		return fmt.Sprintf("master %s leads, not %s", briefID(m.ID), briefID(was.master.ID))
	case s.Framework != was.scheduler.Framework || !slices.Contains(m.Frameworks, s.Framework):
		return "Marathon is not connected to Mesos as framework " + was.scheduler.Framework
	}
	for _, a := range was.master.Agents {
		i := slices.IndexFunc(m.Agents, func(n Agent) bool { return n.ID == a.ID })
		if i < 0 || !m.Agents[i].Active || !m.Agents[i].Registered.Equal(a.Registered) {
			return fmt.Sprintf("the slave on %s is not registered as it was", r.nodeOf(a.IP))
		}
	}
	return ""
}

// expectWaiting sees that a wish is taken and cannot be granted. The app need
// not be the one that traffic goes to.
func expectWaiting(ctx context.Context, r *run, a arguments) error {
	length := a.duration("for")
	c := r.criterion("waiting", fmt.Sprintf("for %s Marathon owes %s all of its instances", seconds(length), a["app"]))
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	var app App
	launched := ""
	err := r.hold(ctx, a["app"]+" to wait", length, func(ctx context.Context) (err error) {
		if app, err = r.cluster.App(ctx, a["app"]); err != nil {
			return err
		}
		switch {
		case len(app.Tasks) > 0:
			launched = app.Tasks[0].ID
			return lab.Permanent(errors.New("it was launched"))
		case app.Queued == 0 || app.Queued != app.Instances:
			return fmt.Errorf("%d launches are queued, of %d instances", app.Queued, app.Instances)
		}
		return nil
	})
	switch {
	case launched != "":
		return c.broken("%s was launched although no master leads", launched)
	case err != nil:
		return c.unseen(err)
	}
	return c.pass("%d of %d instances queued, none launched", app.Queued, app.Instances)
}

// expectLaunched compares times of the master's machine: Marathon's word for
// when it launched, the Mesos master's for when it was elected.
func expectLaunched(ctx context.Context, r *run, a arguments) error {
	c := r.criterion("launched", a["app"]+" runs, launched after the new master's election")
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	var app App
	var m Master
	err := r.await(ctx, a["app"]+" to run", func(ctx context.Context) (err error) {
		if m, err = r.cluster.Master(ctx); err != nil {
			return err
		}
		if app, err = r.cluster.App(ctx, a["app"]); err != nil {
			return err
		}
		return unsettled(app, 0)
	})
	if err != nil {
		return c.unseen(err)
	}
	first := time.Duration(0)
	for _, t := range app.Tasks {
		waited := t.Staged.Sub(m.Elected)
		if waited < 0 {
			return c.broken("%s was launched %.2f s before the master was elected", t.ID, -waited.Seconds())
		}
		if first == 0 || waited < first {
			first = waited
		}
	}
	return c.pass("%d instances, the first launched %.2f s after the election", len(app.Tasks), first.Seconds())
}

// expectAnswering begins to count when nothing fails any more.
func expectAnswering(ctx context.Context, r *run, a arguments) error {
	want := a.count("requests")
	c := r.criterion("answering", fmt.Sprintf("%d requests in a row are answered, by every task of the baseline", want))
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	from, until := r.outage("marathon-lb")
	start := later(from, until)
	var served []string
	err := r.await(ctx, fmt.Sprintf("%d requests in a row", want), func(context.Context) error {
		answers := r.probe.Since(start)
		for _, w := range answers {
			if w.Err != "" && !w.Due.Before(start) {
				start = w.Due.Add(time.Nanosecond)
			}
		}
		by, n := map[string]int{}, 0
		for _, w := range r.probe.Since(start) {
			if w.Err == "" {
				by[w.Task]++
				n++
			}
		}
		if n < want {
			return fmt.Errorf("%d requests in a row answered", n)
		}
		served = nil
		for _, t := range r.before {
			if by[t.ID] == 0 && by[""] == 0 {
				return fmt.Errorf("%s has answered nothing", t.Name)
			}
			served = append(served, fmt.Sprintf("%s %d", t.Name, by[t.ID]))
		}
		if r.history.missing(samplerBalancer) && !r.history.sampledAfter(samplerBalancer, start) {
			return errors.New("the load balancer's own figures are not seen yet")
		}
		return nil
	})
	if err != nil {
		return c.unseen(err)
	}
	r.history.explained(samplerBalancer)
	r.controlPhase(from, cut{name: phaseDown, rule: ruleDown, at: later(from, until)},
		cut{name: phaseServing, rule: "no setting: the load balancer reads Marathon's apps, then listens", at: start})
	t := r.probe.Between(from, start)
	return c.pass("%d requests in a row after %.2f s: %s; %d of %d failed before", want, start.Sub(from).Seconds(), strings.Join(served, ", "), t.Failed, t.Sent)
}

// expectUnreplaced counts on the engines, for Marathon is not there to say.
func expectUnreplaced(ctx context.Context, r *run, a arguments) error {
	length := a.duration("for")
	c := r.criterion("unreplaced", fmt.Sprintf("for %s the engines run what is left, and nothing new", seconds(length)))
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	var left, gone []string
	fresh := ""
	err := r.hold(ctx, "nothing to be replaced", length, func(ctx context.Context) error {
		running, err := r.runningTasks(ctx, a["app"])
		if err != nil {
			return err
		}
		left, gone = nil, nil
		for _, t := range r.before {
			i := slices.Index(running, t.ID)
			switch {
			case i >= 0 && r.brokenTask(t.ID):
				return fmt.Errorf("the container of %s still runs", t.Name)
			case r.brokenTask(t.ID):
				gone = append(gone, t.Name)
				continue
			case i < 0:
				return lab.Permanent(fmt.Errorf("%s, which nobody has broken, is gone", t.Name))
			}
			left, running = append(left, t.Name), slices.Delete(running, i, i+1)
		}
		if len(running) > 0 {
			fresh = running[0]
			return lab.Permanent(errors.New("there is a new one"))
		}
		if len(gone) == 0 {
			return errors.New("no task was broken")
		}
		return nil
	})
	switch {
	case fresh != "":
		return c.broken("%s runs: somebody has replaced what was broken", fresh)
	case err != nil:
		return c.unseen(err)
	}
	return c.pass("watched for %s: %s gone, %s left, nothing new on any engine", seconds(length), strings.Join(gone, ", "), strings.Join(left, ", "))
}

// runningTasks lists an app's tasks by the engines of all slaves.
func (r *run) runningTasks(ctx context.Context, app string) ([]string, error) {
	prefix := strings.ReplaceAll(strings.Trim(app, "/"), "/", "_") + "."
	var out []string
	for _, m := range r.slaves() {
		all, err := r.lab.Containers(ctx, m.Name)
		if err != nil {
			return nil, fmt.Errorf("ask the engine of %s: %w", m.Name, err)
		}
		for _, c := range all {
			if strings.HasPrefix(c.TaskID, prefix) {
				out = append(out, c.TaskID)
			}
		}
	}
	return out, nil
}
