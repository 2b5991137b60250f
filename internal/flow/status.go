package flow

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/state"
	"github.com/mesoslab/lab/provision"
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

// connectPatience bounds what a dead machine may cost a status.
const connectPatience = 1500 * time.Millisecond

// Status looks at a lab without taking its lock or changing anything. A part
// that does not answer is reported as such.
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
	if out.Power, err = provider.Status(ctx, plan); err != nil {
		return nil, err
	}
	if out.Faults, err = l.Faults(); err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(out.Power, func(s lab.MachineStatus) bool { return s.State == lab.StateRunning }) {
		out.Status = stack.Unreachable(p, "no machine runs")
		return out, nil
	}
	hosts := f.reach(ctx, out.Power)
	defer closeAll(hosts)
	docker := map[string]stack.Docker{}
	for name, h := range hosts {
		if d, err := h.Docker(ctx); err == nil {
			docker[name] = d
		}
	}
	out.Status = stack.Observe(ctx, p, docker, p.Clients(nil))
	out.Whole = len(out.Faults) == 0 && out.Healthy()
	for _, s := range out.Power {
		out.Whole = out.Whole && s.State == lab.StateRunning
	}
	return out, nil
}

// reach connects to the machines that are on, all at once, and leaves out
// those that do not answer soon.
func (f *Flow) reach(ctx context.Context, power []lab.MachineStatus) map[string]*provision.Host {
	hosts := map[string]*provision.Host{}
	var mu sync.Mutex
	var all sync.WaitGroup
	ctx, cancel := context.WithTimeout(ctx, connectPatience)
	defer cancel()
	for _, s := range power {
		if s.State != lab.StateRunning {
			continue
		}
		all.Go(func() {
			if h, err := provision.Connect(ctx, s.Machine); err == nil {
				mu.Lock()
				defer mu.Unlock()
				hosts[s.Machine.Name] = h
			}
		})
	}
	all.Wait()
	return hosts
}
