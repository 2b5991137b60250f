package core

import (
	"github.com/mesoslab/lab/mini/marathon/app"
	"github.com/mesoslab/lab/mini/marathon/task"
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
	c.queue.Drop(appID)
	for _, t := range c.tasksOf(appID) {
		c.kill(t, "its app does not exist")
	}
}

// scaleTo queues what is missing and kills what is too much. Tasks that are
// being killed count until they are gone: their places are not given away
// early.
func (c *Core) scaleTo(a app.App) {
	ts := c.tasksOf(a.ID)
	standing := task.Standing(ts)
	if len(standing) > a.Instances {
		c.queue.Drop(a.ID)
		for _, t := range task.Surplus(a, standing, len(standing)-a.Instances) {
			c.kill(t, "too many instances")
		}
		return
	}
	c.enqueue(a, a.Instances-len(ts))
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
