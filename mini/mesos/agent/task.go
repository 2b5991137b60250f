package agent

import (
	"context"
	"path"
	"strings"
	"time"

	"github.com/google/uuid"
	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/mini/mesos/agent/docker"
	"github.com/mesoslab/lab/mini/mesos/agent/meta"
	"github.com/mesoslab/lab/mini/mesos/agent/updates"
	"github.com/mesoslab/lab/mini/mesos/wire"
)

// containerPrefix begins the names of Mesos' containers (contracts, 9).
const containerPrefix = "mesos-"

// task is one task of this agent, until its last update is acknowledged; then
// it is only remembered in framework.completed.
type task struct {
	ref       wire.TaskRef
	info      mesos.TaskInfo
	container string // the id Mesos gives it
	name      string // the name the engine, or the launcher, knows it by
	in        container
	sandbox   string // as the container sees paths
	state     mesos.TaskState
	statuses  []mesos.TaskStatus // oldest first, of a run of equal states the last
	place     docker.Info        // where it runs, once it does
	since     time.Time          // when it was seen running

	killed    bool // its end was asked for
	unhealthy bool // by its health check
	silent    bool // nobody wants its updates any more
	live      bool // a container may exist, and somebody waits for its end
	grace     time.Duration

	ctx    context.Context // of launch and health checks
	cancel context.CancelCauseFunc
	over   chan struct{} // closed when nobody waits for the container any more
}

func (a *agent) newTask(framework string, info mesos.TaskInfo, container string) *task {
	t := &task{
		ref:       wire.TaskRef{FrameworkID: framework, TaskID: info.TaskID.Value},
		info:      info,
		container: container,
		name:      containerPrefix + a.id() + "." + container,
		state:     mesos.TASK_STAGING,
		over:      make(chan struct{}),
	}
	t.sandbox = path.Join(a.cfg.WorkDir, "slaves", a.id(), "frameworks", framework,
		"executors", t.ref.TaskID, "runs", container)
	t.ctx, t.cancel = context.WithCancelCause(a.ctx)
	t.in = a.containerOf(t)
	return t
}

// remember writes the task, with what is still to be acknowledged, to disk.
func (a *agent) remember(t *task) error { return a.store.SaveTask(a.id(), a.record(t)) }

func (a *agent) record(t *task) meta.Task {
	r := meta.Task{
		Framework: t.ref.FrameworkID,
		Info:      wire.Of(t.info),
		Container: t.container,
		State:     t.state.String(),
		Killed:    t.killed,
		Unhealthy: t.unhealthy,
	}
	for _, s := range t.statuses {
		r.Statuses = append(r.Statuses, wire.Of(s))
	}
	if st := a.streams[t.ref]; st != nil {
		for _, s := range st.Pending {
			r.Pending = append(r.Pending, wire.Of(s))
		}
	}
	return r
}

// change is what a status says besides the state.
type change struct {
	state   mesos.TaskState
	message string
	source  mesos.TaskStatus_Source
	reason  mesos.TaskStatus_Reason // 0 for none
	healthy *bool
	data    []byte
}

// executor is a change that the real agent's executor would report.
func executor(state mesos.TaskState, message string) change {
	return change{state: state, message: message, source: mesos.SOURCE_EXECUTOR}
}

// status makes the update for a change.
func (a *agent) status(ref wire.TaskRef, c change) mesos.TaskStatus {
	id := uuid.New()
	now := seconds(time.Now())
	s := mesos.TaskStatus{
		TaskID:     mesos.TaskID{Value: ref.TaskID},
		State:      c.state.Enum(),
		Source:     c.source.Enum(),
		AgentID:    &mesos.AgentID{Value: a.id()},
		ExecutorID: &mesos.ExecutorID{Value: ref.TaskID},
		Timestamp:  &now,
		UUID:       id[:],
		Healthy:    c.healthy,
		Data:       c.data,
	}
	if c.message != "" {
		s.Message = &c.message
	}
	if c.reason != 0 {
		s.Reason = c.reason.Enum()
	}
	return s
}

