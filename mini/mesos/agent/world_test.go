package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
	"github.com/mesoslab/lab/mini"
	"github.com/mesoslab/lab/mini/mesos/agent/config"
	"github.com/mesoslab/lab/mini/mesos/agent/docker"
	"github.com/mesoslab/lab/mini/mesos/agent/meta"
	"github.com/mesoslab/lab/mini/mesos/election"
	"github.com/mesoslab/lab/mini/mesos/wire"
	"github.com/mesoslab/lab/mini/supervise"
)

const (
	agentIP = "10.0.0.2"
	image   = "nginx:1.9"
)

func ptr[T any](v T) *T { return &v }

// world is everything around an agent.
type world struct {
	t      *testing.T
	net    *labtest.Network
	engine *docker.Memory
	// launcher runs commands; environ lets root have them run.
	launcher *supervise.Memory
	environ  []string
	group    *election.Memory
	root     string
	flags    []string
	out      *journal
	memory   string       // where the last agent remembers
	before   func() error // what happens before each write of an agent, see meta.Store
}

// disk is where an agent remembers.
func (w *world) disk(cfg *config.Config) *meta.Store {
	w.memory = filepath.Join(w.root, cfg.WorkDir, metaFolder)
	s := meta.NewStore(w.memory)
	s.Before = w.before
	return s
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, net: labtest.NewNetwork(), engine: &docker.Memory{}, launcher: &supervise.Memory{},
		environ: []string{"LAB_ALLOW_ROOT_CMD=1"}, flags: []string{"--containerizers=docker,mesos"},
		group: &election.Memory{}, root: t.TempDir(), out: &journal{}}
	w.engine.AddImage(image)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("agent's log:\n%s", w.out.text())
		}
	})
	return w
}

type journal struct {
	mu sync.Mutex
	b  strings.Builder
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) text() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

func (w *world) env(args ...string) mini.Env {
	h := w.net.Host(agentIP)
	env := mini.Env{
		Environ: w.environ,
		Args: append([]string{"--master=10.0.0.1:5050", "--ip=" + agentIP, "--hostname_lookup=false",
			"--resources=cpus:4;mem:1024;disk:2048;ports:[31000-32000]", "--attributes=rack:r1"}, append(w.flags, args...)...),
		Root: w.root, Hostname: "node2", Listen: h.Listen, Dial: h.Dial, Stdout: w.out, Stderr: w.out,
	}
	if w.launcher != nil { // a nil *Memory is no nil Launcher
		env.Launcher = w.launcher
	}
	return env
}

// agentRun is one run of an agent.
type agentRun struct {
	t    *testing.T
	stop context.CancelFunc
	over chan struct{}
	code int
}

// start runs an agent that finds its masters in w.group.
func (w *world) start(args ...string) *agentRun {
	w.t.Helper()
	env := w.env(args...)
	cfg, err := config.Load(env)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	p := &agentRun{t: w.t, stop: cancel, over: make(chan struct{})}
	go func() {
		defer close(p.over)
		p.code = run(ctx, env, cfg, w.engine, w.group, w.disk(cfg), newLogger(w.out, false))
	}()
	w.t.Cleanup(func() { cancel(); <-p.over })
	return p
}

// wait expects the agent to end with this code.
func (p *agentRun) wait(code int) {
	p.t.Helper()
	select {
	case <-p.over:
		if p.code != code {
			p.t.Errorf("the agent ended with %d, want %d", p.code, code)
		}
	case <-time.After(time.Hour):
		p.t.Fatal("the agent has not ended")
	}
}

// end is SIGTERM.
func (p *agentRun) end() {
	p.t.Helper()
	p.stop()
	p.wait(0)
}

// fakeMaster is a master that does what the test says.
type fakeMaster struct {
	t        *testing.T
	host     *labtest.Host
	info     election.Master
	server   *http.Server
	pings    time.Duration // 0: none
	timeout  time.Duration
	mute     bool // registrations get no answer
	greeting []wire.Message

	in    chan wire.Message // all but pongs
	pongs atomic.Int64
	mu    sync.Mutex
	conn  *wire.Conn
	count int
	leave context.CancelFunc
}

