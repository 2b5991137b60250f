package core

import (
	"context"
	"slices"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"github.com/mesoslab/lab/mini/marathon/event"
	"github.com/mesoslab/lab/mini/marathon/record"
	"github.com/mesoslab/lab/mini/marathon/scheduler"
	"github.com/mesoslab/lab/mini/marathon/task"
)

// killRetry is how often an unanswered kill is repeated (1.1.1: 15 s).
const killRetry = 15 * time.Second

var _ scheduler.Handler = (*Core)(nil)

// add takes in a task that is not older than the others of its app.
func (c *Core) add(t *task.Task) {
	c.tasks[t.ID] = t
	ts := c.byApp[t.AppID]
	if n := len(ts); n > 0 && task.ByAge(ts[n-1], t) > 0 { // the clock went back
		i, _ := slices.BinarySearchFunc(ts, t, task.ByAge)
		c.byApp[t.AppID] = slices.Insert(ts, i, t)
		return
	}
	c.byApp[t.AppID] = append(ts, t)
}

// forget drops a task that is over.
func (c *Core) forget(t *task.Task) {
	delete(c.tasks, t.ID)
	ts := c.byApp[t.AppID]
	if i := slices.Index(ts, t); i >= 0 {
		c.byApp[t.AppID] = slices.Delete(ts, i, i+1)
	}
	if len(c.byApp[t.AppID]) == 0 {
		delete(c.byApp, t.AppID)
	}
}

// tasksOf lists an app's tasks, oldest first.
func (c *Core) tasksOf(appID string) []*task.Task { return slices.Clone(c.byApp[appID]) }

// kill asks Mesos to end a task, and again every killRetry until it has.
func (c *Core) kill(t *task.Task, why string) {
	if t.Doomed() && time.Since(t.KillAsked) < killRetry {
		return
	}
	if !t.Doomed() {
		c.Log("kill %s: %s", t.ID, why)
	}
	t.KillAsked = time.Now()
	c.Mesos.Send(calls.Kill(t.ID, t.AgentID))
}

func (c *Core) repeatKills() {
	for _, t := range c.tasks {
		if t.Doomed() {
			c.kill(t, "again")
		}
	}
}

// killOverdue ends tasks that do not come up (contracts 4).
func (c *Core) killOverdue() {
	for _, t := range c.tasks {
		age := time.Since(t.StagedAt.Time)
		switch {
		case t.Running() || t.Doomed():
		case t.State == "TASK_STAGING" && age > c.cfg.LaunchTimeout:
			c.kill(t, "not running within the launch time-out")
		case t.State != "TASK_STAGING" && age > c.cfg.ConfirmTimeout:
			c.kill(t, "not confirmed within the time-out")
		}
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

// Subscribed notes who leads Mesos and asks for offers.
func (c *Core) Subscribed(_ context.Context, frameworkID, master string) {
	if !c.enter() {
		return
	}
	defer c.leave()
	c.Log("subscribed at %s as %s", master, frameworkID)
	if c.frameworkID != frameworkID {
		c.frameworkID = frameworkID
		c.book.KeepText(c.ctx, record.FrameworkKey, frameworkID)
	}
	c.master = master
	if c.registered {
		c.Bus.Publish("scheduler_reregistered_event", event.Reregistered{Master: master})
	} else {
		c.registered = true
		c.Bus.Publish("scheduler_registered_event", event.Registered{FrameworkID: frameworkID, Master: master})
	}
	for _, t := range c.tasks {
		if t.Doomed() { // the kill may have gone to the master that is no more
			t.KillAsked = time.Now().Add(-killRetry)
			c.kill(t, "again")
		}
	}
	c.wantOffers()
}

// Disconnected notes that nobody listens.
func (c *Core) Disconnected() {
	if !c.enter() {
		return
	}
	defer c.leave()
	c.Log("disconnected from %s", c.master)
	c.master = ""
	c.Bus.Publish("scheduler_disconnected_event", struct{}{})
	if c.Deps.Disconnected != nil {
		c.Deps.Disconnected()
	}
}

// Rescinded needs no answer: offers are never held.
func (c *Core) Rescinded(mesos.OfferID) {}

// Message passes on what an executor has to say.
func (c *Core) Message(agent mesos.AgentID, executor mesos.ExecutorID, data []byte) {
	numbers := make([]int, len(data))
	for i, b := range data {
		numbers[i] = int(int8(b))
	}
	c.Bus.Publish("framework_message_event", event.FrameworkMessage{ExecutorID: executor.Value, SlaveID: agent.Value, Message: numbers})
}

// AgentLost is only noted: Mesos sends TASK_LOST for each task.
func (c *Core) AgentLost(id mesos.AgentID) { c.Log("agent %s is gone", id.Value) }

// Undelivered gives up on a call. Tasks of a launch that did not get
// through are lost, as the classic driver reports them.
func (c *Core) Undelivered(call *scheduler.Call) {
	for _, op := range call.GetAccept().GetOperations() {
		for _, info := range op.GetLaunch().GetTaskInfos() {
			state, agent := mesos.TASK_LOST, info.AgentID
			message := "the launch did not reach the master"
			c.Update(c.ctx, mesos.TaskStatus{TaskID: info.TaskID, State: &state, AgentID: &agent, Message: &message})
		}
	}
}

// Fatal ends it all.
func (c *Core) Fatal(message string) {
	if !c.enter() {
		return
	}
	defer c.leave()
	c.Log("mesos says: %s", message)
	removed := message == "Framework has been removed"
	if removed {
		c.book.Drop(c.ctx, record.FrameworkKey)
	}
	if c.Deps.Fatal != nil {
		c.Deps.Fatal(message, removed)
	}
}
