package agent

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/mini/mesos/agent/docker"
	"github.com/mesoslab/lab/mini/mesos/agent/updates"
	"github.com/mesoslab/lab/mini/mesos/wire"
)

// killTask is a scheduler's order to end a task. grace, if set, is how long
// it may take to end by itself.
func (a *agent) killTask(ref wire.TaskRef, grace *time.Duration) {
	t := a.tasks[ref]
	if t == nil {
		a.log.warningf("Asked to kill unknown task %s", ref.TaskID)
		a.unknown(ref, mesos.REASON_EXECUTOR_TERMINATED, "Cannot find executor")
		return
	}
	if t.killed && t.live && grace != nil && *grace < t.grace {
		t.in.hasten(max(*grace, 0))
	}
	if t.killed || updates.Terminal(t.state) {
		return
	}
	a.log.infof("Asked to kill task %s of framework %s", ref.TaskID, ref.FrameworkID)
	a.endTask(t, grace)
}

// endTask ends a task that was not asked to end before.
func (a *agent) endTask(t *task, grace *time.Duration) {
	if t.killed || updates.Terminal(t.state) {
		return
	}
	t.killed, t.grace = true, a.graceOf(t, grace)
	if err := a.remember(t); err != nil {
		a.fail(err)
		return
	}
	if t.state == mesos.TASK_STAGING {
		// Either the launch sees this and cleans up, or running does.
		t.cancel(errKilled)
		return
	}
	if a.wantsKilling(t.ref.FrameworkID) {
		a.report(t, executor(mesos.TASK_KILLING, ""))
	}
	a.stopContainer(t)
}

// graceOf: the kill's own word, then the task's policy, then the flag.
func (a *agent) graceOf(t *task, grace *time.Duration) time.Duration {
	switch p := t.info.GetKillPolicy().GetGracePeriod(); {
	case grace != nil:
		return max(*grace, 0)
	case p != nil:
		return max(time.Duration(p.Nanoseconds), 0)
	}
	return t.in.grace()
}

func (a *agent) wantsKilling(framework string) bool {
	f := a.frameworks[framework]
	return f != nil && slices.ContainsFunc(f.info.Capabilities, func(c mesos.FrameworkInfo_Capability) bool {
		return c.Type == mesos.FrameworkInfo_Capability_TASK_KILLING_STATE
	})
}

// stopContainer has the engine end a task's container; watch sees it end.
func (a *agent) stopContainer(t *task) {
	t.cancel(nil) // no more health checks
	grace := t.grace
	a.spawn(func() {
		a.insist(a.ctx, "stop container "+t.name, func(ctx context.Context) error {
			if err := t.in.stop(ctx, grace); !errors.Is(err, docker.ErrNotFound) {
				return err
			}
			return nil
		})
	})
}

// shutdownFramework ends a framework's tasks and forgets their updates.
func (a *agent) shutdownFramework(id string) {
	f := a.frameworks[id]
	for ref := range a.streams {
		if ref.FrameworkID == id {
			delete(a.streams, ref)
		}
	}
	if f == nil {
		return
	}
	a.log.infof("Shutting down framework %s", id)
	f.ending = true
	for _, t := range a.tasksOf(id) {
		t.silent = true
		switch {
		case !t.live:
			a.complete(t) // it ended, and only the acknowledgement was missing
		default:
			a.endTask(t, nil)
		}
	}
	a.dropIdle(id)
}

// leave ends everything that runs here, forgets the agent's id and then the
// agent itself, with exit code 0.
func (a *agent) leave() {
	if a.leaving {
		return
	}
	a.leaving = true
	var all sync.WaitGroup
	for _, t := range a.tasks {
		if !t.live {
			continue
		}
		t.killed, t.silent = true, true
		t.cancel(errKilled)
		t.grace = a.graceOf(t, nil)
		grace := t.grace
		all.Go(func() {
			a.end(t, grace)
			// A launch may have been under way past that.
			select {
			case <-t.over:
			case <-a.ctx.Done():
			}
			a.discard(t)
		})
	}
	a.spawn(func() {
		all.Wait()
		a.do(func() {
			if err := a.store.Forget(a.id()); err != nil {
				a.fail(err)
				return
			}
			a.log.infof("Agent terminating")
			a.exit = true
		})
	})
}

// end stops and removes a container: nobody will look for it under its name
// again.
func (a *agent) end(t *task, grace time.Duration) {
	if grace > 0 {
		// Its end is certain in any case: remove kills.
		if err := t.in.stop(a.ctx, grace); err != nil && !errors.Is(err, docker.ErrNotFound) {
			a.log.warningf("Failed to stop container %s: %v", t.name, err)
		}
	}
	a.discard(t)
}
