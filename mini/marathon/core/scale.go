package core

import (
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"github.com/mesoslab/lab/mini/marathon/app"
)

// evaluate compares an app with its tasks after something has changed, and
// does what is missing: as the current deployment says, or, when none holds
// the app, to keep its instances.
func (c *Core) evaluate(appID string) {
	if d := c.lockedBy(appID); d != nil {
		c.progress(d)
		return
	}
	if a, ok := c.root.Apps[appID]; ok {
		c.scaleTo(a)
		return
	}
	c.setQueue(app.App{ID: appID}, 0)
	for _, t := range c.tasksOf(appID) {
		c.kill(t, "its app does not exist")
	}
}

// scaleTo queues what is missing and kills what is too much. Tasks that are
// being killed count until they are gone: their places are not given away
// early.
func (c *Core) scaleTo(a app.App) {
	ts := c.tasksOf(a.ID)
	standing := alive(ts)
	if len(standing) > a.Instances {
		c.setQueue(a, 0)
		for _, t := range surplus(a, standing, len(standing)-a.Instances) {
			c.kill(t, "too many instances")
		}
		return
	}
	c.setQueue(a, a.Instances-len(ts))
}

// scaleAll is the periodic scale check of everything that exists.
func (c *Core) scaleAll() {
	seen := map[string]bool{}
	for id := range c.root.Apps {
		seen[id] = true
	}
	for _, t := range c.tasks {
		seen[t.AppID] = true
	}
	for id := range seen {
		c.evaluate(id)
	}
}

// reconcile asks Mesos for the state of every task that has one, and then
// for all it knows (contracts 4). Agents are not named: a master that has
// just started would take tasks of agents it does not know yet for lost.
func (c *Core) reconcile() {
	if c.master == "" {
		return
	}
	known := map[string]string{}
	for _, t := range c.tasks {
		if t.State != "" {
			known[t.ID] = ""
		}
	}
	if len(known) > 0 {
		c.Mesos.Send(calls.Reconcile(calls.ReconcileTasks(known)))
	}
	c.Mesos.Send(calls.Reconcile())
}
