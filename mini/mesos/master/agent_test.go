package master

import (
	"context"
	"sync"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/mini/mesos/master/resource"
	"github.com/mesoslab/lab/mini/mesos/wire"
)

// agentDouble speaks wire to the master and pretends to run tasks.
type agentDouble struct {
	r    *rig
	ip   string
	info mesos.AgentInfo
	stop func()
	wg   sync.WaitGroup

	mu       sync.Mutex
	conn     *wire.Conn
	id       string
	mute     bool // answers no pings
	late     bool // says nothing of a task by itself
	tasks    map[string]*mesos.Task
	fws      map[string]mesos.FrameworkInfo
	runs     map[string]int // how often each task was started
	acks     []string
	shutdown string // why the master told it to end
	closed   bool   // the connection ended
	received []wire.Message
	reserved []wire.Resource // as the master said last
}

func newAgentDouble(r *rig, ip string) *agentDouble {
	port := int32(5051)
	res := resource.CPUMem(4, 2048).Add(resource.Of(
		resource.Item{Name: "disk", Role: "*", Milli: 1024000},
		resource.Item{Name: "ports", Role: "*", Kind: resource.Ranges, Ranges: []resource.Range{{Begin: 31000, End: 31099}}}))
	text := func(name, v string) mesos.Attribute {
		return mesos.Attribute{Name: name, Type: mesos.TEXT, Text: &mesos.Value_Text{Value: v}}
	}
	return &agentDouble{r: r, ip: ip,
		info:  mesos.AgentInfo{Hostname: "agent-" + ip, Port: &port, Resources: res.Proto(""), Attributes: []mesos.Attribute{text("rack", "r1"), text("zone", "a")}},
		tasks: map[string]*mesos.Task{}, fws: map[string]mesos.FrameworkInfo{}, runs: map[string]int{}}
}

// agent starts an agent and waits until it is registered.
func (r *rig) agent(ip string) *agentDouble {
	a := newAgentDouble(r, ip)
	a.connect(masterAddr)
	synctest.Wait()
	return a
}

func (a *agentDouble) pid() string { return "slave(1)@" + a.ip + ":5051" }

// connect registers, or registers again where it has an id.
func (a *agentDouble) connect(addr string) {
	a.r.t.Helper()
	ctx, cancel := context.WithCancel(a.r.ctx)
	a.stop = cancel
	conn, err := wire.Dial(ctx, a.r.net.Host(a.ip).Dial, addr)
	if err != nil {
		a.r.t.Errorf("agent %s: %v", a.ip, err)
		return
	}
	a.mu.Lock()
	a.conn, a.closed = conn, false
	var first wire.Message = &wire.Register{Agent: wire.Of(a.info), PID: a.pid(), Version: "1.3.2", Checkpoint: true, Reserved: a.reserved}
	if a.id != "" {
		info := a.info
		info.ID = &mesos.AgentID{Value: a.id}
		re := &wire.Reregister{Agent: wire.Of(info), PID: a.pid(), Version: "1.3.2", Checkpoint: true, Reserved: a.reserved}
		for _, t := range a.tasks {
			re.Tasks = append(re.Tasks, wire.Of(*t))
		}
		for _, f := range a.fws {
			re.Frameworks = append(re.Frameworks, wire.Of(f))
		}
		first = re
	}
	a.mu.Unlock()
	if err := conn.Send(ctx, first); err != nil {
		a.r.t.Errorf("agent %s: %v", a.ip, err)
	}
	a.wg.Go(func() {
		defer conn.Close()
		for {
			m, err := conn.Receive(ctx)
			if err != nil {
				a.mu.Lock()
				a.closed = true
				a.mu.Unlock()
				return
			}
			a.handle(ctx, conn, m)
		}
	})
}

