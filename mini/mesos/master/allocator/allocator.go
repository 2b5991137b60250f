// Package allocator decides who is offered what: Mesos' hierarchical
// dominant resource fairness (contracts, section 10), as a pure data
// structure.
//
// Nouns. An agent has a total and what is allocated of it, to a framework in
// a role; offered counts as allocated. A framework stands in one or more
// roles. A filter keeps an agent's resources from a framework that refused
// them. A grant is one coming offer.
//
// Promises. Allocate hands out whatever is free, agent by agent in random
// order, to the role and then the framework with the smallest share, all of
// an agent's free resources at once ("coarse"); what it granted is allocated
// until Recover gives it back. Nothing is ever granted twice.
//
// A share is the largest fraction that a role or framework holds of any
// scalar in the cluster, divided by the role's weight; ties go to who has
// fewer allocations, then by name.
//
// Roles with a quota come first until they hold it (SetQuota).
//
// Not here: oversubscription, maintenance, GPU scarcity, hierarchical roles
// ("a/b" is a role like any other). It starts nothing and never looks
// at a clock: callers pass the time, and call Allocate when it is time to.
package allocator

import (
	"slices"
	"time"

	"github.com/mesoslab/lab/mini/mesos/master/resource"
)

const (
	// MinCPUs and MinMem (MB): an offer has at least one of the two.
	MinCPUs = 0.01
	MinMem  = 32.0
	// DefaultRefuse is how long refused resources stay away when the
	// framework names no time.
	DefaultRefuse = 5 * time.Second
	// MaxRefuse caps a filter.
	MaxRefuse = 365 * 24 * time.Hour
)

// Grant is one allocation: everything free on an agent for a framework in a
// role.
type Grant struct {
	Framework, Role, Agent string
	Resources              resource.Set
}

// Framework is what the allocator must know about one.
type Framework struct {
	ID    string
	Roles []string
	// Checkpoint frameworks are granted agents that checkpoint only.
	Checkpoint bool
	// Suppressed roles get no grants until Revive.
	Suppressed []string
}

// Agent is what the allocator must know about one.
type Agent struct {
	ID         string
	Total      resource.Set
	Checkpoint bool
}

// Allocator holds the cluster as far as sharing goes. It is not safe for
// concurrent use.
type Allocator struct {
	weights    map[string]float64
	shuffle    func(n int, swap func(i, j int))
	agents     map[string]*agent
	frameworks map[string]*framework
	order      []string // agents, in the order they came
	grants     map[holder]int
	quotas     map[string]amounts // by role; none is empty

	// What all have and hold of each scalar, kept up with every change.
	total    amounts
	roleHeld map[string]amounts
	held     map[holder]amounts
}

// holder is who holds an allocation.
type holder struct{ framework, role string }

type agent struct {
	Agent
	active    bool
	allocated map[holder]resource.Set
	left      *resource.Set // what is free, nil if it must be worked out anew
}

type framework struct {
	Framework
	active     bool
	suppressed map[string]bool
	filters    []filter
}

type filter struct {
	agent, role string
	refused     resource.Set
	until       time.Time
}

// New returns an empty allocator. Roles without a weight weigh 1. shuffle
// puts the agents into random order, as rand.Shuffle does; nil keeps them in
// the order they came.
func New(weights map[string]float64, shuffle func(n int, swap func(i, j int))) *Allocator {
	return &Allocator{
		weights: weights, shuffle: shuffle,
		agents:     map[string]*agent{},
		frameworks: map[string]*framework{},
		grants:     map[holder]int{},
		quotas:     map[string]amounts{},
		total:      amounts{},
		roleHeld:   map[string]amounts{},
		held:       map[holder]amounts{},
	}
}

// Weight returns the weight of a role.
func (a *Allocator) Weight(role string) float64 {
	if w, ok := a.weights[role]; ok && w > 0 {
		return w
	}
	return 1
}

// SetWeights replaces the weights of all roles; the caller must not change
// the map afterwards.
func (a *Allocator) SetWeights(weights map[string]float64) { a.weights = weights }

// AddAgent adds an active agent, or changes the total of one that is there.
func (a *Allocator) AddAgent(ag Agent) {
	if old := a.agents[ag.ID]; old != nil {
		a.total.add(old.Total, -1)
		a.total.add(ag.Total, 1)
		old.Agent, old.active, old.left = ag, true, nil
		return
	}
	a.total.add(ag.Total, 1)
	a.agents[ag.ID] = &agent{Agent: ag, active: true, allocated: map[holder]resource.Set{}}
	a.order = append(a.order, ag.ID)
}

