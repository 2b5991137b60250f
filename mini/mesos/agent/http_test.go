package agent

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/internal/labtest"
)

// keys lists the keys of a JSON document in order, with their places; list
// items count as one.
func keys(t *testing.T, doc []byte) []string {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(doc))
	var out []string
	var walk func(place string)
	walk = func(place string) {
		tok, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		switch tok {
		case json.Delim('{'):
			for d.More() {
				key, err := d.Token()
				if err != nil {
					t.Fatal(err)
				}
				at := place + "/" + fmt.Sprint(key)
				if !slices.Contains(out, at) {
					out = append(out, at)
				}
				walk(at)
			}
			d.Token()
		case json.Delim('['):
			for d.More() {
				walk(place)
			}
			d.Token()
		}
	}
	walk("")
	return out
}

func capture(t *testing.T, situation, name string) []byte {
	t.Helper()
	dir := labtest.Contracts(t)
	b, err := os.ReadFile(filepath.Join(dir, "captures-mesos/1.3.2", situation, "1.3.2-"+situation+"-agent1-"+name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// without drops the places under a prefix.
func without(list []string, prefixes ...string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(s, p) })
	})
}

// labelled is a task like the one that ran while the captures were made.
func labelled(id string) mesos.TaskInfo {
	task := dockerTask(id0, id)
	task.Resources = scalars(0.5, 64)
	task.Container.Docker.PortMappings = nil
	task.Container.Docker.Network = mesos.ContainerInfo_DockerInfo_HOST.Enum()
	task.Command = &mesos.CommandInfo{Value: ptr("echo hello; sleep 1000")}
	task.Labels = &mesos.Labels{Labels: []mesos.Label{{Key: "app", Value: ptr("web")}}}
	return task
}

// The state of an agent with one running task, against a real one's. What
// only docker tasks have is left out of the comparison.
func TestStateAsCaptured(t *testing.T) {
	want := keys(t, capture(t, "task-running", "slave(1)_state.json"))
	inBubble(t, func(t *testing.T, w *world) {
		m, _ := registered(w, "--attributes=rack:r1;zone:a")
		m.run(labelled("t-run"))
		m.update("t-run", mesos.TASK_RUNNING)
		synctest.Wait()
		_, body := w.get("/slave(1)/state")
		got := keys(t, body)
		container := "/frameworks/executors/tasks/container"
		pid := "/frameworks/executors/tasks/statuses/container_status/executor_pid"
		got = slices.DeleteFunc(got, func(s string) bool {
			return s == pid || s == container || strings.HasPrefix(s, container+"/") || strings.HasPrefix(s, "/flags/")
		})
		want = without(want, "/flags/", "/frameworks/principal")
		if !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
		for _, text := range []string{`"cpus":4.0`, `"ports":"[31000-32000]"`, `"cpus":0.6`, `"mem":96.0`,
			`"name":"Command Executor (Task: t-run) (Command: sh -c 'echo hello; ...')"`, `"pid":"slave(1)@10.0.0.2:5051"`,
			`\/executors\/t-run\/runs\/`, `"failover_timeout":604800.0`} {
			if !bytes.Contains(body, []byte(text)) {
				t.Errorf("%s is missing in %s", text, body)
			}
		}
	})
}

func TestFlagsAndMetricsAsCaptured(t *testing.T) {
	flags := keys(t, capture(t, "task-running", "slave(1)_flags.json"))
	metrics := keys(t, capture(t, "task-running", "metrics_snapshot.json"))
	inBubble(t, func(t *testing.T, w *world) {
		registered(w, "--hostname=agent1")
		_, body := w.get("/flags")
		if got := keys(t, body); !slices.Equal(got, flags) {
			t.Errorf("got  %q\nwant %q", got, flags)
		}
		_, body = w.get("/metrics/snapshot")
		got := keys(t, body)
		for _, name := range without(metrics, "/containerizer/", "/system/load", "/slave/executor_directory") {
			if !slices.Contains(got, name) {
				t.Errorf("no metric %s", name)
			}
		}
		if !bytes.Contains(body, []byte(`"slave\/registered":1.0`)) {
			t.Errorf("%s", body)
		}
	})
}