// newMaster starts a master that leads (or will, once those before it are
// gone).
func (w *world) newMaster(n int) *fakeMaster {
	ip := fmt.Sprintf("10.0.1.%d", n)
	m := &fakeMaster{t: w.t, host: w.net.Host(ip), in: make(chan wire.Message, 1000), timeout: 75 * time.Second, pings: 15 * time.Second,
		info: election.NewMaster(fmt.Sprintf("master%d", n), ip, netip.MustParseAddrPort(ip+":5050"), Version)}
	l, err := m.host.Listen(w.t.Context(), "tcp", ":5050")
	if err != nil {
		w.t.Fatal(err)
	}
	m.server = &http.Server{Handler: http.HandlerFunc(m.serve)}
	go m.server.Serve(l)
	ctx, cancel := context.WithCancel(w.t.Context())
	m.leave = cancel
	if _, err := w.group.Contend(ctx, m.info); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { m.resign() })
	return m
}

// resign ends the master.
func (m *fakeMaster) resign() {
	m.leave()
	m.server.Close()
	m.drop()
}

// drop closes the connection of the agent.
func (m *fakeMaster) drop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.conn != nil {
		m.conn.Close()
	}
}

func (m *fakeMaster) serve(w http.ResponseWriter, r *http.Request) {
	c, err := wire.Accept(w, r)
	if err != nil {
		m.t.Error(err)
		return
	}
	m.mu.Lock()
	m.conn = c
	m.mu.Unlock()
	ctx, cancel := context.WithCancel(m.t.Context())
	defer cancel()
	if m.pings > 0 {
		go func() {
			for i := uint64(1); pause(ctx, m.pings); i++ {
				c.Send(ctx, &wire.Ping{Seq: i, Connected: true})
			}
		}()
	}
	for {
		msg, err := c.Receive(ctx)
		if err != nil {
			return
		}
		if _, pong := msg.(*wire.Pong); pong {
			m.pongs.Add(1)
			continue
		}
		m.answer(ctx, c, msg)
		m.in <- msg
	}
}

// answer registers agents, unless the master is mute.
func (m *fakeMaster) answer(ctx context.Context, c *wire.Conn, msg wire.Message) {
	for _, g := range m.greeting {
		c.Send(ctx, g)
	}
	if m.mute {
		return
	}
	switch msg := msg.(type) {
	case *wire.Register:
		m.count++
		c.Send(ctx, &wire.Registered{AgentID: fmt.Sprintf("%s-S%d", m.info.ID, m.count-1), TotalPingTimeout: m.timeout})
	case *wire.Reregister:
		c.Send(ctx, &wire.Reregistered{AgentID: msg.Agent.V.GetID().GetValue(), TotalPingTimeout: m.timeout})
	}
}

func (m *fakeMaster) send(msg wire.Message) {
	m.t.Helper()
	m.mu.Lock()
	c := m.conn
	m.mu.Unlock()
	if err := c.Send(m.t.Context(), msg); err != nil {
		m.t.Errorf("send %s: %v", msg.Kind(), err)
	}
}

// expect returns the next message, which must be of a type.
func expect[T wire.Message](m *fakeMaster) T {
	m.t.Helper()
	for {
		select {
		case msg := <-m.in:
			if got, ok := msg.(T); ok {
				return got
			}
			m.t.Fatalf("got %T %+v while waiting for %v", msg, msg, reflect.TypeFor[T]())
		case <-time.After(time.Hour):
			m.t.Fatalf("no %v came", reflect.TypeFor[T]())
		}
	}
}

// quiet expects no message for a while.
func (m *fakeMaster) quiet(d time.Duration) {
	m.t.Helper()
	end := time.After(d)
	for {
		select {
		case msg := <-m.in:
			m.t.Errorf("unexpected %T %+v", msg, msg)
		case <-end:
			return
		}
	}
}

// update expects an update of a state and acknowledges it.
func (m *fakeMaster) update(task string, state mesos.TaskState) mesos.TaskStatus {
	m.t.Helper()
	u := m.unacknowledged(task, state)
	m.ack(u)
	return u
}

