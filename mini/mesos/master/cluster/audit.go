package cluster

import (
	"errors"
	"fmt"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/mini/mesos/master/resource"
)

// verify checks what must always be true, and returns everything that is
// not. The lock must be held.
func (c *Cluster) verify() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, a := range c.agents {
		c.verifyAgent(a, bad)
	}
	for _, f := range c.frameworks {
		for id, t := range f.tasks {
			if t.fw != f || t.TaskID.Value != id || t.agent.tasks[t.key()] != t || c.agents[t.agent.id] != t.agent {
				bad("task %s of %s and its agent do not know each other", id, f.id)
			}
		}
		for id, o := range f.offers {
			if c.offers[id] != o || o.fw != f {
				bad("offer %s of %s is not among the offers", id, f.id)
			}
			if !f.connected() {
				bad("disconnected framework %s holds offer %s", f.id, id)
			}
		}
	}
	for id, o := range c.offers {
		if o.fw.offers[id] != o || o.agent.offers[id] != o || c.agents[o.agent.id] != o.agent {
			bad("offer %s is known to some only", id)
		}
	}
	for id, i := range c.inverses {
		if c.agents[i.agent.id] != i.agent || c.frameworks[i.fw.id] != i.fw || !i.fw.connected() || !i.agent.connected() {
			bad("inverse offer %s is held by who is gone", id)
		}
		if c.upkeep.mode(i.agent.machine()) != mesos.DRAINING {
			bad("inverse offer %s for agent %s, whose machine is not on the schedule", id, i.agent.id)
		}
	}
	return errors.Join(errs...)
}

// verifyAgent adds up an agent: offers and live tasks never take the same
// resource twice, and the allocator's books say the same.
func (c *Cluster) verifyAgent(a *agent, bad func(string, ...any)) {
	free := a.total
	take := func(what string, r resource.Set) {
		if !free.Contains(r) {
			bad("agent %s: %s takes %s, only %s is free of %s", a.id, what, r, free, a.total)
		}
		free = free.Sub(r)
	}
	for _, t := range a.tasks {
		if t.fw.tasks[t.TaskID.Value] != t || c.frameworks[t.fw.id] != t.fw {
			bad("agent %s: task %s is not its framework's", a.id, t.TaskID.Value)
		}
		if !terminal(*t.State) {
			take("task "+t.TaskID.Value, t.resources)
		}
	}
	for _, o := range a.offers {
		take("offer "+o.id, o.resources)
		if !a.connected() {
			bad("disconnected agent %s is offered in %s", a.id, o.id)
		}
	}
	if books := c.alloc.Free(a.id); !books.Equal(free) {
		bad("agent %s: the allocator says %s is free, offers and tasks leave %s", a.id, books, free)
	}
	if a.link != nil && c.links[a.link] != a {
		bad("agent %s: its link is not in the list", a.id)
	}
}
