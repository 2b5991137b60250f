package scenarios

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/mesoslab/lab"
)

// FaultRecord is one thing that a run broke or changed, in seconds since its
// beginning.
type FaultRecord struct {
	At      float64  `json:"at"`              // when it was asked for
	InForce float64  `json:"in_force"`        // when that had been done: the change itself lies between
	Until   *float64 `json:"until,omitempty"` // when it was undone; what changes an app is not
	Text    string   `json:"text"`
	Nodes   []string `json:"nodes,omitempty"`
}

// change does something to the lab that the observers are to see the effect
// of, and nothing in a placebo run. The clock of a run starts when the first
// is asked for: observers may see the effect before it is told that it is
// done.
func (r *run) change(text string, nodes []string, do func() error) error {
	at := time.Now()
	r.mu.Lock()
	if r.fault.IsZero() {
		r.fault = at
	}
	r.latest = at
	if r.probe != nil {
		r.sinceThen = r.traffic()
	}
	since := at.Sub(r.begun).Seconds()
	r.faults = append(r.faults, FaultRecord{At: since, InForce: since, Text: text, Nodes: nodes})
	i := len(r.faults) - 1
	r.mu.Unlock()
	if !r.opt.Placebo {
		if err := do(); err != nil {
			return err
		}
	}
	r.mu.Lock()
	r.faults[i].InForce = time.Since(r.begun).Seconds()
	r.mu.Unlock()
	r.momentAt(at, "⚡ "+text)
	return nil
}

func (r *run) tasksOn(node string) []TaskHistory {
	var out []TaskHistory
	for _, t := range r.history.App().Tasks {
		if h := r.history.Task(t.ID); h.Node == node && h.Ended.IsZero() {
			out = append(out, h)
		}
	}
	return out
}

// brokenNodes are the machines that had a fault in this leg, also those that are
// mended.
func (r *run) brokenNodes() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for _, f := range r.faults {
		if r.inLeg(f) {
			out = append(out, f.Nodes...)
		}
	}
	return out
}

// brokenAt is when the last fault of a machine was asked for, and when it was
// in force.
func (r *run) brokenAt(node string) (asked, inForce time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range slices.Backward(r.faults) {
		if slices.Contains(f.Nodes, node) && r.inLeg(f) {
			return r.at(f.At), r.at(f.InForce)
		}
	}
	return r.fault, r.fault
}

// mend undoes the faults that match, machines first, and returns them.
func (r *run) mend(ctx context.Context, match func(Fault) bool) ([]Fault, error) {
	r.mending.Lock()
	defer r.mending.Unlock()
	r.mu.Lock()
	broken := slices.Clone(r.broken)
	r.mu.Unlock()
	broken = slices.DeleteFunc(broken, func(f Fault) bool { return !match(f) })
	order := Parts()
	slices.SortStableFunc(broken, func(f, g Fault) int {
		return cmp.Compare(slices.Index(order, f.Part), slices.Index(order, g.Part))
	})
	var mended []Fault
	var errs []error
	for _, f := range broken {
		if err := r.lab.Mend(ctx, f); err != nil {
			errs = append(errs, fmt.Errorf("mend %s: %w", f.Thing(), err))
			continue
		}
		r.mu.Lock()
		r.broken = slices.DeleteFunc(r.broken, f.Same)
		r.mu.Unlock()
		r.ended(f.Node)
		mended = append(mended, f)
	}
	return mended, errors.Join(errs...)
}

// ended notes that what was broken on a machine no longer is.
func (r *run) ended(node string) {
	until := time.Since(r.begun).Seconds()
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.ContainsFunc(r.broken, func(f Fault) bool { return f.Node == node }) {
		return
	}
	for i := range r.faults {
		if slices.Contains(r.faults[i].Nodes, node) && r.faults[i].Until == nil {
			r.faults[i].Until = &until
		}
	}
}

// healPatience and putBackPatience bound the undoing of faults and of changes
// of apps when a run ends: a machine with an emulated processor boots for a
// minute and a half.
const (
	healPatience    = 5 * time.Minute
	putBackPatience = time.Minute
)

// heal undoes every fault that is still in force.
func (r *run) heal(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, healPatience)
	defer cancel()
	_, err := r.mend(ctx, func(Fault) bool { return true })
	return err
}

