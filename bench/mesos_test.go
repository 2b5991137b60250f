//go:build linux

package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/encoding/codecs"
	"github.com/mesos/mesos-go/api/v1/lib/httpcli"
	"github.com/mesos/mesos-go/api/v1/lib/httpcli/httpsched"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"github.com/mesoslab/lab/e2e/rig"
	"github.com/mesoslab/lab/mini/mesos/master/resource"
	"github.com/mesoslab/lab/mini/mesos/wire"
)

// allocationInterval is a tenth of the default: the figures are those of one
// allocation, and come sooner.
const allocationInterval = 100 * time.Millisecond

// BenchmarkMaster takes what one mini Mesos master, a process of its own,
// costs with 10, 100 and 1000 simulated agents, each with one task: until all
// are registered, until one framework has an offer of each, the time of an
// allocation that offers all of them (and of one in which all is refused),
// /state, and the master's memory. The agents are goroutines of this process;
// they answer pings and say that tasks run.
func BenchmarkMaster(b *testing.B) {
	b.Log(machineSize())
	for _, n := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("%d agents", n), func(b *testing.B) {
			f := masterFigures{
				registered: in("ms"), offered: in("ms"), launched: in("ms"), allocation: in("ms"),
				refused: in("ms"), state: in("ms"), size: in("kB"), memory: in("MB"),
			}
			for b.Loop() {
				f.take(b, n)
			}
			f.registered.report(b, "registered")
			f.offered.report(b, "offered")
			f.launched.report(b, "launched")
			f.allocation.report(b, "allocation")
			f.refused.report(b, "refused")
			f.state.report(b, "state")
			f.size.report(b, "size")
			f.memory.report(b, "memory")
		})
	}
}

type masterFigures struct {
	registered, offered, launched, allocation, refused, state, size, memory *figures
}

// take runs one master.
func (f *masterFigures) take(b *testing.B, n int) {
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	m := startMaster(b, ctx)
	agents := make([]*benchAgent, n)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	begun := time.Now()
	var registered sync.WaitGroup
	for i := range agents {
		agents[i] = &benchAgent{n: i}
		registered.Add(1)
		wg.Go(func() { agents[i].live(ctx, b, m.addr, registered.Done) })
	}
	registered.Wait()
	f.registered.addTime(time.Since(begun))

	s := &benchScheduler{addr: m.addr}
	begun = time.Now()
	s.subscribe(ctx, b)
	offers := s.offers(b, n)
	f.offered.addTime(time.Since(begun))
	begun = time.Now()
	for _, o := range offers {
		s.call(ctx, b, calls.Accept(calls.OfferOperations{calls.OpLaunch(benchTask(o))}.WithOffers(o.ID)).With(calls.RefuseSeconds(0)))
	}
	s.running(b, n)
	f.launched.addTime(time.Since(begun))
	// Everything is offered and given back, again and again.
	for range rounds {
		for _, o := range s.offers(b, n) {
			s.give = append(s.give, o.ID)
		}
		f.allocation.add(m.metric(b, "allocator/mesos/allocation_run_ms"))
		s.call(ctx, b, calls.Decline(s.give...).With(calls.RefuseSeconds(0)))
		s.give = nil
	}
	for _, o := range s.offers(b, n) {
		s.give = append(s.give, o.ID)
	}
	s.call(ctx, b, calls.Decline(s.give...).With(calls.RefuseSeconds(time.Hour)))
	for range rounds {
		pause(ctx, 2*allocationInterval)
		f.refused.add(m.metric(b, "allocator/mesos/allocation_run_ms"))
	}
	for range rounds {
		var size int
		f.state.addTime(timed(func() { size = m.get(b, "/state", nil) }))
		f.size.add(float64(size) / 1000)
	}
	f.memory.add(m.memory(b))
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// benchMaster is one master process.
type benchMaster struct {
	addr string
	cmd  *exec.Cmd
}

func startMaster(b *testing.B, ctx context.Context) *benchMaster {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	m := &benchMaster{addr: l.Addr().String()}
	l.Close()
	_, port, _ := net.SplitHostPort(m.addr)
	m.cmd = exec.CommandContext(ctx, rig.Binary(b), "mini", "mesos-master", "--ip=127.0.0.1", "--port="+port, "--registry=in_memory",
		"--hostname_lookup=false", "--quiet", "--allocation_interval=100ms")
	m.cmd.Env = []string{"HOME=" + b.TempDir()}
	var log bytes.Buffer
	m.cmd.Stderr = &log
	if err := m.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { m.cmd.Process.Kill(); m.cmd.Wait() })
	for range 500 {
		if resp, err := http.Get("http://" + m.addr + "/state"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return m
			}
		}
		pause(ctx, 20*time.Millisecond)
	}
	b.Fatalf("the master does not answer: %s", log.String())
	return nil
}

// get returns the size of an answer, which v, if not nil, takes.
func (m *benchMaster) get(b *testing.B, path string, v any) int {
	b.Helper()
	a, err := rig.Ask(b.Context(), "GET", "http://"+m.addr+path, "", nil)
	if err != nil || a.Status != http.StatusOK {
		b.Fatalf("%s: %d, %v", path, a.Status, err)
	}
	if v != nil {
		if err := json.Unmarshal([]byte(a.Body), v); err != nil {
			b.Fatal(err)
		}
	}
	return len(a.Body)
}

func (m *benchMaster) metric(b *testing.B, name string) float64 {
	b.Helper()
	var all map[string]float64
	m.get(b, "/metrics/snapshot", &all)
	v, ok := all[name]
	if !ok {
		b.Fatalf("no metric %s", name)
	}
	return v
}

// memory is what the process has resident, in MB.
func (m *benchMaster) memory(b *testing.B) float64 {
	b.Helper()
	return resident(b, m.cmd.Process.Pid)
}

