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
	roles := a.candidateRoles()
	var takingPart []*agent
	for _, id := range agents {
		if ag := a.agents[id]; ag != nil && ag.active && enough(ag.free()) {
			takingPart = append(takingPart, ag)
		}
	}
	grants := a.guaranteed(takingPart, roles)
	roles = slices.DeleteFunc(roles, func(r string) bool { return a.quotas[r] != nil })
	spare := a.spare()
	for _, ag := range takingPart {
		if spare != nil && !enough(spare.set()) {
			break
		}
		for _, role := range a.byShare(roles) {
			for _, fw := range a.byShareIn(role, a.candidates(role)) {
				if g, ok := a.grant(ag, fw, role, spare); ok {
					grants = append(grants, g)
				}
			}
		}
	}
	return grants
}

// enough says whether something is worth an offer.
func enough(free resource.Set) bool {
	return free.Scalar("cpus") >= MinCPUs || free.Scalar("mem") >= MinMem
}

func (a *Allocator) expire(now time.Time) {
	for _, f := range a.frameworks {
		f.filters = slices.DeleteFunc(f.filters, func(x filter) bool { return !now.Before(x.until) })
	}
}

// grant takes what it grants from spare, if that is not nil, or grants nothing
// if it is not enough.
func (a *Allocator) grant(ag *agent, fw *framework, role string, spare amounts) (Grant, bool) {
	if fw.Checkpoint && !ag.Checkpoint {
		return Grant{}, false
	}
	free := ag.free().For(role)
	if !enough(free) {
		return Grant{}, false
	}
	for _, x := range fw.filters {
		if x.agent == ag.ID && x.role == role && x.refused.Contains(free) {
			return Grant{}, false
		}
	}
	if spare != nil {
		take := amounts{}
		if take.add(free, 1); !spare.covers(take) {
			return Grant{}, false
		}
		spare.add(free, -1)
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
