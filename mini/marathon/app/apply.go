package app

import (
	"regexp"
	"slices"
	"sync"
)

// contradictions records what u says twice and differently; 1.1.1 finds that
// while it reads (400), before any rule is checked.
func (u Update) contradictions(v Value) {
	if u.URIs != nil && u.Fetch != nil && len(*u.URIs) > 0 && len(*u.Fetch) > 0 {
		v.Fail("You cannot specify both uris and fetch fields")
	}
	if u.Ports == nil {
		return
	}
	if u.PortDefinitions != nil && !slices.Equal(*u.Ports, portsOf(*u.PortDefinitions)) {
		v.Fail("You cannot specify both ports and port definitions")
	}
	for i, p := range *u.Ports {
		if p != 0 && slices.Contains((*u.Ports)[:i], p) {
			f, _ := v.Field("ports")
			f.Fail("Ports must be unique.")
			return
		}
	}
}

// archive are the names that 1.1.1 has unpacked when they come as uris.
var archive = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\.(tgz|tar\.gz|tbz2|tar\.bz2|txz|tar\.xz|zip)$`) })

// Apply merges u into base. Id, version and version info stay base's; the
// result still needs Normalize.
func (u Update) Apply(base App) App {
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
	return a.Clone()
}

func (u Update) applyFetch(a *App) {
	switch {
	case u.Fetch != nil && (len(*u.Fetch) > 0 || u.URIs == nil):
		a.Fetch = *u.Fetch
	case u.URIs != nil:
		a.Fetch = []Fetch{}
		for _, uri := range *u.URIs {
			a.Fetch = append(a.Fetch, Fetch{URI: uri, Extract: archive().MatchString(uri)})
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
