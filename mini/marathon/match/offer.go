// Package match decides whether a task of an app fits into a Mesos offer,
// and writes the TaskInfo if it does.
//
// Nouns: Offer (what is left of one offer while tasks are placed into it),
// Peer (a task of the same app and configuration, for constraints), Slot
// (what Fit found: the host ports).
//
// Fit and Take work on plain values, without I/O, time or locks; the only
// chance in it is the random source that picks host ports. Rules: contracts
// 2.1 (ports, environment), 2.6 (constraints). acceptedResourceRoles is
// ignored: whatever is offered to the framework may be used, resources of
// its own role first.
package match

import (
	"math/rand/v2"
	"slices"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/mini/marathon/app"
)

// epsilon forgives the rounding of sums of decimal fractions: Mesos itself
// counts in thousandths.
const epsilon = 0.0005

// scalar is an amount of cpus, mem or disk under one role.
type scalar struct {
	name, role string
	left       float64
}

// portRange is a run of free ports under one role, ends included.
type portRange struct {
	role       string
	begin, end uint64
}

// Offer is what is left of a Mesos offer.
type Offer struct {
	mesos.Offer
	// Attributes are the agent's text attributes.
	Attributes map[string]string
	scalars    []scalar
	ports      []portRange
}

// New opens an offer for placing. Revocable and persistent-disk resources
// are left alone.
func New(o mesos.Offer) *Offer {
	m := &Offer{Offer: o, Attributes: map[string]string{}}
	for _, a := range o.Attributes {
		if a.Text != nil {
			m.Attributes[a.Name] = a.Text.Value
		}
	}
	for _, r := range o.Resources {
		if r.Revocable != nil || (r.Disk != nil && (r.Disk.Persistence != nil || r.Disk.Volume != nil)) {
			continue
		}
		switch {
		case r.Scalar != nil:
			m.scalars = append(m.scalars, scalar{r.Name, r.GetRole(), r.Scalar.Value})
		case r.Ranges != nil && r.Name == "ports":
			for _, p := range r.Ranges.Range {
				m.ports = append(m.ports, portRange{r.GetRole(), p.Begin, p.End})
			}
		}
	}
	// Reserved resources first: what is "*" can still serve others.
	slices.SortStableFunc(m.scalars, func(a, b scalar) int { return starLast(a.role, b.role) })
	slices.SortStableFunc(m.ports, func(a, b portRange) int { return starLast(a.role, b.role) })
	return m
}

func starLast(a, b string) int {
	switch {
	case a == b:
		return 0
	case a == "*":
		return 1
	case b == "*":
		return -1
	}
	return 0
}

func (o *Offer) amount(name string) float64 {
	var sum float64
	for _, s := range o.scalars {
		if s.name == name {
			sum += s.left
		}
	}
	return sum
}

// Slot is a place for one task.
type Slot struct {
	// Ports are the host ports, one for each of the app's ports.
	Ports []int
}

// Fit looks for a place. why says in a word what was missing: "cpus", "mem",
// "disk", "ports" or a constraint.
func (o *Offer) Fit(a app.App, peers []Peer, rnd *rand.Rand) (s Slot, why string, ok bool) {
	for name, want := range map[string]float64{"cpus": a.CPUs, "mem": a.Mem, "disk": a.Disk} {
		if o.amount(name)+epsilon < want {
			return Slot{}, name, false
		}
	}
	for _, c := range a.Constraints {
		if !satisfied(c, o.Hostname, o.Attributes, peers) {
			return Slot{}, c.Field() + " " + c.Operator(), false
		}
	}
	ports, ok := o.choose(wanted(a), rnd)
	if !ok {
		return Slot{}, "ports", false
	}
	return Slot{ports}, "", true
}

// wanted lists the host ports an app asks for; 0 is any.
func wanted(a app.App) []int {
	if a.Mapped() {
		var ports []int
		for _, m := range a.Container.Docker.PortMappings {
			ports = append(ports, m.HostPort)
		}
		return ports
	}
	if a.RequirePorts {
		return a.Ports
	}
	return make([]int, len(a.Ports))
}

// choose picks host ports: those asked for by number, and random ones.
func (o *Offer) choose(want []int, rnd *rand.Rand) ([]int, bool) {
	out := slices.Clone(want)
	taken := map[int]bool{}
	for _, p := range want {
		if p == 0 {
			continue
		}
		if taken[p] || !o.free(p) {
			return nil, false
		}
		taken[p] = true
	}
	for i, p := range want {
		if p != 0 {
			continue
		}
		p, ok := o.random(taken, rnd)
		if !ok {
			return nil, false
		}
		out[i], taken[p] = p, true
	}
	return out, true
}

func (o *Offer) free(port int) bool {
	return slices.ContainsFunc(o.ports, func(r portRange) bool {
		return r.begin <= uint64(port) && uint64(port) <= r.end
	})
}

// random picks one of the free ports, each as likely as the other.
func (o *Offer) random(taken map[int]bool, rnd *rand.Rand) (int, bool) {
	var total uint64
	for _, r := range o.ports {
		total += r.end - r.begin + 1
	}
	if total == 0 {
		return 0, false
	}
	start := rnd.Uint64N(total)
	for k := range total {
		n := (start + k) % total
		for _, r := range o.ports {
			size := r.end - r.begin + 1
			if n < size {
				if p := int(r.begin + n); !taken[p] {
					return p, true
				}
				break
			}
			n -= size
		}
		if k > uint64(len(taken)) {
			break
		}
	}
	return 0, false
}

// Take uses up what a task of the app needs in the slot and returns it as
// Mesos resources.
func (o *Offer) Take(a app.App, s Slot) []mesos.Resource {
	var out []mesos.Resource
	for _, w := range []scalar{{"cpus", "", a.CPUs}, {"mem", "", a.Mem}, {"disk", "", a.Disk}} {
		for i := range o.scalars {
			have := &o.scalars[i]
			n := min(w.left, have.left)
			if have.name != w.name || n <= 0 {
				continue
			}
			have.left -= n
			w.left -= n
			kind := mesos.SCALAR
			role := have.role
			out = append(out, mesos.Resource{Name: w.name, Type: &kind, Role: &role, Scalar: &mesos.Value_Scalar{Value: n}})
		}
	}
	byRole := map[string][]mesos.Value_Range{}
	var roles []string
	for _, p := range s.Ports {
		role := o.takePort(uint64(p))
		if byRole[role] == nil {
			roles = append(roles, role)
		}
		byRole[role] = append(byRole[role], mesos.Value_Range{Begin: uint64(p), End: uint64(p)})
	}
	for _, role := range roles {
		kind := mesos.RANGES
		out = append(out, mesos.Resource{Name: "ports", Type: &kind, Role: &role, Ranges: &mesos.Value_Ranges{Range: byRole[role]}})
	}
	return out
}

// takePort cuts one port out of its range and returns the range's role.
func (o *Offer) takePort(p uint64) string {
	for i, r := range o.ports {
		if p < r.begin || p > r.end {
			continue
		}
		var rest []portRange
		if p > r.begin {
			rest = append(rest, portRange{r.role, r.begin, p - 1})
		}
		if p < r.end {
			rest = append(rest, portRange{r.role, p + 1, r.end})
		}
		o.ports = slices.Replace(o.ports, i, i+1, rest...)
		return r.role
	}
	return "*"
}
