package flow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mesoslab/lab/internal/state"
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
	if err != nil {
		return nil, err
	}
	provider, err := f.provider(l.Provider)
	if err != nil {
		return nil, err
	}
	plan, err := f.plan(l, f.Report)
	if err != nil {
		return nil, err
	}
	var mended []state.Fault
	var errs []error
	for i := len(faults) - 1; i >= 0; i-- {
		fault := faults[i]
		step := fault.Fault
		if fault.Mender != "" {
			step = "go on"
		}
		err := f.Report.Step("heal", "", step, func(wait func(string)) error {
			wait("power to return")
			return provider.Power(ctx, plan, fault.Nodes, fault.Undo)
		})
		if err == nil {
			err = l.StrikeFault(fault.ID)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("undo %s: %w", fault, err))
			continue
		}
		mended = append(mended, fault)
	}
	return mended, errors.Join(errs...)
}
