package agent

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	magent "github.com/mesos/mesos-go/api/v1/lib/agent"

	"github.com/mesoslab/lab/mini/mesos/agent/docker"
	"github.com/mesoslab/lab/mini/mesos/v1call"
	"github.com/mesoslab/lab/mini/supervise"
)

// post sends a body to the operator API. header has pairs of name and value.
func (w *world) post(method, body string, header ...string) (*http.Response, []byte) {
	w.t.Helper()
	req, err := http.NewRequest(method, "http://"+agentIP+":5051/slave(1)/api/v1", strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	// What is refused for its length is not read, and cannot be written then.
	req.Header.Set("Expect", "100-continue")
	tr := &http.Transport{DialContext: w.net.Host("10.0.0.99").Dial, DisableKeepAlives: true, ExpectContinueTimeout: time.Hour}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp, b
}

func TestOperatorAPIRefusals(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		registered(w)
		for _, c := range []struct {
			method, body string
			header       []string
			status       int
			text         string
		}{
			{"GET", "", nil, 405, "Expecting one of { 'POST' }, but received 'GET'"},
			{"POST", "{}", nil, 400, "Expecting 'Content-Type' to be present"},
			{"POST", "{}", []string{"Content-Type", "text/plain"}, 415, "Expecting 'Content-Type' of application/json or application/x-protobuf"},
			{"POST", "{", []string{"Content-Type", v1call.JSON}, 400, "Failed to parse body into JSON: syntax error at line 1 near: "},
			{"POST", "{}", []string{"Content-Type", v1call.JSON}, 400, "Failed to validate agent::Call: Expecting 'type' to be present"},
			{"POST", `{"type":"NOPE"}`, []string{"Content-Type", v1call.JSON}, 400, "Failed to convert JSON into Call protobuf: Failed to find enum for 'NOPE'"},
			{"POST", `{"type":"READ_FILE"}`, []string{"Content-Type", v1call.JSON}, 400, "Failed to validate agent::Call: Expecting 'read_file' to be present"},
			{"POST", `{"type":"LIST_FILES","list_files":{"path":"/etc"}}`, []string{"Content-Type", v1call.JSON}, 404, ""},
			{"POST", `{"type":"GET_HEALTH"}`, []string{"Content-Type", v1call.JSON, "Accept", "text/html"}, 406, "Expecting 'Accept' to allow 'application/json' or 'application/x-protobuf'"},
			{"POST", "\xff\xff\xff", []string{"Content-Type", v1call.Protobuf}, 400, "Failed to parse body into Call protobuf"},
			{"POST", `{"type":"LAUNCH_CONTAINER"}`, []string{"Content-Type", v1call.JSON}, 501, "this agent does not do LAUNCH_CONTAINER calls"},
			{"POST", strings.Repeat("[", 20000), []string{"Content-Type", v1call.JSON}, 400, "Failed to parse body into JSON: "},
			{"POST", strings.Repeat(" ", maxBody+1), []string{"Content-Type", v1call.JSON}, 413, "the request's body is longer than 16 MiB"},
		} {
			resp, b := w.post(c.method, c.body, c.header...)
			if resp.StatusCode != c.status || !strings.HasPrefix(string(b), c.text) || c.text == "" && len(b) > 0 {
				t.Errorf("%s %.40q: %s %.100q, want %d %q", c.method, c.body, resp.Status, b, c.status, c.text)
			}
			if c.status == 405 && resp.Header.Get("Allow") != "POST" {
				t.Errorf("no Allow in %v", resp.Header)
			}
		}
	})
}