func (a *agentDouble) handle(ctx context.Context, conn *wire.Conn, m wire.Message) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch m := m.(type) {
	case *wire.Registered:
		a.id = m.AgentID
	case *wire.Shutdown:
		a.shutdown = m.Message
	case *wire.Ping:
		if !a.mute {
			conn.Send(ctx, &wire.Pong{Seq: m.Seq})
		}
		return
	case *wire.CheckpointResources:
		a.reserved = m.Resources
	case *wire.RunTask:
		a.run(ctx, conn, m)
	case *wire.KillTask:
		a.update(ctx, conn, m.FrameworkID, m.TaskID, mesos.TASK_KILLED)
	case *wire.ShutdownFramework:
		for id, t := range a.tasks {
			if t.FrameworkID.Value == m.FrameworkID {
				delete(a.tasks, id)
			}
		}
		delete(a.fws, m.FrameworkID)
	case *wire.Ack:
		a.acks = append(a.acks, m.TaskID)
		if t := a.tasks[m.TaskID]; t != nil && *t.State == mesos.TASK_KILLED {
			delete(a.tasks, m.TaskID)
		}
	case *wire.Reconcile:
	}
	a.received = append(a.received, m)
}

func (a *agentDouble) run(ctx context.Context, conn *wire.Conn, m *wire.RunTask) {
	info := m.Task.V
	id := info.TaskID.Value
	a.runs[id]++
	if a.tasks[id] != nil {
		a.r.t.Errorf("agent %s: task %s started while it runs", a.ip, id)
	}
	a.fws[m.Framework.V.ID.Value] = m.Framework.V
	a.tasks[id] = &mesos.Task{Name: info.Name, TaskID: info.TaskID, FrameworkID: *m.Framework.V.ID,
		AgentID: info.AgentID, State: mesos.TASK_STAGING.Enum(), Resources: info.Resources, Labels: info.Labels}
	if !a.late {
		a.update(ctx, conn, m.Framework.V.ID.Value, id, mesos.TASK_RUNNING)
	}
}

// update sends a status update; the lock must be held.
func (a *agentDouble) update(ctx context.Context, conn *wire.Conn, fw, id string, state mesos.TaskState, change ...func(*mesos.TaskStatus)) {
	t := a.tasks[id]
	if t == nil {
		return
	}
	u, pid := uuid.New(), uint32(4711)
	now := float64(time.Now().UnixNano()) / 1e9
	st := mesos.TaskStatus{TaskID: t.TaskID, State: &state, Source: mesos.SOURCE_EXECUTOR.Enum(), AgentID: &t.AgentID,
		ExecutorID: &mesos.ExecutorID{Value: id}, UUID: u[:], Timestamp: &now,
		ContainerStatus: &mesos.ContainerStatus{
			ContainerID: &mesos.ContainerID{Value: "c-" + id}, ExecutorPID: &pid,
			NetworkInfos: []mesos.NetworkInfo{{IPAddresses: []mesos.NetworkInfo_IPAddress{{IPAddress: &a.ip}}}}}}
	for _, f := range change {
		f(&st)
	}
	t.State, t.StatusUpdateState, t.StatusUpdateUUID = &state, &state, u[:]
	t.Statuses = append(t.Statuses, st)
	conn.Send(ctx, &wire.StatusUpdate{FrameworkID: fw, Status: wire.Of(st), LatestState: state})
}

// report sends an update for one of its tasks.
func (a *agentDouble) report(id string, state mesos.TaskState, change ...func(*mesos.TaskStatus)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	t := a.tasks[id]
	if t == nil {
		a.r.t.Errorf("agent %s has no task %s", a.ip, id)
		return
	}
	a.update(a.r.ctx, a.conn, t.FrameworkID.Value, id, state, change...)
}

// leave unregisters, as the real one does at SIGUSR1, and ends.
func (a *agentDouble) leave() {
	a.mu.Lock()
	a.conn.Send(a.r.ctx, &wire.Unregister{})
	a.mu.Unlock()
	synctest.Wait()
	a.die()
}

func (a *agentDouble) setLate(l bool) { a.mu.Lock(); a.late = l; a.mu.Unlock() }

func (a *agentDouble) setMute(m bool) { a.mu.Lock(); a.mute = m; a.mu.Unlock() }

func (a *agentDouble) agentID() string { a.mu.Lock(); defer a.mu.Unlock(); return a.id }

// die closes the connection, as the kernel does for a dead process.
func (a *agentDouble) die() {
	a.mu.Lock()
	c := a.conn
	a.mu.Unlock()
	c.Close()
	a.stop()
	a.wg.Wait()
}
