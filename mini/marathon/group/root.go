// Package group holds the tree of apps and what it takes to get from one
// tree to another.
//
// Nouns: Root (all apps and groups at one version, stored flat: the tree is
// in the ids), Update (what a client sent for a group), View (a group as it
// is printed), Plan (a deployment: steps of actions from one Root to
// another).
//
// Root is a value: every method returns a new one, so a Root can be kept as
// history and read by many goroutines. The package does no I/O and knows no
// tasks. Rules are those of contracts 2.1 (service ports), 2.3 (steps).
package group

import (
	"maps"
	"slices"

	"github.com/mesoslab/lab/mini/marathon/app"
)

// Root is every app and group at one version.
type Root struct {
	Version app.Time           `json:"version"`
	Apps    map[string]app.App `json:"apps"`   // by absolute id
	Groups  map[string]Info    `json:"groups"` // by absolute id, without "/"
	Own     Info               `json:"own"`    // of "/" itself
}

// Info is what a group has besides its members.
type Info struct {
	Dependencies []string `json:"dependencies"`
	Version      app.Time `json:"version"`
}

// Empty is a Root without apps.
func Empty(now app.Time) Root {
	return Root{Version: now, Apps: map[string]app.App{}, Groups: map[string]Info{},
		Own: Info{Dependencies: []string{}, Version: now}}
}

// clone copies the maps; apps themselves are never changed in place.
func (r Root) clone() Root {
	r.Apps, r.Groups = maps.Clone(r.Apps), maps.Clone(r.Groups)
	return r
}

// WithApp adds or replaces an app and the groups its id implies.
func (r Root) WithApp(a app.App) Root {
	r = r.clone()
	r.Apps[a.ID] = a
	r.imply(app.Parent(a.ID))
	return r
}

// imply makes a group and its parents exist. It changes r's own maps.
func (r Root) imply(id string) {
	for ; id != "/"; id = app.Parent(id) {
		if _, ok := r.Groups[id]; !ok {
			r.Groups[id] = Info{Dependencies: []string{}, Version: r.Version}
		}
	}
}

// WithoutApp removes one app; its group stays, as in Marathon.
func (r Root) WithoutApp(id string) Root {
	r = r.clone()
	delete(r.Apps, id)
	return r
}

// WithoutGroup removes a group and everything below it. "/" empties the
// Root.
func (r Root) WithoutGroup(id string) Root {
	r = r.clone()
	maps.DeleteFunc(r.Apps, func(a string, _ app.App) bool { return app.Within(a, id) })
	maps.DeleteFunc(r.Groups, func(g string, _ Info) bool { return app.Within(g, id) })
	return r
}

// HasGroup reports whether the group exists.
func (r Root) HasGroup(id string) bool {
	_, ok := r.Groups[id]
	return ok || id == "/"
}

// IDs lists the apps in or below a group, sorted.
func (r Root) IDs(groupID string) []string {
	var ids []string
	for id := range r.Apps {
		if id != groupID && app.Within(id, groupID) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// View is a group as 1.1.1 prints it. Apps and Groups are nil when they were
// not asked for, and then not printed.
type View struct {
	ID           string   `json:"id"`
	Apps         []any    `json:"apps,omitzero"`
	Groups       []View   `json:"groups,omitzero"`
	Dependencies []string `json:"dependencies"`
	Version      app.Time `json:"version"`
}

// Show prepares a group for printing. render turns an app into what stands
// in the list; nil leaves apps out. deep says whether child groups are
// shown.
func (r Root) Show(id string, deep bool, render func(app.App) any) View {
	info := r.Groups[id]
	if id == "/" {
		info = Info{r.Own.Dependencies, r.Version}
	}
	v := View{ID: id, Dependencies: info.Dependencies, Version: info.Version}
	if render != nil {
		v.Apps = []any{}
		for _, a := range r.IDs(id) {
			if app.Parent(a) == id {
				v.Apps = append(v.Apps, render(r.Apps[a]))
			}
		}
	}
	if deep {
		v.Groups = []View{}
		for _, g := range slices.Sorted(maps.Keys(r.Groups)) {
			if app.Parent(g) == id {
				v.Groups = append(v.Groups, r.Show(g, deep, render))
			}
		}
	}
	return v
}
