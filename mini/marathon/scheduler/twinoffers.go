package scheduler

import (
	"fmt"
	"maps"
	"slices"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

// allocate offers what is free.
func (m *Twin) allocate() {
	if m.handler == nil {
		return
	}
	var out []mesos.Offer
	for _, id := range slices.Sorted(maps.Keys(m.agents)) {
		a := m.agents[id]
		if time.Now().Before(a.refused) || slices.Contains(slices.Collect(maps.Values(m.offers)), id) {
			continue
		}
		cpus, mem, ports := m.free(a)
		if cpus < 0.01 && mem < 32 {
			continue
		}
		m.serial++
		oid := fmt.Sprintf("O%d", m.serial)
		m.offers[oid] = id
		out = append(out, offerOf(oid, m.framework, a, cpus, mem, ports))
	}
	if len(out) > 0 {
		m.tell(func(h Handler) { h.Offers(out) })
	}
	for _, o := range out {
		if m.Faults.Vanish != nil && m.Faults.Vanish() {
			delete(m.offers, o.ID.Value)
			m.tell(func(h Handler) { h.Rescinded(o.ID) })
		}
	}
}

func offerOf(id, framework string, a *TwinAgent, cpus, mem float64, ports []mesos.Value_Range) mesos.Offer {
	scalar, ranges, star := mesos.SCALAR, mesos.RANGES, "*"
	o := mesos.Offer{ID: mesos.OfferID{Value: id}, FrameworkID: mesos.FrameworkID{Value: framework},
		AgentID: mesos.AgentID{Value: a.ID}, Hostname: a.Host, Resources: []mesos.Resource{
			{Name: "cpus", Type: &scalar, Role: &star, Scalar: &mesos.Value_Scalar{Value: cpus}},
			{Name: "mem", Type: &scalar, Role: &star, Scalar: &mesos.Value_Scalar{Value: mem}},
			{Name: "ports", Type: &ranges, Role: &star, Ranges: &mesos.Value_Ranges{Range: ports}}}}
	for _, k := range slices.Sorted(maps.Keys(a.Attributes)) {
		o.Attributes = append(o.Attributes, mesos.Attribute{Name: k, Type: mesos.TEXT, Text: &mesos.Value_Text{Value: a.Attributes[k]}})
	}
	return o
}

// free is what an agent's tasks leave over.
func (m *Twin) free(a *TwinAgent) (cpus, mem float64, ports []mesos.Value_Range) {
	cpus, mem = a.CPUs, a.Mem
	used := map[uint64]bool{}
	for _, t := range m.tasks {
		if t.Info.AgentID.Value != a.ID {
			continue
		}
		for _, r := range t.Info.Resources {
			switch r.Name {
			case "cpus":
				cpus -= r.Scalar.Value
			case "mem":
				mem -= r.Scalar.Value
			case "ports":
				for _, p := range r.Ranges.Range {
					for n := p.Begin; n <= p.End; n++ {
						if used[n] {
							m.violations = append(m.violations, fmt.Sprintf("port %d of %s is given twice", n, a.ID))
						}
						used[n] = true
					}
				}
			}
		}
	}
	for n := a.PortBegin; n <= a.PortEnd; n++ {
		if used[n] {
			continue
		}
		if k := len(ports); k > 0 && ports[k-1].End == n-1 {
			ports[k-1].End = n
		} else {
			ports = append(ports, mesos.Value_Range{Begin: n, End: n})
		}
	}
	return cpus, mem, ports
}
