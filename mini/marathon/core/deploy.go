package core

import (
	"slices"

	"github.com/mesoslab/lab/mini/marathon/app"
	"github.com/mesoslab/lab/mini/marathon/event"
	"github.com/mesoslab/lab/mini/marathon/group"
	"github.com/mesoslab/lab/mini/marathon/record"
	"github.com/mesoslab/lab/mini/marathon/task"
)

// deployment is a plan under way. After a change of leadership it starts
// again at its first step; since every step looks at what is there, finished
// ones pass at once.
type deployment struct {
	group.Plan
	at      int       // index of the current step
	running []*action // of the current step
}

// action is one action of the current step.
type action struct {
	group.Action
	done bool
	// shrinks says that the app had at least as many tasks as it should have
	// when scaling began: then nobody waits for health.
	shrinks bool
	// capacity is the most tasks a restart may have at a time.
	capacity int
}

// lockedBy is the deployment that holds an app, or nil.
func (c *Core) lockedBy(appID string) *deployment {
	for _, d := range c.deployments {
		if slices.Contains(d.Affected(), appID) {
			return d
		}
	}
	return nil
}

// conflicts are the deployments that hold one of the plan's apps.
func (c *Core) conflicts(p group.Plan) []*deployment {
	var ds []*deployment
	for _, id := range p.Affected() {
		if d := c.lockedBy(id); d != nil && !slices.Contains(ds, d) {
			ds = append(ds, d)
		}
	}
	return ds
}

// deploy makes the tree to the one that counts and starts on the way there.
// Conflicting deployments are cancelled with force, else the error is a
// *LockedError.
func (c *Core) deploy(to group.Root, kill map[string][]string, force bool) (*deployment, error) {
	d := &deployment{Plan: group.NewPlan(c.root, to, kill)}
	others := c.conflicts(d.Plan)
	if len(others) > 0 && !force {
		return nil, newLockedError(others)
	}
	if len(d.Steps) > 0 {
		if err := c.book.Write(c.ctx, record.DeploymentKey(d.ID), d.Plan); err != nil {
			c.book.Drop(c.ctx, record.DeploymentKey(d.ID))
			return nil, err
		}
	}
	if err := c.book.SaveRoot(c.ctx, c.root, to, d.ID); err != nil {
		return nil, err
	}
	for _, o := range others {
		c.cancel(o)
	}
	c.root = to
	c.Log("deployment %s of %v", d.ID, d.Affected())
	c.deployments = append(c.deployments, d)
	c.begin(d)
	return d, nil
}

// cancel ends a deployment where it stands.
func (c *Core) cancel(d *deployment) {
	for _, id := range d.Affected() {
		c.queue.Drop(id)
	}
	c.remove(d)
	c.Log("deployment %s is cancelled", d.ID)
	if d.at < len(d.Steps) {
		c.Bus.Publish("deployment_step_failure", event.Step{Plan: d.View(), CurrentStep: d.Printed()[d.at]})
	}
	c.Bus.Publish("deployment_failed", event.Deployed{ID: d.ID, Plan: d.View()})
}

func (c *Core) remove(d *deployment) {
	c.deployments = slices.DeleteFunc(c.deployments, func(x *deployment) bool { return x == d })
	if len(d.Steps) > 0 {
		c.book.Drop(c.ctx, record.DeploymentKey(d.ID))
	}
}

// begin starts the current step, or ends the deployment after the last.
func (c *Core) begin(d *deployment) {
	if d.at >= len(d.Steps) {
		c.remove(d)
		c.Log("deployment %s has succeeded", d.ID)
		c.Bus.Publish("deployment_success", event.Deployed{ID: d.ID, Plan: d.View()})
		for _, id := range d.Affected() {
			c.stopUnusedChecks(id)
			c.evaluate(id) // something may have died since its step was done
		}
		return
	}
	step := d.Steps[d.at]
	c.Bus.Publish("deployment_info", event.Step{Plan: d.View(), CurrentStep: d.Printed()[d.at]})
	d.running = nil
	for _, a := range step.Actions {
		d.running = append(d.running, c.start(d, a))
	}
	c.progress(d)
}