func TestOperatorAPISpeaksProtobuf(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		m, _ := registered(w)
		w.engine.Print(m.running(w, id0, "a"), "hello")
		synctest.Wait()
		ask := func(call magent.Call) magent.Response {
			t.Helper()
			body, err := call.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			resp, b := w.post("POST", string(body), "Content-Type", v1call.Protobuf, "Accept", v1call.Protobuf)
			var out magent.Response
			if err := out.Unmarshal(b); err != nil || resp.StatusCode != 200 || resp.Header.Get("Content-Type") != v1call.Protobuf {
				t.Fatalf("%v: %s %q, %v", call.Type, resp.Status, b, err)
			}
			return out
		}
		if r := ask(magent.Call{Type: magent.Call_GET_TASKS}); r.GetTasks.LaunchedTasks[0].TaskID.Value != "a" {
			t.Errorf("%+v", r)
		}
		dir := w.state()["frameworks"].([]any)[0].(map[string]any)["executors"].([]any)[0].(map[string]any)["directory"].(string)
		r := ask(magent.Call{Type: magent.Call_LIST_FILES, ListFiles: &magent.Call_ListFiles{Path: dir}})
		if len(r.ListFiles.FileInfos) != 2 || r.ListFiles.FileInfos[1].Path != dir+"/stdout" || *r.ListFiles.FileInfos[1].Size_ != 5 ||
			*r.ListFiles.FileInfos[1].Mode != 0o100644 {
			t.Errorf("%+v", r.ListFiles)
		}
		r = ask(magent.Call{Type: magent.Call_READ_FILE, ReadFile: &magent.Call_ReadFile{Path: dir + "/stdout", Offset: 1, Length: ptr(uint64(3))}})
		if string(r.ReadFile.Data) != "ell" || r.ReadFile.Size_ != 5 {
			t.Errorf("%+v", r.ReadFile)
		}
		_, b := w.post("POST", `{"type":"READ_FILE","read_file":{"path":"`+dir+`/stdout","offset":0}}`, "Content-Type", v1call.JSON)
		if want := base64.StdEncoding.EncodeToString([]byte("hello")); !strings.Contains(string(b), `"data":"`+want+`","size":5`) {
			t.Errorf("%s", b)
		}
		_, b = w.post("POST", `{"type":"GET_METRICS","get_metrics":{}}`, "Content-Type", v1call.JSON)
		if !strings.Contains(string(b), `{"name":"slave\/tasks_running","value":1.0}`) {
			t.Errorf("%s", b)
		}
	})
}

// What a container uses is the engine's word, or the launcher's.
func TestContainersAreMeasured(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.engine.Used = docker.Usage{User: 1500 * time.Millisecond, System: 250 * time.Millisecond, RSS: 3 << 20}
		w.launcher.Used = supervise.Usage{User: time.Second, RSS: 5 << 20}
		m, _ := registered(w)
		m.running(w, id0, "a")
		m.commanded(w, cmdTask("b"))
		_, body := w.get("/containers")
		var list []struct {
			ExecutorID string `json:"executor_id"`
			Statistics map[string]float64
		}
		if err := json.Unmarshal(body, &list); err != nil || len(list) != 2 {
			t.Fatalf("%v in %s", err, body)
		}
		a, b := list[0].Statistics, list[1].Statistics
		if list[0].ExecutorID != "a" || a["cpus_user_time_secs"] != 1.5 || a["cpus_system_time_secs"] != 0.25 || a["mem_rss_bytes"] != 3<<20 ||
			a["cpus_limit"] != 0.6 || a["mem_limit_bytes"] != 96<<20 {
			t.Errorf("%v", list[0])
		}
		if b["cpus_user_time_secs"] != 1 || b["mem_rss_bytes"] != 5<<20 {
			t.Errorf("%v", list[1])
		}
		w.engine.SetDown(fmt.Errorf("the engine is away"))
		_, body = w.get("/monitor/statistics")
		if strings.Count(string(body), "mem_limit_bytes") != 2 || strings.Count(string(body), "mem_rss_bytes") != 1 {
			t.Errorf("without an engine: %s", body)
		}
	})
}

func TestLoadAsMeasured(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		if err := os.MkdirAll(filepath.Join(w.root, "proc"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(w.root, "proc/loadavg"), []byte("0.68 1.61 2.56 1/200 4242\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		registered(w)
		for path, want := range map[string]string{
			"/metrics/snapshot":  `"system\/load_15min":2.56,"system\/load_1min":0.68,"system\/load_5min":1.61`,
			"/system/stats.json": `{"avg_load_15min":2.56,"avg_load_1min":0.68,"avg_load_5min":1.61,"cpus_total":`,
		} {
			if _, b := w.get(path); !strings.Contains(string(b), want) {
				t.Errorf("%s: %s", path, b)
			}
		}
	})
}

func TestLongAnswersAreCompressed(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		registered(w)
		for path, want := range map[string]string{"/state": "gzip", "/version": ""} {
			req, err := http.NewRequest("GET", "http://"+agentIP+":5051"+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Accept-Encoding", "gzip, deflate")
			resp, err := (&http.Transport{DialContext: w.net.Host("10.0.0.99").Dial, DisableKeepAlives: true}).RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if got := resp.Header.Get("Content-Encoding"); got != want {
				t.Errorf("%s: Content-Encoding %q, want %q", path, got, want)
			}
		}
	})
}

