package core

import (
	"fmt"
	"maps"
	"slices"

	"github.com/mesoslab/lab/mini/marathon/app"
	"github.com/mesoslab/lab/mini/marathon/event"
	"github.com/mesoslab/lab/mini/marathon/group"
	"github.com/mesoslab/lab/mini/marathon/task"
)

// Result is the answer to a change: where it leads and how to follow it.
type Result struct {
	Version      app.Time `json:"version"`
	DeploymentID string   `json:"deploymentId"`
}

// Change is what every change of apps and groups is: a candidate made from
// the tree as it is, which is then checked, stamped, stored and deployed.
type Change struct {
	// Group is what the event names.
	Group string
	// Force cancels deployments that are in the way.
	Force bool
	// Restart names apps that are restarted although nothing in them changes.
	Restart []string
	// Make makes the candidate. It runs under Core's lock: it must not call
	// Core, only the Past it gets.
	Make func(group.Root, Past) (group.Root, error)

	kill map[string][]string
}

// Past reads how apps and the tree were.
type Past interface {
	// App fails with store.ErrNotFound if it never was so.
	App(id string, v app.Time) (app.App, error)
	Root(v app.Time) (group.Root, error)
}

type past struct {
	c    *Core
	turn bool // whoever asks has it, and is no guest
}

func (p past) App(id string, v app.Time) (app.App, error) {
	if p.turn {
		defer lend(p.c.turn)()
	}
	return p.c.book.App(p.c.ctx, id, v)
}

func (p past) Root(v app.Time) (group.Root, error) {
	if p.turn {
		defer lend(p.c.turn)()
	}
	return p.c.book.Root(p.c.ctx, v)
}

// Change carries a change out. Errors are those of Make and group.Commit,
// *LockedError, or the store's.
func (c *Core) Change(ch Change) (Result, error) {
	if !c.enter() {
		return Result{}, ErrOver
	}
	defer c.leave()
	return c.change(ch)
}

func (c *Core) change(ch Change) (Result, error) {
	to, err := c.candidate(ch)
	if err != nil {
		return Result{}, err
	}
	v := c.nextVersion()
	to, err = group.Commit(c.root, to, v, c.cfg.Ports, ch.Restart...)
	var d *deployment
	if err == nil {
		d, err = c.deploy(to, ch.kill, ch.Force)
	}
	if err != nil {
		c.Bus.Publish("group_change_failed", event.GroupChange{GroupID: ch.Group, Version: v, Reason: err.Error()})
		return Result{}, err
	}
	c.Bus.Publish("group_change_success", event.GroupChange{GroupID: ch.Group, Version: v})
	return Result{v, d.ID}, nil
}

// candidate makes the tree that a change asks for.
func (c *Core) candidate(ch Change) (group.Root, error) {
	to, err := ch.Make(c.root, past{c, true})
	if err == nil && c.cfg.MaxApps > 0 && len(to.Apps) > c.cfg.MaxApps {
		err = &app.InvalidError{Problems: []app.Problem{{Path: "/", Errors: []string{fmt.Sprintf(
			"This Marathon instance may only handle up to %d Apps!\n(Override with command line option --max_apps)", c.cfg.MaxApps)}}}}
	}
	return to, err
}

// Steps says what a change would do, without doing it.
func (c *Core) Steps(ch Change) ([]group.Step, error) {
	if !c.enter() {
		return nil, ErrOver
	}
	defer c.leave()
	to, err := c.candidate(ch)
	if err != nil {
		return nil, err
	}
	to, err = group.Commit(c.root, to, c.nextVersion(), c.cfg.Ports, ch.Restart...)
	if err != nil {
		return nil, err
	}
	return group.NewPlan(c.root, to, nil).Printed(), nil
}

// KillTasks ends tasks. Without scale they are replaced elsewhere and the
// killed ones are returned; with scale their apps shrink by them, as one
// deployment. Ids that nobody knows are dropped.
func (c *Core) KillTasks(ids []string, scale, force bool) ([]task.View, Result, error) {
	if !c.enter() {
		return nil, Result{}, ErrOver
	}
	defer c.leave()
	byApp := map[string][]string{}
	views := []task.View{}
	for _, id := range ids {
		t := c.tasks[id]
		if t == nil || slices.Contains(byApp[t.AppID], id) {
			continue
		}
		byApp[t.AppID] = append(byApp[t.AppID], id)
		views = append(views, t.View(c.root.Apps[t.AppID].Ports))
	}
	if scale {
		res, err := c.change(Change{Group: "/", Force: force, kill: byApp, Make: shrink(byApp)})
		return nil, res, err
	}
	for _, appID := range slices.Sorted(maps.Keys(byApp)) {
		if d := c.lockedBy(appID); d != nil && !force {
			return nil, Result{}, newLockedError([]*deployment{d})
		}
	}
	for _, v := range views {
		c.kill(c.tasks[v.ID], "asked for by the API")
	}
	return views, Result{}, nil
}

// shrink takes as many instances from each app as tasks are named.
func shrink(byApp map[string][]string) func(group.Root, Past) (group.Root, error) {
	return func(r group.Root, _ Past) (group.Root, error) {
		for id, kill := range byApp {
			if a, ok := r.Apps[id]; ok {
				a.Instances = max(0, a.Instances-len(kill))
				r = r.WithApp(a)
			}
		}
		return r, nil
	}
}

// CancelDeployment ends a deployment: with force where it stands (Result is
// zero), without by a new deployment that goes back.
func (c *Core) CancelDeployment(id string, force bool) (Result, error) {
	if !c.enter() {
		return Result{}, ErrOver
	}
	defer c.leave()
	i := slices.IndexFunc(c.deployments, func(d *deployment) bool { return d.ID == id })
	if i < 0 {
		return Result{}, &NotFoundError{fmt.Sprintf("DeploymentPlan %s does not exist", id)}
	}
	d := c.deployments[i]
	if force {
		c.cancel(d)
		return Result{}, nil
	}
	return c.change(Change{Group: "/", Force: true, Make: func(r group.Root, _ Past) (group.Root, error) { return d.Revert(r), nil }})
}

// ResetDelay ends the back-off of a queued app.
func (c *Core) ResetDelay(appID string) error {
	if !c.enter() {
		return ErrOver
	}
	defer c.leave()
	if c.queue.Item(appID) == nil {
		return &NotFoundError{fmt.Sprintf("Application %s not found in tasks queue.", appID)}
	}
	c.queue.Reset(appID)
	c.wantOffers()
	return nil
}
