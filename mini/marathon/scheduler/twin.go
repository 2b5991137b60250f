package scheduler

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

// Twin is a Mesos in memory: agents, offers with filters, tasks that run
// until somebody ends them. Attach plays it to a Handler directly, Handler
// (the HTTP one, see twinhttp.go) over the real protocol. It keeps count of
// what must never happen; see Violations.
//
// It follows the figures of mesos-measured.md where they matter: offers once
// a second and at once on REVIVE, updates of executors carry a uuid and come
// again after 10 s until they are acknowledged, those of the master do not.
type Twin struct {
	// StartDelay and StopDelay are what an executor takes to start and to
	// stop a task.
	StartDelay, StopDelay time.Duration
	// LoseKills is how many of the next KILL calls vanish.
	LoseKills int
	// Faults are what goes wrong besides.
	Faults Faults

	mu         sync.Mutex
	agents     map[string]*TwinAgent
	offers     map[string]string // id → agent
	tasks      map[string]*TwinTask
	seen       map[string]int // launches by task id
	framework  string
	handler    Handler
	events     []func(Handler)
	wake       chan struct{}
	violations []string
	calls      []*Call
	serial     int
	pending    map[string]mesos.TaskStatus // updates not acknowledged, by uuid
}

// TwinAgent is one agent of a Twin.
type TwinAgent struct {
	ID, Host   string
	CPUs, Mem  float64
	Attributes map[string]string
	PortBegin  uint64
	PortEnd    uint64
	refused    time.Time // no offers until then
}

// TwinTask is a task of a Twin that is not over.
type TwinTask struct {
	Info  mesos.TaskInfo
	State mesos.TaskState
}

// NewTwin returns a Mesos without agents.
func NewTwin() *Twin {
	return &Twin{agents: map[string]*TwinAgent{}, offers: map[string]string{}, tasks: map[string]*TwinTask{}, seen: map[string]int{},
		wake: make(chan struct{}, 1), pending: map[string]mesos.TaskStatus{}}
}

var _ Mesos = (*Twin)(nil)

// AddAgent registers an agent with ports 31000–31099.
func (m *Twin) AddAgent(id, host string, cpus, mem float64, attributes map[string]string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.agents[id] = &TwinAgent{ID: id, Host: host, CPUs: cpus, Mem: mem, Attributes: attributes, PortBegin: 31000, PortEnd: 31099}
}

// RemoveAgent plays an agent's removal: its tasks are lost.
func (m *Twin) RemoveAgent(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.agents, id)
	maps.DeleteFunc(m.offers, func(_, a string) bool { return a == id })
	for _, t := range m.list() {
		if t.Info.AgentID.Value == id {
			m.master(t.Info, mesos.TASK_LOST, mesos.REASON_AGENT_REMOVED, "Slave "+id+" removed: health check timed out")
			delete(m.tasks, t.Info.TaskID.Value)
		}
	}
	m.tell(func(h Handler) { h.AgentLost(mesos.AgentID{Value: id}) })
}

// End ends a task as its executor would. Unknown ids are ignored.
func (m *Twin) End(taskID string, state mesos.TaskState, message string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t := m.tasks[taskID]; t != nil {
		delete(m.tasks, taskID)
		m.executor(t.Info, state, message, nil)
	}
}

// Forget drops a task without a word, as if its update were lost.
func (m *Twin) Forget(taskID string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.tasks, taskID)
}

// Healthy plays a result of the executor's COMMAND check.
func (m *Twin) Healthy(taskID string, healthy bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t := m.tasks[taskID]; t != nil {
		m.executor(t.Info, mesos.TASK_RUNNING, "", &healthy)
	}
}

// Message plays an executor that has something to say.
func (m *Twin) Message(agentID, executorID string, data []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tell(func(h Handler) { h.Message(mesos.AgentID{Value: agentID}, mesos.ExecutorID{Value: executorID}, data) })
}

// Stray plays an update of a task nobody launched.
func (m *Twin) Stray(agentID, taskID string, state mesos.TaskState) {
	m.mu.Lock()
	defer m.mu.Unlock()
	info := mesos.TaskInfo{TaskID: mesos.TaskID{Value: taskID}, AgentID: mesos.AgentID{Value: agentID}}
	if state == mesos.TASK_RUNNING {
		m.tasks[taskID] = &TwinTask{info, state}
	}
	m.executor(info, state, "", nil)
}

