package allocator

import (
	"cmp"
	"slices"
	"time"
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
	roles := a.candidateRoles()
	var grants []Grant
	for _, id := range agents {
		ag := a.agents[id]
		if ag == nil || !ag.active {
			continue
		}
		if free := ag.free(); free.Scalar("cpus") < MinCPUs && free.Scalar("mem") < MinMem {
			continue
		}
		for _, role := range a.byShare(roles) {
			for _, fw := range a.byShareIn(role, a.candidates(role)) {
				if g, ok := a.grant(ag, fw, role); ok {
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

// byShare sorts roles, the next to be served first.
func (a *Allocator) byShare(list []string) []string {
	if len(list) < 2 {
		return list
	}
	count := map[string]int{}
	for h, n := range a.grants {
		count[h.role] += n
	}
	slices.SortFunc(list, func(x, y string) int {
		return cmp.Or(
			cmp.Compare(a.dominant(a.roleHeld[x])/a.Weight(x), a.dominant(a.roleHeld[y])/a.Weight(y)),
			cmp.Compare(count[x], count[y]),
			cmp.Compare(x, y))
	})
	return list
}

// byShareIn sorts the frameworks of a role, the next to be served first.
func (a *Allocator) byShareIn(role string, list []*framework) []*framework {
	if len(list) < 2 {
		return list
	}
	slices.SortFunc(list, func(x, y *framework) int {
		hx, hy := holder{x.ID, role}, holder{y.ID, role}
		return cmp.Or(
			cmp.Compare(a.dominant(a.held[hx]), a.dominant(a.held[hy])),
			cmp.Compare(a.grants[hx], a.grants[hy]),
			cmp.Compare(x.ID, y.ID))
	})
	return list
}
