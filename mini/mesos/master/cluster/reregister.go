package cluster

import (
	"fmt"
	"slices"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/mini/mesos/master/allocator"
	"github.com/mesoslab/lab/mini/mesos/master/resource"
	"github.com/mesoslab/lab/mini/mesos/wire"
)

func (c *Cluster) reregister(l Link, m *wire.Reregister) error {
	info := m.Agent.V
	if info.ID == nil || info.ID.Value == "" {
		return fmt.Errorf("reregister: no agent id")
	}
	id := info.ID.Value
	if why := badID(id); why != "" {
		return fmt.Errorf("reregister: agent id: %s", why)
	}
	if other := c.links[l]; other != nil && other.id != id {
		return fmt.Errorf("reregister %s: already registered as %s", id, other.id)
	}
	reserved := m.Reserved
	known := c.agents[id]
	if known != nil { // the last word on reservations may not have come through
		reserved = wire.All(known.total.Kept().Proto(""))
	}
	total, err := totalOf(info, reserved)
	if err != nil {
		return fmt.Errorf("reregister %s: %w", id, err)
	}
	if c.removed[id] {
		c.o.Logf("agent %s attempted to re-register after removal: shutting it down", id)
		c.reg.say(func() {
			l.Send(&wire.Shutdown{Message: c.word("Slave", "Agent") + " attempted to re-register after removal"})
		})
		return nil
	}
	if c.refuseDown(l, info.Hostname, m.PID) {
		return nil
	}
	// A master that took over has reported no tasks of it lost.
	wasLost := c.lostHere[id]
	a := known
	if a != nil {
		c.relink(a, l, m, total)
	} else {
		a = c.addAgent(l, id, info, m.PID, m.Version, m.Checkpoint, total)
		a.reregistered = time.Now()
		delete(c.lostHere, id)
		c.admit(a)
		c.tellAdded(a)
	}
	c.count("messages_reregister_slave")
	c.count("slave_reregistrations")
	c.o.Logf("re-registered agent %s at %s (%s), %d tasks", id, m.PID, info.Hostname, len(m.Tasks))
	stop := c.adoptFrameworks(m, wasLost)
	missing := c.adoptTasks(a, m.Tasks, stop)
	a.send(&wire.Reregistered{AgentID: id, TotalPingTimeout: c.totalPingTimeout(), Reconcile: missing})
	if known != nil {
		a.sendReserved()
	}
	for _, f := range m.Frameworks {
		if id := f.V.GetID().GetValue(); stop[id] {
			a.send(&wire.ShutdownFramework{FrameworkID: id})
		}
	}
	c.rememberCompleted(m.Completed)
	c.repeatKills(a)
	c.allocate(id)
	return nil
}

// relink gives a known agent its new connection.
func (c *Cluster) relink(a *agent, l Link, m *wire.Reregister, total resource.Set) {
	if a.link != nil && a.link != l { // the old one was not seen to break
		old := a.link
		delete(c.links, old)
		c.reg.say(old.Close)
		c.rescindAll(a)
	}
	id := a.info.ID
	a.info, a.pid, a.version, a.checkpoint, a.total = m.Agent.V, m.PID, m.Version, m.Checkpoint, total
	a.info.ID = id
	a.link, a.reregistered = l, time.Now()
	a.ponged, a.timeouts = true, 0
	c.links[l] = a
	c.alloc.AddAgent(allocator.Agent{ID: a.id, Total: total, Checkpoint: m.Checkpoint})
}

// adoptFrameworks learns of frameworks that a former master had, and returns
// those that must not run on this agent any more.
func (c *Cluster) adoptFrameworks(m *wire.Reregister, wasLost bool) (stop map[string]bool) {
	stop = map[string]bool{}
	for _, f := range m.Frameworks {
		id := f.V.GetID().GetValue()
		known := c.frameworks[id]
		switch {
		case badID(id) != "" || c.isCompleted(id):
			stop[id] = true
		case known == nil && !runs(m.Tasks, id):
			// Its tasks have ended. Nothing of it is left to be recovered (in
			// 0.26 the master drops what such an agent still remembers).
		case known == nil:
			c.recoverFramework(f.V)
		case wasLost && !known.partitionAware():
			stop[id] = true // its tasks were reported lost: let them be it
		}
	}
	return stop
}

// runs says whether a framework has a task among those of an agent.
func runs(tasks []wire.Task, framework string) bool {
	return slices.ContainsFunc(tasks, func(t wire.Task) bool { return t.V.FrameworkID.Value == framework })
}

// adoptTasks makes the master's and the agent's idea of the tasks one, and
// returns those the agent did not list.
func (c *Cluster) adoptTasks(a *agent, tasks []wire.Task, stop map[string]bool) (missing []wire.TaskRef) {
	listed := map[taskKey]bool{}
	for i := range tasks {
		t := &tasks[i].V
		k := taskKey{t.FrameworkID.Value, t.TaskID.Value}
		listed[k] = true
		f := c.frameworks[k.framework]
		if f == nil || stop[k.framework] || a.tasks[k] != nil {
			continue
		}
		if f.lost(k.task, a.id) || f.tasks[k.task] != nil {
			// Reported lost when the connection broke, or running elsewhere
			// under the same id by now: it may not go on.
			a.send(&wire.KillTask{FrameworkID: k.framework, TaskID: k.task})
			continue
		}
		f.forgetUnreachable(k.task)
		c.adoptTask(a, f, t)
	}
	for _, t := range tasksInOrder(a.tasks) {
		if !listed[t.key()] {
			missing = append(missing, wire.TaskRef{FrameworkID: t.key().framework, TaskID: t.key().task})
		}
	}
	return missing
}

func (c *Cluster) adoptTask(a *agent, f *framework, info *mesos.Task) {
	r, err := resource.FromProto(info.Resources)
	if err != nil || info.State == nil {
		c.o.Logf("agent %s: task %s cannot be taken over: state %v, %v", a.id, info.TaskID.Value, info.State, err)
		return
	}
	t := &task{Task: *info, seq: c.seq(), fw: f, agent: a, role: f.roles()[0], resources: r}
	if !terminal(*t.State) {
		if free := c.alloc.Free(a.id); !free.Contains(r) {
			c.o.Logf("agent %s: task %s uses %s, only %s free: not taken over", a.id, t.key().task, r, free)
			a.send(&wire.KillTask{FrameworkID: f.id, TaskID: t.key().task})
			return
		}
		c.alloc.Hold(a.id, f.id, t.role, r)
	}
	c.enter(t)
}

// rememberCompleted takes over ended tasks that only the agent remembers.
func (c *Cluster) rememberCompleted(tasks []wire.Task) {
	for i := range tasks {
		t := tasks[i].V
		f := c.frameworks[t.FrameworkID.Value]
		if f != nil && t.State != nil && f.tasks[t.TaskID.Value] == nil && !f.completedTask(t.TaskID.Value, t.AgentID.Value) {
			f.complete(TaskView{Task: t, Role: f.roles()[0]}, c.o.MaxCompletedTasks)
		}
	}
}

// repeatKills sends the kills again that the agent may not have got.
func (c *Cluster) repeatKills(a *agent) {
	for k, grace := range a.killed {
		if a.tasks[k] != nil {
			a.send(&wire.KillTask{FrameworkID: k.framework, TaskID: k.task, GracePeriod: grace})
		} else {
			delete(a.killed, k)
		}
	}
}