// SetTotal changes what an agent has; what is allocated of it must be in it.
func (a *Allocator) SetTotal(id string, total resource.Set) {
	if ag := a.agents[id]; ag != nil {
		a.total.add(ag.Total, -1)
		a.total.add(total, 1)
		ag.Total, ag.left = total, nil
	}
}

// RemoveAgent forgets an agent and all that was allocated on it.
func (a *Allocator) RemoveAgent(id string) {
	if ag := a.agents[id]; ag != nil {
		a.total.add(ag.Total, -1)
		for h, r := range ag.allocated {
			a.hold(h, r, -1)
		}
	}
	delete(a.agents, id)
	a.order = slices.DeleteFunc(a.order, func(x string) bool { return x == id })
	for _, f := range a.frameworks {
		f.filters = slices.DeleteFunc(f.filters, func(x filter) bool { return x.agent == id })
	}
}

// SetAgentActive says whether an agent's resources may be granted.
func (a *Allocator) SetAgentActive(id string, active bool) {
	if ag := a.agents[id]; ag != nil {
		ag.active = active
	}
}

// AddFramework adds an active framework, or replaces what is known of one.
// Its filters are forgotten.
func (a *Allocator) AddFramework(f Framework) {
	fw := &framework{Framework: f, active: true, suppressed: map[string]bool{}}
	for _, r := range f.Suppressed {
		fw.suppressed[r] = true
	}
	a.frameworks[f.ID] = fw
}

// RemoveFramework forgets a framework. What it still holds must be given
// back with Recover, before or after.
func (a *Allocator) RemoveFramework(id string) {
	if f := a.frameworks[id]; f != nil {
		for _, r := range f.Roles {
			delete(a.grants, holder{id, r})
		}
	}
	delete(a.frameworks, id)
}

// SetFrameworkActive says whether a framework may be granted anything.
// Deactivating forgets its filters.
func (a *Allocator) SetFrameworkActive(id string, active bool) {
	if f := a.frameworks[id]; f != nil {
		f.active = active
		f.filters = nil
	}
}

// Suppress stops grants to a framework in the roles, or in all of its roles
// if none is named.
func (a *Allocator) Suppress(id string, roles []string) {
	a.setSuppressed(id, roles, true)
}

// Revive takes Suppress back and clears the framework's filters in the
// roles, or in all of its roles.
func (a *Allocator) Revive(id string, roles []string) {
	a.setSuppressed(id, roles, false)
	if f := a.frameworks[id]; f != nil {
		f.filters = slices.DeleteFunc(f.filters, func(x filter) bool {
			return len(roles) == 0 || slices.Contains(roles, x.role)
		})
	}
}

func (a *Allocator) setSuppressed(id string, roles []string, to bool) {
	f := a.frameworks[id]
	if f == nil {
		return
	}
	if len(roles) == 0 {
		roles = f.Roles
	}
	for _, r := range roles {
		f.suppressed[r] = to
	}
}

// Hold marks resources as allocated that were not granted: tasks that an
// agent brings along when it registers again.
func (a *Allocator) Hold(agentID, frameworkID, role string, r resource.Set) {
	if ag := a.agents[agentID]; ag != nil && !r.Empty() {
		h := holder{frameworkID, role}
		ag.allocated[h] = ag.allocated[h].Add(r)
		ag.left = nil
		a.hold(h, r, 1)
	}
}

// Recover gives resources back. refuse > 0 keeps them (or less) from the
// same framework and role until now+refuse.
func (a *Allocator) Recover(agentID, frameworkID, role string, r resource.Set, refuse time.Duration, now time.Time) {
	ag := a.agents[agentID]
	if ag == nil || r.Empty() {
		return
	}
	h := holder{frameworkID, role}
	before := ag.allocated[h]
	left := before.Sub(r)
	if left.Empty() {
		delete(ag.allocated, h)
	} else {
		ag.allocated[h] = left
	}
	ag.left = nil
	a.hold(h, before, -1)
	a.hold(h, left, 1)
	f := a.frameworks[frameworkID]
	if f == nil || refuse <= 0 {
		return
	}
	f.filters = append(f.filters, filter{agentID, role, r, now.Add(min(refuse, MaxRefuse))})
}

// Free returns what of an agent is allocated to nobody.
func (a *Allocator) Free(agentID string) resource.Set {
	ag := a.agents[agentID]
	if ag == nil {
		return resource.Set{}
	}
	return ag.free()
}

func (ag *agent) free() resource.Set {
	if ag.left == nil {
		s := ag.Total
		for _, r := range ag.allocated {
			s = s.Sub(r)
		}
		ag.left = &s
	}
	return *ag.left
}
