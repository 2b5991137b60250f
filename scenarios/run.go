package scenarios

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"rsc.io/script"

	"github.com/mesoslab/lab"
)

// Options of a run.
type Options struct {
	Report lab.Report
	Dial   DialFunc // how the probe reaches the service; nil = the system's
	// Placebo replaces every fault by nothing. Such a run must not end in
	// PASS (rule R6); it exists for tests of the verdict itself.
	Placebo bool
}

// run is one scenario in progress.
type run struct {
	lab     Lab
	cluster Cluster
	opt     Options
	line    string // the script's line that runs

	watchCtx context.Context // of observers; ends with the run
	observed sync.WaitGroup
	app      string
	history  *History
	probe    *Probe
	stop     chan struct{}
	begun    time.Time
	ending   bool // observers are being stopped on purpose

	mu       sync.Mutex
	fault    time.Time // when the first fault was in force; zero before
	timeline []Moment
	criteria []Criterion
	broken   []string // nodes
	victim   string   // node
	victims  []TaskHistory
	before   []TaskHistory // tasks at the baseline
	agents   []AgentHistory
}

// Moment is one line of the timeline, in seconds since the fault.
type Moment struct {
	At   float64 `json:"at"`
	Text string  `json:"text"`
}

// Run checks and runs a scenario. What it found is in the result whenever
// that is not nil; the error says why there is none, or is
// lab.ErrExpectation or lab.ErrInconclusive according to the verdict. Every
// fault is undone before Run returns, also when ctx ends.
func Run(ctx context.Context, l Lab, c Cluster, sc Scenario, opt Options) (*Result, error) {
	if err := Sound(ctx, sc); err != nil {
		return nil, err
	}
	watchCtx, stopWatching := context.WithCancel(ctx)
	r := &run{lab: l, cluster: c, opt: opt, watchCtx: watchCtx, stop: make(chan struct{}), begun: time.Now()}
	r.history = newHistory(r.moment)
	failed := r.lines(ctx, sc)

	// What runs whatever happened: traffic ends first, so that its last
	// answers are judged, then faults are undone.
	r.mu.Lock()
	r.ending = true
	r.mu.Unlock()
	res := r.result(sc, failed)
	close(r.stop)
	stopWatching()
	healed := r.heal(context.WithoutCancel(ctx))
	r.observed.Wait()
	switch {
	case ctx.Err() != nil:
		return nil, errors.Join(fmt.Errorf("scenario %s: interrupted: %w", sc.Name, context.Cause(ctx)), healed)
	case failed != nil && !isUnmet(failed):
		return nil, errors.Join(fmt.Errorf("scenario %s: %w", sc.Name, failed), healed)
	case healed != nil:
		return res, fmt.Errorf("scenario %s: %w", sc.Name, healed)
	}
	return res, res.err()
}

// lines runs the script until its first error, then the finally lines.
func (r *run) lines(ctx context.Context, sc Scenario) error {
	s, err := script.NewState(ctx, os.TempDir(), nil)
	if err != nil {
		return fmt.Errorf("make script state: %w", err)
	}
	defer s.CloseAndWait(discard{})
	e := engine(r)
	var failed error
	for _, l := range sc.Lines {
		if l.Finally || failed != nil {
			continue
		}
		if l.Chapter != "" {
			r.note("── " + l.Chapter)
			continue
		}
		if text, ok := speech(l.Text); ok {
			r.note(text)
			continue
		}
		failed = r.step(e, s, sc, l)
	}
	for _, l := range sc.Lines {
		if l.Finally && ctx.Err() == nil {
			failed = errors.Join(failed, r.step(e, s, sc, l))
		}
	}
	return failed
}

// step runs one line. Its end is quiet: what a reader wants to hear is what
// the observers see, not that a verb is done.
func (r *run) step(e *script.Engine, s *script.State, sc Scenario, l Line) error {
	r.line = l.Text
	r.opt.Report.Emit(lab.Event{Op: "scenario", Kind: lab.EventStart, Step: l.Text})
	err := execute(e, s, sc.Name, l)
	end := lab.Event{Op: "scenario", Kind: lab.EventDone, Step: l.Text, Data: map[string]any{"quiet": true}}
	if err != nil {
		err = fmt.Errorf("%s:%d: %w", sc.Name, l.Number, cause(err))
		end.Kind, end.Err = lab.EventFail, err.Error()
	}
	r.opt.Report.Emit(end)
	return err
}