func TestLogFile(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		log := newLogger(io.Discard, true)
		if err := log.keep(w.env(), "/log/mesos"); err != nil {
			t.Fatal(err)
		}
		defer log.close()
		log.infof("quiet on the console, not here")
		b, err := os.ReadFile(filepath.Join(w.root, "log/mesos/mesos-slave.INFO"))
		if err != nil || !strings.Contains(string(b), "slave] quiet on the console") {
			t.Errorf("%q, %v", b, err)
		}
	})
}

// Old sandboxes go, unless a task is still told about.
func TestSandboxesAreCollected(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		// The computer's own disk counts, and may be rather full.
		m, _ := registered(w, "--gc_delay=20hrs", "--gc_disk_headroom=0", "--disk_watch_interval=5mins")
		w.engine.Exit(m.running(w, id0, "gone"), 0)
		m.update("gone", mesos.TASK_FINISHED)
		m.running(w, id0, "lives")
		runs := func(task string) string {
			return filepath.Join(w.root, "tmp/mesos/slaves", id0, "frameworks/fw-0/executors", task, "runs")
		}
		// Files have the time of the computer, not of the bubble, which begins
		// years before.
		for _, task := range []string{"gone", "lives"} {
			dirs, _ := filepath.Glob(runs(task) + "/*")
			for _, d := range dirs {
				files, _ := filepath.Glob(d + "/*")
				for _, f := range append(files, d) {
					if err := os.Chtimes(f, time.Now(), time.Now()); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if _, err := os.Stat(runs("gone")); err != nil {
			t.Errorf("too early: %v", err)
		}
		time.Sleep(21 * time.Hour)
		synctest.Wait()
		if _, err := os.Stat(filepath.Dir(runs("gone"))); !os.IsNotExist(err) {
			t.Errorf("still there: %v", err)
		}
		if _, err := os.Stat(runs("lives") + "/latest"); err != nil {
			t.Errorf("a living task's: %v", err)
		}
		if !strings.Contains(w.out.text(), "Removing sandbox") {
			t.Error("not told")
		}
	})
}

// FuzzFilesQuery: whatever is asked for, nothing from outside of the sandboxes
// comes out, and nothing panics.
func FuzzFilesQuery(f *testing.F) {
	f.Add("/tmp/mesos/x/stdout", "0", "5")
	f.Add("/tmp/mesos/x/../../secret", "-1", "")
	f.Add("", "99999999999999999999", "-2")
	f.Fuzz(func(t *testing.T, path, offset, length string) {
		root := t.TempDir()
		if err := os.WriteFile(filepath.Join(root, "secret"), []byte("secret"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(root, "x"), 0o755); err != nil {
			t.Fatal(err)
		}
		r, err := os.OpenRoot(filepath.Join(root, "x"))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		req := &http.Request{URL: &url.URL{RawQuery: url.Values{"path": {path}, "offset": {offset}, "length": {length}}.Encode()}}
		o, err := queryNumber(req, "offset", -1)
		if err != nil {
			return
		}
		l, err := queryNumber(req, "length", -1)
		if err != nil {
			return
		}
		if o < -1 || l < -1 {
			t.Fatalf("took %d, %d", o, l)
		}
		if _, data, err := (file{r, strings.TrimPrefix(path, "/"), path}).page(o, l); err == nil && strings.Contains(string(data), "secret") {
			t.Errorf("%q gave %q", path, data)
		}
	})
}

// FuzzOperatorCall: bytes from anybody are a call or an error.
func FuzzOperatorCall(f *testing.F) {
	f.Add([]byte(`{"type":"READ_FILE","read_file":{"path":"/x","offset":1}}`))
	f.Add([]byte("\x08\x0a"))
	f.Add([]byte(`{"type":"GET_METRICS","get_metrics":{"timeout":{"nanoseconds":1}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, media := range []string{v1call.JSON, v1call.Protobuf} {
			r := httptest.NewRequest("POST", "/api/v1", bytes.NewReader(b))
			r.Header.Set("Content-Type", media)
			call := new(magent.Call)
			if v1call.Read(httptest.NewRecorder(), r, call) == nil {
				validate(call)
			}
		}
	})
}
