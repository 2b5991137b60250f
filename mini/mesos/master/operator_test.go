package master

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/encoding"
	"github.com/mesos/mesos-go/api/v1/lib/encoding/codecs"
	"github.com/mesos/mesos-go/api/v1/lib/httpcli"
	"github.com/mesos/mesos-go/api/v1/lib/httpcli/httpmaster"
	operator "github.com/mesos/mesos-go/api/v1/lib/master"
	mcalls "github.com/mesos/mesos-go/api/v1/lib/master/calls"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
)

// subscriber reads the raw records of a stream.
type subscriber struct {
	stop func()
	done chan struct{}
	head *http.Response

	mu      sync.Mutex
	records []string
	err     error
}

func (r *rig) subscribe(accept string) *subscriber {
	r.t.Helper()
	return r.listen("/api/v1", `{"type":"SUBSCRIBE"}`, accept)
}

// listen subscribes at either API.
func (r *rig) listen(path, body, accept string) *subscriber {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.ctx)
	req, err := http.NewRequestWithContext(ctx, "POST", "http://"+masterAddr+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", accept)
	resp, err := r.client("10.0.9.8").Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	s := &subscriber{stop: cancel, done: make(chan struct{}), head: resp}
	go func() {
		defer close(s.done)
		defer resp.Body.Close()
		err := s.read(bufio.NewReader(resp.Body))
		s.mu.Lock()
		s.err = err
		s.mu.Unlock()
	}()
	synctest.Wait()
	return s
}

func (s *subscriber) read(body *bufio.Reader) error {
	for {
		line, err := body.ReadString('\n')
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			return fmt.Errorf("record length %q: %w", line, err)
		}
		record := make([]byte, n)
		if _, err := io.ReadFull(body, record); err != nil {
			return err
		}
		s.mu.Lock()
		s.records = append(s.records, string(record))
		s.mu.Unlock()
	}
}

func (s *subscriber) all() []string {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.records)
}

// TestOperatorStream tells the story of the captured stream: an agent comes,
// tasks start, fail, are killed, and the agent is lost. Types, keys and forms
// must be the same, one after the other.
func TestOperatorStream(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(labtest.Contracts(t), "captures-mesos", "1.3.2", "streams", "1.3.2-operator-subscribe-stream.txt"))
	if err != nil {
		t.Fatal(err)
	}
	real := regexp.MustCompile(`(?m)^\{"[a-z_]+":\{.*"type":"[A-Z_]+"\}$`).FindAllString(string(b), -1)
	if len(real) < 9 {
		t.Fatalf("only %d events in the capture", len(real))
	}
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.master(masterIP, nil, "--compat=1.3", "--agent_ping_timeout=1secs", "--max_agent_ping_timeouts=2")
		o := r.subscribe("application/json")
		if o.head.StatusCode != 200 || o.head.Header.Get("Content-Type") != "application/json" || o.head.Header.Get("Mesos-Stream-Id") != "" {
			t.Errorf("head: %d %v", o.head.StatusCode, o.head.Header)
		}
		a := r.agent("10.0.0.2")
		s := r.scheduler(framework("op"))
		a.setLate(true)
		s.call(launch(s.latestOffer(a.agentID()), 0, task("op-1", a.agentID(), 0.1, 32), task("op-2", a.agentID(), 0.1, 32)))
		synctest.Wait()
		a.report("op-1", mesos.TASK_RUNNING)
		a.report("op-2", mesos.TASK_RUNNING)
		a.report("op-2", mesos.TASK_FAILED, says("Command exited with status 1"))
		synctest.Wait()
		a.report("op-1", mesos.TASK_KILLED, says("Command terminated with signal Terminated"))
		time.Sleep(2 * time.Second)
		s.call(launch(s.latestOffer(a.agentID()), 0, task("op-3", a.agentID(), 0.1, 32)))
		synctest.Wait()
		a.report("op-3", mesos.TASK_RUNNING)
		a.die()
		time.Sleep(20 * time.Second) // no heartbeats
		ours := o.all()
		if len(ours) != len(real) {
			t.Errorf("%d events, the real one sent %d:\n%s", len(ours), len(real), strings.Join(ours, "\n"))
		}
		for i := range min(len(ours), len(real)) {
			want, got := strings.Join(shape(t, []byte(real[i])), "\n"), strings.Join(shape(t, []byte(ours[i])), "\n")
			if want != got {
				t.Errorf("event %d: %s\nthe real one sent %s", i, ours[i], real[i])
			}
		}
		// An agent that leaves for good is told of; the master's end closes the stream.
		b := r.agent("10.0.0.3")
		id := b.agentID()
		b.leave()
		last := o.all()[len(o.all())-1]
		if want := `{"agent_removed":{"agent_id":{"value":"` + id + `"}},"type":"AGENT_REMOVED"}`; last != want {
			t.Errorf("removal: %s, want %s", last, want)
		}
		o.stop()
		<-o.done
	})
}

