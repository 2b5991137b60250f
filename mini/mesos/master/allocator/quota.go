package allocator

import (
	"slices"

	"github.com/mesoslab/lab/mini/mesos/master/resource"
)

// SetQuota guarantees a role scalars of the cluster: as long as it holds less,
// its frameworks come first, and what it lacks is kept from the others. Once it
// holds that much it is granted nothing more. An empty set takes it back.
func (a *Allocator) SetQuota(role string, guarantee resource.Set) {
	if guarantee.Empty() {
		delete(a.quotas, role)
		return
	}
	g := amounts{}
	g.add(guarantee, 1)
	a.quotas[role] = g
}

// guaranteed is the first stage of an allocation: for roles whose quota is not
// held yet. All that is free on an agent goes at once, so that a role may get
// more than its quota.
func (a *Allocator) guaranteed(agents []*agent, roles []string) (grants []Grant) {
	roles = slices.DeleteFunc(slices.Clone(roles), func(r string) bool { return a.quotas[r] == nil })
	if len(roles) == 0 {
		return nil
	}
	for _, ag := range agents {
		for _, role := range a.byShare(roles) {
			if a.roleHeld[role].covers(a.quotas[role]) {
				continue
			}
			for _, fw := range a.byShareIn(role, a.candidates(role)) {
				if g, ok := a.grant(ag, fw, role, nil); ok {
					grants = append(grants, g)
				}
			}
		}
	}
	return grants
}

// spare is what of the cluster may go to roles without a quota: what nobody
// holds, less what the others lack of theirs. Nil without quotas: everything.
func (a *Allocator) spare() amounts {
	if len(a.quotas) == 0 {
		return nil
	}
	left := amounts{}
	for name, n := range a.total {
		left[name] = n
	}
	for _, held := range a.roleHeld {
		for name, n := range held {
			left[name] -= n
		}
	}
	for role, quota := range a.quotas {
		for name, n := range quota {
			left[name] -= max(0, n-a.roleHeld[role][name])
		}
	}
	return left
}

// covers says whether m has at least n of everything.
func (m amounts) covers(n amounts) bool {
	for name, x := range n {
		if x > 0 && m[name] < x {
			return false
		}
	}
	return true
}

// QuotaCapacity says whether the agents that take part in allocations have
// enough unreserved resources for all quotas together with another one, as far
// as their flags go: dynamic reservations do not count against it.
func (a *Allocator) QuotaCapacity(more resource.Set) bool {
	want, have := amounts{}, amounts{}
	want.add(more, 1)
	for _, q := range a.quotas {
		for name, n := range q {
			want[name] += n
		}
	}
	for _, ag := range a.agents {
		if ag.active {
			have.add(ag.Total.Freed().Unreserved(), 1)
		}
	}
	return have.covers(want)
}
