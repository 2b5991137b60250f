package agent

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	mesos "github.com/mesos/mesos-go/api/v1/lib"
	magent "github.com/mesos/mesos-go/api/v1/lib/agent"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/mini/mesos/mjson"
	"github.com/mesoslab/lab/mini/mesos/wire"
	"github.com/mesoslab/lab/mini/supervise"
)

// differences is the one list of what an answer of ours has and the real
// agent's has not, or the other way round, with the reason for each. at is the
// request and the place in its answer, as shape prints it; what begins so is
// left out of the comparison in the situations of in, or in all.
var differences = []difference{
	{"/metrics/snapshot $.containerizer/mesos/provisioner/", nil, "this mesos containerizer has no images, so nothing that provides them"},
	{"POST /api/v1 GET_TASKS $.get_tasks.launched_tasks", endedFrameworks, shownKilled},
	{"POST /api/v1 GET_TASKS $.get_tasks.terminated_tasks", endedFrameworks, shownKilled},
	{"POST /api/v1 GET_STATE $.get_state.get_tasks.launched_tasks", endedFrameworks, shownKilled},
	{"POST /api/v1 GET_STATE $.get_state.get_tasks.terminated_tasks", endedFrameworks, shownKilled},
	{"/state $.completed_frameworks[].completed_executors[].tasks", endedFrameworks, shownKilled},
	{"/state $.completed_frameworks[].completed_executors[].completed_tasks", endedFrameworks, shownKilled},
	{"/state $.completed_frameworks[].completed_executors[].resources.ports", endedFrameworks, shownKilled},
	{"POST /api/v1 GET_TASKS $.get_tasks.terminated_tasks", restarts, shownKilled},
	{"POST /api/v1 GET_STATE $.get_state.get_tasks.terminated_tasks", restarts, shownKilled},
	{"/state $.frameworks[].completed_executors[].tasks", restarts, shownKilled},
	{"/state $.frameworks[].completed_executors[].completed_tasks", restarts, shownKilled},
	{"POST /api/v1 GET_TASKS $.get_tasks.launched_tasks[].status_update_", restarts, stillKnown},
	{"POST /api/v1 GET_STATE $.get_state.get_tasks.launched_tasks[].status_update_", restarts, stillKnown},
	{"/help/slave(1)", nil, "the same endpoints, but plain HTML instead of Markdown with a program that formats it"},
}

type difference struct {
	at     string
	in     func(recording) bool
	reason string
}

const (
	shownKilled = "a task that was shut down with its framework is shown as what became of it; the real one goes on showing it running"
	stillKnown  = "a restarted agent knows which update it told last; the real one only once there is another"
)

// endedFrameworks: a framework was shut down before.
func endedFrameworks(r recording) bool {
	return bytes.Contains(r.body("api_v1-GET_FRAMEWORKS.json"), []byte("completed_frameworks"))
}

// restarts: the agent had been restarted.
func restarts(r recording) bool {
	return strings.Contains(r.prefix, "restart-recovered") || strings.HasSuffix(r.prefix, "-agent1-back-agent1")
}

// shape is a JSON document without its values: every place with the form of what
// is there.
func shape(t *testing.T, doc []byte) []string {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %s", err, doc)
	}
	var out []string
	var walk func(place string, v any)
	walk = func(place string, v any) {
		switch v := v.(type) {
		case map[string]any:
			out = append(out, place+" object")
			for k, x := range v {
				walk(place+"."+k, x)
			}
		case []any:
			out = append(out, place+" list")
			for _, x := range v {
				walk(place+"[]", x)
			}
		case json.Number:
			form := "integer"
			if strings.ContainsAny(v.String(), ".e") {
				form = "double"
			}
			out = append(out, place+" "+form)
		default:
			out = append(out, fmt.Sprintf("%s %T", place, v))
		}
	}
	walk("$", v)
	slices.Sort(out)
	return slices.Compact(out)
}

// recording is one capture: what one agent answered in one situation.
type recording struct {
	dir, prefix string
	aliases     map[string]string // a file that was stored under another's name
}