// TestOperatorStreamEnds: what a stopped master said goes out first.
func TestOperatorStreamEnds(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		m := r.master(masterIP, nil)
		o := r.subscribe("application/json")
		m.stop()
		<-m.done
		<-o.done
		if len(o.all()) != 1 || o.err != io.EOF {
			t.Errorf("%d records, %v", len(o.all()), o.err)
		}
	})
}

// TestOperatorClient leads mesos-go's client for operators through the calls,
// in both encodings.
func TestOperatorClient(t *testing.T) {
	for _, codec := range []encoding.Codec{codecs.ByMediaType[codecs.MediaTypeJSON], codecs.ByMediaType[codecs.MediaTypeProtobuf]} {
		t.Run(codec.Type.ContentType(), func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.capTaskRunning()
				transport := &http.Transport{DialContext: r.net.Host("10.0.9.7").Dial}
				t.Cleanup(transport.CloseIdleConnections)
				sender := httpmaster.NewSender(httpcli.New(httpcli.Endpoint("http://"+masterAddr+"/api/v1"), httpcli.Codec(codec),
					httpcli.Do(httpcli.With(httpcli.RoundTripper(transport)))).Send)
				ask := func(c *operator.Call) *operator.Response {
					t.Helper()
					resp, err := sender.Send(r.ctx, mcalls.NonStreaming(c))
					if err != nil {
						t.Fatalf("%v: %v", c.Type, err)
					}
					var answer operator.Response
					if resp == nil { // 200 and nothing
						return &answer
					}
					defer resp.Close()
					if err := resp.Decode(&answer); err != nil && err != io.EOF {
						t.Fatalf("%v: %v", c.Type, err)
					}
					return &answer
				}
				if h := ask(mcalls.GetHealth()); !h.GetGetHealth().GetHealthy() {
					t.Errorf("health: %v", h)
				}
				state := ask(mcalls.GetState()).GetState
				if n := len(state.GetAgents.Agents); n != 2 {
					t.Errorf("%d agents", n)
				}
				if list := state.GetTasks.Tasks; len(list) != 1 || list[0].TaskID.Value != "t-run" || *list[0].State != mesos.TASK_RUNNING {
					t.Errorf("tasks: %v", list)
				}
				if m := ask(mcalls.GetMetrics(nil)).GetMetrics; len(m.Metrics) < 50 {
					t.Errorf("%d metrics", len(m.Metrics))
				}
				if w := ask(mcalls.GetWeights()); w.GetWeights != nil {
					t.Errorf("weights: %v", w)
				}
				ask(mcalls.UpdateWeights(mesos.WeightInfo{Role: ptr("*"), Weight: 2.5}))
				if w := ask(mcalls.GetWeights()).GetWeights.WeightInfos; len(w) != 1 || w[0].Weight != 2.5 {
					t.Errorf("weights: %v", w)
				}
				if roles := ask(mcalls.GetRoles()).GetRoles.Roles; len(roles) != 1 || roles[0].Weight != 2.5 || len(roles[0].Frameworks) != 1 {
					t.Errorf("roles: %v", roles)
				}
				d := time.Minute
				ask(mcalls.SetLoggingLevel(1, d))
				if l := ask(mcalls.GetLoggingLevel()).GetLoggingLevel.Level; l != 1 {
					t.Errorf("level %d", l)
				}
				time.Sleep(d)
				if l := ask(mcalls.GetLoggingLevel()).GetLoggingLevel.Level; l != 0 {
					t.Errorf("level %d after its time", l)
				}
				operatorChanges(t, ask, state.GetAgents.Agents[1].AgentInfo)
				f := state.GetFrameworks.Frameworks[0].FrameworkInfo
				ask(&operator.Call{Type: operator.Call_TEARDOWN, Teardown: &operator.Call_Teardown{FrameworkID: *f.ID}})
				after := ask(mcalls.GetState()).GetState
				if len(after.GetFrameworks.Frameworks) != 0 || len(after.GetFrameworks.CompletedFrameworks) != 1 || len(after.GetTasks.CompletedTasks) != 1 {
					t.Errorf("after teardown: %v", after)
				}
			})
		})
	}
}

