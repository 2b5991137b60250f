package cluster

import (
	mesos "github.com/mesos/mesos-go/api/v1/lib"
)

// Change is one thing that happened; exactly one field is set. These are the
// changes of which Mesos 1.3.2 tells its operators (captures-mesos, operator
// stream): none for frameworks, none for an agent that becomes unreachable.
type Change struct {
	AgentAdded   *AgentView
	AgentRemoved string // its id
	TaskAdded    *TaskView
	TaskUpdated  *TaskUpdate
}

// TaskUpdate is a task's change of state. State is the latest known and may
// be ahead of Status.
type TaskUpdate struct {
	FrameworkID string
	Status      mesos.TaskStatus
	State       mesos.TaskState
}

// Observer hears of changes. Changed must not block: it is called with the
// cluster's lock held. Close lets what was told go out first.
type Observer interface {
	Changed(Change)
	Close()
}

// Observe calls first with the present state and then tells o of every
// change after it, until Unobserve or the cluster's end.
func (c *Cluster) Observe(o Observer, first func(Snapshot)) {
	c.lock()
	defer c.mu.Unlock()
	if c.closed {
		o.Close()
		return
	}
	first(c.snapshot())
	c.observers[o] = true
}

// Unobserve ends what Observe began.
func (c *Cluster) Unobserve(o Observer) {
	c.lock()
	defer c.mu.Unlock()
	delete(c.observers, o)
}

// tell tells every observer; make is called only if there is one.
func (c *Cluster) tell(make func() Change) {
	if len(c.observers) == 0 {
		return
	}
	change := make()
	for o := range c.observers {
		c.reg.say(func() { o.Changed(change) })
	}
}

func (c *Cluster) tellUpdate(t *task, s mesos.TaskStatus) {
	c.tell(func() Change {
		return Change{TaskUpdated: &TaskUpdate{FrameworkID: t.fw.id, Status: s, State: *t.State}}
	})
}
