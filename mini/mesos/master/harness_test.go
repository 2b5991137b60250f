package master

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/encoding/codecs"
	"github.com/mesos/mesos-go/api/v1/lib/httpcli"
	"github.com/mesos/mesos-go/api/v1/lib/httpcli/httpsched"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"github.com/google/uuid"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/mini"
	"github.com/mesoslab/lab/mini/mesos/election"
	"github.com/mesoslab/lab/mini/mesos/master/flags"
	"github.com/mesoslab/lab/mini/mesos/master/resource"
	"github.com/mesoslab/lab/mini/mesos/wire"
)

const masterIP, masterAddr = "10.0.0.1", "10.0.0.1:5050"

// rig is a master, agents and schedulers on an in-memory network. It is used
// inside a synctest bubble.
type rig struct {
	t   *testing.T
	ctx context.Context
	net *labtest.Network
	dir string // one folder for every host: hosts differ in their paths only
}

func newRig(t *testing.T) *rig {
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel) // runs inside the bubble, before it must be empty
	return &rig{t: t, ctx: ctx, net: labtest.NewNetwork(), dir: t.TempDir()}
}

// testMaster is one running master.
type testMaster struct {
	*master
	stop func()
	done chan struct{}
	err  error // once done
}

func (r *rig) env(ip string, args ...string) mini.Env {
	h := r.net.Host(ip)
	return mini.Env{Args: args, Root: r.dir, Hostname: "host-" + ip, Listen: h.Listen, Dial: h.Dial,
		Stdout: io.Discard, Stderr: testWriter{r.t}}
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(string(bytes.TrimSpace(p)))
	return len(p), nil
}

// master starts a master with every change audited.
func (r *rig) master(ip string, group election.Group, args ...string) *testMaster {
	r.t.Helper()
	args = append([]string{"--ip=" + ip, "--registry=in_memory", "--hostname_lookup=false"}, args...)
	env := r.env(ip, args...)
	cfg, err := flags.Parse(args, flags.Source{Getenv: env.Getenv})
	if err != nil {
		r.t.Fatal(err)
	}
	return r.start(env, cfg, group)
}

func (r *rig) start(env mini.Env, cfg flags.Config, group election.Group) *testMaster {
	m := newMaster(env, cfg)
	m.group = group
	m.audit = func(err error) {
		if err != nil {
			r.t.Errorf("invariant broken: %v", err)
		}
	}
	ctx, cancel := context.WithCancel(r.ctx)
	tm := &testMaster{master: m, stop: cancel, done: make(chan struct{})}
	go func() {
		defer close(tm.done)
		tm.err = m.run(ctx)
	}()
	synctest.Wait()
	return tm
}