// start prepares an action.
func (c *Core) start(d *deployment, a group.Action) *action {
	act := &action{Action: a}
	target := d.Target.Apps[a.App]
	ts := c.tasksOf(a.App)
	switch a.Type {
	case group.StartApplication:
		c.startChecks(target)
	case group.ScaleApplication:
		c.startChecks(target)
		for _, t := range ts {
			if slices.Contains(a.Kill, t.ID) {
				c.kill(t, "named for scaling down")
			}
		}
		act.shrinks = len(ts) >= target.Instances
	case group.RestartApplication:
		c.queue.Drop(a.App)
		c.queue.Reset(a.App)
		c.startChecks(target)
		_, act.capacity = target.Capacity(len(ts))
	case group.StopApplication:
		c.queue.Drop(a.App)
		c.queue.Reset(a.App)
	}
	return act
}

// progress lets the actions of the current step do what is to be done now,
// and goes on when all are done.
func (c *Core) progress(d *deployment) {
	all := true
	for _, a := range d.running {
		if !a.done {
			a.done = c.act(d, a)
		}
		all = all && a.done
	}
	if !all {
		return
	}
	c.Bus.Publish("deployment_step_success", event.Step{Plan: d.View(), CurrentStep: d.Printed()[d.at]})
	d.at++
	c.begin(d)
}

// act does what an action calls for now and reports whether it is done.
func (c *Core) act(d *deployment, a *action) bool {
	target := d.Target.Apps[a.App]
	switch a.Type {
	case group.ScaleApplication:
		c.scaleTo(target)
		ts := c.tasksOf(a.App)
		return len(ts) == target.Instances && (a.shrinks || c.allReady(target, ts))
	case group.RestartApplication:
		return c.replace(target, a)
	case group.StopApplication:
		return c.stop(a.App)
	}
	return true
}

// stop kills every task of an app that is to be no more.
func (c *Core) stop(appID string) bool {
	ts := c.tasksOf(appID)
	for _, t := range ts {
		c.kill(t, "its app is destroyed")
	}
	if len(ts) > 0 {
		return false
	}
	c.stopChecks(appID)
	delete(c.failures, appID)
	c.book.ForgetApp(c.ctx, appID)
	c.Bus.Publish("app_terminated_event", event.AppTerminated{AppID: appID})
	return true
}

// replace exchanges old tasks for new ones within the upgrade strategy
// (contracts 2.5): for every new task that is ready one old task may go, and
// never fewer than the minimum are left standing.
func (c *Core) replace(target app.App, a *action) bool {
	var old, fresh []*task.Task
	for _, t := range c.tasksOf(target.ID) {
		if t.Runs(target) {
			fresh = append(fresh, t)
		} else {
			old = append(old, t)
		}
	}
	standing := task.Standing(fresh)
	for _, t := range task.Surplus(target, standing, len(standing)-target.Instances) {
		c.kill(t, "too many instances")
	}
	ready := 0
	for _, t := range fresh {
		if !t.Doomed() && c.ready(target, t) {
			ready++
		}
	}
	least, _ := target.Capacity(0)
	keep := max(0, least-ready)
	if left := task.Standing(old); len(left) > keep {
		// The oldest go first: the youngest may be the ones that work.
		for _, t := range left[:len(left)-keep] {
			c.kill(t, "replaced by a newer version")
		}
	}
	c.enqueue(target, max(0, min(a.capacity-len(old)-len(fresh), target.Instances-len(fresh))))
	return len(old) == 0 && len(fresh) == target.Instances && ready == target.Instances
}

// ready reports whether a task counts for a deployment: it runs, all checks
// have passed, and so has the readiness check.
func (c *Core) ready(a app.App, t *task.Task) bool {
	if !t.Running() {
		return false
	}
	if !t.Runs(a) {
		return !t.Unhealthy()
	}
	if len(a.ReadinessChecks) > 0 && !c.readiness[t.ID].Ready {
		return false
	}
	return t.Healthy(len(a.HealthChecks))
}

func (c *Core) allReady(a app.App, ts []*task.Task) bool {
	return !slices.ContainsFunc(ts, func(t *task.Task) bool { return !c.ready(a, t) })
}
