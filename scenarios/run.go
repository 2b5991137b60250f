package scenarios

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/mesoslab/lab"
)

// Options of a run.
type Options struct {
	Report lab.Report
	Dial   DialFunc // how the probe reaches the service; nil = the system's
	// Prompt shows a text and returns the line that the person in front of the
	// class types. nil: nobody is there, so nothing waits for anybody.
	Prompt func(ctx context.Context, text string) (string, error)
	// Placebo replaces every fault, and every change of an app after the
	// baseline, by nothing. Such a run must not end in PASS (rule R6); it
	// exists for tests of the verdict itself.
	Placebo bool
	// LeaveOut is about a series of scenarios: what the lab cannot do is left
	// out of it, and said so, instead of being an error.
	LeaveOut bool
}

// run is one scenario in progress.
type run struct {
	lab     Lab
	cluster Cluster
	opt     Options
	script  Scenario
	line    Line      // that runs
	began   time.Time // when it did
	lang    *language

	mending sync.Mutex     // one mends at a time
	later   sync.WaitGroup // ends of faults that are still to come

	watchCtx context.Context // of observers; ends with the run
	observed sync.WaitGroup
	app, url string
	history  *History
	probe    *Probe
	stop     chan struct{}
	begun    time.Time
	ending   bool // observers are being stopped on purpose

	mu          sync.Mutex
	fault       time.Time // when the first fault or change was in force; zero before
	latest      time.Time // when the last one was
	sinceThen   Traffic   // what the probe had seen by then
	faults      []FaultRecord
	timeline    []Moment
	criteria    []Criterion
	asked       []*Question
	broken      []Fault
	events      []PastEvent
	brokenParts []string // components and tasks that the run itself has broken, by name
	control     []Phase  // that expectations about the control plane have seen

	victimNodes []string      // that the word victim means
	victims     []TaskHistory // tasks on machines when these were broken
	before      []TaskHistory // tasks at the baseline
	agents      []AgentHistory
	known       *identity            // what remember has noted
	inLog       map[string]int       // requests of the probe in access logs, by task
	logRead     map[string]time.Time // when that was read
	scaledFrom  App                  // as it was when it was scaled last
	wanted      int                  // instances, since then
	original    map[string]int       // instances before this run scaled an app
	previous    map[string]string    // version before the last update, by app
	deployed    []string             // apps that this run has brought
	leg         leg
	state       stateful
	chaos       *havoc
	guests      []*guest         // frameworks of ours
	left        []string         // those that have left, by name
	fair        []map[string]int // tasks by framework, each time that shares were compared
}

// Moment is one line of the timeline, in seconds since the fault.
type Moment struct {
	At   float64 `json:"at"`
	Text string  `json:"text"`
}

// Run checks and runs a scenario. What it found is in the result whenever
// that is not nil; the error says why there is none, or is
// lab.ErrExpectation or lab.ErrInconclusive according to the verdict. Every
// fault is undone, and every app put back, before Run returns, also when ctx
// ends.
func Run(ctx context.Context, l Lab, c Cluster, sc Scenario, opt Options) (*Result, error) {
	if err := Sound(ctx, sc); err != nil {
		return nil, err
	}
	if err := Possible(ctx, l, c, sc); err != nil {
		return nil, err
	}
	watchCtx, stopWatching := context.WithCancel(ctx)
	defer stopWatching()
	r := &run{lab: l, cluster: c, opt: opt, script: sc, watchCtx: watchCtx, stop: make(chan struct{}), begun: time.Now()}
	r.original, r.inLog, r.logRead = map[string]int{}, map[string]int{}, map[string]time.Time{}
	r.opt.Report = r.remember(opt.Report)
	r.history = newHistory(r.moment)
	failed := r.lines(ctx)

	// What runs whatever happened: traffic ends first, so that its last
	// answers are judged, then faults are undone.
	r.mu.Lock()
	r.ending = true
	r.mu.Unlock()
	res := r.result(failed)
	close(r.stop)
	parted := r.seeOff(context.WithoutCancel(ctx))
	stopWatching()
	r.later.Wait()
	healed := errors.Join(parted, r.heal(context.WithoutCancel(ctx)), r.putBack(context.WithoutCancel(ctx)))
	r.observed.Wait()
	switch {
	case ctx.Err() != nil:
		return nil, errors.Join(fmt.Errorf("scenario %s: interrupted: %w", sc.Name, context.Cause(ctx)), healed)
	case failed != nil && !isUnmet(failed):
		return nil, errors.Join(fmt.Errorf("scenario %s: %w", sc.Name, failed), healed)
	}
	res.Recording = r.recording(res)
	if healed != nil {
		return res, fmt.Errorf("scenario %s: %w", sc.Name, healed)
	}
	return res, res.err()
}

// lines runs the script until its first error, then the finally lines.
func (r *run) lines(ctx context.Context) error {
	lang, err := newLanguage(ctx, func(ctx context.Context, v verb, a arguments) error { return v.do(ctx, r, a) })
	if err != nil {
		return err
	}
	r.lang = lang
	defer lang.close()
	var failed error
	for _, l := range r.script.Lines {
		if l.Finally || failed != nil {
			continue
		}
		if l.Chapter != "" {
			r.chapter(l.Chapter)
			continue
		}
		failed = r.step(ctx, l)
		r.answerAsked(false, "")
	}
	return errors.Join(failed, r.finally(ctx))
}