// await is lab.Until, telling what was seen last whenever that changes.
func (r *run) await(ctx context.Context, what string, fn func(context.Context) error) error {
	said := ""
	return lab.Until(ctx, sampleEvery, what, func(ctx context.Context) error {
		err := fn(ctx)
		if errors.Is(err, lab.ErrNotFound) {
			return lab.Permanent(err) // no app of that name: waiting will not bring it
		}
		if err != nil && err.Error() != said {
			said = err.Error()
			r.opt.Report.Emit(lab.Event{Op: "scenario", Kind: lab.EventWait, Step: r.line, Text: said})
		}
		return err
	})
}

// heal undoes every fault that is still in force.
func (r *run) heal(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	r.mu.Lock()
	broken := slices.Clone(r.broken)
	r.mu.Unlock()
	var errs []error
	for _, node := range broken {
		errs = append(errs, r.mend(ctx, node))
	}
	return errors.Join(errs...)
}

// breakNode does a fault, and nothing in a placebo run.
func (r *run) breakNode(ctx context.Context, node string, how lab.Power, text string) error {
	if !r.opt.Placebo {
		r.mu.Lock()
		r.broken = append(r.broken, node)
		r.mu.Unlock()
		if err := r.lab.Break(ctx, node, how); err != nil {
			return err
		}
	}
	r.mu.Lock()
	if r.fault.IsZero() {
		r.fault = time.Now()
	}
	r.mu.Unlock()
	r.moment("⚡ " + text)
	return nil
}

func (r *run) mend(ctx context.Context, node string) error {
	r.mu.Lock()
	i := slices.Index(r.broken, node)
	r.mu.Unlock()
	if i < 0 {
		return nil
	}
	if err := r.lab.Mend(ctx, node); err != nil {
		return fmt.Errorf("mend %s: %w", node, err)
	}
	r.mu.Lock()
	r.broken = slices.DeleteFunc(r.broken, func(n string) bool { return n == node })
	r.mu.Unlock()
	return nil
}

// moment notes something in the timeline. Before the fault nothing has a
// time yet, so it is left out, and so is what ending a run stirs up.
func (r *run) moment(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fault.IsZero() || r.ending {
		return
	}
	m := Moment{time.Since(r.fault).Seconds(), text}
	r.timeline = append(r.timeline, m)
	r.opt.Report.Emit(lab.Event{Op: "scenario", Kind: lab.EventNote, Text: fmt.Sprintf("%7.2f s  %s", m.At, text), Data: map[string]any{"at": m.At}})
}

func (r *run) note(text string) {
	r.opt.Report.Emit(lab.Event{Op: "scenario", Kind: lab.EventNote, Text: text})
}

// nodeOf names the machine with an address.
func (r *run) nodeOf(ip string) string {
	for _, m := range r.lab.Machines() {
		if m.IP.String() == ip {
			return m.Name
		}
	}
	return ip
}

// node finds the machine that a script's word means.
func (r *run) node(word string) (lab.Machine, error) {
	if word == "victim" {
		if r.victim == "" {
			return lab.Machine{}, errors.New("no victim was chosen yet")
		}
		word = r.victim
	}
	machines := r.lab.Machines()
	var nodes []lab.Node
	for _, m := range machines {
		nodes = append(nodes, m.Node)
	}
	n, err := lab.FindNode(nodes, word)
	if err != nil {
		return lab.Machine{}, err
	}
	i := slices.IndexFunc(machines, func(m lab.Machine) bool { return m.Name == n.Name })
	return machines[i], nil
}

// slaves returns the machines that run a Mesos slave.
func (r *run) slaves() []lab.Machine {
	var out []lab.Machine
	for _, m := range r.lab.Machines() {
		if m.Role == lab.RoleSlave {
			out = append(out, m)
		}
	}
	return out
}