// Tasks lists what runs or starts, by id.
func (m *Twin) Tasks() []TwinTask {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []TwinTask
	for _, t := range m.list() {
		out = append(out, *t)
	}
	return out
}

func (m *Twin) list() []*TwinTask {
	var out []*TwinTask
	for _, id := range slices.Sorted(maps.Keys(m.tasks)) {
		out = append(out, m.tasks[id])
	}
	return out
}

// Violations lists what must never happen and did: a task id launched
// twice, an agent overcommitted, a host port given twice.
func (m *Twin) Violations() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.violations)
}

// Calls lists every call of one type so far.
func (m *Twin) Calls(kind scheduler.Call_Type) []*Call {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(m.calls), func(c *Call) bool { return c.Type != kind })
}

// Unacknowledged is how many updates wait for an acknowledgement.
func (m *Twin) Unacknowledged() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.pending)
}

// Attach subscribes a handler until ctx ends; a handler before it is
// disconnected.
func (m *Twin) Attach(ctx context.Context, h Handler) {
	m.mu.Lock()
	if m.framework == "" {
		m.framework = "twin-0000"
	}
	id := m.framework
	m.handler, m.events = h, nil
	clear(m.offers)
	for _, a := range m.agents {
		a.refused = time.Time{}
	}
	m.mu.Unlock()
	h.Subscribed(ctx, id, "master:5050")
	m.mu.Lock()
	for _, u := range m.pending {
		m.tell(func(h Handler) { h.Update(ctx, u) })
	}
	m.allocate()
	m.mu.Unlock()
	m.pump(ctx, h)
}

// pump hands events over, and plays the allocator's and the agents' clocks.
func (m *Twin) pump(ctx context.Context, h Handler) {
	tick, resend := time.NewTicker(time.Second), time.NewTicker(10*time.Second)
	defer tick.Stop()
	defer resend.Stop()
	for {
		m.mu.Lock()
		mine := m.handler == h
		var next func(Handler)
		if mine && len(m.events) > 0 {
			next, m.events = m.events[0], m.events[1:]
		}
		m.mu.Unlock()
		if next != nil && ctx.Err() == nil {
			next(h)
			continue
		}
		select {
		case <-ctx.Done():
			m.detach(h)
			return
		case <-m.wake:
		case <-tick.C:
			m.mu.Lock()
			m.allocate()
			m.mu.Unlock()
		case <-resend.C:
			m.mu.Lock()
			for _, u := range m.pending {
				m.tell(func(h Handler) { h.Update(ctx, u) })
			}
			m.mu.Unlock()
		}
		if !mine {
			return
		}
	}
}

func (m *Twin) detach(h Handler) {
	m.mu.Lock()
	mine := m.handler == h
	if mine {
		m.handler = nil
		clear(m.offers)
	}
	m.mu.Unlock()
	if mine {
		h.Disconnected()
	}
}

// tell queues an event.
func (m *Twin) tell(fn func(Handler)) {
	if m.handler == nil {
		return
	}
	m.events = append(m.events, fn)
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// Send takes a call, as the master would.
func (m *Twin) Send(c *Call) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = append(m.calls, c)
	if m.Faults.Lose != nil && m.Faults.Lose(c) {
		m.withdraw(c)
		return
	}
	switch c.Type {
	case scheduler.Call_ACCEPT:
		m.accept(c.Accept)
	case scheduler.Call_DECLINE:
		for _, o := range c.Decline.OfferIDs {
			m.refuse(o.Value, c.Decline.Filters)
		}
	case scheduler.Call_REVIVE:
		for _, a := range m.agents {
			a.refused = time.Time{}
		}
		m.allocate()
	case scheduler.Call_KILL:
		if m.LoseKills > 0 {
			m.LoseKills--
			return
		}
		m.kill(c.Kill.TaskID.Value, c.Kill.GetAgentID().GetValue())
	case scheduler.Call_ACKNOWLEDGE:
		if s, ok := m.pending[string(c.Acknowledge.UUID)]; ok && m.Faults.Acknowledged != nil {
			m.Faults.Acknowledged(s)
		}
		delete(m.pending, string(c.Acknowledge.UUID))
	case scheduler.Call_RECONCILE:
		m.reconcile(c.Reconcile.Tasks)
	}
}