// finally runs the lines that run whatever happened. Where ctx has ended, they
// have a context of their own, bounded by what undoing may take.
func (r *run) finally(ctx context.Context) (err error) {
	if ctx.Err() != nil {
		own, cancel := context.WithTimeout(context.WithoutCancel(ctx), healPatience)
		defer cancel()
		lang, err := r.lang.again(own)
		if err != nil {
			return err
		}
		defer lang.close()
		ctx, r.lang = own, lang
	}
	for _, l := range r.script.Lines {
		if l.Finally {
			err = errors.Join(err, r.step(ctx, l))
		}
	}
	return err
}

// step runs one line. Its end is quiet: what a reader wants to hear is what
// the observers see, not that a verb is done.
func (r *run) step(ctx context.Context, l Line) error {
	r.line, r.began = l, time.Now()
	v, _, err := r.lang.find(l.Text)
	if err == nil && v.rest != "" {
		// Words for people. No step is open while they are said, so that
		// nothing is drawn over what a person types.
		if err = r.lang.run(ctx, r.script.Name, l); err != nil {
			return fmt.Errorf("%s:%d: %w", r.script.Name, l.Number, err)
		}
		return nil
	}
	r.opt.Report.Emit(lab.Event{Op: "scenario", Kind: lab.EventStart, Step: l.Text})
	err = r.lang.run(ctx, r.script.Name, l)
	end := lab.Event{Op: "scenario", Kind: lab.EventDone, Step: l.Text, Data: map[string]any{"quiet": true}}
	if err != nil {
		err = fmt.Errorf("%s:%d: %w", r.script.Name, l.Number, err)
		end.Kind, end.Err = lab.EventFail, err.Error()
	}
	r.opt.Report.Emit(end)
	return err
}

// await is lab.Until, telling what was seen last whenever that changes. How long
// was waited, its error counts from the start of the line: what was awaited
// before on the same line was waiting, too.
func (r *run) await(ctx context.Context, what string, fn func(context.Context) error) error {
	said := ""
	err := lab.Until(ctx, sampleEvery, what, func(ctx context.Context) error {
		err := fn(ctx)
		if errors.Is(err, lab.ErrNotFound) {
			return lab.Permanent(err) // no app of that name: waiting will not bring it
		}
		if err != nil && err.Error() != said {
			said = err.Error()
			r.opt.Report.Emit(lab.Event{Op: "scenario", Kind: lab.EventWait, Step: r.line.Text, Text: said})
		}
		return err
	})
	if w, ok := errors.AsType[*lab.WaitError](err); ok && !r.began.IsZero() {
		w.After = max(w.After, time.Since(r.began))
	}
	return err
}

// hold waits until fn has been nil at every look for a whole length of time.
func (r *run) hold(ctx context.Context, what string, length time.Duration, fn func(context.Context) error) error {
	var since time.Time
	return r.await(ctx, what, func(ctx context.Context) error {
		if err := fn(ctx); err != nil {
			since = time.Time{}
			return err
		}
		now := time.Now()
		if since.IsZero() {
			since = now
		}
		if left := length - now.Sub(since); left > 0 {
			return fmt.Errorf("it is so, to be watched for %s", seconds(length))
		}
		return nil
	})
}

// moment notes something in the timeline, now.
func (r *run) moment(text string) { r.momentAt(time.Now(), text) }

// momentAt notes when something was. Before the fault nothing has a time yet,
// so it is left out, and so is what ending a run stirs up.
func (r *run) momentAt(at time.Time, text string) {
	r.mu.Lock()
	if r.fault.IsZero() || r.ending {
		r.mu.Unlock()
		return
	}
	m := Moment{at.Sub(r.fault).Seconds(), text}
	r.timeline = append(r.timeline, m)
	r.mu.Unlock()
	r.opt.Report.Emit(lab.Event{Op: "scenario", Kind: lab.EventNote, Text: fmt.Sprintf("%7.2f s  %s", m.At, text), Data: map[string]any{"at": m.At}})
}

func (r *run) note(text string) {
	r.opt.Report.Emit(lab.Event{Op: "scenario", Kind: lab.EventNote, Text: text})
}

func (r *run) chapter(title string) {
	r.opt.Report.Emit(lab.Event{Op: "scenario", Kind: lab.EventNote, Text: "── " + title, Data: map[string]any{"chapter": title}})
}

func (r *run) faultTime() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fault
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

// node finds the one machine that a script's word means.
func (r *run) node(word string) (lab.Machine, error) {
	all, err := r.nodes(word)
	if err != nil {
		return lab.Machine{}, err
	}
	if len(all) > 1 {
		return lab.Machine{}, fmt.Errorf("%q means %d machines, one is needed", word, len(all))
	}
	return all[0], nil
}

// nodes finds the machines that a script's word means.
func (r *run) nodes(word string) ([]lab.Machine, error) {
	return r.aim().machines(r.watchCtx, word, arguments{})
}

func findMachine(machines []lab.Machine, word string) (lab.Machine, error) {
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
func (r *run) slaves() []lab.Machine { return slavesOf(r.lab.Machines()) }

func slavesOf(machines []lab.Machine) []lab.Machine {
	var out []lab.Machine
	for _, m := range machines {
		if m.Role == lab.RoleSlave {
			out = append(out, m)
		}
	}
	return out
}