func (m *fakeMaster) unacknowledged(task string, state mesos.TaskState) mesos.TaskStatus {
	m.t.Helper()
	u := expect[*wire.StatusUpdate](m)
	s := u.Status.V
	if s.TaskID.Value != task || s.GetState() != state {
		m.t.Fatalf("got %s for %s (%s), want %s for %s", s.GetState(), s.TaskID.Value, s.GetMessage(), state, task)
	}
	if len(s.UUID) != 16 || s.Timestamp == nil || s.AgentID == nil {
		m.t.Errorf("incomplete update %+v", s)
	}
	return s
}

func (m *fakeMaster) ack(s mesos.TaskStatus) {
	m.t.Helper()
	m.send(&wire.Ack{FrameworkID: "fw-0", TaskID: s.TaskID.Value, UUID: s.UUID})
}

func framework1() mesos.FrameworkInfo {
	return mesos.FrameworkInfo{User: "root", Name: "marathon", ID: &mesos.FrameworkID{Value: "fw-0"}, Checkpoint: ptr(true), FailoverTimeout: ptr(604800.0)}
}

func scalars(cpus, mem float64) []mesos.Resource {
	return []mesos.Resource{
		{Name: "cpus", Type: mesos.SCALAR.Enum(), Scalar: &mesos.Value_Scalar{Value: cpus}},
		{Name: "mem", Type: mesos.SCALAR.Enum(), Scalar: &mesos.Value_Scalar{Value: mem}},
	}
}

// dockerTask is a task of the kind Marathon launches.
func dockerTask(agent, id string) mesos.TaskInfo {
	return mesos.TaskInfo{
		Name: "nginx", TaskID: mesos.TaskID{Value: id}, AgentID: mesos.AgentID{Value: agent},
		Resources: append(scalars(0.5, 64), mesos.Resource{Name: "ports", Type: mesos.RANGES.Enum(),
			Ranges: &mesos.Value_Ranges{Range: []mesos.Value_Range{{Begin: 31005, End: 31005}}}}),
		Command: &mesos.CommandInfo{Shell: ptr(false), Environment: &mesos.Environment{Variables: []mesos.Environment_Variable{{Name: "PORT", Value: ptr("31005")}}}},
		Container: &mesos.ContainerInfo{Type: mesos.ContainerInfo_DOCKER.Enum(), Docker: &mesos.ContainerInfo_DockerInfo{
			Image: image, Network: mesos.ContainerInfo_DockerInfo_BRIDGE.Enum(),
			PortMappings: []mesos.ContainerInfo_DockerInfo_PortMapping{{HostPort: 31005, ContainerPort: 80}},
		}},
	}
}

func (m *fakeMaster) run(t mesos.TaskInfo) {
	m.t.Helper()
	m.send(&wire.RunTask{Framework: wire.Of(framework1()), Task: wire.Of(t)})
}

// running gets a task to where its RUNNING update is acknowledged.
func (m *fakeMaster) running(w *world, agent, id string) (container string) {
	m.t.Helper()
	before := len(w.engine.Started())
	m.run(dockerTask(agent, id))
	m.update(id, mesos.TASK_RUNNING)
	synctest.Wait()
	started := w.engine.Started()
	if len(started) != before+1 {
		m.t.Fatalf("%d containers were started, want %d", len(started), before+1)
	}
	return started[before]
}

// get asks the agent's HTTP port.
func (w *world) get(path string) (int, []byte) {
	w.t.Helper()
	h := w.net.Host("10.0.0.99")
	tr := &http.Transport{DialContext: h.Dial, DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: tr}).Get("http://" + agentIP + ":5051" + path)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode, b
}

func (w *world) state() map[string]any {
	w.t.Helper()
	_, b := w.get("/state")
	var out map[string]any
	if err := json.Unmarshal(b, &out); err != nil {
		w.t.Fatalf("%v in %s", err, b)
	}
	return out
}

// inBubble runs a test in a bubble.
func inBubble(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	bubble.Test(t, func(t *testing.T) { f(t, newWorld(t)) })
}
