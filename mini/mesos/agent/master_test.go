package agent

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesoslab/lab/internal/labtest/bubble"
	"github.com/mesoslab/lab/mini"
	"github.com/mesoslab/lab/mini/mesos/agent/config"
	"github.com/mesoslab/lab/mini/mesos/election"
	"github.com/mesoslab/lab/mini/mesos/master"
)

// The tests of this file put the agent below the master of this house, with a
// scheduler that speaks plain JSON above it.

const masterIP = "10.0.1.1"

// pair is a world with a real master in it.
type pair struct {
	*world
	sched *scheduler
}

func newPair(t *testing.T, masterFlags ...string) *pair {
	w := newWorld(t)
	w.startMaster(masterFlags...)
	s := newScheduler(w)
	return &pair{w, s}
}

// startMaster runs a master until the returned function is called.
func (w *world) startMaster(flags ...string) (stop func()) {
	h := w.net.Host(masterIP)
	ctx, cancel := context.WithCancel(w.t.Context())
	over := make(chan struct{})
	env := mini.Env{Args: append([]string{"--ip=" + masterIP, "--registry=in_memory", "--hostname_lookup=false",
		"--slave_ping_timeout=2secs", "--max_slave_ping_timeouts=3", "--allocation_interval=100ms"}, flags...),
		Root: w.t.TempDir(), Hostname: "node1", Listen: h.Listen, Dial: h.Dial, Stdout: io.Discard, Stderr: io.Discard}
	go func() {
		defer close(over)
		if code := master.Run(ctx, env); code != 0 {
			w.t.Errorf("the master ended with %d", code)
		}
	}()
	stop = func() { cancel(); <-over }
	w.t.Cleanup(stop)
	synctest.Wait()
	return stop
}

// agent starts an agent below the master.
func (w *world) agent() *agentRun {
	w.t.Helper()
	env := w.env()
	cfg, err := config.Load(env)
	if err != nil {
		w.t.Fatal(err)
	}
	group := election.Fixed(election.NewMaster("m", masterIP, netip.MustParseAddrPort(masterIP+":5050"), Version))
	ctx, cancel := context.WithCancel(w.t.Context())
	p := &agentRun{t: w.t, stop: cancel, over: make(chan struct{})}
	go func() {
		defer close(p.over)
		p.code = run(ctx, env, cfg, w.engine, group, w.disk(cfg), newLogger(w.out, false))
	}()
	w.t.Cleanup(func() { cancel(); <-p.over })
	return p
}

// scheduler is a framework that launches a task when launch says so and
// acknowledges every update.
type scheduler struct {
	w      *world
	id     string
	stream string
	client *http.Client
	events chan event
	offers []offer
}

type offer struct {
	ID      struct{ Value string }
	AgentID struct{ Value string } `json:"agent_id"`
}

type event struct {
	Type       string
	Subscribed struct {
		FrameworkID struct{ Value string } `json:"framework_id"`
	}
	Offers  struct{ Offers []offer }
	Rescind struct {
		OfferID struct{ Value string } `json:"offer_id"`
	}
	Update struct{ Status status }
	Error  struct{ Message string }
}

type status struct {
	TaskID  struct{ Value string } `json:"task_id"`
	AgentID struct{ Value string } `json:"agent_id"`
	State   string
	Message string
	Reason  string
	UUID    []byte
	Healthy *bool
}

func newScheduler(w *world) *scheduler {
	h := w.net.Host("10.0.0.50")
	env := mini.Env{Dial: h.Dial}
	s := &scheduler{w: w, client: env.HTTPClient(), events: make(chan event, 1000)}
	w.t.Cleanup(s.client.CloseIdleConnections)
	resp := s.post(`{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"root","name":"test","checkpoint":true,"failover_timeout":604800.0}}}`)
	s.stream = resp.Header.Get("Mesos-Stream-Id")
	go s.read(resp.Body)
	w.t.Cleanup(func() { resp.Body.Close() })
	e := <-s.events
	if e.Type != "SUBSCRIBED" {
		w.t.Fatalf("got %+v", e)
	}
	s.id = e.Subscribed.FrameworkID.Value
	return s
}

