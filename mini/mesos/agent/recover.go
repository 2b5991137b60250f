package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/mini/mesos/agent/docker"
	"github.com/mesoslab/lab/mini/mesos/agent/meta"
	"github.com/mesoslab/lab/mini/mesos/agent/updates"
	"github.com/mesoslab/lab/mini/mesos/wire"
)

// recover takes up what an earlier run left under --work_dir. It runs before
// loop.
func (a *agent) recover(ctx context.Context) error {
	boot := a.bootID()
	rebooted := boot != "" && a.store.BootID() != "" && a.store.BootID() != boot
	if boot != "" {
		if err := a.store.SaveBootID(boot); err != nil {
			return err
		}
	}
	st, err := a.store.Load()
	switch {
	case err != nil && a.cfg.Strict:
		return fmt.Errorf("failed to perform recovery: %w\nTo restart this agent with a new agent id instead, remove %s/meta/slaves/latest", err, a.cfg.WorkDir)
	case err != nil:
		a.log.warningf("Recovery failed, starting under a new id (--no-strict): %v", err)
		if err := a.endRuns(ctx, nil); err != nil {
			return fmt.Errorf("end processes of an agent that is not known any more: %w", err)
		}
		return a.store.Forget("")
	case st == nil:
		a.log.infof("No agent to recover: this is a new one")
		return nil
	case rebooted:
		a.log.infof("Agent host rebooted: starting under a new id")
		return a.abandon(ctx, st)
	}
	if what := a.changed(st.Agent.V); len(what) > 0 {
		a.log.warningf("Agent %s had other %s: starting under a new id (a real agent exits here and asks for %s/meta/slaves/latest to be removed)",
			st.Agent.V.GetID().GetValue(), strings.Join(what, ", "), a.cfg.WorkDir)
		return a.abandon(ctx, st)
	}
	a.info.ID = st.Agent.V.ID
	if a.cfg.Cleanup {
		a.log.infof("Cleaning up agent %s (--recover=cleanup)", a.id())
		a.exit = true
		return a.abandon(ctx, st)
	}
	a.log.infof("Recovering agent %s with %d tasks", a.id(), len(st.Tasks))
	return a.resume(ctx, st)
}

