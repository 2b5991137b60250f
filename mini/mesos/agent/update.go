package agent

import (
	"cmp"
	"slices"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/mini/mesos/agent/meta"
	"github.com/mesoslab/lab/mini/mesos/agent/updates"
	"github.com/mesoslab/lab/mini/mesos/wire"
)

// stream is the unacknowledged updates of one task and the timer of the first.
type stream struct {
	updates.Stream
	ref   wire.TaskRef
	timer int // counts up; an older timer's end means nothing
}

// enqueue adds an update to the stream of its task.
func (a *agent) enqueue(ref wire.TaskRef, s mesos.TaskStatus) *stream {
	st := a.streams[ref]
	if st == nil {
		st = &stream{ref: ref}
		a.streams[ref] = st
	}
	st.Add(s)
	return st
}

// forward sends the first update of a stream and sets the timer after which
// it is sent again. With fresh set it does nothing if that update is under way
// already.
func (a *agent) forward(st *stream, fresh bool) {
	if st == nil || a.session == nil || !a.registered || (fresh && st.InFlight()) {
		return
	}
	s, delay, ok := st.Next()
	if !ok {
		return
	}
	latest := s.GetState()
	if t := a.tasks[st.ref]; t != nil {
		latest = t.state
	}
	a.session.send(&wire.StatusUpdate{FrameworkID: st.ref.FrameworkID, Status: wire.Of(s), LatestState: latest})
	st.timer++
	timer := st.timer
	a.after(delay, func() {
		if a.streams[st.ref] == st && st.timer == timer {
			a.forward(st, false)
		}
	})
}

// resend sends what a framework's scheduler has not acknowledged again at once:
// there is a new one, or one that was away (Mesos, Slave::updateFramework).
func (a *agent) resend(framework string) {
	for _, st := range a.streams {
		if st.ref.FrameworkID == framework {
			st.Restart()
			a.forward(st, true)
		}
	}
}

// acknowledge is a scheduler's word that it has an update.
func (a *agent) acknowledge(ref wire.TaskRef, id []byte) {
	st := a.streams[ref]
	if st == nil {
		a.log.warningf("Ignoring acknowledgement for unknown task %s", ref.TaskID)
		return
	}
	s, ok := st.Ack(id)
	if !ok {
		a.log.warningf("Ignoring unexpected acknowledgement for task %s", ref.TaskID)
		return
	}
	st.timer++
	t := a.tasks[ref]
	if updates.Terminal(s.GetState()) {
		delete(a.streams, ref)
		if t != nil {
			a.complete(t)
		}
		return
	}
	if t != nil {
		if err := a.remember(t); err != nil {
			a.fail(err)
			return
		}
	}
	a.forward(st, false)
}

// complete moves a task whose end is acknowledged to the completed ones.
func (a *agent) complete(t *task) {
	if err := a.store.RemoveTask(a.id(), a.record(t)); err != nil {
		a.log.warningf("Failed to forget task %s: %v", t.ref.TaskID, err)
	}
	delete(a.tasks, t.ref)
	f := a.frameworks[t.ref.FrameworkID]
	if f == nil {
		return
	}
	kept := meta.Ended{Framework: wire.Of(f.info), Task: a.record(t), At: seconds(time.Now())}
	if err := a.store.SaveEnded(a.id(), kept); err != nil {
		a.log.warningf("Task %s will be forgotten at a restart: %v", t.ref.TaskID, err)
	}
	f.completed = append(f.completed, t)
	if n := len(f.completed) - a.cfg.MaxCompleted; n > 0 {
		a.forget(f.completed[:n])
		f.completed = slices.Delete(f.completed, 0, n)
	}
	a.dropIdle(t.ref.FrameworkID)
}

// forget drops what is on disk of ended tasks.
func (a *agent) forget(tasks []*task) {
	for _, t := range tasks {
		if err := a.store.RemoveEnded(a.id(), t.container); err != nil {
			a.log.warningf("Failed to forget task %s: %v", t.ref.TaskID, err)
		}
	}
}

// maxDone is how many completed frameworks are remembered (Mesos:
// MAX_COMPLETED_FRAMEWORKS).
const maxDone = 50

// dropIdle moves a framework without tasks to the completed ones.
func (a *agent) dropIdle(id string) {
	f := a.frameworks[id]
	if f == nil || len(a.tasksOf(id)) > 0 {
		return
	}
	if err := a.store.RemoveFramework(a.id(), id); err != nil {
		a.log.warningf("Failed to forget framework %s: %v", id, err)
	}
	delete(a.frameworks, id)
	f.ending = false
	a.done = append(a.done, f)
	a.trimDone()
}

// trimDone forgets the oldest of too many completed frameworks.
func (a *agent) trimDone() {
	n := len(a.done) - maxDone
	if n <= 0 {
		return
	}
	for _, f := range a.done[:n] {
		a.forget(f.completed)
	}
	a.done = slices.Delete(a.done, 0, n)
}

// tasksOf returns a framework's tasks in the order of their ids.
func (a *agent) tasksOf(framework string) []*task {
	var out []*task
	for ref, t := range a.tasks {
		if ref.FrameworkID == framework {
			out = append(out, t)
		}
	}
	slices.SortFunc(out, func(x, y *task) int { return cmp.Compare(x.ref.TaskID, y.ref.TaskID) })
	return out
}

// unknown answers for a task that the master asks about and nobody knows here.
func (a *agent) unknown(ref wire.TaskRef, reason mesos.TaskStatus_Reason, message string) {
	if a.streams[ref] != nil {
		return // its end is on the way
	}
	a.counts.update(mesos.TASK_LOST)
	st := a.enqueue(ref, a.status(ref, change{state: mesos.TASK_LOST, message: message, source: mesos.SOURCE_AGENT, reason: reason}))
	a.forward(st, true)
}

// reconcile reports the tasks of the list that are not here as lost.
func (a *agent) reconcile(refs []wire.TaskRef) {
	for _, ref := range refs {
		if a.tasks[ref] == nil {
			a.unknown(ref, mesos.REASON_RECONCILIATION, "Reconciliation: task unknown to the agent")
		}
	}
}
