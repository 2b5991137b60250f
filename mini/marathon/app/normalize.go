package app

import "math"

// Normalize completes a definition as 1.1.1 does before it stores it:
// absolute dependencies, portIndex 0 for checks that name no port, 0/0 as
// strategy of a single-instance app, and for bridged docker apps the service
// ports copied into ports and portDefinitions.
func (a App) Normalize() App {
	a = a.Clone()
	for i, d := range a.Dependencies {
		a.Dependencies[i] = Absolute(d, Parent(a.ID))
	}
	for i, h := range a.HealthChecks {
		if h.Protocol != "COMMAND" && h.PortIndex == nil && h.Port == nil {
			a.HealthChecks[i].PortIndex = new(int)
		}
		if h.Path == nil && (h.Protocol == "HTTP" || h.Protocol == "HTTPS") {
			root := "/"
			a.HealthChecks[i].Path = &root
		}
	}
	if a.SingleInstance() {
		a.UpgradeStrategy = UpgradeStrategy{0, 0}
	}
	return a.copyMappedPorts()
}

func (a App) copyMappedPorts() App {
	if !a.Mapped() {
		return a
	}
	a.PortDefinitions = []PortDefinition{}
	for _, m := range a.Container.Docker.PortMappings {
		d := anyPort()
		d.Port = m.ServicePort
		a.PortDefinitions = append(a.PortDefinitions, d)
	}
	a.Ports = portsOf(a.PortDefinitions)
	return a
}

// WithServicePorts returns the app with ports in place of its service ports,
// in order. len(ports) must be len(a.Ports).
func (a App) WithServicePorts(ports []int) App {
	a = a.Clone()
	if a.Mapped() {
		for i := range a.Container.Docker.PortMappings {
			a.Container.Docker.PortMappings[i].ServicePort = ports[i]
		}
		return a.copyMappedPorts()
	}
	for i := range a.PortDefinitions {
		a.PortDefinitions[i].Port = ports[i]
	}
	a.Ports = portsOf(a.PortDefinitions)
	return a
}

// Capacity is the least number of healthy tasks, and the most tasks at all,
// while running ones are replaced. 1.1.1 lets one more come where it could
// not move otherwise (contracts 2.5).
func (a App) Capacity(running int) (least, most int) {
	n := float64(a.Instances)
	least = int(math.Ceil(n * a.UpgradeStrategy.MinimumHealthCapacity))
	most = int(math.Floor(n * (1 + a.UpgradeStrategy.MaximumOverCapacity)))
	if least == most && most <= running {
		most++
	}
	return least, most
}

// Scaling reports whether b differs from a in nothing but the number of
// instances (and the bookkeeping of versions).
func (a App) Scaling(b App) bool {
	b.Instances = a.Instances
	return a.SameConfig(b)
}
