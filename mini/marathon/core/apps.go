package core

import (
	"errors"
	"fmt"
	"slices"

	"github.com/mesoslab/lab/mini/marathon/app"
	"github.com/mesoslab/lab/mini/marathon/event"
	"github.com/mesoslab/lab/mini/marathon/group"
	"github.com/mesoslab/lab/mini/marathon/store"
)

// Result is the answer to a change: where it leads and how to follow it.
type Result struct {
	Version      app.Time `json:"version"`
	DeploymentID string   `json:"deploymentId"`
}

// change is what every change of the tree is: a candidate made from the tree
// as it is, checked, stamped, stored, deployed. groupID is what the event
// names.
type change struct {
	groupID string
	force   bool
	kill    map[string][]string
	restart []string
	make    func(group.Root) (group.Root, error)
}

// apply carries a change out. Errors are those of make and group.Commit,
// *LockedError, or the store's.
func (c *Core) apply(ch change) (Result, error) {
	to, err := ch.make(c.root)
	if err != nil {
		return Result{}, err
	}
	v := c.nextVersion()
	to, err = group.Commit(c.root, to, v, c.cfg.Ports, ch.restart...)
	var d *deployment
	if err == nil {
		d, err = c.deploy(to, ch.kill, ch.force)
	}
	if err != nil {
		c.Bus.Publish("group_change_failed", event.GroupChange{GroupID: ch.groupID, Version: v, Reason: err.Error()})
		return Result{}, err
	}
	c.Bus.Publish("group_change_success", event.GroupChange{GroupID: ch.groupID, Version: v})
	return Result{v, d.ID}, nil
}

// merge puts an update into the app of that id, or into the defaults. An
// update with a version is a rollback to it.
func (c *Core) merge(r group.Root, id string, u app.Update) (app.App, error) {
	base, ok := r.Apps[id]
	if !ok {
		base = app.Default(id)
	}
	if u.Version != nil && ok {
		old, err := c.readVersion(id, *u.Version)
		if errors.Is(err, store.ErrNotFound) {
			return app.App{}, &NotFoundError{fmt.Sprintf("App '%s' does not exist in version %s", id, u.Version)}
		}
		return old, err
	}
	a, err := u.Apply(base)
	if err != nil {
		return app.App{}, err
	}
	a = a.Normalize()
	return a, a.Validate()
}

// CreateApp makes a new app. The answer has the counts of the first moment
// and no version info, as 1.1.1's.
func (c *Core) CreateApp(u app.Update, force bool) (AppView, error) {
	if !c.enter() {
		return AppView{}, ErrOver
	}
	defer c.leave()
	id := app.Absolute(*u.ID, "/")
	if _, exists := c.root.Apps[id]; exists {
		return AppView{}, &ConflictError{fmt.Sprintf("An app with id [%s] already exists.", id)}
	}
	u.Version = nil
	res, err := c.apply(change{groupID: app.Parent(id), force: force, make: func(r group.Root) (group.Root, error) {
		a, err := c.merge(r, id, u)
		return r.WithApp(a), err
	}})
	if err != nil {
		return AppView{}, err
	}
	v := c.view(c.root.Apps[id], Embed{Counts: true, Deployments: true})
	v.VersionInfo, v.Tasks, v.Deployments = nil, []TaskView{}, []Ref{{res.DeploymentID}}
	zero := [4]int{}
	v.setCounts(zero)
	return v, nil
}

// UpdateApp merges an update into an app, or makes it; created tells which.
func (c *Core) UpdateApp(id string, u app.Update, force bool) (res Result, created bool, err error) {
	if !c.enter() {
		return Result{}, false, ErrOver
	}
	defer c.leave()
	_, exists := c.root.Apps[id]
	res, err = c.apply(change{groupID: app.Parent(id), force: force, make: func(r group.Root) (group.Root, error) {
		a, err := c.merge(r, id, u)
		return r.WithApp(a), err
	}})
	return res, !exists, err
}

