package app

import "slices"

// conflicts are contradictions inside one Update that cannot be seen any
// more once it is merged.
func (u Update) conflicts() []Problem {
	var ps []Problem
	if u.URIs != nil && u.Fetch != nil && !slices.Equal(*u.URIs, urisOf(*u.Fetch)) {
		ps = append(ps, Problem{"/uris", []string{"You cannot specify both uris and fetch fields"}})
	}
	if u.Ports != nil && u.PortDefinitions != nil && !slices.Equal(*u.Ports, portsOf(*u.PortDefinitions)) {
		ps = append(ps, Problem{"/ports", []string{"You cannot specify both an array of ports and port definitions"}})
	}
	return ps
}

// Apply merges u into base. The error is an *InvalidError when u contradicts
// itself. Id, version and version info stay base's; the result still needs
// Normalize.
func (u Update) Apply(base App) (App, error) {
	if ps := u.conflicts(); ps != nil {
		return App{}, &InvalidError{ps}
	}
	a := base.Clone()
	setp(&a.Cmd, u.Cmd)
	setp(&a.User, u.User)
	set(&a.Executor, u.Executor)
	set(&a.Args, u.Args)
	set(&a.Env, u.Env)
	set(&a.Labels, u.Labels)
	set(&a.Instances, u.Instances)
	set(&a.CPUs, u.CPUs)
	set(&a.Mem, u.Mem)
	set(&a.Disk, u.Disk)
	set(&a.Constraints, u.Constraints)
	set(&a.StoreURLs, u.StoreURLs)
	set(&a.RequirePorts, u.RequirePorts)
	set(&a.BackoffSeconds, u.BackoffSeconds)
	set(&a.BackoffFactor, u.BackoffFactor)
	set(&a.MaxLaunchDelaySeconds, u.MaxLaunchDelaySeconds)
	set(&a.HealthChecks, u.HealthChecks)
	set(&a.ReadinessChecks, u.ReadinessChecks)
	set(&a.Dependencies, u.Dependencies)
	set(&a.UpgradeStrategy, u.UpgradeStrategy)
	set(&a.AcceptedResourceRoles, u.AcceptedResourceRoles)
	setp(&a.Container, u.Container)
	setp(&a.IPAddress, u.IPAddress)
	setp(&a.Residency, u.Residency)
	u.applyFetch(&a)
	u.applyPorts(&a)
	return a.Clone(), nil
}

func (u Update) applyFetch(a *App) {
	switch {
	case u.Fetch != nil:
		a.Fetch = *u.Fetch
	case u.URIs != nil:
		a.Fetch = []Fetch{}
		for _, uri := range *u.URIs {
			a.Fetch = append(a.Fetch, Fetch{URI: uri, Extract: true})
		}
	default:
		return
	}
	a.URIs = urisOf(a.Fetch)
}

func (u Update) applyPorts(a *App) {
	switch {
	case u.PortDefinitions != nil:
		a.PortDefinitions = *u.PortDefinitions
	case u.Ports != nil:
		a.PortDefinitions = []PortDefinition{}
		for _, p := range *u.Ports {
			d := anyPort()
			d.Port = p
			a.PortDefinitions = append(a.PortDefinitions, d)
		}
	}
	a.Ports = portsOf(a.PortDefinitions)
}

func set[T any](dst *T, v *T) {
	if v != nil {
		*dst = *v
	}
}

func setp[T any](dst **T, v *T) {
	if v != nil {
		*dst = v
	}
}

func urisOf(fs []Fetch) []string {
	out := []string{}
	for _, f := range fs {
		out = append(out, f.URI)
	}
	return out
}

func portsOf(ds []PortDefinition) []int {
	out := []int{}
	for _, d := range ds {
		out = append(out, d.Port)
	}
	return out
}
