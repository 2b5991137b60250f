package agent

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/mini/mesos/agent/config"
	"github.com/mesoslab/lab/mini/mesos/agent/docker"
	"github.com/mesoslab/lab/mini/mesos/agent/health"
	"github.com/mesoslab/lab/mini/mesos/agent/meta"
	"github.com/mesoslab/lab/mini/mesos/agent/updates"
	"github.com/mesoslab/lab/mini/mesos/wire"
)

// Why a launch was ended before its container ran.
var (
	errKilled  = errors.New("the task was killed")
	errTimeout = errors.New("executor registration timeout")
)

// runTask is the master's order to start a task.
func (a *agent) runTask(fi mesos.FrameworkInfo, ti mesos.TaskInfo) {
	fid := fi.GetID().GetValue()
	ref := wire.TaskRef{FrameworkID: fid, TaskID: ti.TaskID.Value}
	if ti.AgentID.Value != a.id() {
		a.log.warningf("Ignoring task %s: it is for agent %s", ref.TaskID, ti.AgentID.Value)
		return
	}
	if a.tasks[ref] != nil || a.streams[ref] != nil {
		a.log.warningf("Ignoring task %s: one of this id is here already", ref.TaskID)
		return
	}
	if !meta.SafeID(fid) || !meta.SafeID(ref.TaskID) {
		s := a.status(ref, change{state: mesos.TASK_ERROR, source: mesos.SOURCE_AGENT, reason: mesos.REASON_TASK_INVALID,
			message: "the id cannot be the name of a folder"})
		a.forward(a.enqueue(ref, s), true)
		return
	}
	if f := a.frameworks[fid]; f != nil && f.ending {
		a.log.warningf("Ignoring task %s: its framework is shutting down", ref.TaskID)
		return
	}
	if err := a.adopt(fi); err != nil {
		a.fail(err)
		return
	}
	t := a.newTask(fid, ti, uuid.NewString())
	a.tasks[ref] = t
	a.log.infof("Got assigned task %s for framework %s", ref.TaskID, fid)
	if err := t.in.prepare(); err != nil {
		a.report(t, change{state: mesos.TASK_FAILED, source: mesos.SOURCE_AGENT, reason: mesos.REASON_CONTAINER_LAUNCH_FAILED,
			message: "Failed to launch container: " + err.Error()})
		return
	}
	// On disk before the engine is asked: from here on a restarted agent
	// knows that the container may exist.
	if err := a.remember(t); err != nil {
		a.fail(err)
		return
	}
	t.live = true
	a.spawn(func() { a.launch(t) })
}

// adopt makes the framework known, with what it completed here before.
func (a *agent) adopt(fi mesos.FrameworkInfo) error {
	id := fi.GetID().GetValue()
	f := a.frameworks[id]
	if f == nil {
		f = &framework{}
		if i := slices.IndexFunc(a.done, func(d *framework) bool { return d.info.GetID().GetValue() == id }); i >= 0 {
			f = a.done[i]
			a.done = slices.Delete(a.done, i, i+1)
		}
		a.frameworks[id] = f
	}
	f.info = fi
	return a.store.SaveFramework(a.id(), wire.Of(fi))
}

// launch brings a container up and stays with it to its end.
func (a *agent) launch(t *task) {
	defer close(t.over)
	ctx, cancel := context.WithTimeoutCause(t.ctx, a.cfg.RegistrationTimeout, errTimeout)
	err := t.in.launch(ctx)
	why := context.Cause(ctx)
	cancel()
	switch {
	case err == nil:
		a.watch(t)
	case a.ctx.Err() != nil:
		// The next run finds out how far this went.
	case a.discard(t):
		a.do(func() { a.notLaunched(t, err, why) })
	}
}

// discard removes a container, however long it takes; false if the agent
// ended first.
func (a *agent) discard(t *task) bool {
	return a.insist(a.ctx, "remove container "+t.name, func(ctx context.Context) error {
		err := t.in.remove(ctx)
		if err != nil && ctx.Err() == nil {
			a.do(func() { a.counts.removeErrors++ })
		}
		return err
	})
}

