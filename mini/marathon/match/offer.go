// Package match decides whether a task of an app fits into a Mesos offer,
// and writes the TaskInfo if it does.
//
// Nouns: Offer (what is left of one offer while tasks are placed into it),
// Peer (a task of the same app and configuration, for constraints), Slot
// (what Fit found: the host ports).
//
// Fit and Take work on plain values, without I/O, time or locks; the only
// chance in it is the random source that picks host ports. Rules: contracts
// 2.1 (ports, environment), 2.6 (constraints). A task uses resources of the
// roles that its app accepts (acceptedResourceRoles, else
// --default_accepted_resource_roles, else all that are offered), those of a
// role of its own before "*".
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

// Rules are what Marathon's flags say about all tasks.
type Rules struct {
	// Roles are what apps accept that name none themselves; nil is all.
	Roles []string
	// EnvPrefix stands before HOST and the PORT variables.
	EnvPrefix string
}

// Offer is what is left of a Mesos offer.
type Offer struct {
	mesos.Offer
	// Attributes are the agent's attributes. One that is no text is there
	// with an empty value, as 1.1.1 sees it: UNIQUE on it means one task.
	Attributes map[string]string
	rules      Rules
	scalars    []scalar
	ports      []portRange
}

// New opens an offer for placing under no special rules.
func New(o mesos.Offer) *Offer { return Rules{}.Open(o) }

// Open opens an offer for placing. Revocable, persistent-disk and dynamically
// reserved resources are left alone: 1.1.1 takes the last for resident tasks
// only.
func (r Rules) Open(o mesos.Offer) *Offer {
	m := &Offer{Offer: o, Attributes: map[string]string{}, rules: r}
	for _, a := range o.Attributes {
		m.Attributes[a.Name] = a.GetText().GetValue()
	}
	for _, r := range o.Resources {
		if r.Revocable != nil || r.Reservation != nil || (r.Disk != nil && (r.Disk.Persistence != nil || r.Disk.Volume != nil)) {
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

// accepts tells of which roles an app's tasks may use resources.
func (o *Offer) accepts(a app.App) func(role string) bool {
	roles := a.AcceptedResourceRoles
	if roles == nil {
		roles = o.rules.Roles
	}
	return func(role string) bool { return roles == nil || slices.Contains(roles, role) }
}

func (o *Offer) amount(name string, accepted func(string) bool) float64 {
	var sum float64
	for _, s := range o.scalars {
		if s.name == name && accepted(s.role) {
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
	accepted := o.accepts(a)
	for name, want := range map[string]float64{"cpus": a.CPUs, "mem": a.Mem, "disk": a.Disk} {
		if o.amount(name, accepted)+epsilon < want {
			return Slot{}, name, false
		}
	}
	for _, c := range a.Constraints {
		if !satisfied(c, o.Hostname, o.Attributes, peers) {
			return Slot{}, c.Field() + " " + c.Operator(), false
		}
	}
	ports, ok := choose(wanted(a), o.usable(accepted), rnd)
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

// usable are the free ports of accepted roles.
func (o *Offer) usable(accepted func(string) bool) []portRange {
	return slices.DeleteFunc(slices.Clone(o.ports), func(r portRange) bool { return !accepted(r.role) })
}

// choose picks host ports: those asked for by number, and random ones.
func choose(want []int, free []portRange, rnd *rand.Rand) ([]int, bool) {
	out := slices.Clone(want)
	taken := map[int]bool{}
	for _, p := range want {
		if p == 0 {
			continue
		}
		if taken[p] || !holds(free, p) {
			return nil, false
		}
		taken[p] = true
	}
	for i, p := range want {
		if p != 0 {
			continue
		}
		p, ok := random(free, taken, rnd)
		if !ok {
			return nil, false
		}
		out[i], taken[p] = p, true
	}
	return out, true
}

func holds(free []portRange, port int) bool {
	return slices.ContainsFunc(free, func(r portRange) bool {
		return r.begin <= uint64(port) && uint64(port) <= r.end
	})
}

// random picks one of the free ports, each as likely as the other.
func random(free []portRange, taken map[int]bool, rnd *rand.Rand) (int, bool) {
	var total uint64
	for _, r := range free {
		total += r.end - r.begin + 1
	}
	if total == 0 {
		return 0, false
	}
	start := rnd.Uint64N(total)
	for k := range total {
		n := (start + k) % total
		for _, r := range free {
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
	accepted := o.accepts(a)
	for _, w := range []scalar{{"cpus", "", a.CPUs}, {"mem", "", a.Mem}, {"disk", "", a.Disk}} {
		for i := range o.scalars {
			have := &o.scalars[i]
			n := min(w.left, have.left)
			if have.name != w.name || n <= 0 || !accepted(have.role) {
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
		role := o.takePort(uint64(p), accepted)
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
func (o *Offer) takePort(p uint64, accepted func(string) bool) string {
	for i, r := range o.ports {
		if p < r.begin || p > r.end || !accepted(r.role) {
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
