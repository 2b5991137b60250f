package marathon

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/mini"
)

// recorded is one event of a real master, with its time since the
// subscription.
type recorded struct {
	at    time.Duration
	event scheduler.Event
}

var eventHead = regexp.MustCompile(`^\+([0-9.]+)s <<< EVENT [A-Z_]+`)

// transcript reads the events of a stream that a real Mesos 1.3.2 sent.
func transcript(t *testing.T, file string) []recorded {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []recorded
	for _, block := range strings.Split(string(data), "\n##### ") {
		head, body, _ := strings.Cut(block, "\n")
		m := eventHead.FindStringSubmatch(head)
		if m == nil {
			continue
		}
		seconds, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		r := recorded{at: time.Duration(seconds * float64(time.Second))}
		if err := json.NewDecoder(strings.NewReader(body)).Decode(&r.event); err != nil {
			t.Fatalf("%s at %s: %v", filepath.Base(file), head, err)
		}
		out = append(out, r)
	}
	return out
}

func streams(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(labtest.Contracts(t), "captures-mesos", "1.3.2", "streams", pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("no streams %s: %v", pattern, err)
	}
	return files
}

// player is a real master's stream, played to whoever subscribes. Tasks in it
// get the ids that the subscriber has launched on the same agent.
type player struct {
	events []recorded
	begin  chan struct{} // after SUBSCRIBED the stream waits for its close

	mu       sync.Mutex
	calls    []*scheduler.Call
	problems []string
	launched map[string][]mesos.TaskInfo // by agent, not yet in the stream
	names    map[string]mesos.TaskInfo   // by the id in the stream
}

const playerStream = "b7a56597-c206-490e-8a9c-de889d5dadd1"

func (p *player) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var call scheduler.Call
	if err == nil {
		err = call.Unmarshal(body)
	}
	p.mu.Lock()
	if err != nil || r.Method != "POST" || r.URL.Path != "/api/v1/scheduler" || r.Header.Get("Content-Type") != "application/x-protobuf" ||
		(call.Type == scheduler.Call_SUBSCRIBE) != (r.Header.Get("Mesos-Stream-Id") == "") ||
		call.Type != scheduler.Call_SUBSCRIBE && (r.Header.Get("Mesos-Stream-Id") != playerStream || call.GetFrameworkID().GetValue() == "") {
		p.problems = append(p.problems, fmt.Sprintf("%s %s %v %v: %v", r.Method, r.URL, call.Type, r.Header, err))
	}
	p.calls = append(p.calls, &call)
	for _, op := range call.GetAccept().GetOperations() {
		for _, info := range op.GetLaunch().GetTaskInfos() {
			p.launched[info.AgentID.Value] = append(p.launched[info.AgentID.Value], info)
		}
	}
	p.mu.Unlock()
	if call.Type != scheduler.Call_SUBSCRIBE {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
	w.Header().Set("Mesos-Stream-Id", playerStream)
	p.play(w, r)
}

// play sends the events at their times, and heartbeats when they are over.
func (p *player) play(w http.ResponseWriter, r *http.Request) {
	var start time.Time
	for _, e := range p.events {
		if e.event.Type != scheduler.Event_SUBSCRIBED && start.IsZero() {
			select {
			case <-p.begin:
			case <-r.Context().Done():
				return
			}
			start = time.Now().Add(-e.at)
		}
		if e.event.Type != scheduler.Event_SUBSCRIBED {
			time.Sleep(time.Until(start.Add(e.at)))
		}
		if !p.rename(&e.event) {
			continue // of a task that nobody has launched here
		}
		if sendRecord(w, &e.event) != nil {
			return
		}
	}
	for r.Context().Err() == nil {
		if sendRecord(w, &scheduler.Event{Type: scheduler.Event_HEARTBEAT}) != nil {
			return
		}
		select {
		case <-r.Context().Done():
		case <-time.After(15 * time.Second):
		}
	}
}

