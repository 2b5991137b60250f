package cluster

import (
	"errors"
	"fmt"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/mini/mesos/master/allocator"
	"github.com/mesoslab/lab/mini/mesos/master/resource"
	"github.com/mesoslab/lab/mini/mesos/wire"
)

// Errors of Reserve and Unreserve beside those that name what is wrong with
// the resources. Their texts are those of Mesos.
var (
	ErrNoAgent error = refusalText("No agent found with specified ID")
	// ErrInsufficient is what the errors wrap that say what is missing.
	ErrInsufficient = errors.New("insufficient resources")
)

// shortage is an ErrInsufficient in Mesos' words.
type shortage string

func (e shortage) Error() string { return string(e) }
func (e shortage) Unwrap() error { return ErrInsufficient }

// conversion is one RESERVE, UNRESERVE, CREATE or DESTROY: from what into what
// resources.
type conversion struct {
	name     string
	from, to resource.Set
}

func reserving(list []mesos.Resource) (conversion, error) {
	to, err := resource.FromReserved(list)
	if v := to.Volumes(); err == nil && !v.Empty() {
		err = fmt.Errorf("A persistent volume %s must already be reserved", v) //lint:ignore ST1005 Mesos' words
	}
	return conversion{"RESERVE", to.Freed(), to}, err
}

func unreserving(list []mesos.Resource) (conversion, error) {
	from, err := resource.FromReserved(list)
	if v := from.Volumes(); err == nil && !v.Empty() {
		//lint:ignore ST1005 Mesos' words
		err = fmt.Errorf("A dynamically reserved persistent volume %s cannot be unreserved directly. Please destroy the persistent volume first then unreserve the resource", v)
	}
	return conversion{"UNRESERVE", from, from.Freed()}, err
}

// within says whether have is enough for the conversion.
func (v conversion) within(have resource.Set) error {
	if have.Contains(v.from) {
		return nil
	}
	return shortage(fmt.Sprintf("Invalid %s Operation: %s does not contain %s", v.name, have, v.from))
}

// Reserve reserves unreserved resources of an agent for the roles that they
// name, and Unreserve takes that back; both rescind offers as far as they must.
// Errors are ErrNoAgent, ErrInsufficient or in Mesos' words, and nothing was
// reserved or unreserved.
func (c *Cluster) Reserve(agentID string, list []mesos.Resource) error {
	v, err := reserving(list)
	return c.operate(agentID, v, err)
}

// Unreserve is described at Reserve.
func (c *Cluster) Unreserve(agentID string, list []mesos.Resource) error {
	v, err := unreserving(list)
	return c.operate(agentID, v, err)
}

func (c *Cluster) operate(agentID string, v conversion, invalid error) error {
	c.lock()
	defer c.unlock()
	a := c.agents[agentID]
	switch {
	case a == nil || c.closed:
		return ErrNoAgent
	case invalid != nil:
		return refusalText(fmt.Sprintf("Invalid %s operation: %v", v.name, invalid))
	}
	for _, r := range v.to.Roles() {
		if why := badRole(r); why != "" {
			return refusalText(fmt.Sprintf("Invalid %s operation: %s", v.name, why))
		}
	}
	if why := a.checkVolumes(v); why != "" {
		return refusalText(fmt.Sprintf("Invalid %s operation: %s", v.name, why))
	}
	// What offers hold would do, too, if it is not free.
	reach := c.alloc.Free(a.id)
	for _, o := range a.offers {
		reach = reach.Add(o.resources)
	}
	if err := v.within(reach); err != nil {
		return err
	}
	for _, o := range inOrder(a.offers) {
		free := c.alloc.Free(a.id)
		if v.within(free) == nil {
			break
		}
		if !v.from.Sub(free).Sub(o.resources).Equal(v.from.Sub(free)) {
			c.rescindFor(o, allocator.DefaultRefuse)
		}
	}
	c.convert(a, v)
	return nil
}

// convert changes what an agent has, and tells it what is reserved there now.
// Nobody may hold what is converted.
func (c *Cluster) convert(a *agent, v conversion) {
	a.total = a.total.Sub(v.from).Add(v.to)
	c.alloc.SetTotal(a.id, a.total)
	c.o.Logf("%s on agent %s (%s): %s becomes %s", v.name, a.id, a.info.Hostname, v.from, v.to)
	a.sendReserved()
}

func (a *agent) sendReserved() {
	a.send(&wire.CheckpointResources{Resources: wire.All(a.total.Kept().Proto(""))})
}

// convert does a framework's RESERVE, UNRESERVE, CREATE or DESTROY with what is
// left of its offers. What cannot be done is dropped, as it is by Mesos.
func (l *launch) convert(v conversion, err error) {
	if err == nil {
		err = l.mayReserve(v)
	}
	if err == nil {
		err = l.mayCreate(v)
	}
	if err == nil {
		err = v.within(l.left)
	}
	if err != nil {
		l.c.o.Logf("dropping %s offer operation from framework %s: %v", v.name, l.fw.id, err)
		return
	}
	l.left = l.left.Sub(v.from).Add(v.to)
	l.c.alloc.Recover(l.agent.id, l.fw.id, l.role, v.from, 0, time.Now())
	l.c.convert(l.agent, v)
	l.c.alloc.Hold(l.agent.id, l.fw.id, l.role, v.to)
}

// mayReserve: a framework reserves for the role that it was offered the
// resources in, in its own name if it has one.
func (l *launch) mayReserve(v conversion) error {
	if v.name != "RESERVE" {
		return nil
	}
	principal := l.fw.info.GetPrincipal()
	for _, it := range v.to.Items() {
		switch {
		case it.Role != l.role || it.Role == "*":
			return refusalText(fmt.Sprintf("A reserve operation was attempted for a resource with role '%s', but the resource was allocated to role '%s'", it.Role, l.role))
		case principal != "" && it.Reserved.Principal() == "":
			return refusalText(fmt.Sprintf("A reserve operation was attempted by principal '%s', but there is a reserved resource in the request with no principal set", principal))
		case principal != "" && it.Reserved.Principal() != principal:
			return refusalText(fmt.Sprintf("A reserve operation was attempted by authenticated principal '%s', which does not match a reserved resource in the request with principal '%s'",
				principal, it.Reserved.Principal()))
		}
	}
	return nil
}

// totalOf is what an agent has: what it was started with, of which some is
// reserved, and some of that volumes.
func totalOf(info mesos.AgentInfo, reserved []wire.Resource) (resource.Set, error) {
	static, err := resource.FromProto(info.Resources)
	if err != nil {
		return static, err
	}
	kept, err := resource.FromKept(wire.Values(reserved))
	if err != nil {
		return static, err
	}
	total, ok := static.WithReservations(kept)
	if !ok {
		return static, fmt.Errorf("checkpointed resources %s are incompatible with agent resources %s", kept, static)
	}
	return total, nil
}