// putBack gives every app its instances again and removes what the run has
// deployed. It forces: a deployment that the run itself has made hopeless must
// not stand in the way.
func (r *run) putBack(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, putBackPatience)
	defer cancel()
	var errs []error
	for _, app := range r.deployed {
		if err := r.cluster.Remove(ctx, app); err != nil && !errors.Is(err, lab.ErrNotFound) {
			errs = append(errs, fmt.Errorf("remove %s: %w", app, err))
		}
		errs = append(errs, r.state.forget(ctx, r, app))
	}
	for _, app := range slices.Sorted(maps.Keys(r.original)) {
		if slices.Contains(r.deployed, app) {
			continue // it is gone
		}
		now, err := r.cluster.App(ctx, app)
		if err == nil && now.Instances != r.original[app] {
			err = r.cluster.Scale(ctx, app, r.original[app], true)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("scale %s back to %d: %w", app, r.original[app], err))
		}
	}
	return errors.Join(errs...)
}

// Possible finds what a lab cannot do for a script before anything is done.
func Possible(ctx context.Context, l Lab, c Cluster, sc Scenario) error {
	var problems []error
	at := func(line int, err error) {
		problems = append(problems, fmt.Errorf("%s:%d: %w", sc.Name, line, err))
	}
	if have, need := len(slavesOf(l.Machines())), sc.slaves(); have < need {
		at(sc.needsLine, fmt.Errorf("needs %d slaves, this lab has %d (lab create --slaves %d adds them)", need, have, need))
	}
	if err := sc.suits(l.Settings()); err != nil {
		at(sc.needsLine, err)
	}
	deployed, checked := map[string]bool{}, map[string]bool{}
	lang, err := newLanguage(ctx, func(ctx context.Context, v verb, a arguments) error {
		return possibleLine(ctx, l, c, v, a, deployed, checked)
	})
	if err != nil {
		return err
	}
	defer lang.close()
	for _, line := range sc.Lines {
		if line.Chapter == "" {
			if err := lang.run(ctx, sc.Name, line); err != nil {
				at(line.Number, err)
			}
		}
	}
	if len(problems) == 0 {
		return nil
	}
	err = errors.Join(problems...)
	if lab.ErrorID(err) != "" { // has advice of its own
		return err
	}
	return &lab.Error{ID: "scenario-impossible", Op: "check scenario against this lab", Err: fmt.Errorf("%w: %w", lab.ErrUsage, err), Advice: "nothing was broken; lab scenario lists what each one needs"}
}

// possibleLine looks at one line.
func possibleLine(ctx context.Context, l Lab, c Cluster, v verb, a arguments, deployed, checked map[string]bool) error {
	if v.isFault(a) {
		if err := l.Can(ctx, fromWords(v.fault, a)); err != nil {
			return err
		}
	}
	if v.possible != nil {
		if err := v.possible(ctx, l, a); err != nil {
			return err
		}
	}
	switch v.name {
	case "flags":
		f, err := flagged(l.Components(), a)
		if err != nil {
			return err
		}
		return l.Can(ctx, f)
	case "upgrade":
		return possibleUpgrade(ctx, c, a, deployed)
	}
	for _, p := range append(slices.Clone(v.args), v.options...) {
		switch p.kind {
		case kindNode, kindNodes, kindWho, kindTarget, kindTargetMachine, kindTargetOrApp:
			if err := possibleTarget(ctx, l, c, p, a[p.name], deployed, checked); err != nil {
				return err
			}
		case kindApp:
			if err := possibleApp(ctx, c, a[p.name], deployed, checked); err != nil {
				return err
			}
		case kindFile:
			d, err := loadApp(a[p.name])
			if err != nil {
				return err
			}
			if _, err := c.App(ctx, d.ID); err == nil && !deployed[d.ID] {
				return fmt.Errorf("deploy: there is an app %s already, which is not this script's to change", d.ID)
			}
			deployed[d.ID] = true
		}
	}
	return nil
}

// possibleTarget looks for a machine, a component or an app by its name.
func possibleTarget(ctx context.Context, l Lab, c Cluster, p param, word string, deployed, checked map[string]bool) error {
	switch part := partOf(word); {
	case word == "" || slices.Contains([]string{wordVictim, wordSlave, wordSlaves, wordLeader, wordDocker, wordTask, "mesos_slave"}, word):
		return nil
	case p.kind == kindTargetOrApp && part == "":
		return possibleApp(ctx, c, word, deployed, checked)
	case part == PartComponent:
		if all := l.Components(); !slices.ContainsFunc(all, func(c Component) bool { return c.Name == word }) {
			return unknownComponent(word, all)
		}
		return nil
	}
	_, err := findMachine(l.Machines(), word)
	return err
}

func possibleApp(ctx context.Context, c Cluster, app string, deployed, checked map[string]bool) error {
	if app == "" || deployed[app] || checked[app] {
		return nil
	}
	if _, err := c.App(ctx, app); errors.Is(err, lab.ErrNotFound) {
		return err
	} else if err != nil {
		return fmt.Errorf("ask for app %s: %w", app, err)
	}
	checked[app] = true
	return nil
}