// get fetches a path of the master.
func (r *rig) get(addr, path string) (*http.Response, []byte) {
	r.t.Helper()
	resp, err := r.client("10.0.9.9").Get("http://" + addr + path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp, body
}

func (r *rig) client(ip string) *http.Client {
	c := r.env(ip).HTTPClient()
	r.t.Cleanup(c.CloseIdleConnections)
	return c
}

// state decodes /state.
func (r *rig) state() (s struct {
	Activated   float64 `json:"activated_slaves"`
	Deactivated float64 `json:"deactivated_slaves"`
	Slaves      []struct {
		ID     string
		Active bool
	}
	Frameworks []struct {
		ID             string
		Active         bool
		Tasks          []struct{ ID, State string }
		CompletedTasks []struct{ ID, State string } `json:"completed_tasks"`
		Offers         []struct{ ID string }
	}
	CompletedFrameworks []struct {
		ID             string
		CompletedTasks []struct{ ID, State string } `json:"completed_tasks"`
	} `json:"completed_frameworks"`
}) {
	r.t.Helper()
	_, body := r.get(masterAddr, "/state")
	if err := json.Unmarshal(body, &s); err != nil {
		r.t.Fatalf("/state: %v in %s", err, body)
	}
	return s
}

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
	tasks    map[string]*mesos.Task
	fws      map[string]mesos.FrameworkInfo
	runs     map[string]int // how often each task was started
	acks     []string
	shutdown string // why the master told it to end
	closed   bool   // the connection ended
	received []wire.Message
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
	var first wire.Message = &wire.Register{Agent: wire.Of(a.info), PID: a.pid(), Version: "1.3.2", Checkpoint: true}
	if a.id != "" {
		info := a.info
		info.ID = &mesos.AgentID{Value: a.id}
		re := &wire.Reregister{Agent: wire.Of(info), PID: a.pid(), Version: "1.3.2", Checkpoint: true}
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
	a.update(ctx, conn, m.Framework.V.ID.Value, id, mesos.TASK_RUNNING)
}

// update sends a status update; the lock must be held.
func (a *agentDouble) update(ctx context.Context, conn *wire.Conn, fw, id string, state mesos.TaskState) {
	t := a.tasks[id]
	if t == nil {
		return
	}
	u := uuid.New()
	now := float64(time.Now().UnixNano()) / 1e9
	st := mesos.TaskStatus{TaskID: t.TaskID, State: &state, Source: mesos.SOURCE_EXECUTOR.Enum(), AgentID: &t.AgentID,
		ExecutorID: &mesos.ExecutorID{Value: id}, UUID: u[:], Timestamp: &now,
		ContainerStatus: &mesos.ContainerStatus{
			ContainerID:  &mesos.ContainerID{Value: "c-" + id},
			NetworkInfos: []mesos.NetworkInfo{{IPAddresses: []mesos.NetworkInfo_IPAddress{{IPAddress: &a.ip}}}}}}
	t.State, t.StatusUpdateState, t.StatusUpdateUUID = &state, &state, u[:]
	t.Statuses = append(t.Statuses, st)
	conn.Send(ctx, &wire.StatusUpdate{FrameworkID: fw, Status: wire.Of(st), LatestState: state})
}

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

// sched is a scheduler that uses mesos-go's client.
type sched struct {
	r      *rig
	caller calls.Caller
	stop   func()
	done   chan struct{}

	mu     sync.Mutex
	id     string
	events []*scheduler.Event
	seen   int
	ack    bool
}

func framework(name string) *mesos.FrameworkInfo {
	checkpoint, timeout := true, 3600.0
	return &mesos.FrameworkInfo{User: "root", Name: name, Checkpoint: &checkpoint, FailoverTimeout: &timeout}
}

// scheduler subscribes; events are collected and updates acknowledged.
func (r *rig) scheduler(info *mesos.FrameworkInfo) *sched {
	return r.schedulerWith(info, codecs.ByMediaType[codecs.MediaTypeJSON].Type.ContentType(), masterAddr)
}

func (r *rig) schedulerWith(info *mesos.FrameworkInfo, media, addr string) *sched {
	r.t.Helper()
	codec := codecs.ByMediaType[codecs.MediaTypeJSON]
	if media == codecs.MediaTypeProtobuf.ContentType() {
		codec = codecs.ByMediaType[codecs.MediaTypeProtobuf]
	}
	h := r.net.Host("10.0.9.1")
	transport := &http.Transport{DialContext: h.Dial}
	r.t.Cleanup(transport.CloseIdleConnections)
	s := &sched{r: r, ack: true, done: make(chan struct{}), caller: httpsched.NewCaller(httpcli.New(
		httpcli.Endpoint("http://"+addr+"/api/v1/scheduler"), httpcli.Codec(codec),
		httpcli.Do(httpcli.With(httpcli.RoundTripper(transport)))))}
	ctx, cancel := context.WithCancel(r.ctx)
	s.stop = cancel
	call := calls.Subscribe(info)
	if info.ID != nil {
		call = call.With(calls.SubscribeTo(info.ID.Value))
	}
	resp, err := s.caller.Call(ctx, call)
	if err != nil {
		r.t.Fatalf("subscribe: %v", err)
	}
	go func() {
		defer close(s.done)
		defer resp.Close()
		for {
			e := new(scheduler.Event)
			if err := resp.Decode(e); err != nil {
				return
			}
			s.take(ctx, e)
		}
	}()
	synctest.Wait()
	return s
}

func (s *sched) take(ctx context.Context, e *scheduler.Event) {
	s.mu.Lock()
	s.events = append(s.events, e)
	if e.Type == scheduler.Event_SUBSCRIBED {
		s.id = e.Subscribed.FrameworkID.Value
	}
	ack := s.ack
	s.mu.Unlock()
	if st := e.GetUpdate().GetStatus(); ack && e.Type == scheduler.Event_UPDATE && len(st.UUID) > 0 {
		go s.call(calls.Acknowledge(st.AgentID.Value, st.TaskID.Value, st.UUID))
	}
}

func (s *sched) call(c *scheduler.Call) {
	resp, err := s.caller.Call(s.r.ctx, c.With(calls.Framework(s.id)))
	if err != nil && s.r.ctx.Err() == nil {
		s.r.t.Errorf("%v: %v", c.Type, err)
	}
	if resp != nil {
		resp.Close()
	}
}

// new returns the events since the last call of new.
func (s *sched) new() []*scheduler.Event {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.events[s.seen:]
	s.seen = len(s.events)
	return list
}

// offers returns the offers among the new events, by agent id.
func (s *sched) offers() map[string]mesos.Offer {
	m := map[string]mesos.Offer{}
	for _, e := range s.new() {
		for _, o := range e.GetOffers().GetOffers() {
			m[o.AgentID.Value] = o
		}
	}
	return m
}

// brief prints events in one line each, for comparison.
func brief(events []*scheduler.Event) []string {
	var list []string
	for _, e := range events {
		s := e.Type.String()
		switch e.Type {
		case scheduler.Event_UPDATE:
			st := e.Update.Status
			s = fmt.Sprintf("%s %s", st.TaskID.Value, st.State)
			if st.Reason != nil {
				s += fmt.Sprintf(" %s %q", st.Reason, st.GetMessage())
			}
		case scheduler.Event_OFFERS:
			s = fmt.Sprintf("OFFERS %d", len(e.Offers.Offers))
		case scheduler.Event_ERROR:
			s = "ERROR " + e.Error.Message
		}
		list = append(list, s)
	}
	return list
}

func task(id, agent string, cpus, mem float64) mesos.TaskInfo {
	shell, value := true, "sleep 1000"
	return mesos.TaskInfo{Name: "n-" + id, TaskID: mesos.TaskID{Value: id}, AgentID: mesos.AgentID{Value: agent},
		Resources: resource.CPUMem(cpus, mem).Proto(""), Command: &mesos.CommandInfo{Shell: &shell, Value: &value}}
}

func launch(offer mesos.Offer, refuse time.Duration, tasks ...mesos.TaskInfo) *scheduler.Call {
	return calls.Accept(calls.OfferOperations{calls.OpLaunch(tasks...)}.WithOffers(offer.ID)).With(calls.RefuseSeconds(refuse))
}
