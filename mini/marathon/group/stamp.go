package group

import (
	"fmt"
	"maps"
	"slices"

	"github.com/mesoslab/lab/mini/marathon/app"
)

// PortRange is where dynamic service ports come from: [Min, Max).
type PortRange struct{ Min, Max int }

// PortsExhaustedError says that no service port is left.
type PortsExhaustedError struct{ Range PortRange }

func (e *PortsExhaustedError) Error() string {
	return fmt.Sprintf("All ports in the range [%d-%d) are already in use", e.Range.Min, e.Range.Max)
}

// Commit turns the candidate to, made from the Root from, into a Root that
// may be deployed: service ports assigned, ids and dependencies checked, and
// every changed app and group stamped with now. restart names apps that get
// a new configuration version although nothing in them changed. The error is
// an *app.InvalidError or a *PortsExhaustedError.
func Commit(from, to Root, now app.Time, ports PortRange, restart ...string) (Root, error) {
	to, err := assignPorts(from, to, ports)
	if err != nil {
		return Root{}, err
	}
	if err := to.check(); err != nil {
		return Root{}, err
	}
	to.Version = now
	for id, a := range to.Apps {
		to.Apps[id] = stamp(from, a, now, slices.Contains(restart, id))
	}
	for id, g := range to.Groups {
		if to.changedBelow(from, id) {
			g.Version = now
			to.Groups[id] = g
		}
	}
	return to, nil
}

func (r Root) changedBelow(from Root, id string) bool {
	if !from.HasGroup(id) {
		return true
	}
	a, b := r.IDs(id), from.IDs(id)
	return !slices.Equal(a, b) || slices.ContainsFunc(a, func(i string) bool {
		return !r.Apps[i].Version.Equal(from.Apps[i].Version)
	})
}

func stamp(from Root, a app.App, now app.Time, restart bool) app.App {
	a = a.Clone()
	old, known := from.Apps[a.ID]
	switch {
	case !known:
		a.Version, a.VersionInfo = now, &app.VersionInfo{LastScalingAt: now, LastConfigChangeAt: now}
	case restart || !old.Scaling(a):
		a.Version, a.VersionInfo = now, &app.VersionInfo{LastScalingAt: now, LastConfigChangeAt: now}
	case a.Instances != old.Instances:
		a.Version, a.VersionInfo = now, &app.VersionInfo{LastScalingAt: now, LastConfigChangeAt: old.ConfigVersion()}
	default:
		a.Version, a.VersionInfo = old.Version, old.VersionInfo
	}
	return a
}

// assignPorts replaces every service port 0: by a port the app had before
// and does not name any more, else by the lowest one nobody has (contracts
// 2.1).
func assignPorts(from, to Root, r PortRange) (Root, error) {
	to = to.clone()
	taken := map[int]bool{}
	for _, a := range to.Apps {
		for _, p := range a.Ports {
			taken[p] = true
		}
	}
	for _, id := range slices.Sorted(maps.Keys(to.Apps)) {
		a := to.Apps[id]
		if !slices.Contains(a.Ports, 0) {
			continue
		}
		var kept []int
		for _, p := range from.Apps[id].Ports {
			if p >= r.Min && p < r.Max && !slices.Contains(a.Ports, p) && !taken[p] {
				kept = append(kept, p)
			}
		}
		ports := slices.Clone(a.Ports)
		for i, p := range ports {
			if p != 0 {
				continue
			}
			if len(kept) > 0 {
				p, kept = kept[0], kept[1:]
			} else if p = lowestFree(r, taken, from); p == 0 {
				return Root{}, &PortsExhaustedError{r}
			}
			ports[i], taken[p] = p, true
		}
		to.Apps[id] = a.WithServicePorts(ports)
	}
	return to, nil
}

// lowestFree leaves the ports of the Root before alone, too: an app further
// down the alphabet may be about to take its own back.
func lowestFree(r PortRange, taken map[int]bool, from Root) int {
	held := map[int]bool{}
	for _, a := range from.Apps {
		for _, p := range a.Ports {
			held[p] = true
		}
	}
	for p := r.Min; p < r.Max; p++ {
		if !taken[p] && !held[p] {
			return p
		}
	}
	for p := r.Min; p < r.Max; p++ {
		if !taken[p] {
			return p
		}
	}
	return 0
}

// check looks at what no single app can show.
func (r Root) check() error {
	var ps []app.Problem
	for id := range r.Apps {
		if _, both := r.Groups[id]; both {
			ps = append(ps, app.Problem{Path: "/", Errors: []string{
				fmt.Sprintf("Groups and Applications may not have the same identifier: %s", id)}})
		}
	}
	ps = append(ps, r.portConflicts()...)
	if _, err := r.levels(); err != nil {
		ps = append(ps, app.Problem{Path: "/", Errors: []string{"Dependency graph has cyclic dependencies."}})
	}
	if len(ps) > 0 {
		return &app.InvalidError{Problems: ps}
	}
	return nil
}

// portConflicts finds docker service ports claimed twice inside one group;
// across groups only later versions look.
func (r Root) portConflicts() []app.Problem {
	var ps []app.Problem
	owner := map[string]string{}
	for _, id := range slices.Sorted(maps.Keys(r.Apps)) {
		a := r.Apps[id]
		if !a.Mapped() {
			continue
		}
		for _, m := range a.Container.Docker.PortMappings {
			key := fmt.Sprintf("%s %d", app.Parent(id), m.ServicePort)
			other, clash := owner[key]
			if m.ServicePort != 0 && clash && other != id {
				ps = append(ps, app.Problem{Path: "/", Errors: []string{
					fmt.Sprintf("Requested service port %d conflicts with a service port in app %s", m.ServicePort, other)}})
			}
			owner[key] = id
		}
	}
	return ps
}