func (s *scheduler) post(call string) *http.Response {
	s.w.t.Helper()
	req, err := http.NewRequestWithContext(s.w.t.Context(), http.MethodPost, "http://"+masterIP+":5050/api/v1/scheduler", bytes.NewReader([]byte(call)))
	if err != nil {
		s.w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	if s.stream != "" {
		req.Header.Set("Mesos-Stream-Id", s.stream)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		s.w.t.Fatal(err)
	}
	if resp.StatusCode >= 300 {
		text, _ := io.ReadAll(resp.Body)
		s.w.t.Fatalf("%s\n%s: %s", call, resp.Status, text)
	}
	return resp
}

func (s *scheduler) call(format string, args ...any) {
	s.w.t.Helper()
	resp := s.post(fmt.Sprintf(`{"framework_id":{"value":%q},`, s.id) + fmt.Sprintf(format, args...) + "}")
	resp.Body.Close()
}

// read decodes RecordIO.
func (s *scheduler) read(body io.Reader) {
	r := bufio.NewReader(body)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		n, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			s.w.t.Errorf("record length %q", line)
			return
		}
		record := make([]byte, n)
		if _, err := io.ReadFull(r, record); err != nil {
			return
		}
		var e event
		if err := json.Unmarshal(record, &e); err != nil {
			s.w.t.Errorf("%v in %s", err, record)
			return
		}
		s.events <- e
	}
}

// next returns the next update, acknowledged, and keeps offers on the way.
func (s *scheduler) next(within time.Duration) (status, bool) {
	s.w.t.Helper()
	limit := time.After(within)
	for {
		select {
		case e := <-s.events:
			switch e.Type {
			case "OFFERS":
				s.offers = append(s.offers, e.Offers.Offers...)
			case "RESCIND":
				s.offers = nil
			case "ERROR":
				s.w.t.Fatal(e.Error.Message)
			case "UPDATE":
				u := e.Update.Status
				if len(u.UUID) > 0 {
					s.call(`"type":"ACKNOWLEDGE","acknowledge":{"agent_id":{"value":%q},"task_id":{"value":%q},"uuid":%q}`,
						u.AgentID.Value, u.TaskID.Value, base64.StdEncoding.EncodeToString(u.UUID))
				}
				return u, true
			}
		case <-limit:
			return status{}, false
		}
	}
}

// expect wants an update of a task next.
func (s *scheduler) expect(task, state string) status {
	s.w.t.Helper()
	u, ok := s.next(time.Hour)
	if !ok || u.TaskID.Value != task || u.State != state {
		s.w.t.Fatalf("got %+v, want %s for %s", u, state, task)
	}
	return u
}

// launch starts a task with the next offer.
func (s *scheduler) launch(task string) {
	s.w.t.Helper()
	for len(s.offers) == 0 {
		if u, ok := s.next(10 * time.Second); ok {
			s.w.t.Fatalf("unexpected update %+v", u)
		}
	}
	o := s.offers[0]
	s.offers = nil
	s.call(`"type":"ACCEPT","accept":{"offer_ids":[{"value":%q}],"filters":{"refuse_seconds":0.0},"operations":[{"type":"LAUNCH","launch":{"task_infos":[
		{"name":"web","task_id":{"value":%q},"agent_id":{"value":%q},
		 "resources":[{"name":"cpus","type":"SCALAR","scalar":{"value":0.5}},{"name":"mem","type":"SCALAR","scalar":{"value":64.0}},
		              {"name":"ports","type":"RANGES","ranges":{"range":[{"begin":31005,"end":31005}]}}],
		 "command":{"shell":false},
		 "container":{"type":"DOCKER","docker":{"image":%q,"network":"BRIDGE","port_mappings":[{"host_port":31005,"container_port":80}]}}}]}}]}`,
		o.ID.Value, task, o.AgentID.Value, image)
}

func (s *scheduler) kill(task string) {
	s.call(`"type":"KILL","kill":{"task_id":{"value":%q}}`, task)
}

func withMaster(t *testing.T, f func(t *testing.T, p *pair), flags ...string) {
	t.Helper()
	bubble.Test(t, func(t *testing.T) { f(t, newPair(t, flags...)) })
}