// notLaunched: nothing of the task's container is left.
func (a *agent) notLaunched(t *task, err, why error) {
	t.live = false
	c := change{state: mesos.TASK_FAILED, source: mesos.SOURCE_AGENT, reason: mesos.REASON_CONTAINER_LAUNCH_FAILED,
		message: "Failed to launch container: " + err.Error()}
	switch {
	case t.killed:
		c.state, c.reason, c.message = mesos.TASK_KILLED, mesos.REASON_EXECUTOR_UNREGISTERED, "Task killed before its container ran"
	case errors.Is(why, errTimeout):
		c.reason = mesos.REASON_EXECUTOR_REGISTRATION_TIMEOUT
		c.message = "Executor did not register within " + config.FormatDuration(a.cfg.RegistrationTimeout)
	}
	a.counts.launchErrors++
	a.conclude(t, c)
}

// conclude reports a task's end, or just forgets it if nobody listens.
func (a *agent) conclude(t *task, c change) {
	t.cancel(nil)
	if updates.Terminal(t.state) {
		return
	}
	if t.silent {
		t.state = c.state
		a.complete(t)
		return
	}
	a.report(t, c)
}

// watch stays with a started container until it has ended.
func (a *agent) watch(t *task) {
	a.spawn(t.in.output)
	var info docker.Info
	found := a.insist(a.ctx, "inspect container "+t.name, func(ctx context.Context) (err error) {
		info, err = t.in.inspect(ctx)
		if errors.Is(err, docker.ErrNotFound) {
			info, err = docker.Info{}, nil
		}
		return err
	})
	if !found || !a.do(func() { a.running(t, info) }) {
		return
	}
	var e end
	var gone bool
	ended := a.insist(a.ctx, "wait for container "+t.name, func(ctx context.Context) (err error) {
		e, err = t.in.wait(ctx)
		if gone = errors.Is(err, docker.ErrNotFound); gone {
			err = nil
		}
		return err
	})
	if ended {
		a.do(func() { a.ceased(t, e, gone) })
	}
}

// running: the container was started.
func (a *agent) running(t *task, info docker.Info) {
	t.place, t.since = info, time.Now()
	if t.killed {
		a.stopContainer(t)
		return
	}
	if t.state == mesos.TASK_STAGING && info.Started {
		c := executor(mesos.TASK_RUNNING, "")
		c.data = info.Raw
		a.report(t, c)
	}
	if h := t.info.HealthCheck; h != nil {
		a.spawn(func() { a.checkHealth(t, h) })
	}
}

// ceased: the container has ended, or is gone altogether.
func (a *agent) ceased(t *task, e end, gone bool) {
	t.live = false
	t.cancel(nil)
	c := executor(e.state, e.message)
	if e.reason != 0 {
		c.source, c.reason = mesos.SOURCE_AGENT, e.reason
	}
	if gone {
		c = change{state: mesos.TASK_FAILED, message: t.in.lost(), source: mesos.SOURCE_AGENT, reason: mesos.REASON_EXECUTOR_TERMINATED}
	}
	if t.killed && !e.finishes && e.reason == 0 {
		c.state = mesos.TASK_KILLED
	}
	if t.unhealthy {
		c.healthy = new(bool)
	}
	a.after(a.cfg.DockerRemoveDelay, func() { a.spawn(func() { a.discard(t) }) })
	a.conclude(t, c)
}

// checkHealth runs the task's health check until the task ends.
func (a *agent) checkHealth(t *task, h *mesos.HealthCheck) {
	exec := func(ctx context.Context) (int, error) { return t.in.exec(ctx, h.Command) }
	health.Run(t.ctx, h, t.since, exec, func(r health.Report) {
		a.do(func() { a.healthReport(t, r) })
	})
}

func (a *agent) healthReport(t *task, r health.Report) {
	if t.killed || !t.live {
		return
	}
	if r.Err != nil {
		a.log.warningf("Health check of task %s failed: %v", t.ref.TaskID, r.Err)
	}
	c := executor(mesos.TASK_RUNNING, "")
	c.healthy = &r.Healthy
	a.report(t, c)
	if r.Kill {
		t.unhealthy = true
		a.endTask(t, nil)
	}
}