func TestEndpoints(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		m, _ := registered(w)
		m.running(w, id0, "a")
		same := func(paths ...string) {
			t.Helper()
			_, first := w.get(paths[0])
			for _, p := range paths[1:] {
				if code, b := w.get(p); code != 200 || !bytes.Equal(b, first) {
					t.Errorf("%s: %d %s\nunlike %s: %s", p, code, b, paths[0], first)
				}
			}
		}
		same("/state", "/state.json", "/slave(1)/state", "/slave(1)/state.json")
		same("/flags", "/slave(1)/flags")
		same("/containers", "/slave(1)/containers")
		same("/monitor/statistics", "/monitor/statistics.json")
		for path, want := range map[string]string{
			"/health": "", "/slave(1)/health": "", "/version": `"version":"1.3.2"`, "/state?jsonp=call": "call({",
			"/containers": `"container_id":"`, "/system/stats.json": `"cpus_total":`, "/files/debug": `\/executors\/a\/runs\/`,
		} {
			if code, b := w.get(path); code != 200 || !strings.Contains(string(b), want) {
				t.Errorf("%s: %d %s", path, code, b)
			}
		}
		for path, want := range map[string]int{"/nonexistent": 404, "/files/read": 400, "/files/browse?path=/etc": 404, "/state?jsonp=alert(1)//": 400} {
			if code, _ := w.get(path); code != want {
				t.Errorf("%s: %d, want %d", path, code, want)
			}
		}
	})
}

func TestSandboxFiles(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		m, _ := registered(w)
		name := m.running(w, id0, "a")
		executor := w.state()["frameworks"].([]any)[0].(map[string]any)["executors"].([]any)[0].(map[string]any)
		dir := executor["directory"].(string)
		inside := filepath.Join(w.root, dir)
		w.engine.Print(name, "hello/world\n")
		synctest.Wait()
		if err := os.WriteFile(filepath.Join(w.root, "secret"), []byte("secret"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(w.root, "secret"), filepath.Join(inside, "way-out")); err != nil {
			t.Fatal(err)
		}
		for path, want := range map[string]string{
			"/files/browse?path=" + dir:                              `"mode":"-rw-r--r--"`,
			"/files/read.json?path=" + dir + "/stdout&offset=6":      `{"data":"world\n","offset":6}`,
			"/files/read?path=" + dir + "/stdout&offset=0&length=5":  `{"data":"hello","offset":0}`,
			"/files/read?path=" + dir + "/stdout&offset=-1":          `{"data":"","offset":12}`,
			"/files/download?path=" + dir + "/stdout":                "hello/world\n",
			"/files/read?path=" + dir + "/stdout&offset=99":          `{"data":"","offset":12}`,
			"/files/read?path=" + dir + "/stdout&offset=0&length=-1": `{"data":"hello\/world\n","offset":0}`,
		} {
			if code, b := w.get(path); code != 200 || !strings.Contains(string(b), want) {
				t.Errorf("%s: %d %s, want %s", path, code, b, want)
			}
		}
		for path, want := range map[string]int{
			"/files/read?path=" + dir + "/way-out&offset=0":                404,
			"/files/download?path=" + dir + "/way-out":                     404,
			"/files/download?path=" + dir + "/../../../../../../../secret": 404,
			"/files/read?path=" + dir + "&offset=0":                        400,
			"/files/read?path=" + dir + "/stdout&offset=x":                 400,
			"/files/browse?path=" + dir + "/nowhere":                       404,
		} {
			if code, b := w.get(path); code != want || strings.Contains(string(b), "secret") {
				t.Errorf("%s: %d %s, want %d", path, code, b, want)
			}
		}
	})
}

func TestExecutorName(t *testing.T) {
	name := func(c *mesos.CommandInfo) string {
		return executorName(mesos.TaskInfo{TaskID: mesos.TaskID{Value: "t"}, Command: c})
	}
	for want, c := range map[string]*mesos.CommandInfo{
		"sh -c 'sleep 10000'":     {Value: ptr("sleep 10000")},
		"sh -c 'echo hello; ...'": {Value: ptr("echo hello; sleep 1")},
		"NO EXECUTABLE":           {Shell: ptr(false)},
		"NO COMMAND":              {},
		"[nginx, -g]":             {Shell: ptr(false), Value: ptr("nginx"), Arguments: []string{"-g"}},
	} {
		if got := name(c); got != "Command Executor (Task: t) (Command: "+want+")" {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// What is no HTTP, or comes drop by drop, keeps nobody else waiting.
func TestForeignBytesOnThePort(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		registered(w)
		h := w.net.Host("10.0.0.66")
		var open []net.Conn
		for i := range 300 {
			c, err := h.Dial(t.Context(), "tcp", agentIP+":5051")
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, c)
			text := []string{"\x16\x03\x01\x02\x00\x01", "GET /state HTTP/9.9\r\n\r\n", "GET /state HT", "POST /api/v1 HTTP/1.1\r\nHost: 10.0.0.2\r\nContent-Length: 99999999999\r\n\r\n", strings.Repeat("A", 4096)}[i%5]
			if _, err := c.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // until it is accepted
		}
		if code, _ := w.get("/health"); code != 200 {
			t.Errorf("others get %d", code)
		}
		time.Sleep(time.Minute)
		for i, c := range open {
			c.SetReadDeadline(time.Now().Add(time.Second))
			if _, err := io.Copy(io.Discard, c); err != nil {
				t.Errorf("connection %d is still open: %v", i, err)
			}
			c.Close()
		}
	})
}