func sendRecord(w http.ResponseWriter, e *scheduler.Event) error {
	data, err := e.Marshal()
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, "%d\n%s", len(data), data); err != nil {
		return err
	}
	return http.NewResponseController(w).Flush()
}

// rename puts the subscriber's own task ids into an UPDATE.
func (p *player) rename(e *scheduler.Event) bool {
	if e.Type != scheduler.Event_UPDATE {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	id, agent := e.Update.Status.TaskID.Value, e.Update.Status.GetAgentID().GetValue()
	if _, known := p.names[id]; !known {
		if len(p.launched[agent]) == 0 {
			return false
		}
		p.names[id] = p.launched[agent][0]
		p.launched[agent] = p.launched[agent][1:]
	}
	e.Update.Status.TaskID = p.names[id].TaskID
	return true
}

func (p *player) of(kind scheduler.Call_Type) []*scheduler.Call {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(p.calls), func(c *scheduler.Call) bool { return c.Type != kind })
}

// TestLivesThroughALossAtARealMaster plays what a real Mesos 1.3.2 sent when
// one agent died, was removed after 90 s, came back, and the other one was
// unregistered; Marathon runs an app with one task on each.
func TestLivesThroughALossAtARealMaster(t *testing.T) {
	events := transcript(t, streams(t, "1.3.2-v1sched-loss-default-ckpt.txt")[0])
	inWorld(t, func(t *testing.T, w *world) {
		p := &player{events: events, begin: make(chan struct{}), launched: map[string][]mesos.TaskInfo{}, names: map[string]mesos.TaskInfo{}}
		const real = "10.0.0.7"
		ln, err := w.net.Host(real).Listen(t.Context(), "tcp", ":5050")
		if err != nil {
			t.Fatal(err)
		}
		srv := &http.Server{Handler: p}
		go func() { _ = srv.Serve(ln) }()
		defer srv.Close()
		w.start(Run, firstHost, "--master", real+":5050", "--zk", "zk://"+zkHost+":2181/marathon")
		w.up(firstHost)
		w.await("the subscription", func() bool { _, i, _ := w.call("GET", firstHost, "/v2/info", ""); return i["frameworkId"] != nil })
		said := w.listen(firstHost)
		if s, v, _ := w.call("POST", firstHost, "/v2/apps", `{"id":"x","cmd":"sleep 10000","cpus":0.1,"mem":32,"instances":2,"constraints":[["hostname","UNIQUE"]]}`); s != 201 {
			t.Fatalf("%d %v", s, v)
		}
		close(p.begin)
		start := time.Now()
		w.await("both tasks", func() bool { return len(w.tasks(firstHost)) == 2 })
		time.Sleep(80*time.Second - time.Since(start))
		if d, _, _ := w.call("GET", firstHost, "/v2/deployments", ""); d != 200 || len(w.tasks(firstHost)) != 2 {
			t.Errorf("before the loss: %v", w.tasks(firstHost))
		}
		time.Sleep(100*time.Second - time.Since(start)) // agent1 was removed at 90 s
		if n := len(w.tasks(firstHost)); n != 1 {
			t.Errorf("%d tasks after the loss", n)
		}
		_, v, _ := w.call("GET", firstHost, "/v2/apps/x", "")
		failure, _ := v["app"].(map[string]any)["lastTaskFailure"].(map[string]any)
		if failure["state"] != "TASK_LOST" || failure["message"] != "Agent agent1 is unreachable: health check timed out" || failure["host"] != "agent1" {
			t.Errorf("last failure %v", failure)
		}
		time.Sleep(115*time.Second - time.Since(start)) // agent1 is back with offers at 109 s
		if n := len(w.tasks(firstHost)); n != 2 {
			t.Errorf("%d tasks after the return", n)
		}
		time.Sleep(140*time.Second - time.Since(start))
		if n := len(w.tasks(firstHost)); n != 0 {
			t.Errorf("%d tasks at the end", n)
		}
		want := []string{"agent1 TASK_RUNNING ", "agent2 TASK_RUNNING ", "agent1 TASK_LOST Agent agent1 is unreachable: health check timed out",
			"agent1 TASK_RUNNING ", "agent1 TASK_FAILED Executor terminated", "agent2 TASK_LOST Agent agent2 removed: the agent unregistered"}
		if got := said(); !slices.Equal(got, want) {
			t.Errorf("status updates\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		checkAcknowledged(t, p, events)
		if n := len(p.of(scheduler.Call_REVIVE)); n == 0 {
			t.Error("offers were never asked for")
		}
		for _, problem := range p.problems {
			t.Error(problem)
		}
	})
}

// checkAcknowledged: exactly the updates with a uuid, each once, under the
// ids they came with.
func checkAcknowledged(t *testing.T, p *player, events []recorded) {
	t.Helper()
	var want, got []string
	for _, e := range events {
		if s := e.event.GetUpdate().GetStatus(); e.event.Type == scheduler.Event_UPDATE && len(s.UUID) > 0 {
			want = append(want, fmt.Sprintf("%x %s", s.UUID, s.GetAgentID().GetValue()))
		}
	}
	for _, c := range p.of(scheduler.Call_ACKNOWLEDGE) {
		got = append(got, fmt.Sprintf("%x %s", c.Acknowledge.UUID, c.Acknowledge.AgentID.Value))
	}
	if !slices.Equal(got, want) {
		t.Errorf("acknowledged\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// listen collects what Marathon tells about tasks: host, state, message.
func (w *world) listen(host string) func() []string {
	w.t.Helper()
	var mu sync.Mutex
	var said []string
	frames := w.eventFrames(host)
	go func() {
		for data := range frames {
			var e struct{ EventType, Host, TaskStatus, Message string }
			if json.Unmarshal([]byte(data), &e) == nil && e.EventType == "status_update_event" {
				mu.Lock()
				said = append(said, e.Host+" "+e.TaskStatus+" "+e.Message)
				mu.Unlock()
			}
		}
	}()
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(said)
	}
}

// eventFrames reads the data of Marathon's event stream until the test ends.
func (w *world) eventFrames(host string) <-chan string {
	w.t.Helper()
	client := mini.Env{Dial: w.net.Host("10.0.0.98").Dial}.HTTPClient()
	req, err := http.NewRequestWithContext(w.t.Context(), "GET", "http://"+net.JoinHostPort(host, "8080")+"/v2/events", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	res, err := client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	out := make(chan string, 1000)
	go func() {
		defer close(out)
		defer client.CloseIdleConnections()
		defer res.Body.Close()
		r := bufio.NewReader(res.Body)
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			if data, ok := strings.CutPrefix(line, "data: "); ok {
				out <- data
			}
		}
	}()
	return out
}

// TestEventsOfARealMasterAreRead: every event of every stream that was
// recorded comes through our framing and decoding as it was.
func TestEventsOfARealMasterAreRead(t *testing.T) {
	kinds := map[scheduler.Event_Type]int{}
	for _, f := range streams(t, "1.3.2-v1sched-*.txt") {
		for _, e := range transcript(t, f) {
			data, err := e.event.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			var back scheduler.Event
			if err := back.Unmarshal(data); err != nil || !back.Equal(e.event) {
				t.Errorf("%s at %v: %v", filepath.Base(f), e.at, err)
			}
			kinds[e.event.Type]++
		}
	}
	for _, k := range []scheduler.Event_Type{scheduler.Event_SUBSCRIBED, scheduler.Event_OFFERS, scheduler.Event_UPDATE, scheduler.Event_RESCIND,
		scheduler.Event_FAILURE, scheduler.Event_ERROR, scheduler.Event_HEARTBEAT} {
		if kinds[k] == 0 {
			t.Errorf("no %v among %v", k, kinds)
		}
	}
}