// recordings are those of a version.
func recordings(t *testing.T, version string) []recording {
	t.Helper()
	root := filepath.Join(labtest.Contracts(t), "captures-mesos")
	names, err := filepath.Glob(filepath.Join(root, version, "*", "*-agent[12]-INDEX.txt"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no captures of agents in %s: %v", root, err)
	}
	aliases, err := os.ReadFile(filepath.Join(root, "ALIASES.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var out []recording
	for _, name := range names {
		r := recording{filepath.Dir(name), strings.TrimSuffix(filepath.Base(name), "-INDEX.txt"), map[string]string{}}
		for line := range strings.Lines(string(aliases)) {
			rest, ok := strings.CutPrefix(strings.TrimSpace(line), r.prefix+": ")
			if stored, others, has := strings.Cut(rest, " == "); ok && has {
				for o := range strings.SplitSeq(others, ", ") {
					r.aliases[o] = stored
				}
			}
		}
		out = append(out, r)
	}
	return out
}

// body is what was answered, or nil if it was not kept.
func (r recording) body(name string) []byte {
	if stored := r.aliases[name]; stored != "" {
		name = stored
	}
	b, err := os.ReadFile(filepath.Join(r.dir, r.prefix+"-"+name))
	if err != nil {
		return nil
	}
	return b
}

// request is one line of a capture's index.
type request struct {
	what    string // "/state", "POST /api/v1 GET_STATE"
	status  string
	content string // its type
}

func (r recording) requests(t *testing.T) []request {
	t.Helper()
	f, err := os.Open(filepath.Join(r.dir, r.prefix+"-INDEX.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []request
	for lines := bufio.NewScanner(f); lines.Scan(); {
		_, line, _ := strings.Cut(lines.Text(), " ")
		what, rest, ok := strings.Cut(line, " -> HTTP ")
		if !ok {
			continue
		}
		parts := strings.Split(rest, " | ")
		q := request{what: what, status: parts[0]}
		for _, p := range parts[1:] {
			if ct, ok := strings.CutPrefix(p, "Content-Type: "); ok {
				q.content = ct
			}
		}
		out = append(out, q)
	}
	return out
}

// file is the name under which the answer was kept, without its ending.
func (q request) file() string {
	if call, ok := strings.CutPrefix(q.what, "POST /api/v1 "); ok {
		return "api_v1-" + call
	}
	return strings.NewReplacer("/", "_", "?", "-").Replace(q.what[1:])
}

// ask sends a request to the agent.
func (w *world) ask(q request) (status, content string, body []byte) {
	w.t.Helper()
	method, target := http.MethodGet, q.what
	var sent io.Reader
	if call, ok := strings.CutPrefix(q.what, "POST /api/v1 "); ok {
		method, target, sent = http.MethodPost, "/api/v1", strings.NewReader(`{"type":"`+call+`"}`)
	}
	req, err := http.NewRequest(method, "http://"+agentIP+":5051"+target, sent)
	if err != nil {
		w.t.Fatal(err)
	}
	if sent != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	tr := &http.Transport{DialContext: w.net.Host("10.0.0.99").Dial, DisableKeepAlives: true}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp.Status, resp.Header.Get("Content-Type"), b
}

// acknowledged expects a task's next update and acknowledges it, or not.
func (m *fakeMaster) acknowledged(state mesos.TaskState, ack bool) {
	m.t.Helper()
	u := expect[*wire.StatusUpdate](m)
	if got := u.Status.V.GetState(); got != state {
		m.t.Fatalf("task %s is %v, want %v", u.Status.V.TaskID.Value, got, state)
	}
	if ack {
		m.send(&wire.Ack{FrameworkID: u.FrameworkID, TaskID: u.Status.V.TaskID.Value, UUID: u.Status.V.UUID})
		synctest.Wait()
	}
}

// relive brings an agent to where the recorded one was: the same flags,
// frameworks and tasks, each in the same state, acknowledged or not.
func (w *world) relive(r recording) {
	w.t.Helper()
	var state struct{ Flags map[string]string }
	if doc := r.body("state.json"); doc != nil {
		decode(w.t, doc, &state)
	}
	if r.body("api_v1-GET_TASKS.json") == nil { // recorded in part only
		m, _ := registered(w, recordedFlags(state.Flags)...)
		var running []struct {
			ExecutorID string `json:"executor_id"`
		}
		if doc := r.body("containers.json"); doc != nil {
			decode(w.t, doc, &running)
		}
		for _, c := range running {
			m.commanded(w, cmdTask(c.ExecutorID))
		}
		return
	}
	var known, kept, executors magent.Response
	decodeProto(w.t, r.body("api_v1-GET_FRAMEWORKS.json"), &known)
	decodeProto(w.t, r.body("api_v1-GET_TASKS.json"), &kept)
	decodeProto(w.t, r.body("api_v1-GET_EXECUTORS.json"), &executors)
	gone := map[string]bool{} // executors that ended before the agent was restarted
	for _, e := range executors.GetExecutors.GetCompletedExecutors() {
		gone[e.ExecutorInfo.FrameworkID.Value+" "+e.ExecutorInfo.ExecutorID.Value] = true
	}
	m, _ := registered(w, recordedFlags(state.Flags)...)
	frameworks := map[string]mesos.FrameworkInfo{}
	var ended []string
	for _, f := range known.GetFrameworks.GetFrameworks() {
		frameworks[f.FrameworkInfo.GetID().GetValue()] = f.FrameworkInfo
	}
	for _, f := range known.GetFrameworks.GetCompletedFrameworks() {
		id := f.FrameworkInfo.GetID().GetValue()
		frameworks[id], ended = f.FrameworkInfo, append(ended, id)
	}
	for _, t := range kept.GetTasks.GetCompletedTasks() {
		w.reliveTask(m, frameworks[t.FrameworkID.Value], t, true)
	}
	early := func(t mesos.Task) bool {
		f := t.FrameworkID.Value
		return gone[f+" "+t.TaskID.Value] && !slices.Contains(ended, f)
	}
	for _, t := range kept.GetTasks.GetLaunchedTasks() {
		if early(t) { // shut down when the agent came back
			w.reliveTask(m, frameworks[t.FrameworkID.Value], t, true)
			m.send(&wire.ShutdownFramework{FrameworkID: t.FrameworkID.Value})
			time.Sleep(time.Minute)
			synctest.Wait()
		}
	}
	for _, t := range kept.GetTasks.GetLaunchedTasks() {
		if early(t) {
			continue
		}
		w.reliveTask(m, frameworks[t.FrameworkID.Value], t, true)
	}
	// Last, since what is not acknowledged is sent again.
	for _, t := range kept.GetTasks.GetTerminatedTasks() {
		w.reliveTask(m, frameworks[t.FrameworkID.Value], t, false)
	}
	for _, id := range ended {
		m.send(&wire.ShutdownFramework{FrameworkID: id})
		time.Sleep(time.Minute)
		synctest.Wait()
	}
}

// recordedFlags are the recorded agent's words, but where it found its master
// and its address.
func recordedFlags(flags map[string]string) []string {
	var out []string
	for name, value := range flags {
		if name != "master" && name != "ip" && name != "port" {
			out = append(out, "--"+name+"="+value)
		}
	}
	return out
}

func decode(t *testing.T, doc []byte, dst any) {
	t.Helper()
	if err := json.Unmarshal(doc, dst); err != nil {
		t.Fatalf("%v in %s", err, doc)
	}
}

func decodeProto(t *testing.T, doc []byte, dst *magent.Response) {
	t.Helper()
	if err := mjson.Decode(doc, dst); err != nil {
		t.Fatalf("%v in %s", err, doc)
	}
}

// reliveTask runs a task to the state it was recorded in.
func (w *world) reliveTask(m *fakeMaster, f mesos.FrameworkInfo, was mesos.Task, ack bool) {
	w.t.Helper()
	task := mesos.TaskInfo{Name: was.Name, TaskID: was.TaskID, AgentID: mesos.AgentID{Value: id0}, Resources: was.Resources,
		Labels: was.Labels, Discovery: was.Discovery, Command: &mesos.CommandInfo{Value: ptr("echo hello; sleep 1000")}}
	checked := slices.ContainsFunc(was.Statuses, func(s mesos.TaskStatus) bool { return s.Healthy != nil })
	if checked {
		task.HealthCheck = &mesos.HealthCheck{Type: mesos.HealthCheck_COMMAND, Command: &mesos.CommandInfo{Value: ptr("true")}}
	}
	m.send(&wire.RunTask{Framework: wire.Of(f), Task: wire.Of(task)})
	m.acknowledged(mesos.TASK_RUNNING, true)
	if checked {
		m.acknowledged(mesos.TASK_RUNNING, true)
	}
	started := w.launcher.Started()
	name := started[len(started)-1]
	last := was.Statuses[len(was.Statuses)-1]
	switch was.GetState() {
	case mesos.TASK_RUNNING:
		return
	case mesos.TASK_FAILED:
		if last.Reason != nil { // the executor was killed
			w.launcher.Kill(name)
			break
		}
		w.launcher.Exit(name, supervise.Result{Signal: int(syscall.SIGKILL)})
	case mesos.TASK_FINISHED:
		w.launcher.Exit(name, supervise.Result{})
	case mesos.TASK_KILLED:
		m.send(&wire.KillTask{FrameworkID: f.GetID().GetValue(), TaskID: was.TaskID.Value})
	default:
		w.t.Fatalf("no way to bring a task to %v", was.GetState())
	}
	m.acknowledged(was.GetState(), ack)
}

// TestReplay asks an agent that was brought to a recorded one's situation what
// that was asked, for every capture of 1.3.2: the same status lines, types of
// content, keys and forms of values, but for the list above.
func TestReplay(t *testing.T) {
	used := map[string]bool{}
	for _, r := range recordings(t, "1.3.2") {
		t.Run(r.prefix, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				w.launcher.OnStart = func(name string, _ supervise.Order) (supervise.Result, bool) {
					return supervise.Result{}, strings.Contains(name, ".check.")
				}
				w.relive(r)
				for _, q := range r.requests(t) {
					w.compare(r, q, used)
				}
			})
		})
	}
	for _, d := range differences {
		if !used[d.at] {
			t.Errorf("there is no difference at %s any more: take it off the list", d.at)
		}
	}
}

// compare asks one question. What it finds on the list it notes in used.
func (w *world) compare(r recording, q request, used map[string]bool) {
	w.t.Helper()
	status, content, body := w.ask(q)
	if status != q.status || content != q.content {
		w.t.Errorf("%s: %s, %q, want %s, %q", q.what, status, content, q.status, q.content)
	}
	what := strings.NewReplacer("/slave(1)/", "/", ".json", "").Replace(q.what)
	if strings.HasPrefix(q.what, "/system/") || strings.HasPrefix(q.what, "/help/") {
		what = q.what
	}
	if real := r.body(q.file() + ".txt"); real != nil && !bytes.HasPrefix(real, []byte("HTTP ")) {
		if string(real) != string(body) {
			w.t.Errorf("%s: %s, want %s", q.what, body, real)
		}
		return
	} else if real != nil && strings.HasPrefix(what, "/help/") {
		used[what] = true
		return
	}
	real := r.body(q.file() + ".json")
	if real == nil || q.content != "application/json" {
		return
	}
	ours, theirs := shape(w.t, body), shape(w.t, real)
	if strings.HasPrefix(what, "/files/debug") { // keys are paths with ids in them
		ours, theirs = masked(ours), masked(theirs)
	}
	for _, d := range differences {
		at, place, _ := strings.Cut(d.at, " $")
		if at != what || d.in != nil && !d.in(r) {
			continue
		}
		prefix := "$" + place
		before := cmp.Diff(theirs, ours)
		ours, theirs = without(ours, prefix), without(theirs, prefix)
		used[d.at] = used[d.at] || before != cmp.Diff(theirs, ours)
	}
	if d := cmp.Diff(theirs, ours); d != "" {
		w.t.Errorf("%s (-real +ours):\n%s", q.what, d)
	}
}

// masked is the form of the sandboxes' paths.
func masked(places []string) []string {
	var out []string
	for _, p := range places {
		if i := strings.Index(p, "/slaves/"); i >= 0 {
			parts := strings.Split(p[i:], "/")
			for _, at := range []int{2, 4, 6, 8} {
				if at < len(parts)-1 {
					parts[at] = "*"
				}
			}
			p = "$." + strings.Join(parts[:len(parts)-1], "/") + "/*" + p[strings.LastIndexByte(p, ' '):]
		}
		out = append(out, p)
	}
	return slices.Compact(out)
}
