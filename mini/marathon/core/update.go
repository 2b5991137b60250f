package core

import (
	"context"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"github.com/mesoslab/lab/mini/marathon/event"
	"github.com/mesoslab/lab/mini/marathon/record"
	"github.com/mesoslab/lab/mini/marathon/task"
)

// terminal maps Mesos' states that end a task to what 1.1.1 calls them: all
// the ways of being away are TASK_LOST to a framework that is not partition
// aware.
var terminal = map[mesos.TaskState]string{
	mesos.TASK_FINISHED: "TASK_FINISHED", mesos.TASK_FAILED: "TASK_FAILED", mesos.TASK_KILLED: "TASK_KILLED",
	mesos.TASK_ERROR: "TASK_ERROR", mesos.TASK_LOST: "TASK_LOST", mesos.TASK_DROPPED: "TASK_LOST",
	mesos.TASK_UNREACHABLE: "TASK_LOST", mesos.TASK_GONE: "TASK_LOST", mesos.TASK_GONE_BY_OPERATOR: "TASK_LOST",
	mesos.TASK_UNKNOWN: "TASK_LOST",
}

// Update takes in a task's state and acknowledges it once it is written
// down. A task nobody knows is killed, unless it is over.
func (c *Core) Update(_ context.Context, s mesos.TaskStatus) {
	if !c.enter() {
		return
	}
	defer c.leave()
	t := c.tasks[s.TaskID.Value]
	end, over := terminal[s.GetState()]
	saved := true
	switch {
	case t == nil:
		if !over {
			c.Log("kill %s: it is not known here", s.TaskID.Value)
			c.Mesos.Send(calls.Kill(s.TaskID.Value, s.GetAgentID().GetValue()))
		}
		saved = c.book.Settled(record.TaskKey(s.TaskID.Value)) // its end may not be written down yet
	case over:
		saved = c.taskEnded(t, s, end)
	default:
		saved = c.taskMoved(t, s)
	}
	if saved && len(s.UUID) > 0 {
		c.Mesos.Send(calls.Acknowledge(s.GetAgentID().GetValue(), s.TaskID.Value, s.UUID))
	}
}

// taskMoved records a step towards running, or a health result of the
// executor.
func (c *Core) taskMoved(t *task.Task, s mesos.TaskStatus) (saved bool) {
	before := t.State
	t.State = s.GetState().String()
	first := s.GetState() == mesos.TASK_RUNNING && !t.Running()
	if ips := task.Addresses(s); ips != nil {
		t.IPAddresses = ips
	}
	if first {
		t.StartedAt = task.StartTime(s)
	}
	saved = c.book.Settled(record.TaskKey(t.ID)) // it may be an update that comes again
	if first || t.State != before {
		saved = c.book.Keep(c.ctx, record.TaskKey(t.ID), t)
	}
	if first {
		c.tokens = min(c.tokens+1, c.cfg.LaunchTokens)
		if c.tokens == 1 {
			c.wantOffers()
		}
		c.publishStatus(t, s, "TASK_RUNNING")
		c.startReadiness(t)
	}
	if s.Healthy != nil {
		c.commandResult(t, *s.Healthy, s.GetMessage())
	}
	c.evaluate(t.AppID)
	return saved
}

// taskEnded forgets a task and sees to what its end calls for.
func (c *Core) taskEnded(t *task.Task, s mesos.TaskStatus, state string) (saved bool) {
	c.forget(t)
	delete(c.readiness, t.ID)
	saved = c.book.Drop(c.ctx, record.TaskKey(t.ID))
	c.Log("%s is %s: %s", t.ID, state, s.GetMessage())
	c.publishStatus(t, s, state)
	a, known := c.root.Apps[t.AppID]
	if known && state != "TASK_KILLED" {
		c.Log("back-off of %s is %v", a.ID, c.queue.Failed(a, t.ConfigVersion))
	}
	if known && (state == "TASK_FAILED" || state == "TASK_LOST" || state == "TASK_ERROR") {
		f := task.Failure{AppID: t.AppID, Host: t.Host, Message: s.GetMessage(), State: state, TaskID: t.ID,
			Timestamp: now(), Version: t.Version, SlaveID: &t.AgentID}
		c.failures[t.AppID] = f
		c.book.Keep(c.ctx, record.FailureKey(t.AppID), f)
	}
	if known && !t.Runs(a) {
		c.stopUnusedChecks(t.AppID)
	}
	c.evaluate(t.AppID)
	return saved
}

func (c *Core) publishStatus(t *task.Task, s mesos.TaskStatus, state string) {
	c.Bus.Publish(event.StatusUpdate, event.Status{SlaveID: t.AgentID, TaskID: t.ID, TaskStatus: state, Message: s.GetMessage(),
		AppID: t.AppID, Host: t.Host, IPAddresses: t.IPAddresses, Ports: t.Ports, Version: t.Version})
}