func TestThroughAMaster(t *testing.T) {
	withMaster(t, func(t *testing.T, p *pair) {
		p.agent()
		p.sched.launch("a")
		p.sched.expect("a", "TASK_RUNNING")
		p.sched.kill("a")
		p.sched.expect("a", "TASK_KILLED")
		p.sched.launch("b")
		p.sched.expect("b", "TASK_RUNNING")
		started := p.engine.Started()
		p.engine.Exit(started[len(started)-1], 3)
		if u := p.sched.expect("b", "TASK_FAILED"); u.Message != "Container exited with status 3" {
			t.Errorf("%+v", u)
		}
		if u, ok := p.sched.next(time.Hour); ok {
			t.Errorf("unexpected %+v", u)
		}
	})
}

func TestAgentRestartBelowAMaster(t *testing.T) {
	withMaster(t, func(t *testing.T, p *pair) {
		a := p.agent()
		p.sched.launch("a")
		p.sched.expect("a", "TASK_RUNNING")
		synctest.Wait() // for the acknowledgement to arrive
		a.end()
		time.Sleep(3 * time.Second) // less than the ping time-out
		p.agent()
		if u, ok := p.sched.next(time.Minute); ok {
			t.Errorf("unexpected %+v", u)
		}
		p.engine.Exit(p.engine.Started()[0], 0)
		p.sched.expect("a", "TASK_FINISHED")
	})
}

func TestRemovedAgentComesBack(t *testing.T) {
	withMaster(t, func(t *testing.T, p *pair) {
		a := p.agent()
		p.sched.launch("a")
		p.sched.expect("a", "TASK_RUNNING")
		old := p.state()["id"]
		p.net.Cut(agentIP)
		began := time.Now()
		u := p.sched.expect("a", "TASK_LOST")
		if d := time.Since(began); d < 4*time.Second || d > 10*time.Second {
			t.Errorf("%s after %v", u.Reason, d)
		}
		p.net.Mend(agentIP)
		a.wait(0)
		if n := len(p.engine.Running()); n != 0 {
			t.Errorf("%d containers run", n)
		}
		p.agent()
		time.Sleep(5 * time.Second)
		if id := p.state()["id"]; id == old || id == "" {
			t.Errorf("it came back as %v, it was %v", id, old)
		}
		p.sched.launch("b")
		p.sched.expect("b", "TASK_RUNNING")
	})
}

// In 1.3 it keeps its id, and what ran for a framework that knows nothing of
// partitions is ended.
func TestRemovedAgentComesBackTo13(t *testing.T) {
	withMaster(t, func(t *testing.T, p *pair) {
		p.agent()
		p.sched.launch("a")
		p.sched.expect("a", "TASK_RUNNING")
		old := p.state()["id"]
		p.net.Cut(agentIP)
		p.sched.expect("a", "TASK_LOST")
		p.net.Mend(agentIP)
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(p.engine.Running()); n != 0 {
			t.Errorf("%d containers run", n)
		}
		if id := p.state()["id"]; id != old {
			t.Errorf("it came back as %v, it was %v", id, old)
		}
		p.sched.launch("b")
		p.sched.expect("b", "TASK_RUNNING")
	}, "--compat=1.3")
}

// A reboot gives the agent a new id; the master must not go on believing in
// the old one's task.
func TestOldIDIsGoneWithANewOne(t *testing.T) {
	withMaster(t, func(t *testing.T, p *pair) {
		a := p.agent()
		p.sched.launch("a")
		p.sched.expect("a", "TASK_RUNNING")
		a.end()
		p.flags = []string{"--attributes=rack:r2"}
		p.agent()
		p.sched.expect("a", "TASK_LOST")
	})
}

func TestMasterRestart(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		w := newWorld(t)
		stop := w.startMaster()
		s := newScheduler(w)
		w.agent()
		s.launch("a")
		s.expect("a", "TASK_RUNNING")
		stop()
		time.Sleep(5 * time.Second)
		w.startMaster()
		time.Sleep(5 * time.Second)
		resp, err := s.client.Get("http://" + masterIP + ":5050/slaves")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var slaves struct{ Slaves []struct{ Active bool } }
		if err := json.NewDecoder(resp.Body).Decode(&slaves); err != nil || len(slaves.Slaves) != 1 || !slaves.Slaves[0].Active {
			t.Errorf("slaves %+v, %v", slaves, err)
		}
		if n := len(w.engine.Started()); n != 1 || len(w.engine.Running()) != 1 {
			t.Errorf("%d containers were started", n)
		}
	})
}
