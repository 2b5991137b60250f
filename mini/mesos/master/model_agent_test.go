package master

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/mini/mesos/wire"
)

// simAgent is an agent that lives through everything: it keeps its tasks and
// the updates that nobody acknowledged, finds the leader, registers again when
// its connection ends or no ping comes, and sends updates again.
type simAgent struct {
	m    *model
	ip   string
	info mesos.AgentInfo

	mu       sync.Mutex
	id       string
	shutdown bool // told to end; the next connection is a new agent's
	tasks    map[string]*simTask
	fws      map[string]mesos.FrameworkInfo
	rng      *rand.Rand
}

// simTask is a task and its updates, oldest first, until they are
// acknowledged.
type simTask struct {
	mesos.Task
	pending []mesos.TaskStatus
}

func (a *simAgent) live(ctx context.Context) {
	for ctx.Err() == nil {
		if leader := a.m.leaderAddr(ctx); leader != "" {
			a.session(ctx, leader)
		}
		a.m.pause(ctx, time.Duration(100+a.random(900))*time.Millisecond)
	}
}

func (a *simAgent) random(n int) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.rng.IntN(n)
}

// session is one connection to a master.
func (a *simAgent) session(ctx context.Context, leader string) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dial, stop := context.WithTimeout(ctx, 5*time.Second)
	conn, err := wire.Dial(dial, a.m.net.Host(a.ip).Dial, leader)
	stop()
	if err != nil {
		return
	}
	defer conn.Close()
	if conn.Send(ctx, a.hello()) != nil {
		return
	}
	const patience = 8 * time.Second // more than all pings together
	silent := time.AfterFunc(patience, cancel)
	defer silent.Stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { a.resend(ctx, conn) })
	for {
		msg, err := conn.Receive(ctx)
		if err != nil {
			return
		}
		if ping, ok := msg.(*wire.Ping); ok {
			silent.Reset(patience)
			if conn.Send(ctx, &wire.Pong{Seq: ping.Seq}) != nil {
				return
			}
			continue
		}
		if !a.handle(ctx, conn, msg) {
			return
		}
	}
}

// hello is the first message: what the agent is and has.
func (a *simAgent) hello() wire.Message {
	a.mu.Lock()
	defer a.mu.Unlock()
	pid := "slave(1)@" + a.ip + ":5051"
	if a.shutdown {
		a.id, a.shutdown, a.tasks, a.fws = "", false, map[string]*simTask{}, map[string]mesos.FrameworkInfo{}
	}
	if a.id == "" {
		return &wire.Register{Agent: wire.Of(a.info), PID: pid, Version: "1.3.2", Checkpoint: true}
	}
	info := a.info
	info.ID = &mesos.AgentID{Value: a.id}
	m := &wire.Reregister{Agent: wire.Of(info), PID: pid, Version: "1.3.2", Checkpoint: true}
	for _, t := range a.tasks {
		m.Tasks = append(m.Tasks, wire.Of(t.Task))
	}
	for _, f := range a.fws {
		m.Frameworks = append(m.Frameworks, wire.Of(f))
	}
	return m
}

// resend sends every task's oldest unacknowledged update now and then.
func (a *simAgent) resend(ctx context.Context, conn *wire.Conn) {
	for a.m.pause(ctx, 3*time.Second) {
		a.mu.Lock()
		var list []*wire.StatusUpdate
		for _, t := range a.tasks {
			if len(t.pending) > 0 {
				list = append(list, t.update())
			}
		}
		a.mu.Unlock()
		for _, u := range list {
			if conn.Send(ctx, u) != nil {
				return
			}
		}
	}
}

func (t *simTask) update() *wire.StatusUpdate {
	st := t.pending[0]
	t.StatusUpdateState, t.StatusUpdateUUID = st.State, st.UUID
	return &wire.StatusUpdate{FrameworkID: t.FrameworkID.Value, Status: wire.Of(st), LatestState: *t.State}
}

