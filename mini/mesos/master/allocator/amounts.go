package allocator

import (
	"maps"
	"slices"

	"github.com/mesoslab/lab/mini/mesos/master/resource"
)

// amounts are thousandths of scalars by name, over all roles.
type amounts map[string]int64

// add adds the scalars of r times n.
func (m amounts) add(r resource.Set, n int64) {
	for _, it := range r.Items() {
		if it.Kind == resource.Scalar {
			m[it.Name] += n * it.Milli
		}
	}
}

func (m amounts) set() resource.Set {
	var items []resource.Item
	for _, name := range slices.Sorted(maps.Keys(m)) {
		items = append(items, resource.Item{Name: name, Role: "*", Milli: m[name]})
	}
	return resource.Of(items...)
}

// hold notes that somebody holds r more, or less if n is -1.
func (a *Allocator) hold(h holder, r resource.Set, n int64) {
	if a.held[h] == nil {
		a.held[h] = amounts{}
	}
	if a.roleHeld[h.role] == nil {
		a.roleHeld[h.role] = amounts{}
	}
	a.held[h].add(r, n)
	a.roleHeld[h.role].add(r, n)
}

// dominant is the largest fraction of any scalar of the cluster in m.
func (a *Allocator) dominant(m amounts) float64 {
	share := 0.0
	for name, total := range a.total {
		if total > 0 {
			share = max(share, float64(m[name])/float64(total))
		}
	}
	return share
}

// Total returns what all agents have of each scalar.
func (a *Allocator) Total() resource.Set { return a.total.set() }

// Allocated returns what is allocated of each scalar on all agents together.
func (a *Allocator) Allocated() resource.Set {
	all := amounts{}
	for _, held := range a.roleHeld {
		for name, n := range held {
			all[name] += n
		}
	}
	return all.set()
}
