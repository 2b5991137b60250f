// Package change is what people may ask of Marathon's apps and groups:
// create, merge, restart, roll back, destroy. Each function turns a request
// into a core.Change and carries it out.
//
// Errors: *app.InvalidError (a rule is broken), *core.ConflictError (it
// exists), *core.NotFoundError, *core.IllegalError, *core.LockedError (a
// deployment holds the app and force is not given),
// *group.PortsExhaustedError, or the store's.
// Nothing is changed when an error is returned.
package change

import (
	"errors"
	"fmt"

	"github.com/mesoslab/lab/mini/marathon/app"
	"github.com/mesoslab/lab/mini/marathon/core"
	"github.com/mesoslab/lab/mini/marathon/group"
	"github.com/mesoslab/lab/mini/marathon/store"
)

// merge puts an update into the app of that id, or into the defaults. An
// update with a version is a rollback to it.
func merge(r group.Root, p core.Past, id string, u app.Update) (app.App, error) {
	base, ok := r.Apps[id]
	if !ok {
		base = app.Default(id)
	}
	if u.Version != nil && !u.OnlyVersion() {
		return app.App{}, &core.IllegalError{Message: "requirement failed: The 'version' field may only be combined with the 'id' field."}
	}
	if u.Version != nil && ok {
		old, err := p.App(id, *u.Version)
		if errors.Is(err, store.ErrNotFound) {
			return app.App{}, &core.NotFoundError{Message: fmt.Sprintf("App '%s' does not exist in version %s", id, u.Version)}
		}
		return old, err
	}
	a := u.Apply(base).Normalize()
	return a, a.Validate()
}

// CreateApp makes a new app; u must have an id.
func CreateApp(c *core.Core, u app.Update, force bool) (id string, res core.Result, err error) {
	id = app.Absolute(*u.ID, "/")
	u.Version = nil
	res, err = c.Change(core.Change{Group: app.Parent(id), Force: force, Make: func(r group.Root, p core.Past) (group.Root, error) {
		if _, exists := r.Apps[id]; exists {
			return r, &core.ConflictError{Message: fmt.Sprintf("An app with id [%s] already exists.", id)}
		}
		a, err := merge(r, p, id, u)
		return r.WithApp(a), err
	}})
	return id, res, err
}

// UpdateApp merges an update into an app, or makes it; created tells which.
func UpdateApp(c *core.Core, id string, u app.Update, force bool) (res core.Result, created bool, err error) {
	res, err = c.Change(core.Change{Group: app.Parent(id), Force: force, Make: func(r group.Root, p core.Past) (group.Root, error) {
		_, exists := r.Apps[id]
		created = !exists
		a, err := merge(r, p, id, u)
		return r.WithApp(a), err
	}})
	return res, created, err
}

// UpdateApps merges several updates, each with an id, as one change.
func UpdateApps(c *core.Core, us []app.Update, force bool) (core.Result, error) {
	return c.Change(core.Change{Group: "/", Force: force, Make: func(r group.Root, p core.Past) (group.Root, error) {
		for i, u := range us {
			a, err := merge(r, p, app.Absolute(*u.ID, "/"), u)
			if err != nil {
				return r, within(fmt.Sprintf("(%d)", i), err)
			}
			r = r.WithApp(a)
		}
		return r, nil
	}})
}

// within puts a prefix before the paths of an *app.InvalidError.
func within(prefix string, err error) error {
	var bad *app.InvalidError
	if !errors.As(err, &bad) {
		return err
	}
	out := &app.InvalidError{}
	for _, p := range bad.Problems {
		out.Problems = append(out.Problems, app.Problem{Path: prefix + p.Path, Errors: p.Errors})
	}
	return out
}

// DeleteApp destroys an app.
func DeleteApp(c *core.Core, id string, force bool) (core.Result, error) {
	return c.Change(core.Change{Group: app.Parent(id), Force: force, Make: func(r group.Root, _ core.Past) (group.Root, error) {
		if _, ok := r.Apps[id]; !ok {
			return r, core.NoApp(id)
		}
		return r.WithoutApp(id), nil
	}})
}

// RestartApp replaces all tasks of an app.
func RestartApp(c *core.Core, id string, force bool) (core.Result, error) {
	return c.Change(core.Change{Group: app.Parent(id), Force: force, Restart: []string{id},
		Make: func(r group.Root, _ core.Past) (group.Root, error) {
			if _, ok := r.Apps[id]; !ok {
				return r, core.NoApp(id)
			}
			return r, nil
		}})
}

// CreateGroup makes a group that must not exist.
func CreateGroup(c *core.Core, id string, u group.Update, force bool) (core.Result, error) {
	return c.Change(core.Change{Group: id, Force: force, Make: func(r group.Root, _ core.Past) (group.Root, error) {
		if r.HasGroup(id) {
			return r, &core.ConflictError{Message: fmt.Sprintf("Group %s is already created. Use PUT to change this group.", id)}
		}
		if _, isApp := r.Apps[id]; isApp {
			return r, &core.ConflictError{Message: fmt.Sprintf("An app with id [%s] already exists.", id)}
		}
		return u.Apply(r, id)
	}})
}

// UpdateGroup changes a group, or makes it; a version or scaleBy alone are
// special, see group.Update.
func UpdateGroup(c *core.Core, id string, u group.Update, force bool) (core.Result, error) {
	return c.Change(core.Change{Group: id, Force: force, Make: mergeGroup(id, u)})
}

// PlanGroup says which steps UpdateGroup would take.
func PlanGroup(c *core.Core, id string, u group.Update) ([]group.Step, error) {
	return c.Steps(core.Change{Group: id, Make: mergeGroup(id, u)})
}

func mergeGroup(id string, u group.Update) func(group.Root, core.Past) (group.Root, error) {
	return func(r group.Root, p core.Past) (group.Root, error) {
		switch {
		case u.Version != nil:
			old, err := p.Root(*u.Version)
			if errors.Is(err, store.ErrNotFound) || (err == nil && !old.HasGroup(id)) {
				return r, &core.IllegalError{Message: fmt.Sprintf("Group %s not available in version %s", id, u.Version)}
			}
			return r.Rollback(old, id), err
		case u.ScaleBy != nil:
			if !r.HasGroup(id) {
				return r, core.NoGroup(id)
			}
			return r.Scale(id, *u.ScaleBy), nil
		}
		return u.Apply(r, id)
	}
}

// DeleteGroup destroys a group with everything in it.
func DeleteGroup(c *core.Core, id string, force bool) (core.Result, error) {
	return c.Change(core.Change{Group: app.Parent(id), Force: force, Make: func(r group.Root, _ core.Past) (group.Root, error) {
		if !r.HasGroup(id) {
			return r, core.NoGroup(id)
		}
		return r.WithoutGroup(id), nil
	}})
}
