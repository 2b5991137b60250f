package cluster

import (
	"maps"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/maintenance"
	"github.com/mesos/mesos-go/api/v1/lib/quota"

	"github.com/mesoslab/lab/mini/mesos/wire"
)

// Registry keeps what a restarted master must know of its agents. It is used by
// one goroutine at a time.
type Registry interface {
	// Load returns what was stored last, or the zero value.
	Load() (RegistryData, error)
	// Store returns when a power cut can do it no harm any more. It may take
	// its time.
	Store(RegistryData) error
}

// RegistryData is what is kept: the agents that were let in and have not
// left, and when the unreachable ones became it.
type RegistryData struct {
	Admitted    []wire.AgentInfo     `json:"admitted"`
	Unreachable map[string]time.Time `json:"unreachable,omitempty"`
	// Weights are those of roles, if they were ever changed.
	Weights map[string]float64 `json:"weights,omitempty"`
	// Quotas are those of roles.
	Quotas []wire.QuotaInfo `json:"quotas,omitempty"`
	// Schedule is what maintenance is planned, Down which machines of it are
	// down.
	Schedule *wire.Schedule   `json:"schedule,omitempty"`
	Down     []wire.MachineID `json:"down,omitempty"`
}

// registered is the registry in memory.
type registered struct {
	registrar
	admitted    map[string]mesos.AgentInfo
	unreachable map[string]time.Time
	// recovered are admitted agents that this master has not seen yet.
	recovered map[string]mesos.AgentInfo
}

func (c *Cluster) recoverRegistry() error {
	c.reg = registered{
		registrar:   newRegistrar(),
		admitted:    map[string]mesos.AgentInfo{},
		unreachable: map[string]time.Time{},
		recovered:   map[string]mesos.AgentInfo{},
	}
	c.recoverWeights(nil)
	if c.o.Registry == nil {
		return nil
	}
	d, err := c.o.Registry.Load()
	if err != nil {
		return err
	}
	c.recoverWeights(d.Weights)
	c.recoverUpkeep(d)
	if err := c.recoverQuotas(d); err != nil {
		return err
	}
	for _, a := range d.Admitted {
		id := a.V.GetID().GetValue()
		c.reg.admitted[id] = a.V
		c.reg.recovered[id] = a.V
	}
	if c.o.Compat != V026 {
		for id, t := range d.Unreachable {
			c.reg.unreachable[id] = t
		}
	}
	return nil
}

// admit writes an agent into the registry, unless it is there as it is.
func (c *Cluster) admit(a *agent) {
	known, there := c.reg.admitted[a.id]
	_, gone := c.reg.unreachable[a.id]
	delete(c.reg.recovered, a.id)
	delete(c.reg.unreachable, a.id)
	c.reg.admitted[a.id] = a.info
	if !there || gone || !known.Equal(&a.info) {
		c.store()
	}
	c.reg.say(func() { a.admitted = true })
}

func (c *Cluster) expel(id string) {
	delete(c.reg.admitted, id)
	delete(c.reg.recovered, id)
	c.store()
}

// RegistryView is what the registry holds, for those who print it.
type RegistryView struct {
	Agents   map[string]mesos.AgentInfo // that were let in, by id
	Weights  map[string]float64
	Quotas   quota.QuotaStatus
	Schedule maintenance.Schedule
	Machines []mesos.MachineInfo // of the schedule
}

// Registry returns what the registry holds.
func (c *Cluster) Registry() RegistryView {
	v := RegistryView{Quotas: c.Quotas(), Schedule: c.Schedule(), Machines: c.Machines()}
	c.lock()
	defer c.mu.Unlock()
	v.Agents, v.Weights = maps.Clone(c.reg.admitted), c.weights
	return v
}

// dropRecovered gives up on agents that did not come back to this master. One
// that comes later is shut down by 0.26; by 1.3 it is taken in as if it had come
// in time, as no task was reported lost.
func (c *Cluster) dropRecovered() {
	for id, info := range c.reg.recovered {
		c.o.Logf("agent %s (%s) did not re-register within %v", id, info.Hostname, c.o.ReregisterTimeout)
		c.count("recovery_slave_removals")
		c.count("slave_removals")
		c.count("slave_removals/reason_unhealthy")
		if c.o.Compat == V026 {
			c.removed[id] = true
		} else {
			c.count("slave_unreachable_scheduled")
			c.count("slave_unreachable_completed")
			c.reg.unreachable[id] = time.Now()
		}
		c.expel(id)
		for _, f := range inOrder(c.frameworks) {
			f.send(failureEvent(id))
		}
	}
}

// store has the registry stored as it is now.
func (c *Cluster) store() {
	if c.o.Registry != nil {
		c.reg.ask()
	}
}

// registryData is what is to be stored.
func (c *Cluster) registryData() RegistryData {
	d := RegistryData{Unreachable: maps.Clone(c.reg.unreachable), Weights: c.weights}
	for _, info := range c.reg.admitted {
		d.Admitted = append(d.Admitted, wire.Of(info))
	}
	c.keepQuotas(&d)
	c.upkeep.keep(&d)
	return d
}
