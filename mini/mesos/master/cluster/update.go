package cluster

import (
	"bytes"
	"slices"
	"strings"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/mesoslab/lab/mini/mesos/wire"
)

// statusUpdate forwards an agent's update and takes note of it. Without a
// scheduler it is not forwarded; the agent sends it again.
func (c *Cluster) statusUpdate(a *agent, m *wire.StatusUpdate) {
	c.count("messages_status_update")
	s := m.Status.V
	f := c.frameworks[m.FrameworkID]
	if f == nil || s.State == nil || len(s.UUID) == 0 {
		c.count("invalid_status_updates")
		c.o.Logf("agent %s: update of task %s of framework %s ignored", a.id, s.TaskID.Value, m.FrameworkID)
		return
	}
	c.count("valid_status_updates")
	if s.AgentID == nil {
		s.AgentID = &mesos.AgentID{Value: a.id}
	}
	f.send(updateEvent(s))
	t := a.tasks[taskKey{f.id, s.TaskID.Value}]
	if t == nil {
		return // over already; the scheduler must still acknowledge it
	}
	latest := m.LatestState
	if latest == mesos.TASK_STARTING { // also what an unset field reads as
		latest = *s.State
	}
	changed := !terminal(*t.State) && *t.State != latest
	if !terminal(*t.State) {
		if terminal(latest) {
			c.release(t)
			c.count(strings.ToLower(strings.Replace(latest.String(), "TASK_", "tasks_", 1)))
		}
		t.State = &latest
	}
	t.StatusUpdateState, t.StatusUpdateUUID = s.State, s.UUID
	t.record(s)
	if changed {
		c.tellUpdate(t, s)
	}
}

// acknowledge passes an acknowledgement on, and forgets the task if it was
// for its last state.
func (c *Cluster) acknowledge(f *framework, call *scheduler.Call_Acknowledge) {
	a := c.agents[call.AgentID.Value]
	if a == nil || !a.connected() {
		c.count("invalid_status_update_acknowledgements")
		c.o.Logf("acknowledgement of task %s dropped: agent %s is not connected", call.TaskID.Value, call.AgentID.Value)
		return
	}
	if t := a.tasks[taskKey{f.id, call.TaskID.Value}]; t != nil && t.StatusUpdateState != nil &&
		terminal(*t.StatusUpdateState) && bytes.Equal(t.StatusUpdateUUID, call.UUID) {
		c.forget(t)
	}
	c.count("valid_status_update_acknowledgements")
	a.send(&wire.Ack{FrameworkID: f.id, TaskID: call.TaskID.Value, UUID: call.UUID})
}

func (c *Cluster) kill(f *framework, call *scheduler.Call_Kill) {
	id := call.TaskID.Value
	t := f.tasks[id]
	if t == nil {
		c.reconcileOne(f, call.TaskID, call.AgentID)
		return
	}
	if call.AgentID != nil && call.AgentID.Value != t.agent.id {
		c.o.Logf("kill of task %s on agent %s ignored: it runs on %s", id, call.AgentID.Value, t.agent.id)
		return
	}
	g := grace(call.KillPolicy)
	// Kept until the task is over: an agent that is away, or whose connection
	// breaks under the message, hears of it when it is back.
	t.agent.killed[t.key()] = g
	t.agent.send(&wire.KillTask{FrameworkID: f.id, TaskID: id, GracePeriod: g})
}

// reconcile answers with what is known: of all tasks if none is named.
func (c *Cluster) reconcile(f *framework, tasks []scheduler.Call_Reconcile_Task) {
	if len(tasks) == 0 {
		for _, t := range inOrder(f.tasks) {
			c.sendLatest(t)
		}
		return
	}
	for i := range tasks {
		c.reconcileOne(f, tasks[i].TaskID, tasks[i].AgentID)
	}
}

func (c *Cluster) reconcileOne(f *framework, id mesos.TaskID, agent *mesos.AgentID) {
	if t := f.tasks[id.Value]; t != nil {
		c.sendLatest(t)
		return
	}
	aware := f.partitionAware() && c.o.Compat != V026
	state, why := mesos.TASK_LOST, "Reconciliation: Task is unknown"
	if aware {
		state = mesos.TASK_UNKNOWN
	}
	s := c.masterStatus(id, agent, state, mesos.REASON_RECONCILIATION, why)
	if agent == nil {
		if len(c.reg.recovered) > 0 {
			return // it may be on an agent that has not come back yet
		}
		f.send(updateEvent(s))
		return
	}
	since, unreachable := c.reg.unreachable[agent.Value]
	_, recovering := c.reg.recovered[agent.Value]
	switch {
	case c.agents[agent.Value] != nil:
		s.Message = ptr(why + c.word(" to the slave", " to the agent"))
		if aware {
			s.State = mesos.TASK_GONE.Enum()
		}
	case recovering:
		return
	case unreachable:
		s.Message = ptr("Reconciliation: Task is unreachable")
		s.UnreachableTime = &mesos.TimeInfo{Nanoseconds: since.UnixNano()}
		if aware {
			s.State = mesos.TASK_UNREACHABLE.Enum()
		}
	}
	f.send(updateEvent(s))
}

// sendLatest sends a task's state as far as the scheduler was told of it.
func (c *Cluster) sendLatest(t *task) {
	state := *t.State
	if t.StatusUpdateState != nil {
		state = *t.StatusUpdateState
	}
	s := c.masterStatus(t.TaskID, ptr(t.AgentID), state, mesos.REASON_RECONCILIATION, "Reconciliation: Latest task state")
	for _, last := range slices.Backward(t.Statuses) {
		if *last.State == state {
			s.Healthy, s.ContainerStatus, s.Labels = last.Healthy, last.ContainerStatus, last.Labels
			break
		}
	}
	t.fw.send(updateEvent(s))
}
