package allocator

import (
	"cmp"
	"slices"
	"time"

	"github.com/mesoslab/lab/mini/mesos/master/resource"
)

// Allocate grants what is free, on the named agents or on all of them.
func (a *Allocator) Allocate(now time.Time, agents ...string) []Grant {
	a.expire(now)
	if len(agents) == 0 {
		agents = slices.Clone(a.order)
	}
	if a.shuffle != nil {
		a.shuffle(len(agents), func(i, j int) { agents[i], agents[j] = agents[j], agents[i] })
	}
	s := a.shares()
	var grants []Grant
	for _, id := range agents {
		ag := a.agents[id]
		if ag == nil || !ag.active {
			continue
		}
		for _, role := range s.roles(a.candidateRoles()) {
			for _, fw := range s.frameworks(a.candidates(role), role) {
				g, ok := a.grant(ag, fw, role)
				if ok {
					s.took(g)
					grants = append(grants, g)
				}
			}
		}
	}
	return grants
}

func (a *Allocator) expire(now time.Time) {
	for _, f := range a.frameworks {
		f.filters = slices.DeleteFunc(f.filters, func(x filter) bool { return !now.Before(x.until) })
	}
}

func (a *Allocator) grant(ag *agent, fw *framework, role string) (Grant, bool) {
	if fw.Checkpoint && !ag.Checkpoint {
		return Grant{}, false
	}
	free := ag.free().For(role)
	if free.Scalar("cpus") < MinCPUs && free.Scalar("mem") < MinMem {
		return Grant{}, false
	}
	for _, x := range fw.filters {
		if x.agent == ag.ID && x.role == role && x.refused.Contains(free) {
			return Grant{}, false
		}
	}
	a.Hold(ag.ID, fw.ID, role, free)
	a.grants[holder{fw.ID, role}]++
	return Grant{Framework: fw.ID, Role: role, Agent: ag.ID, Resources: free}, true
}

// candidateRoles returns the roles in which some framework takes offers.
func (a *Allocator) candidateRoles() []string {
	var roles []string
	for _, f := range a.frameworks {
		for _, r := range f.Roles {
			if f.takes(r) && !slices.Contains(roles, r) {
				roles = append(roles, r)
			}
		}
	}
	return roles
}

func (a *Allocator) candidates(role string) []*framework {
	var list []*framework
	for _, f := range a.frameworks {
		if slices.Contains(f.Roles, role) && f.takes(role) {
			list = append(list, f)
		}
	}
	return list
}

func (f *framework) takes(role string) bool { return f.active && !f.suppressed[role] }

// shares keeps what each role and framework holds during one Allocate.
type shares struct {
	a     *Allocator
	total resource.Set
	role  map[string]resource.Set
	fw    map[holder]resource.Set
}

func (a *Allocator) shares() *shares {
	s := &shares{a: a, total: a.Total().Flat(), role: map[string]resource.Set{}, fw: map[holder]resource.Set{}}
	for _, ag := range a.agents {
		for h, r := range ag.allocated {
			s.add(h, r)
		}
	}
	return s
}

func (s *shares) add(h holder, r resource.Set) {
	s.role[h.role] = s.role[h.role].Add(r.Flat())
	s.fw[h] = s.fw[h].Add(r.Flat())
}

func (s *shares) took(g Grant) { s.add(holder{g.Framework, g.Role}, g.Resources) }

// dominant is the largest fraction of any scalar of the cluster in r.
func (s *shares) dominant(r resource.Set) float64 {
	share := 0.0
	for _, name := range s.total.Scalars() {
		share = max(share, r.Scalar(name)/s.total.Scalar(name))
	}
	return share
}

// roles sorts roles, the next to be served first.
func (s *shares) roles(list []string) []string {
	count := map[string]int{}
	for h, n := range s.a.grants {
		count[h.role] += n
	}
	slices.SortFunc(list, func(x, y string) int {
		return cmp.Or(
			cmp.Compare(s.dominant(s.role[x])/s.a.Weight(x), s.dominant(s.role[y])/s.a.Weight(y)),
			cmp.Compare(count[x], count[y]),
			cmp.Compare(x, y))
	})
	return list
}

// frameworks sorts the frameworks of a role, the next to be served first.
func (s *shares) frameworks(list []*framework, role string) []*framework {
	slices.SortFunc(list, func(x, y *framework) int {
		hx, hy := holder{x.ID, role}, holder{y.ID, role}
		return cmp.Or(
			cmp.Compare(s.dominant(s.fw[hx]), s.dominant(s.fw[hy])),
			cmp.Compare(s.a.grants[hx], s.a.grants[hy]),
			cmp.Compare(x.ID, y.ID))
	})
	return list
}