// resident is what a process has in memory, in MB.
func resident(b *testing.B, pid int) float64 {
	b.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		var kb float64
		if _, err := fmt.Sscanf(line, "VmRSS: %f kB", &kb); err == nil {
			return kb / 1000
		}
	}
	b.Fatal("no VmRSS")
	return 0
}

// benchAgent speaks wire and pretends to run tasks.
type benchAgent struct{ n int }

func (a *benchAgent) live(ctx context.Context, b *testing.B, addr string, registered func()) {
	var d net.Dialer
	conn, err := wire.Dial(ctx, d.DialContext, addr)
	if err != nil {
		b.Error(err)
		registered()
		return
	}
	defer conn.Close()
	port := int32(5051)
	ports := resource.Of(resource.Item{Name: "ports", Role: "*", Kind: resource.Ranges, Ranges: []resource.Range{{Begin: 31000, End: 32000}}})
	info := mesos.AgentInfo{Hostname: fmt.Sprintf("agent%d", a.n), Port: &port, Resources: resource.CPUMem(4, 8192).Add(ports).Proto("")}
	if err := conn.Send(ctx, &wire.Register{Agent: wire.Of(info), PID: fmt.Sprintf("slave(1)@127.0.%d.%d:5051", 1+a.n/250, 1+a.n%250),
		Version: "1.3.2", Checkpoint: true}); err != nil {
		b.Error(err)
	}
	for {
		msg, err := conn.Receive(ctx)
		if err != nil {
			return
		}
		switch msg := msg.(type) {
		case *wire.Registered:
			registered()
		case *wire.Ping:
			err = conn.Send(ctx, &wire.Pong{Seq: msg.Seq})
		case *wire.RunTask:
			err = conn.Send(ctx, runs(msg))
		}
		if err != nil {
			return
		}
	}
}

func runs(m *wire.RunTask) *wire.StatusUpdate {
	t := m.Task.V
	u, state := uuid.New(), mesos.TASK_RUNNING
	return &wire.StatusUpdate{FrameworkID: m.Framework.V.ID.Value, LatestState: state, Status: wire.Of(mesos.TaskStatus{
		TaskID: t.TaskID, State: &state, Source: mesos.SOURCE_EXECUTOR.Enum(), AgentID: &t.AgentID,
		ExecutorID: &mesos.ExecutorID{Value: t.TaskID.Value}, UUID: u[:]})}
}

func benchTask(o mesos.Offer) mesos.TaskInfo {
	shell, value := true, "sleep 1000"
	return mesos.TaskInfo{Name: "task", TaskID: mesos.TaskID{Value: "t-" + o.AgentID.Value}, AgentID: o.AgentID,
		Resources: resource.CPUMem(0.1, 32).Proto(""), Command: &mesos.CommandInfo{Shell: &shell, Value: &value}}
}

// benchScheduler is a framework on mesos-go's client.
type benchScheduler struct {
	addr   string
	caller calls.Caller
	id     string
	events chan *scheduler.Event
	give   []mesos.OfferID
	have   []mesos.Offer // came and were not asked for yet
}

func (s *benchScheduler) subscribe(ctx context.Context, b *testing.B) {
	b.Helper()
	s.caller = httpsched.NewCaller(httpcli.New(
		httpcli.Endpoint("http://"+s.addr+"/api/v1/scheduler"), httpcli.Codec(codecs.ByMediaType[codecs.MediaTypeProtobuf])))
	checkpoint, timeout := true, 3600.0
	resp, err := s.caller.Call(ctx, calls.Subscribe(&mesos.FrameworkInfo{User: "root", Name: "bench", Checkpoint: &checkpoint, FailoverTimeout: &timeout}))
	if err != nil {
		b.Fatal(err)
	}
	s.events = make(chan *scheduler.Event, 100)
	go func() {
		defer resp.Close()
		defer close(s.events)
		for {
			e := new(scheduler.Event)
			if resp.Decode(e) != nil {
				return
			}
			select {
			case s.events <- e:
			case <-ctx.Done():
				return
			}
		}
	}()
	s.id = s.next(b, scheduler.Event_SUBSCRIBED).Subscribed.FrameworkID.Value
}

// next returns the next event of a type; offers that come meanwhile are kept.
func (s *benchScheduler) next(b *testing.B, want scheduler.Event_Type) *scheduler.Event {
	b.Helper()
	late := time.After(time.Minute)
	for {
		select {
		case e, ok := <-s.events:
			if !ok {
				b.Fatal("the stream ended")
			}
			s.have = append(s.have, e.GetOffers().GetOffers()...)
			if e.Type == want {
				return e
			}
		case <-late:
			b.Fatalf("no %v within a minute", want)
		}
	}
}

// offers waits until there are n of them.
func (s *benchScheduler) offers(b *testing.B, n int) []mesos.Offer {
	b.Helper()
	for len(s.have) < n {
		s.next(b, scheduler.Event_OFFERS)
	}
	list := s.have
	s.have = nil
	return list
}

// running waits for n tasks that say that they run.
func (s *benchScheduler) running(b *testing.B, n int) {
	b.Helper()
	for range n {
		if st := s.next(b, scheduler.Event_UPDATE).Update.Status; *st.State != mesos.TASK_RUNNING {
			b.Fatalf("task %s is %v: %s", st.TaskID.Value, st.State, st.GetMessage())
		}
	}
}

func (s *benchScheduler) call(ctx context.Context, b *testing.B, c *scheduler.Call) {
	b.Helper()
	resp, err := s.caller.Call(ctx, c.With(calls.Framework(s.id)))
	if err != nil {
		b.Fatalf("%v: %v", c.Type, err)
	}
	if resp != nil {
		resp.Close()
	}
}
