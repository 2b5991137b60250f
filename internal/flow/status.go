package flow

import (
	"context"
	"slices"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/state"
	"github.com/mesoslab/lab/stack"
)

// Status is a lab as it is at one moment.
type Status struct {
	Name     string              `json:"name"`
	ID       string              `json:"id"`
	Provider string              `json:"provider"`
	Subnet   string              `json:"subnet,omitempty"`
	Whole    bool                `json:"whole"` // every machine on, everything answers, all instances run
	Power    []lab.MachineStatus `json:"power"`
	Faults   []state.Fault       `json:"faults"` // what lab itself broke and has not mended
	stack.Status
}

// Status looks at a lab without taking its lock or changing anything. A part
// that does not answer is reported as such. The provider is asked while the
// engines are: on slow machines each of these takes as long as the rest.
func (f *Flow) Status(ctx context.Context, l *state.Lab) (*Status, error) {
	provider, err := f.provider(l.Provider)
	if err != nil {
		return nil, err
	}
	plan, err := f.plan(l, nil)
	if err != nil {
		return nil, err
	}
	p, err := f.resolve(l, provider)
	if err != nil {
		return nil, err
	}
	out := &Status{Name: l.Spec.Name, ID: l.ID, Provider: l.Provider, Subnet: l.Spec.Subnet}
	if out.Faults, err = l.Faults(); err != nil {
		return nil, err
	}
	looking, stop := context.WithCancel(ctx)
	defer stop()
	engines := reachEngines(looking, l, plan.Nodes)
	defer engines.close()
	plan.Answers = engines.answers
	asked := make(chan error, 1)
	go func() {
		var err error
		out.Power, err = provider.Status(ctx, plan)
		if err != nil || !slices.ContainsFunc(out.Power, isRunning) {
			stop() // nobody will answer
		}
		asked <- err
	}()
	seen := stack.Observe(looking, p, engines.found(), p.Clients(nil))
	if err := <-asked; err != nil {
		return nil, err
	}
	out.Status = seen
	if !slices.ContainsFunc(out.Power, isRunning) {
		out.Status = stack.Unreachable(p, "no machine runs")
	}
	out.Whole = len(out.Faults) == 0 && out.Healthy()
	for _, s := range out.Power {
		out.Whole = out.Whole && isRunning(s)
	}
	return out, nil
}

func isRunning(s lab.MachineStatus) bool { return s.State == lab.StateRunning }
