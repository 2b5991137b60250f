package flow

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/state"
	"github.com/mesoslab/lab/scenarios"
)

// Broken tells what Break did.
type Broken struct {
	Fault    string   `json:"fault"`    // kill, crash, pause or stop
	Machines []string `json:"machines"` // node2 …
	Seconds  float64  `json:"seconds"`  // how long the fault was in force, if it was undone
	Undone   bool     `json:"undone"`
}

// undoPatience bounds the undoing of faults after an interruption.
const undoPatience = time.Minute

// Break does a fault to machines by hand. With a length of time it waits for
// so long and undoes the fault, also when ctx ends before; without, the fault
// stays in the journal until somebody heals it.
func (f *Flow) Break(ctx context.Context, name string, fault scenarios.Fault, words []string, length time.Duration) (out *Broken, err error) {
	err = f.onLab(ctx, name, "lab break "+fault.Verb+" "+strings.Join(words, " "), func(c change) error {
		v, err := f.open(c.lab, "lab break")
		if err != nil {
			return err
		}
		defer v.close()
		nodes, err := v.breakable(ctx, fault, words)
		if err != nil {
			return err
		}
		out = &Broken{Fault: fault.Verb, Machines: nodes}
		return v.breakFor(ctx, fault, out, length, c.report)
	})
	return out, err
}

// breakable finds the machines that words mean and says why they cannot be
// broken, if they cannot.
func (v *live) breakable(ctx context.Context, fault scenarios.Fault, words []string) ([]string, error) {
	if modes := v.PowerModes(); !slices.Contains(modes, fault.Power) {
		var can []string
		for _, f := range scenarios.Faults() {
			if slices.Contains(modes, f.Power) {
				can = append(can, f.Verb)
			}
		}
		return nil, &lab.Error{ID: "fault-unsupported", Op: fault.Verb, Err: fmt.Errorf("%w: machines of provider %s cannot do that", lab.ErrUsage, v.lab.Provider),
			Advice: "they know " + strings.Join(can, ", ")}
	}
	faults, err := v.lab.Faults()
	if err != nil {
		return nil, err
	}
	power, err := v.provider.Status(ctx, v.plan)
	if err != nil {
		return nil, err
	}
	var nodes []string
	for _, word := range words {
		n, err := lab.FindNode(v.plan.Nodes, word)
		if err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(faults, func(f state.Fault) bool { return slices.Contains(f.Nodes, n.Name) }); i >= 0 {
			return nil, &lab.Error{ID: "already-broken", Op: fault.Verb, Machine: n.Name, Err: fmt.Errorf("it is broken already: %s", faults[i]), Advice: faults[i].Mends() + " mends it"}
		}
		for _, s := range power {
			if s.Machine.Name == n.Name && s.State != lab.StateRunning {
				return nil, &lab.Error{ID: "lab-not-whole", Op: fault.Verb, Machine: n.Name, Err: fmt.Errorf("it is %s", s.State), Advice: "lab create repairs what is missing"}
			}
		}
		if !slices.Contains(nodes, n.Name) {
			nodes = append(nodes, n.Name)
		}
	}
	return nodes, nil
}

// breakFor does the fault, and undoes it where it has an end. A fault that
// failed half-way is undone at once.
func (v *live) breakFor(ctx context.Context, fault scenarios.Fault, out *Broken, length time.Duration, report lab.Report) error {
	start := time.Now()
	err := v.breakAll(ctx, fault, out.Machines, report)
	if err == nil && length == 0 {
		return nil
	}
	if err == nil {
		err = report.Step("break", "", fault.Verb+" "+strings.Join(out.Machines, " "), func(wait func(string)) error {
			return v.elapse(ctx, start.Add(length), wait)
		})
	}
	undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoPatience)
	defer cancel()
	for _, n := range out.Machines {
		healed := report.Step("break", n, "undo", func(wait func(string)) error {
			wait("power to return")
			return v.Mend(undo, n)
		})
		err = errors.Join(err, healed)
	}
	out.Seconds, out.Undone = time.Since(start).Seconds(), true
	return err
}

func (v *live) breakAll(ctx context.Context, fault scenarios.Fault, nodes []string, report lab.Report) error {
	for _, n := range nodes {
		if err := v.Break(ctx, n, fault.Power); err != nil {
			return fmt.Errorf("%s %s: %w", fault.Verb, n, err)
		}
		report.Emit(lab.Event{Op: "break", Kind: lab.EventNote, Node: n, Text: "⚡ " + n + " " + fault.Does})
	}
	return nil
}

// elapse waits until a moment and counts down.
func (v *live) elapse(ctx context.Context, end time.Time, wait func(string)) error {
	said := ""
	err := lab.Until(ctx, 100*time.Millisecond, "the end of the fault", func(context.Context) error {
		left := time.Until(end)
		if left <= 0 {
			return nil
		}
		if text := fmt.Sprintf("undone in %.0f s, or with Ctrl-C", math.Ceil(left.Seconds())); text != said {
			said = text
			wait(text)
		}
		return errors.New("not yet")
	})
	if err != nil {
		return context.Cause(ctx)
	}
	return nil
}