// TestOperatorRefusals: the order of checks, status codes and texts.
func TestOperatorRefusals(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.master(masterIP, nil, "--roles=web")
		const api, validate = "/api/v1", "Failed to validate master::Call: "
		weight := func(role string, w any) string {
			return fmt.Sprintf(`{"type":"UPDATE_WEIGHTS","update_weights":{"weight_infos":[{"role":%q,"weight":%v}]}}`, role, w)
		}
		for _, c := range []struct {
			name, method, path, body string
			header                   map[string]string
			status                   int
			text                     string
		}{
			{"GET", "GET", api, "", nil, 405, "Expecting one of { 'POST' }, but received 'GET'"},
			{"below /master", "POST", "/master/api/v1", `{"type":"GET_HEALTH"}`, nil, 200, `{"get_health":{"healthy":true},"type":"GET_HEALTH"}`},
			{"no content type", "POST", api, "{}", map[string]string{"Content-Type": ""}, 400, "Expecting 'Content-Type' to be present"},
			{"wrong content type", "POST", api, "{}", map[string]string{"Content-Type": "text/plain"}, 415, "Expecting 'Content-Type' of application/json or application/x-protobuf"},
			{"wrong accept", "POST", api, `{"type":"GET_HEALTH"}`, map[string]string{"Accept": "text/html"}, 406, "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'"},
			{"no type", "POST", api, "{}", nil, 400, validate + "Expecting 'type' to be present"},
			{"bad JSON", "POST", api, "{x", nil, 400, "Failed to parse body into JSON: syntax error at line 1 near: x"},
			{"no JSON object", "POST", api, "[]", nil, 400, "Failed to convert JSON into Call protobuf: Expecting a JSON object"},
			{"unknown call", "POST", api, `{"type":"GET_NOPE"}`, nil, 400, "Failed to convert JSON into Call protobuf: Failed to find enum for 'GET_NOPE'"},
			{"call of 1.5", "POST", api, `{"type":"MARK_AGENT_GONE"}`, nil, 400, "Failed to convert JSON into Call protobuf: Failed to find enum for 'MARK_AGENT_GONE'"},
			{"GET_METRICS alone", "POST", api, `{"type":"GET_METRICS"}`, nil, 400, validate + "Expecting 'get_metrics' to be present"},
			{"READ_FILE alone", "POST", api, `{"type":"READ_FILE"}`, nil, 400, validate + "Expecting 'read_file' to be present"},
			{"READ_FILE", "POST", api, `{"type":"READ_FILE","read_file":{"path":"../../etc/passwd","offset":0}}`, nil, 404, ""},
			{"LIST_FILES", "POST", api, `{"type":"LIST_FILES","list_files":{"path":"/master/log"}}`, nil, 404, ""},
			{"TEARDOWN alone", "POST", api, `{"type":"TEARDOWN"}`, nil, 400, validate + "Expecting 'teardown' to be present"},
			{"TEARDOWN of nobody", "POST", api, `{"type":"TEARDOWN","teardown":{"framework_id":{"value":"x"}}}`, nil, 400, "No framework found with specified ID"},
			{"volumes", "POST", api, `{"type":"CREATE_VOLUMES","create_volumes":{"agent_id":{"value":"x"}}}`, nil, 400, "No agent found with specified ID"},
			{"unknown role", "POST", api, weight("db", 2), nil, 400, "Failed to validate update weights request JSON: Unknown role 'db'"},
			{"bad role", "POST", api, weight("a/b", 2), nil, 400, "Failed to validate update weights request JSON: Invalid role 'a/b': Role name 'a/b' is invalid because it contains slash, backspace or whitespace"},
			{"negative weight", "POST", api, weight("web", -1), nil, 400, "Failed to validate update weights request JSON for role 'web': Invalid weight '-1': Weights must be positive"},
			{"weight of text", "POST", api, weight("web", `"x"`), nil, 400, "Failed to convert JSON into Call protobuf: Not expecting a JSON string for field 'weight'"},
			{"PUT of an object", "PUT", "/weights", `{"role":"web","weight":1}`, nil, 400, `Failed to parse update weights request JSON '{"role":"web","weight":1}': Expecting a JSON array`},
			{"PUT of garbage", "PUT", "/weights", `[`, nil, 400, `Failed to parse update weights request JSON '[': syntax error at line 1 near: `},
			{"POST of weights", "POST", "/weights", `[]`, nil, 405, "Expecting one of { 'GET', 'PUT' }, but received 'POST'"},
			{"reserve", "GET", "/reserve", "", nil, 405, "Expecting one of { 'POST' }, but received 'GET'"},
			{"files without a path", "GET", "/files/read", "", nil, 400, "Expecting 'path=value' in query.\n"},
			{"level without duration", "GET", "/logging/toggle?level=1", "", nil, 400, "Expecting 'duration=value' in query.\n"},
		} {
			resp, text := r.do(c.method, c.path, c.body, c.header)
			if resp.StatusCode != c.status || text != c.text {
				t.Errorf("%s: %d %q\nwant %d %q", c.name, resp.StatusCode, text, c.status, c.text)
			}
		}
		if _, text := r.do("GET", "/weights", "", nil); text != "[]" {
			t.Errorf("refused weights were set: %s", text)
		}
	})
}

