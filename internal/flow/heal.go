package flow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mesoslab/lab/internal/state"
	"github.com/mesoslab/lab/scenarios"
)

// Heal undoes every fault in the journal, newest first, and returns what it
// mended. A lab that was suspended is resumed.
func (f *Flow) Heal(ctx context.Context, name string) ([]state.Fault, error) {
	var mended []state.Fault
	err := f.onLab(ctx, name, "lab heal", func(c change) (err error) {
		logged := *f
		logged.Report = c.report
		mended, err = logged.heal(ctx, c.lab)
		if err == nil && slices.ContainsFunc(mended, func(f state.Fault) bool { return f.Mender != "" }) {
			_, err = f.wake(ctx, c, &changes{since: time.Now()})
		}
		return err
	})
	return mended, err
}

// heal is Heal for those who hold the lock.
func (f *Flow) heal(ctx context.Context, l *state.Lab) ([]state.Fault, error) {
	faults, err := l.Faults()
	if err != nil || len(faults) == 0 {
		return nil, err
	}
	v, err := f.open(l, "lab heal")
	if err != nil {
		return nil, err
	}
	defer v.close()
	var mended []state.Fault
	var errs []error
	for _, fault := range inOrder(faults) {
		step := fault.Fault
		if fault.Mender != "" {
			step = "go on"
		}
		err := f.Report.Step("heal", "", step, func(wait func(string)) error {
			wait(awaited(fault))
			return v.mendEntry(ctx, fault)
		})
		if err != nil {
			errs = append(errs, fmt.Errorf("undo %s: %w", fault, err))
			continue
		}
		mended = append(mended, fault)
	}
	return mended, errors.Join(errs...)
}

// inOrder sorts faults into the order in which they are undone: machines,
// daemons, containers, networks, since each is reached through those before
// it; of each the newest first.
func inOrder(faults []state.Fault) []state.Fault {
	out := slices.Clone(faults)
	slices.Reverse(out)
	order := scenarios.Parts()
	slices.SortStableFunc(out, func(a, b state.Fault) int {
		return cmp.Compare(slices.Index(order, faultIn(a).Part), slices.Index(order, faultIn(b).Part))
	})
	return out
}

// awaited says what undoing a fault waits for.
func awaited(e state.Fault) string {
	switch f := faultIn(e); f.Part {
	case scenarios.PartMachine:
		return "power to return"
	case scenarios.PartNetwork:
		return "the machines to reach each other"
	default:
		return f.Thing() + " to run"
	}
}
