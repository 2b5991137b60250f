package core

import (
	"errors"
	"fmt"
	"slices"

	"github.com/mesoslab/lab/mini/marathon/app"
	"github.com/mesoslab/lab/mini/marathon/group"
	"github.com/mesoslab/lab/mini/marathon/store"
)

// CreateGroup makes a group that must not exist.
func (c *Core) CreateGroup(id string, u group.Update, force bool) (Result, error) {
	if !c.enter() {
		return Result{}, ErrOver
	}
	defer c.leave()
	if c.root.HasGroup(id) {
		return Result{}, &ConflictError{fmt.Sprintf("Group %s is already created. Use PUT to change this group.", id)}
	}
	if _, isApp := c.root.Apps[id]; isApp {
		return Result{}, &ConflictError{fmt.Sprintf("An app with id [%s] already exists.", id)}
	}
	return c.apply(change{groupID: id, force: force, make: func(r group.Root) (group.Root, error) { return u.Apply(r, id) }})
}

// UpdateGroup changes a group, or makes it; see group.Update for what a
// version or scaleBy does.
func (c *Core) UpdateGroup(id string, u group.Update, force bool) (Result, error) {
	if !c.enter() {
		return Result{}, ErrOver
	}
	defer c.leave()
	return c.apply(change{groupID: id, force: force, make: func(r group.Root) (group.Root, error) { return c.mergeGroup(r, id, u) }})
}

// PlanGroup says which steps UpdateGroup would take.
func (c *Core) PlanGroup(id string, u group.Update) ([]group.Step, error) {
	if !c.enter() {
		return nil, ErrOver
	}
	defer c.leave()
	to, err := c.mergeGroup(c.root, id, u)
	if err != nil {
		return nil, err
	}
	to, err = group.Commit(c.root, to, c.nextVersion(), c.cfg.Ports)
	if err != nil {
		return nil, err
	}
	return printed(group.NewPlan(c.root, to, nil).Steps), nil
}

func (c *Core) mergeGroup(r group.Root, id string, u group.Update) (group.Root, error) {
	switch {
	case u.Version != nil:
		old, err := c.readRoot(*u.Version)
		if errors.Is(err, store.ErrNotFound) || (err == nil && !old.HasGroup(id)) {
			return r, &NotFoundError{fmt.Sprintf("Group %s not available in version %s", id, u.Version)}
		}
		return r.Rollback(old, id), err
	case u.ScaleBy != nil:
		if !r.HasGroup(id) {
			return r, noGroup(id)
		}
		return r.Scale(id, *u.ScaleBy), nil
	}
	return u.Apply(r, id)
}

// DeleteGroup destroys a group with everything in it.
func (c *Core) DeleteGroup(id string, force bool) (Result, error) {
	if !c.enter() {
		return Result{}, ErrOver
	}
	defer c.leave()
	if !c.root.HasGroup(id) {
		return Result{}, noGroup(id)
	}
	return c.apply(change{groupID: app.Parent(id), force: force, make: func(r group.Root) (group.Root, error) {
		return r.WithoutGroup(id), nil
	}})
}

// Group shows a group. apps says what to embed in each app, nil leaves apps
// out; deep says whether child groups are shown.
func (c *Core) Group(id string, deep bool, apps *Embed) (group.View, error) {
	if !c.enter() {
		return group.View{}, ErrOver
	}
	defer c.leave()
	return c.groupView(c.root, id, deep, apps)
}

func (c *Core) groupView(r group.Root, id string, deep bool, apps *Embed) (group.View, error) {
	if !r.HasGroup(id) {
		return group.View{}, noGroup(id)
	}
	if apps == nil {
		return r.Show(id, deep, nil), nil
	}
	return r.Show(id, deep, func(a app.App) any { return c.view(a, *apps) }), nil
}

// GroupVersions lists the versions of the tree, newest first.
func (c *Core) GroupVersions(id string) ([]app.Time, error) {
	if !c.enter() {
		return nil, ErrOver
	}
	defer c.leave()
	if !c.root.HasGroup(id) {
		return nil, noGroup(id)
	}
	vs := slices.Clone(c.rootHistory)
	slices.Reverse(vs)
	return vs, nil
}

// GroupVersion shows a group as it was.
func (c *Core) GroupVersion(id string, v app.Time) (group.View, error) {
	if !c.enter() {
		return group.View{}, ErrOver
	}
	defer c.leave()
	old, err := c.readRoot(v)
	if errors.Is(err, store.ErrNotFound) {
		return group.View{}, noGroup(id)
	}
	if err != nil {
		return group.View{}, err
	}
	return c.groupView(old, id, true, &Embed{})
}