// TestWeights: a new weight is kept over a restart, shares follow it, and the
// offers that are out are taken back for it.
func TestWeights(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		m := r.realMaster()
		r.twoAgents()
		s := r.scheduler(named("f"))
		s.new()
		if resp, text := r.do("PUT", "/weights", `[{"role":"*","weight":3.0},{"role":"web","weight":0.5}]`, nil); resp.StatusCode != 200 || text != "" {
			t.Fatalf("PUT: %d %s", resp.StatusCode, text)
		}
		if got := brief(s.new()); !slices.Equal(got, []string{"RESCIND", "RESCIND"}) {
			t.Errorf("the scheduler got %v", got)
		}
		time.Sleep(time.Second)
		if got := brief(s.new()); !slices.Equal(got, []string{"OFFERS 2"}) {
			t.Errorf("the scheduler got %v after the next allocation", got)
		}
		want := `[{"role":"*","weight":3.0},{"role":"web","weight":0.5}]`
		if _, text := r.do("GET", "/weights", "", nil); text != want {
			t.Errorf("weights: %s", text)
		}
		m.stop()
		<-m.done
		m = r.realMaster("--weights=web=9")
		if _, text := r.do("GET", "/weights", "", nil); text != want {
			t.Errorf("weights after a restart: %s, want those of the registry", text)
		}
		// In 0.26 weights are changed with the flag.
		m.stop()
		<-m.done
		m = r.realMaster("--weights=web=9", "--compat=0.26")
		if _, text := r.do("GET", "/weights", "", nil); text != `[{"role":"web","weight":9.0}]` {
			t.Errorf("weights of 0.26 after a restart: %s", text)
		}
		m.stop()
		<-m.done
		r.realMaster()
		r.do("PUT", "/weights", `[{"role":"*","weight":3.0}]`, nil)
		var roles struct {
			Roles []struct {
				Name   string
				Weight float64
			}
		}
		_, text := r.do("GET", "/roles", "", nil)
		if err := json.Unmarshal([]byte(text), &roles); err != nil || len(roles.Roles) != 2 || roles.Roles[0].Weight != 3 {
			t.Errorf("roles: %v %s", err, text)
		}
	})
}

// TestOddIDs: an id that would lead out of a folder is taken from nobody.
func TestOddIDs(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.master(masterIP, nil)
		for _, id := range []string{"../../etc", "..", "a/b", `a\b`, "a\x00b", strings.Repeat("x", 256)} {
			info := framework("f")
			info.ID = &mesos.FrameworkID{Value: id}
			s := r.scheduler(info)
			if got := brief(s.new()); len(got) != 1 || !strings.HasPrefix(got[0], "ERROR Framework ID is invalid: ") {
				t.Errorf("framework %q: %v", id, got)
			}
			<-s.done
			a := newAgentDouble(r, "10.0.0.9")
			a.id = id
			a.connect(masterAddr)
			synctest.Wait()
			a.mu.Lock()
			if !a.closed {
				t.Errorf("agent %q was taken", id)
			}
			a.mu.Unlock()
			a.die()
		}
		role := "a/b"
		info := framework("f")
		info.Role = &role
		s := r.scheduler(info)
		if got := brief(s.new()); len(got) != 1 || !strings.HasPrefix(got[0], "ERROR Framework has an invalid role: ") {
			t.Errorf("role: %v", got)
		}
		<-s.done
		if st := r.state(); len(st.Frameworks)+len(st.Slaves) != 0 {
			t.Errorf("state: %+v", st)
		}
		good := r.agent("10.0.0.2")
		s = r.scheduler(framework("f"))
		for _, id := range []string{"../x", "..", "a\x00", strings.Repeat("x", 256), ""} {
			s.new()
			s.call(calls.Revive())
			s.call(launch(s.latestOffer(good.agentID()), 0, task(id, good.agentID(), 0.1, 32)))
			got := brief(s.new())
			if !slices.ContainsFunc(got, func(e string) bool { return strings.Contains(e, "TASK_ERROR REASON_TASK_INVALID") }) {
				t.Errorf("task %q: %v", id, got)
			}
			time.Sleep(time.Second)
		}
		if len(good.runs) != 0 {
			t.Errorf("the agent got %v", good.runs)
		}
	})
}
