package cluster

import (
	"cmp"
	"slices"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/mini/mesos/master/resource"
)

type taskKey struct{ framework, task string }

// task is a task from its launch until its last state was acknowledged.
// State is the latest known; StatusUpdateState and StatusUpdateUUID are
// those of the update last forwarded to the scheduler.
type task struct {
	mesos.Task
	seq       int
	fw        *framework
	agent     *agent
	role      string
	resources resource.Set
}

func (t *task) came() int { return t.seq }

func (t *task) key() taskKey { return taskKey{t.fw.id, t.TaskID.Value} }

func tasksInOrder(m map[taskKey]*task) []*task {
	list := make([]*task, 0, len(m))
	for _, t := range m {
		list = append(list, t)
	}
	slices.SortFunc(list, func(x, y *task) int { return cmp.Compare(x.seq, y.seq) })
	return list
}

func terminal(s mesos.TaskState) bool {
	switch s {
	case mesos.TASK_FINISHED, mesos.TASK_FAILED, mesos.TASK_KILLED, mesos.TASK_LOST, mesos.TASK_ERROR,
		mesos.TASK_DROPPED, mesos.TASK_GONE, mesos.TASK_GONE_BY_OPERATOR:
		return true
	}
	return false
}

// newTask makes the master's record of a task being launched.
func (c *Cluster) newTask(f *framework, a *agent, role string, info *mesos.TaskInfo, r resource.Set) *task {
	t := &task{
		Task: mesos.Task{
			Name: info.Name, TaskID: info.TaskID, FrameworkID: mesos.FrameworkID{Value: f.id},
			AgentID: mesos.AgentID{Value: a.id}, State: mesos.TASK_STAGING.Enum(), Resources: info.Resources,
			Labels: info.Labels, Discovery: info.Discovery, Container: info.Container, // 1.3.2 keeps no more
		},
		seq: c.seq(), fw: f, agent: a, role: role, resources: r,
	}
	if info.Command != nil {
		t.User = info.Command.User
	}
	return t
}

func (c *Cluster) enter(t *task) {
	t.fw.tasks[t.TaskID.Value] = t
	t.agent.tasks[t.key()] = t
}

// release gives a task's resources back, once.
func (c *Cluster) release(t *task) {
	if !t.resources.Empty() && !terminal(*t.State) {
		c.alloc.Recover(t.agent.id, t.fw.id, t.role, t.resources, 0, time.Now())
	}
}

// forget moves a task to the framework's completed ones.
func (c *Cluster) forget(t *task) {
	delete(t.fw.tasks, t.TaskID.Value)
	delete(t.agent.tasks, t.key())
	delete(t.agent.killed, t.key())
	v := TaskView{Task: t.Task, Role: t.role}
	if *t.State == mesos.TASK_UNREACHABLE {
		t.fw.unreachable = append(t.fw.unreachable, v)
		if n := len(t.fw.unreachable) - c.o.MaxUnreachableTasks; n > 0 {
			t.fw.unreachable = slices.Delete(t.fw.unreachable, 0, n)
		}
		return
	}
	t.fw.complete(v, c.o.MaxCompletedTasks)
}

// record adds a status. One of the same state as the last replaces it, as
// health checks repeat TASK_RUNNING.
func (t *task) record(s mesos.TaskStatus) {
	s.Data = nil
	list := t.Statuses
	if n := len(list); n > 0 && *list[n-1].State == *s.State {
		list = list[: n-1 : n-1] // the append below copies: views share the old one
	}
	t.Statuses = append(list, s)
}

// lose ends a task that the master can say nothing more about.
func (c *Cluster) lose(t *task, state mesos.TaskState, reason mesos.TaskStatus_Reason, message string, unreachable *time.Time) {
	s := c.masterStatus(t.TaskID, ptr(t.AgentID), state, reason, message)
	if unreachable != nil {
		s.UnreachableTime = &mesos.TimeInfo{Nanoseconds: unreachable.UnixNano()}
	}
	c.release(t)
	if !terminal(*t.State) {
		t.State = &state
		if state == mesos.TASK_LOST {
			c.count("tasks_lost")
		}
	}
	t.record(s)
	c.tellUpdate(t, s)
	c.forget(t)
	t.fw.send(updateEvent(s))
}
