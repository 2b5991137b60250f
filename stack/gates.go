package stack

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/mesoslab/lab"
)

// probe returns the question behind a gate: nil when it is open, else why not
// yet. It changes nothing.
func (g gates) probe(c Container) func(context.Context) error {
	switch c.Ready {
	case GateZooKeeper:
		return g.clients.ZooKeeper.OK
	case GateMaster:
		return g.master
	case GateSlave:
		ip := ""
		for _, n := range g.platform.Nodes {
			if n.Name == c.Node {
				ip = n.IP.String()
			}
		}
		return func(ctx context.Context) error { return g.slave(ctx, ip) }
	case GateMarathon:
		return g.marathon
	case GateLB:
		return g.clients.LB.Healthy
	}
	return func(context.Context) error { return nil }
}

// opened says in people's words what it means that a gate is open.
func (g gates) opened(c Container) string {
	switch c.Ready {
	case GateZooKeeper:
		return "ZooKeeper answers"
	case GateMaster:
		return "master elected"
	case GateSlave:
		return "slave on " + c.Node + " registered"
	case GateMarathon:
		return "Marathon leads"
	case GateLB:
		return "load balancer up"
	}
	return "started"
}

// gates asks the clients; slaves share one question to the master.
type gates struct {
	platform Platform
	clients  Clients
	states   *sharedState
}

func newGates(p Platform, c Clients) gates {
	return gates{platform: p, clients: c, states: &sharedState{mesos: c.Mesos}}
}

func (g gates) master(ctx context.Context) error {
	s, err := g.clients.Mesos.State(ctx)
	switch {
	case err != nil:
		return err
	case s.Leader == "":
		return errNoLeader
	case pidHost(s.Leader) != g.platform.Master().IP.String():
		return fmt.Errorf("%s is elected, not this master", s.Leader)
	}
	return nil
}

// slave looks whether the master counts the slave at ip as active.
func (g gates) slave(ctx context.Context, ip string) error {
	s, err := g.states.read(ctx)
	if err != nil {
		return err
	}
	for _, slave := range s.Slaves {
		if slave.Active && (slave.IP() == ip || slave.Hostname == ip) {
			return nil
		}
	}
	return fmt.Errorf("%g of %d slaves registered, %s not among them", s.ActivatedSlaves, len(g.platform.Slaves()), ip)
}

// allSlaves returns nil when the master counts as many active slaves as the
// lab has.
func (g gates) allSlaves(ctx context.Context) error {
	s, err := g.states.read(ctx)
	if err != nil {
		return err
	}
	if want := len(g.platform.Slaves()); s.ActivatedSlaves != float64(want) {
		return fmt.Errorf("%g of %d slaves", s.ActivatedSlaves, want)
	}
	return nil
}

// marathon asks what a 1.1.1 can tell: it answers, somebody leads, and Mesos
// has given it an id.
func (g gates) marathon(ctx context.Context) error {
	m := g.clients.Marathon
	if err := m.Ping(ctx); err != nil {
		return err
	}
	if _, err := m.Leader(ctx); err != nil {
		if errors.Is(err, lab.ErrNotFound) {
			return errors.New("marathon: there is no leader")
		}
		return err
	}
	info, err := m.Info(ctx)
	if err == nil && info.FrameworkID == "" {
		return errors.New("Mesos has not registered Marathon yet")
	}
	return err
}

// sharedState lets many waiters share one request: fifty slaves must not ask
// for the whole state fifty times in each round.
type sharedState struct {
	mesos *Mesos

	mu      sync.Mutex
	current *stateCall
}

type stateCall struct {
	done  chan struct{}
	state MesosState
	err   error
}

// read returns the answer to a request that was begun after the call to read,
// or one that is on its way.
func (s *sharedState) read(ctx context.Context) (MesosState, error) {
	s.mu.Lock()
	c := s.current
	if c == nil {
		c = &stateCall{done: make(chan struct{})}
		s.current = c
		go func() {
			// Not bound to the first caller: others wait for it, too. The
			// call bounds itself.
			c.state, c.err = s.mesos.State(context.WithoutCancel(ctx))
			s.mu.Lock()
			s.current = nil
			s.mu.Unlock()
			close(c.done)
		}()
	}
	s.mu.Unlock()
	select {
	case <-c.done:
		return c.state, c.err
	case <-ctx.Done():
		return MesosState{}, context.Cause(ctx)
	}
}