// handle returns false if the session is over.
func (a *simAgent) handle(ctx context.Context, conn *wire.Conn, m wire.Message) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch m := m.(type) {
	case *wire.Registered:
		a.m.registered(m.AgentID)
		a.id = m.AgentID
	case *wire.Reregistered:
		a.m.registered(m.AgentID)
		for _, ref := range m.Reconcile {
			a.unknown(ctx, conn, ref)
		}
	case *wire.Shutdown:
		a.shutdown = true
		return false
	case *wire.RunTask:
		a.run(ctx, conn, m)
	case *wire.KillTask:
		if t := a.tasks[m.TaskID]; t != nil && *t.State == mesos.TASK_RUNNING {
			a.change(ctx, conn, t, mesos.TASK_KILLED)
		} else if t == nil {
			a.unknown(ctx, conn, wire.TaskRef{FrameworkID: m.FrameworkID, TaskID: m.TaskID})
		}
	case *wire.ShutdownFramework:
		for id, t := range a.tasks {
			if t.FrameworkID.Value == m.FrameworkID {
				a.m.abandoned(t.pending)
				delete(a.tasks, id)
			}
		}
		delete(a.fws, m.FrameworkID)
	case *wire.Ack:
		a.acknowledged(ctx, conn, m)
	}
	return true
}

func (a *simAgent) run(ctx context.Context, conn *wire.Conn, m *wire.RunTask) {
	info := m.Task.V
	a.m.started(info.TaskID.Value)
	a.fws[m.Framework.V.ID.Value] = m.Framework.V
	t := &simTask{Task: mesos.Task{Name: info.Name, TaskID: info.TaskID, FrameworkID: *m.Framework.V.ID,
		AgentID: info.AgentID, State: mesos.TASK_STAGING.Enum(), Resources: info.Resources}}
	a.tasks[info.TaskID.Value] = t
	a.change(ctx, conn, t, mesos.TASK_RUNNING)
}

// change is a task's next state, as an executor would tell it.
func (a *simAgent) change(ctx context.Context, conn *wire.Conn, t *simTask, state mesos.TaskState) {
	u := uuid.New()
	now := float64(time.Now().UnixNano()) / 1e9
	st := mesos.TaskStatus{TaskID: t.TaskID, State: &state, Source: mesos.SOURCE_EXECUTOR.Enum(), AgentID: &t.AgentID,
		ExecutorID: &mesos.ExecutorID{Value: t.TaskID.Value}, UUID: u[:], Timestamp: &now}
	t.State = &state
	t.Statuses = append(t.Statuses, st)
	t.pending = append(t.pending, st)
	a.m.made(st)
	if len(t.pending) == 1 {
		conn.Send(ctx, t.update())
	}
}

// unknown answers for a task that the agent does not have.
func (a *simAgent) unknown(ctx context.Context, conn *wire.Conn, ref wire.TaskRef) {
	t := &simTask{Task: mesos.Task{Name: ref.TaskID, TaskID: mesos.TaskID{Value: ref.TaskID}, State: mesos.TASK_STAGING.Enum(),
		FrameworkID: mesos.FrameworkID{Value: ref.FrameworkID}, AgentID: mesos.AgentID{Value: a.id}}}
	a.tasks[ref.TaskID] = t
	a.change(ctx, conn, t, mesos.TASK_LOST)
}

func (a *simAgent) acknowledged(ctx context.Context, conn *wire.Conn, m *wire.Ack) {
	a.m.acked(m.UUID)
	t := a.tasks[m.TaskID]
	if t == nil || len(t.pending) == 0 || !slices.Equal(t.pending[0].UUID, m.UUID) {
		return
	}
	t.pending = t.pending[1:]
	switch {
	case len(t.pending) > 0:
		conn.Send(ctx, t.update())
	case *t.State != mesos.TASK_RUNNING:
		delete(a.tasks, m.TaskID)
	}
}

// finish ends one running task, if there is one.
func (a *simAgent) finish() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, t := range a.tasks {
		if *t.State == mesos.TASK_RUNNING {
			state := mesos.TASK_FINISHED
			u := uuid.New()
			st := mesos.TaskStatus{TaskID: t.TaskID, State: &state, Source: mesos.SOURCE_EXECUTOR.Enum(), AgentID: &t.AgentID,
				ExecutorID: &mesos.ExecutorID{Value: t.TaskID.Value}, UUID: u[:]}
			t.State = &state
			t.Statuses, t.pending = append(t.Statuses, st), append(t.pending, st)
			a.m.made(st)
			return // sent by resend
		}
	}
}