// UpdateApps merges several updates as one change.
func (c *Core) UpdateApps(us []app.Update, force bool) (Result, error) {
	if !c.enter() {
		return Result{}, ErrOver
	}
	defer c.leave()
	return c.apply(change{groupID: "/", force: force, make: func(r group.Root) (group.Root, error) {
		for i, u := range us {
			a, err := c.merge(r, app.Absolute(*u.ID, "/"), u)
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

// App is an app's definition as it counts now.
func (c *Core) App(id string) (app.App, error) {
	if !c.enter() {
		return app.App{}, ErrOver
	}
	defer c.leave()
	a, ok := c.root.Apps[id]
	if !ok {
		return app.App{}, noApp(id)
	}
	return a, nil
}

// DeleteApp destroys an app.
func (c *Core) DeleteApp(id string, force bool) (Result, error) {
	if !c.enter() {
		return Result{}, ErrOver
	}
	defer c.leave()
	if _, ok := c.root.Apps[id]; !ok {
		return Result{}, noApp(id)
	}
	return c.apply(change{groupID: app.Parent(id), force: force, make: func(r group.Root) (group.Root, error) {
		return r.WithoutApp(id), nil
	}})
}

// RestartApp replaces all tasks of an app.
func (c *Core) RestartApp(id string, force bool) (Result, error) {
	if !c.enter() {
		return Result{}, ErrOver
	}
	defer c.leave()
	if _, ok := c.root.Apps[id]; !ok {
		return Result{}, noApp(id)
	}
	return c.apply(change{groupID: app.Parent(id), force: force, restart: []string{id},
		make: func(r group.Root) (group.Root, error) { return r, nil }})
}

// Versions lists an app's versions, newest first.
func (c *Core) Versions(id string) ([]app.Time, error) {
	if !c.enter() {
		return nil, ErrOver
	}
	defer c.leave()
	if _, ok := c.root.Apps[id]; !ok {
		return nil, noApp(id)
	}
	vs := slices.Clone(c.versions[id])
	slices.Reverse(vs)
	return vs, nil
}

// Version is an app as it was at a version.
func (c *Core) Version(id string, v app.Time) (app.App, error) {
	if !c.enter() {
		return app.App{}, ErrOver
	}
	defer c.leave()
	if !slices.ContainsFunc(c.versions[id], v.Equal) {
		return app.App{}, noApp(id)
	}
	return c.readVersion(id, v)
}

// KillTasks ends tasks. Without scale they are replaced elsewhere and the
// killed ones are returned; with scale their apps shrink by them, as one
// deployment. Ids that nobody knows are dropped.
func (c *Core) KillTasks(ids []string, scale, force bool) ([]TaskView, Result, error) {
	if !c.enter() {
		return nil, Result{}, ErrOver
	}
	defer c.leave()
	byApp := map[string][]string{}
	views := []TaskView{}
	for _, id := range ids {
		t := c.tasks[id]
		if t == nil {
			continue
		}
		if d := c.lockedBy(t.AppID); d != nil && !force {
			return nil, Result{}, newLockedError([]*deployment{d})
		}
		byApp[t.AppID] = append(byApp[t.AppID], id)
		views = append(views, c.taskView(t, true))
	}
	if !scale {
		for _, id := range ids {
			if t := c.tasks[id]; t != nil {
				c.kill(t, "asked for by the API")
			}
		}
		return views, Result{}, nil
	}
	res, err := c.apply(change{groupID: "/", force: force, kill: byApp, make: func(r group.Root) (group.Root, error) {
		for id, kill := range byApp {
			a, ok := r.Apps[id]
			if !ok {
				continue
			}
			a = a.Clone()
			a.Instances = max(0, a.Instances-len(kill))
			r = r.WithApp(a)
		}
		return r, nil
	}})
	return nil, res, err
}

// TaskIDs lists an app's tasks, on one host or ("" or "*") on all.
func (c *Core) TaskIDs(appID, host string) ([]string, error) {
	if !c.enter() {
		return nil, ErrOver
	}
	defer c.leave()
	if _, ok := c.root.Apps[appID]; !ok {
		return nil, noApp(appID)
	}
	ids := []string{}
	for _, t := range c.tasksOf(appID) {
		if host == "" || host == "*" || host == t.Host {
			ids = append(ids, t.ID)
		}
	}
	return ids, nil
}

// HasTask fails unless the app has that task.
func (c *Core) HasTask(appID, taskID string) error {
	if !c.enter() {
		return ErrOver
	}
	defer c.leave()
	if _, ok := c.root.Apps[appID]; !ok {
		return noApp(appID)
	}
	if t := c.tasks[taskID]; t == nil || t.AppID != appID {
		return noTask(taskID)
	}
	return nil
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
	return c.apply(change{groupID: "/", force: true, make: func(r group.Root) (group.Root, error) { return d.Revert(r), nil }})
}

// ResetDelay ends the back-off of a queued app.
func (c *Core) ResetDelay(appID string) error {
	if !c.enter() {
		return ErrOver
	}
	defer c.leave()
	if c.entryOf(appID) == nil {
		return &NotFoundError{fmt.Sprintf("Application %s not found in tasks queue.", appID)}
	}
	c.resetDelay(appID)
	return nil
}
