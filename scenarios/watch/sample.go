package watch

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/scenarios"
)

// Source is where a board's samplers look. Every call may fail or hang: it
// gets a context that ends.
type Source interface {
	Power(ctx context.Context) ([]lab.MachineStatus, error)
	Faults() ([]string, error)
	Agents(ctx context.Context) ([]scenarios.Agent, error)
	Apps(ctx context.Context) ([]AppState, error)
	// Servers lists host:port of all servers of the load balancer.
	Servers(ctx context.Context) ([]string, error)
	// Happenings calls fn for what others do to the lab and for what Marathon
	// tells, until ctx ends.
	Happenings(ctx context.Context, fn func(at time.Time, text string))
}

// AppState is one app with its tasks.
type AppState struct {
	App
	URL   string // behind the load balancer, or ""
	Tasks []TaskState
}

// TaskState is a task with its place.
type TaskState struct {
	Task
	IP      string
	Address string // host:port
}

// Options of watching.
type Options struct {
	App  string // to send requests to; "" = the first that is behind the load balancer
	Rate int    // requests a second
	Dial scenarios.DialFunc
}

const (
	// lookEvery is how often the platform is asked.
	lookEvery = 500 * time.Millisecond
	// powerEvery is the same for machines: some providers are slow to tell.
	powerEvery = 2 * time.Second
	patience   = 3 * time.Second
)

// Run keeps the board up to date until ctx ends.
func (b *Board) Run(ctx context.Context, src Source, nodes []lab.Node, opt Options) {
	b.update(func(v *View) {
		for _, n := range nodes {
			v.Machines = append(v.Machines, Machine{Name: n.Name, Alias: n.Alias(), IP: n.IP.String()})
		}
	})
	var all sync.WaitGroup
	look := func(who string, every time.Duration, fn func(context.Context) error) {
		all.Go(func() { b.sample(ctx, who, every, fn) })
	}
	slaves := NewChanges(SlaveNews)
	clients := &client{board: b, opt: opt}
	look("machines", powerEvery, func(ctx context.Context) error { return b.lookPower(ctx, src) })
	look("journal", lookEvery, func(context.Context) error { return b.lookFaults(src) })
	look("Mesos", lookEvery, func(ctx context.Context) error { return b.lookSlaves(ctx, src, nodes, slaves) })
	look("Marathon", lookEvery, func(sampling context.Context) error {
		apps, err := src.Apps(sampling)
		if err != nil {
			return err
		}
		clients.start(ctx, &all, apps)
		servers, err := src.Servers(sampling)
		b.answered("load balancer", err)
		b.showApps(apps, servers)
		return nil
	})
	all.Go(func() { src.Happenings(ctx, b.happened) })
	<-ctx.Done()
	all.Wait()
}

// sample calls fn until ctx ends.
func (b *Board) sample(ctx context.Context, who string, every time.Duration, fn func(context.Context) error) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		one, cancel := context.WithTimeout(ctx, patience)
		err := fn(one)
		cancel()
		if ctx.Err() == nil {
			b.answered(who, err)
		}
		timer.Reset(every)
	}
}

func (b *Board) lookPower(ctx context.Context, src Source) error {
	power, err := src.Power(ctx)
	if err != nil {
		return err
	}
	b.update(func(v *View) {
		for _, s := range power {
			if i := slices.IndexFunc(v.Machines, func(m Machine) bool { return m.Name == s.Machine.Name }); i >= 0 {
				v.Machines[i].Power = string(s.State)
			}
		}
	})
	return nil
}

func (b *Board) lookFaults(src Source) error {
	faults, err := src.Faults()
	if err == nil {
		b.update(func(v *View) { v.Faults = faults })
	}
	return err
}

// lookSlaves tells when slaves come, go, or lose their connection.
func (b *Board) lookSlaves(ctx context.Context, src Source, nodes []lab.Node, slaves *Changes) error {
	agents, err := src.Agents(ctx)
	if err != nil {
		return err
	}
	now := SlaveStates(agents, nodes)
	for _, news := range slaves.Look(now) {
		b.happened(time.Now(), news)
	}
	b.update(func(v *View) {
		for i := range v.Machines {
			v.Machines[i].Slave = now[v.Machines[i].Name]
		}
	})
	return nil
}

// showApps puts tasks onto their machines.
func (b *Board) showApps(apps []AppState, servers []string) {
	b.update(func(v *View) {
		v.Apps = nil
		for i := range v.Machines {
			v.Machines[i].Tasks = nil
		}
		for _, a := range apps {
			v.Apps = append(v.Apps, a.App)
			for _, t := range a.Tasks {
				t.InLB = slices.Contains(servers, t.Address)
				if i := slices.IndexFunc(v.Machines, func(m Machine) bool { return m.IP == t.IP }); i >= 0 {
					v.Machines[i].Tasks = append(v.Machines[i].Tasks, t.Task)
				}
			}
		}
	})
}
