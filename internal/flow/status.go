package flow

import (
	"context"
	"errors"
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
	asked := make(chan error, 1)
	go func() {
		var err error
		out.Power, err = provider.Status(ctx, plan)
		if err != nil || !slices.ContainsFunc(out.Power, isRunning) {
			stop() // nobody will answer
		}
		asked <- err
	}()
	engines, closeEngines := reachEngines(looking, l, plan.Nodes)
	defer closeEngines()
	seen := stack.Observe(looking, p, engines, p.Clients(nil))
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

// reachEngines finds the Docker engines of all machines, at once: at their own
// address where it is open, which is quick also where SSH is not, else over
// SSH. Those that do not answer soon are left out.
func reachEngines(ctx context.Context, l *state.Lab, nodes []lab.Node) (map[string]stack.Docker, func()) {
	found := map[string]stack.Docker{}
	var closers []func() error
	var mu sync.Mutex
	var all sync.WaitGroup
	limited, cancel := context.WithTimeout(ctx, connectPatience)
	defer cancel()
	for _, n := range nodes {
		m := lab.Machine{Node: n}
		if i := slices.IndexFunc(l.Machines, func(m lab.Machine) bool { return m.Name == n.Name }); i >= 0 {
			m = l.Machines[i]
		}
		all.Go(func() {
			docker, closeIt, err := reach(limited, m, l.Spec)
			if err != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			found[m.Name] = docker
			closers = append(closers, closeIt)
		})
	}
	all.Wait()
	return found, func() {
		for _, c := range closers {
			_ = c() // it was only looked at
		}
	}
}

// reach finds one machine's engine.
func reach(ctx context.Context, m lab.Machine, spec lab.Spec) (stack.Docker, func() error, error) {
	if spec.Docker.TCP == "open" {
		if docker, err := provision.DockerTCP(ctx, m, spec.Ports.Docker); err == nil {
			return docker, docker.Close, nil
		}
	}
	if m.SSH.Addr == "" {
		return nil, nil, errors.New("it has not been up yet")
	}
	host, err := provision.Connect(ctx, m)
	if err != nil {
		return nil, nil, err
	}
	docker, err := host.Docker(ctx)
	if err != nil {
		return nil, nil, errors.Join(err, host.Close())
	}
	return docker, host.Close, nil
}
