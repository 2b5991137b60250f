package flow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/state"
	"github.com/mesoslab/lab/scenarios"
)

// Broken tells what Break did.
type Broken struct {
	Fault    string   `json:"fault"`    // kill, crash, pause …
	Things   []string `json:"things"`   // node2, docker on node2, marathon …
	Machines []string `json:"machines"` // where they are
	Seconds  float64  `json:"seconds"`  // how long the fault was in force, if it was undone
	Undone   bool     `json:"undone"`
	Passed   bool     `json:"passed"` // nothing is left to undo
}

// undoPatience bounds the undoing of faults after an interruption; a machine
// with an emulated processor boots for a minute and a half.
const undoPatience = 5 * time.Minute

// Break does a fault by hand; words are what follows the verb, as in scripts.
// With a length of time it waits for so long and undoes the fault, also when
// ctx ends before; without, the fault stays in the journal until somebody
// heals it.
func (f *Flow) Break(ctx context.Context, name, verb string, words []string, length time.Duration) (out *Broken, err error) {
	err = f.onLab(ctx, name, "lab break "+verb+" "+strings.Join(words, " "), func(c change) error {
		v, err := f.open(c.lab, "lab break")
		if err != nil {
			return err
		}
		defer v.close()
		faults, err := v.breakable(ctx, verb, words, length)
		if err != nil {
			return err
		}
		out = &Broken{Fault: verb}
		for _, fault := range faults {
			out.Things = append(out.Things, fault.Thing())
			if !slices.Contains(out.Machines, fault.Node) {
				out.Machines = append(out.Machines, fault.Node)
			}
		}
		return v.breakFor(ctx, faults, out, c.report)
	})
	return out, err
}

// breakable finds what the words mean and says why it cannot be broken, if it
// cannot.
func (v *live) breakable(ctx context.Context, verb string, words []string, length time.Duration) ([]scenarios.Fault, error) {
	if length > 0 {
		words = append(slices.Clone(words), "for="+length.String())
	}
	faults, err := scenarios.Aim(ctx, v, &cluster{v.clients, v.platform}, verb, words)
	if err != nil {
		return nil, err
	}
	broken, err := v.lab.Faults()
	if err != nil {
		return nil, err
	}
	power, err := v.provider.Status(ctx, v.plan)
	if err != nil {
		return nil, err
	}
	for _, f := range faults {
		i := slices.IndexFunc(broken, func(e state.Fault) bool {
			return faultIn(e).Same(f) || e.Part == "" && slices.Contains(e.Nodes, f.Node)
		})
		if i >= 0 {
			return nil, &lab.Error{ID: "already-broken", Op: verb, Machine: f.Node, Err: fmt.Errorf("it is broken already: %s", broken[i]), Advice: broken[i].Mends() + " mends it"}
		}
		for _, s := range power {
			if s.Machine.Name == f.Node && s.State != lab.StateRunning {
				return nil, &lab.Error{ID: "lab-not-whole", Op: verb, Machine: f.Node, Err: fmt.Errorf("it is %s", s.State), Advice: "lab create repairs what is missing"}
			}
		}
		if err := v.Can(ctx, f); err != nil {
			return nil, err
		}
	}
	return faults, nil
}

// breakFor does the faults, and undoes them where they have an end. Of several
// that failed half-way none stays.
func (v *live) breakFor(ctx context.Context, faults []scenarios.Fault, out *Broken, report lab.Report) error {
	start := time.Now()
	err := v.breakAll(ctx, faults, report)
	length := faults[0].Length
	if err == nil && length == 0 {
		out.Passed = faults[0].Passing()
		return nil
	}
	if err == nil {
		err = report.Step("break", "", out.Fault+" "+strings.Join(out.Things, ", "), func(wait func(string)) error {
			return elapse(ctx, length, start.Add(length), wait)
		})
	}
	undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoPatience)
	defer cancel()
	for _, f := range faults {
		healed := report.Step("break", f.Node, "undo", func(wait func(string)) error {
			wait(awaited(entry(f, "")))
			return v.Mend(undo, f)
		})
		err = errors.Join(err, healed)
	}
	out.Seconds, out.Undone = time.Since(start).Seconds(), true
	return err
}

func (v *live) breakAll(ctx context.Context, faults []scenarios.Fault, report lab.Report) error {
	for _, f := range faults {
		err := report.Step("break", f.Node, f.Verb, func(wait func(string)) error {
			wait(f.Thing())
			return v.Break(ctx, f)
		})
		if err != nil {
			return fmt.Errorf("%s: %w", f, err)
		}
		report.Emit(lab.Event{Op: "break", Kind: lab.EventNote, Node: f.Node, Text: "⚡ " + f.Text()})
	}
	return nil
}

// elapse waits until a moment. The words stand still, for each change of them
// is a line in what lab events shows; how long it has been is beside them.
func elapse(ctx context.Context, length time.Duration, end time.Time, wait func(string)) error {
	wait(fmt.Sprintf("undone after %v, at %s, or with Ctrl-C", length, end.Format(time.TimeOnly)))
	timer := time.NewTimer(time.Until(end))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
