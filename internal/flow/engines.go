package flow

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/state"
	"github.com/mesoslab/lab/provision"
	"github.com/mesoslab/lab/stack"
)

// connectPatience bounds what a dead machine may cost a status.
const connectPatience = 1500 * time.Millisecond

// engineSearch is the Docker engines of machines, being looked for.
type engineSearch map[string]*soughtEngine // by node

// soughtEngine is one of them. Its fields are set once known is closed.
type soughtEngine struct {
	known   chan struct{}
	docker  stack.Docker // nil: it does not answer soon
	closeIt func() error
}

// reachEngines begins to look for the engines of all nodes, at once: at their
// own address where it is open, which is quick also where SSH is not, else over
// SSH.
func reachEngines(ctx context.Context, l *state.Lab, nodes []lab.Node) engineSearch {
	all := engineSearch{}
	for _, n := range nodes {
		m := lab.Machine{Node: n}
		if i := slices.IndexFunc(l.Machines, func(m lab.Machine) bool { return m.Name == n.Name }); i >= 0 {
			m = l.Machines[i]
		}
		e := &soughtEngine{known: make(chan struct{})}
		all[n.Name] = e
		go func() {
			defer close(e.known)
			ctx, cancel := context.WithTimeout(ctx, connectPatience)
			defer cancel()
			if docker, closeIt, err := reach(ctx, m, l.Spec); err == nil {
				e.docker, e.closeIt = docker, closeIt
			}
		}()
	}
	return all
}

// answers says whether a node's engine does.
func (all engineSearch) answers(ctx context.Context, node string) bool {
	e := all[node]
	if e == nil {
		return false
	}
	select {
	case <-ctx.Done():
		return false
	case <-e.known:
		return e.docker != nil
	}
}

// found waits for those that answer.
func (all engineSearch) found() map[string]stack.Docker {
	dockers := map[string]stack.Docker{}
	for node, e := range all {
		if <-e.known; e.docker != nil {
			dockers[node] = e.docker
		}
	}
	return dockers
}

// close waits for all looks to end. Nothing was changed, so errors say nothing.
func (all engineSearch) close() {
	for _, e := range all {
		if <-e.known; e.closeIt != nil {
			_ = e.closeIt()
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