func (m *Twin) refuse(offer string, f *mesos.Filters) {
	a := m.agents[m.offers[offer]]
	delete(m.offers, offer)
	if a != nil {
		a.refused = time.Now().Add(time.Duration(f.GetRefuseSeconds() * float64(time.Second)))
	}
}

func (m *Twin) accept(acc *scheduler.Call_Accept) {
	var agent string
	for _, o := range acc.OfferIDs {
		agent = m.offers[o.Value]
		m.refuse(o.Value, acc.Filters)
	}
	for _, op := range acc.Operations {
		for _, info := range op.GetLaunch().GetTaskInfos() {
			m.launch(agent, info)
		}
	}
}

func (m *Twin) launch(agent string, info mesos.TaskInfo) {
	id := info.TaskID.Value
	if m.seen[id]++; m.seen[id] > 1 {
		m.violations = append(m.violations, "task "+id+" is launched twice")
	}
	a := m.agents[agent]
	if a == nil || agent != info.AgentID.Value {
		m.master(info, mesos.TASK_LOST, mesos.REASON_INVALID_OFFERS, "Task launched with invalid offers")
		return
	}
	t := &TwinTask{info, mesos.TASK_STAGING}
	m.tasks[id] = t
	if cpus, mem, _ := m.free(a); cpus < -0.001 || mem < -0.001 {
		m.violations = append(m.violations, fmt.Sprintf("%s is overcommitted: %v cpus, %v MiB left", agent, cpus, mem))
	}
	time.AfterFunc(m.StartDelay, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.tasks[id] == t && t.State == mesos.TASK_STAGING {
			t.State = mesos.TASK_RUNNING
			m.executor(t.Info, mesos.TASK_RUNNING, "", nil)
		}
	})
}

func (m *Twin) kill(id, agent string) {
	t := m.tasks[id]
	if t == nil {
		info := mesos.TaskInfo{TaskID: mesos.TaskID{Value: id}, AgentID: mesos.AgentID{Value: agent}}
		m.master(info, mesos.TASK_LOST, mesos.REASON_RECONCILIATION, "Reconciliation: Task is unknown")
		return
	}
	time.AfterFunc(m.StopDelay, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.tasks[id] == t {
			delete(m.tasks, id)
			m.executor(t.Info, mesos.TASK_KILLED, "Command terminated with signal Terminated", nil)
		}
	})
}

func (m *Twin) reconcile(ask []scheduler.Call_Reconcile_Task) {
	for _, q := range ask {
		if t := m.tasks[q.TaskID.Value]; t != nil {
			m.master(t.Info, t.State, mesos.REASON_RECONCILIATION, "Reconciliation: Latest task state")
		} else {
			m.master(mesos.TaskInfo{TaskID: q.TaskID}, mesos.TASK_LOST, mesos.REASON_RECONCILIATION, "Reconciliation: Task is unknown")
		}
	}
	if len(ask) == 0 {
		for _, t := range m.list() {
			m.master(t.Info, t.State, mesos.REASON_RECONCILIATION, "Reconciliation: Latest task state")
		}
	}
}

// executor sends an update with a uuid, again and again until it is
// acknowledged.
func (m *Twin) executor(info mesos.TaskInfo, state mesos.TaskState, message string, healthy *bool) {
	id := uuid.New()
	s := m.status(info, state, message)
	s.UUID, s.Healthy = id[:], healthy
	m.pending[string(s.UUID)] = s
	m.tell(func(h Handler) { h.Update(context.Background(), s) })
}

// master sends an update without a uuid, once.
func (m *Twin) master(info mesos.TaskInfo, state mesos.TaskState, reason mesos.TaskStatus_Reason, message string) {
	s := m.status(info, state, message)
	s.Reason = &reason
	m.tell(func(h Handler) { h.Update(context.Background(), s) })
}

func (m *Twin) status(info mesos.TaskInfo, state mesos.TaskState, message string) mesos.TaskStatus {
	now := time.Now()
	if m.Faults.Skew != nil {
		now = now.Add(m.Faults.Skew())
	}
	at := float64(now.UnixNano()) / float64(time.Second)
	agent := info.AgentID
	return mesos.TaskStatus{TaskID: info.TaskID, State: &state, AgentID: &agent, Message: &message, Timestamp: &at}
}