// report is told to the scheduler and remembered. After a terminal state
// nothing more is reported.
func (a *agent) report(t *task, c change) {
	if updates.Terminal(t.state) {
		return
	}
	s := a.status(t.ref, c)
	s.ContainerStatus = a.containerStatus(t)
	if ips := t.place.IPs; len(ips) > 0 && c.source == mesos.SOURCE_EXECUTOR {
		key := "Docker.NetworkSettings.IPAddress"
		s.Labels = &mesos.Labels{Labels: []mesos.Label{{Key: key, Value: &ips[0]}}}
	}
	t.state = c.state
	// As Mesos does, of several updates of one state the last is kept.
	if n := len(t.statuses); n > 0 && t.statuses[n-1].GetState() == c.state {
		t.statuses = t.statuses[:n-1]
	}
	// And without data, which may be large.
	kept := s
	kept.Data = nil
	t.statuses = append(t.statuses, kept)
	if t.silent {
		return
	}
	a.counts.update(c.state)
	a.enqueue(t.ref, s)
	if err := a.remember(t); err != nil {
		a.fail(err)
		return
	}
	a.log.infof("Task %s of framework %s is %s%s", t.ref.TaskID, t.ref.FrameworkID, c.state, suffix(c.message))
	a.forward(a.streams[t.ref], true)
}

func suffix(message string) string {
	if message == "" {
		return ""
	}
	return ": " + message
}

// containerStatus says where the task's container is to be reached: at the
// agent's address unless it has its own.
func (a *agent) containerStatus(t *task) *mesos.ContainerStatus {
	cs := &mesos.ContainerStatus{ContainerID: &mesos.ContainerID{Value: t.container}}
	if t.place.PID > 0 {
		pid := uint32(t.place.PID)
		cs.ExecutorPID = &pid
	}
	ips := t.place.IPs
	if len(ips) == 0 && t.info.GetContainer().GetDocker().GetNetwork() != mesos.ContainerInfo_DockerInfo_NONE {
		ips = []string{a.ip.String()}
	}
	if len(ips) > 0 {
		var n mesos.NetworkInfo
		for _, ip := range ips {
			n.IPAddresses = append(n.IPAddresses, mesos.NetworkInfo_IPAddress{IPAddress: &ip})
		}
		cs.NetworkInfos = []mesos.NetworkInfo{n}
	}
	return cs
}

// executorName is what the real agent calls the command executor of a task
// (1.3, Slave::getExecutorInfo).
func executorName(t mesos.TaskInfo) string {
	clip := func(s string) string {
		if len(s) > 15 {
			return s[:12] + "..."
		}
		return s
	}
	c := t.GetCommand()
	what := "NO EXECUTABLE"
	switch {
	case c.GetShell() && c.GetValue() == "":
		what = "NO COMMAND"
	case c.GetShell():
		what = "sh -c '" + clip(c.GetValue()) + "'"
	case c.GetValue() != "":
		what = "[" + clip(strings.Join(append([]string{c.GetValue()}, c.Arguments...), ", ")) + "]"
	}
	return "Command Executor (Task: " + t.TaskID.Value + ") (Command: " + what + ")"
}

// snapshot is the task as the master and /state know it.
func (a *agent) snapshot(t *task) mesos.Task {
	out := mesos.Task{
		Name:        t.info.Name,
		TaskID:      t.info.TaskID,
		FrameworkID: mesos.FrameworkID{Value: t.ref.FrameworkID},
		AgentID:     t.info.AgentID,
		State:       t.state.Enum(),
		Resources:   t.info.Resources,
		Statuses:    t.statuses,
		Labels:      t.info.Labels,
		Discovery:   t.info.Discovery,
		Container:   t.info.Container,
		HealthCheck: t.info.HealthCheck,
		KillPolicy:  t.info.KillPolicy,
	}
	if st := a.streams[t.ref]; st != nil && len(st.Pending) > 0 {
		out.StatusUpdateState, out.StatusUpdateUUID = st.Pending[0].State, st.Pending[0].UUID
	} else if n := len(t.statuses); n > 0 {
		out.StatusUpdateState, out.StatusUpdateUUID = t.statuses[n-1].State, t.statuses[n-1].UUID
	}
	return out
}
