package allocator

import (
	"cmp"
	"slices"
	"time"

	"github.com/mesoslab/lab/mini/mesos/master/resource"
)

// Filter is a filter in force: what is kept from a framework in a role on an
// agent, and for how long still.
type Filter struct {
	Framework, Role, Agent string
	Refused                resource.Set
	Left                   time.Duration
}

// Filters lists the filters in force, the one that lasts longest first.
func (a *Allocator) Filters(now time.Time) []Filter {
	var list []Filter
	for id, f := range a.frameworks {
		for _, x := range f.filters {
			if left := x.until.Sub(now); left > 0 {
				list = append(list, Filter{id, x.role, x.agent, x.refused, left})
			}
		}
	}
	slices.SortFunc(list, func(x, y Filter) int { return cmp.Compare(y.Left, x.Left) })
	return list
}
