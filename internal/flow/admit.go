package flow

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/computer"
)

// admit looks, before anything is made or written, for what would stop a lab
// or hurt it. It takes a second at most. Its error is the finding's own.
func (f *Flow) admit(ctx context.Context, provider lab.Provider, plan lab.Plan) error {
	var err error
	if plan.Nodes, err = plan.Spec.Nodes(); err != nil {
		return fmt.Errorf("%w: %w", lab.ErrUsage, err)
	}
	var found []lab.Finding
	step := lab.Report(func(e lab.Event) {
		if e.Kind == lab.EventDone {
			e.Data["quiet"] = true
		}
		f.Report.Emit(e)
	})
	_ = step.Step("create", "", "check", func(wait func(string)) error {
		wait("this computer")
		found = f.look(ctx, provider, plan, lab.CheckQuick)
		return nil
	})
	if ctx.Err() != nil {
		return fmt.Errorf("look at this computer: %w", context.Cause(ctx))
	}
	var stops []error
	for _, one := range found {
		switch one.Severity {
		case lab.SeverityStop:
			stops = append(stops, asError(one))
		case lab.SeverityWarn:
			text := "warning: " + one.Text
			if one.Advice != "" {
				text += " · " + one.Advice
			}
			f.Report.Emit(lab.Event{Op: "create", Kind: lab.EventNote, Step: one.ID, Text: text})
		}
	}
	return errors.Join(stops...)
}

// asError is the failure that a finding would become.
func asError(f lab.Finding) error {
	if lab.ErrorID(f.Err) != "" {
		return f.Err
	}
	return &lab.Error{ID: f.ID, Op: "look at this computer", Err: errors.New(f.Text), Advice: f.Advice}
}

// look asks the provider's checks and those that every provider needs, at the
// same time.
func (f *Flow) look(ctx context.Context, provider lab.Provider, plan lab.Plan, depth lab.Depth) []lab.Finding {
	var common, own []lab.Finding
	var both sync.WaitGroup
	both.Go(func() { common = computer.Survey(ctx, plan.Report, depth, f.commonChecks(provider, plan)) })
	if c, ok := provider.(lab.Checker); ok {
		both.Go(func() { own = c.Check(ctx, plan, depth) })
	}
	both.Wait()
	return append(common, own...)
}