// bootID tells one boot of the machine from another, where the machine does.
func (a *agent) bootID() string {
	b, err := os.ReadFile(a.env.Path("/proc/sys/kernel/random/boot_id"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// changed names what of the agent differs from the one remembered.
func (a *agent) changed(old mesos.AgentInfo) (what []string) {
	now := a.info
	if old.Hostname != now.Hostname {
		what = append(what, "hostname")
	}
	if old.GetPort() != now.GetPort() {
		what = append(what, "port")
	}
	same := func(x, y mesos.AgentInfo) bool { return x.Equal(&y) }
	if !same(mesos.AgentInfo{Resources: old.Resources}, mesos.AgentInfo{Resources: now.Resources}) {
		what = append(what, "resources")
	}
	if !same(mesos.AgentInfo{Attributes: old.Attributes}, mesos.AgentInfo{Attributes: now.Attributes}) {
		what = append(what, "attributes")
	}
	return what
}

// abandon gives up an old id: its commands are ended, its containers if
// --docker_kill_orphans allows it, and it is forgotten.
func (a *agent) abandon(ctx context.Context, st *meta.State) error {
	id := st.Agent.V.GetID().GetValue()
	if err := errors.Join(a.removeOrphans(ctx, id, nil), a.endRuns(ctx, nil)); err != nil {
		return fmt.Errorf("end containers of agent %s: %w", id, err)
	}
	return a.store.Forget(id)
}

// removeOrphans ends the containers named after an agent that none of the
// names in keep has.
func (a *agent) removeOrphans(ctx context.Context, id string, keep []string) error {
	if !a.cfg.DockerKillOrphans || !a.cfg.UsesDocker() {
		return nil
	}
	names, err := a.engine.List(ctx, containerPrefix+id+".")
	if err != nil {
		return err
	}
	for _, name := range names {
		if slices.Contains(keep, name) {
			continue
		}
		a.log.infof("Removing container %s, which belongs to no task", name)
		if err := a.engine.Remove(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// resume makes the remembered tasks this run's, each by what became of its
// container.
func (a *agent) resume(ctx context.Context, st *meta.State) error {
	var keep, runs []string
	found := map[*task]docker.Info{}
	for _, f := range st.Frameworks {
		a.frameworks[f.V.GetID().GetValue()] = &framework{info: f.V}
	}
	for _, e := range st.Ended {
		a.remind(e)
	}
	a.trimDone()
	for _, r := range st.Tasks {
		t, err := a.restore(r)
		if err != nil {
			return fmt.Errorf("failed to perform recovery: %w", err)
		}
		keep, runs = append(keep, t.name), append(runs, a.store.Run(a.id(), t.ref.FrameworkID, t.ref.TaskID, t.container))
		if updates.Terminal(t.state) {
			continue
		}
		info, err := t.in.inspect(ctx)
		if err != nil && !errors.Is(err, docker.ErrNotFound) {
			return fmt.Errorf("failed to perform recovery: inspect container %s: %w", t.name, err)
		}
		found[t] = info
	}
	if err := errors.Join(a.removeOrphans(ctx, a.id(), keep), a.endRuns(ctx, runs)); err != nil {
		return fmt.Errorf("failed to perform recovery: remove orphans: %w", err)
	}
	for _, t := range a.tasks {
		if updates.Terminal(t.state) && a.streams[t.ref] == nil {
			a.complete(t) // acknowledged just before the end of the last run
		}
	}
	for _, f := range st.Frameworks {
		a.dropIdle(f.V.GetID().GetValue())
	}
	for t, info := range found {
		if err := a.takeUp(ctx, t, info); err != nil {
			return err
		}
	}
	return nil
}

// remind makes an ended task one of this run's completed ones.
func (a *agent) remind(e meta.Ended) {
	state, known := mesos.TaskState_value[e.Task.State]
	id := e.Task.Framework
	if !known || !meta.SafeID(id) || !meta.SafeID(e.Task.Info.V.TaskID.Value) {
		return
	}
	t := a.newTask(id, e.Task.Info.V, e.Task.Container)
	t.cancel(nil)
	close(t.over)
	t.state, t.killed, t.unhealthy = mesos.TaskState(state), e.Task.Killed, e.Task.Unhealthy
	for _, s := range e.Task.Statuses {
		t.statuses = append(t.statuses, s.V)
	}
	f := a.frameworks[id]
	if i := slices.IndexFunc(a.done, func(d *framework) bool { return d.info.GetID().GetValue() == id }); f == nil && i >= 0 {
		f = a.done[i]
	}
	if f == nil {
		f = &framework{info: e.Framework.V}
		a.done = append(a.done, f)
	}
	f.completed = append(f.completed, t)
}

func (a *agent) restore(r meta.Task) (*task, error) {
	state, ok := mesos.TaskState_value[r.State]
	if !ok {
		return nil, fmt.Errorf("task %s has the unknown state %q", r.Info.V.TaskID.Value, r.State)
	}
	t := a.newTask(r.Framework, r.Info.V, r.Container)
	t.state = mesos.TaskState(state)
	t.killed, t.unhealthy = r.Killed, r.Unhealthy
	t.grace = a.graceOf(t, nil)
	for _, s := range r.Statuses {
		t.statuses = append(t.statuses, s.V)
	}
	for _, s := range r.Pending {
		a.enqueue(t.ref, s.V)
	}
	a.tasks[t.ref] = t
	if a.frameworks[r.Framework] == nil {
		a.frameworks[r.Framework] = &framework{info: mesos.FrameworkInfo{ID: &mesos.FrameworkID{Value: r.Framework}}}
	}
	return t, nil
}

// takeUp goes on with a task that had not ended when the last run did. A
// container that was made but never started stays that way: whether the
// launch failed or was cut off cannot be told any more.
func (a *agent) takeUp(ctx context.Context, t *task, info docker.Info) error {
	if info.Started {
		if err := t.in.resume(ctx); err != nil {
			return fmt.Errorf("failed to perform recovery: container %s: %w", t.name, err)
		}
		a.log.infof("Recovered task %s in container %s", t.ref.TaskID, t.name)
		t.live = true
		a.spawn(func() {
			defer close(t.over)
			a.watch(t)
		})
		return nil
	}
	if err := t.in.remove(ctx); err != nil {
		return fmt.Errorf("failed to perform recovery: remove container %s: %w", t.name, err)
	}
	close(t.over)
	c := change{state: mesos.TASK_LOST, message: "The task's container is gone", source: mesos.SOURCE_AGENT, reason: mesos.REASON_EXECUTOR_REREGISTRATION_TIMEOUT}
	if t.state == mesos.TASK_STAGING {
		c.message = "The agent ended before the task's container ran"
	}
	if t.killed {
		c.state = mesos.TASK_KILLED
	}
	a.report(t, c)
	return nil
}

// welcome: the master knows this agent as id.
func (a *agent) welcome(id string, reconcile []wire.TaskRef) {
	switch {
	case a.id() == "":
		if !meta.SafeID(id) {
			a.fail(fmt.Errorf("the master gives the agent id %q, which cannot be the name of a folder", id))
			return
		}
		a.info.ID = &mesos.AgentID{Value: id}
		if err := a.store.SaveAgent(wire.Of(a.info)); err != nil {
			a.fail(err)
			return
		}
		a.log.infof("Registered with master; given agent id %s", id)
	case a.id() != id:
		a.fail(fmt.Errorf("registered but got wrong id: %s (expected: %s)", id, a.id()))
		return
	default:
		a.log.infof("Re-registered with master")
	}
	a.registered = true
	for _, ref := range reconcile {
		if a.tasks[ref] == nil {
			a.unknown(ref, mesos.REASON_RECONCILIATION, "Reconciliation: task unknown to the agent")
		}
	}
	for _, st := range a.streams {
		st.Restart()
		a.forward(st, true)
	}
}

// reregister says what runs here, for a master that may know nothing of it.
func (a *agent) reregister() *wire.Reregister {
	m := &wire.Reregister{Agent: wire.Of(a.info), PID: a.pid(), Version: Version, Checkpoint: true, Reserved: wire.All(a.reserved)}
	for _, f := range a.frameworks {
		m.Frameworks = append(m.Frameworks, wire.Of(f.info))
		for _, t := range f.completed {
			m.Completed = append(m.Completed, wire.Of(a.snapshot(t)))
		}
	}
	for _, t := range a.tasks {
		if !t.silent {
			m.Tasks = append(m.Tasks, wire.Of(a.snapshot(t)))
		}
	}
	for _, f := range a.done {
		m.Frameworks = append(m.Frameworks, wire.Of(f.info))
		for _, t := range f.completed {
			m.Completed = append(m.Completed, wire.Of(a.snapshot(t)))
		}
	}
	return m
}
