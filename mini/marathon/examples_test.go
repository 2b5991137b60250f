package marathon

import (
	"bytes"
	"context"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/mini/marathon/scheduler"
)

// foreign is go-marathon's example programs, built as they are.
const foreign = "github.com/gambol99/go-marathon/examples/"

// build compiles example programs and returns the folder they are in.
func build(t *testing.T, names ...string) string {
	t.Helper()
	tool, dir := labtest.NeedProgram(t, "go"), t.TempDir()
	args := []string{"build", "-o", dir + string(filepath.Separator)}
	for _, n := range names {
		args = append(args, foreign+n)
	}
	if out, err := exec.CommandContext(t.Context(), tool, args...).CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return dir
}

// program runs one to its end and returns what it said; it must not fail.
func runForeign(t *testing.T, path string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput()
	if err != nil {
		t.Errorf("%s %v: %v\n%s", filepath.Base(path), args, err, out)
	}
	return string(out)
}

// wellTasks serves every task of the twin: 200 to everything.
func wellTasks(t *testing.T) func() string {
	at, stop := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(stop)
	return func() string { return at }
}

func awaitPing(t *testing.T, url string) {
	t.Helper()
	eventually(t, "ping", func() bool {
		r, err := http.Get(url + "/ping")
		if err != nil {
			return false
		}
		r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
}

// TestForeignExamples runs go-marathon's example programs, unmodified. Missing
// are "applications", which dies of a nil pointer of its own (line 92) before
// it makes a call that TestForeignClient does not make, and "glog", a demo of
// a logger.
func TestForeignExamples(t *testing.T) {
	if testing.Short() {
		t.Skip("builds programs and waits for health checks of 10 s")
	}
	dir := build(t, "groups", "multiple_endpoints", "events_sse_transport", "events_callback_transport")
	url, twin := listening(t, "127.0.0.1:0", wellTasks(t))
	awaitPing(t, url)
	t.Run("groups", func(t *testing.T) {
		out := runForeign(t, filepath.Join(dir, "groups"), "-url", url)
		if !strings.Contains(out, "Successfully updated the group: /product/group") {
			t.Error(out)
		}
		n := 0
		for _, task := range twin.Tasks() {
			if strings.HasPrefix(task.Info.TaskID.Value, "product_group_frontend") {
				n++
			}
		}
		if n != 4 {
			t.Errorf("%d frontends run", n)
		}
	})
	t.Run("multiple_endpoints", func(t *testing.T) {
		// The first member is nobody: the client has to find the other.
		out := runFor(t, filepath.Join(dir, "multiple_endpoints"), "Retrieved a list of applications", "-url", "http://127.0.0.1:1,"+strings.TrimPrefix(url, "http://"))
		if !strings.Contains(out, "Retrieved a list of applications") {
			t.Error(out)
		}
	})
	for name, args := range map[string][]string{"events_sse_transport": nil, "events_callback_transport": {"-interface", "lo", "-port", strconv.Itoa(freePort(t))}} {
		t.Run(name, func(t *testing.T) {
			id := "/" + strings.ReplaceAll(name, "_", "-")
			stop := keepScaling(t, url, id)
			defer stop()
			out := runForeign(t, filepath.Join(dir, name), append(args, "-url", url, "-timeout", "4")...)
			if !strings.Contains(out, "Recieved application event") || !strings.Contains(out, "Recieved deployment event") || !strings.Contains(out, id) {
				t.Error(out)
			}
		})
	}
}

// TestForeignExamplesAtTheUsualPort: these programs know 127.0.0.1:8080 only.
func TestForeignExamplesAtTheUsualPort(t *testing.T) {
	if testing.Short() {
		t.Skip("builds programs")
	}
	dir := build(t, "tasks", "queue")
	url, twin := listening(t, "127.0.0.1:8080", nil)
	awaitPing(t, url)
	t.Run("tasks", func(t *testing.T) {
		runForeign(t, filepath.Join(dir, "tasks"))
		eventually(t, "the end of the killed tasks", func() bool { return len(twin.Tasks()) == 0 })
	})
	t.Run("queue", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go endAfter(ctx, twin, time.Second)
		if out := runForeign(t, filepath.Join(dir, "queue")); !strings.Contains(out, "Queue delay deleted.") {
			t.Error(out)
		}
	})
}

// endAfter plays commands that end: every task finishes that long after it was
// first seen.
func endAfter(ctx context.Context, twin *scheduler.TwinServer, life time.Duration) {
	born := map[string]time.Time{}
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(50 * time.Millisecond):
		}
		for _, task := range twin.Tasks() {
			id := task.Info.TaskID.Value
			if born[id].IsZero() {
				born[id] = time.Now()
			} else if time.Since(born[id]) > life {
				twin.End(id, mesos.TASK_FINISHED, "")
			}
		}
	}
}

// keepScaling makes an app and changes it all the time, so that there is
// always something to be told.
func keepScaling(t *testing.T, url, id string) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := 1; ctx.Err() == nil; n = 3 - n {
			body := `{"cmd":"x","cpus":0.1,"mem":32,"instances":` + strconv.Itoa(n) + `}`
			req, err := http.NewRequestWithContext(ctx, "PUT", url+"/v2/apps"+id+"?force=true", strings.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			if res, err := http.DefaultClient.Do(req); err == nil {
				res.Body.Close()
			}
			select {
			case <-ctx.Done():
			case <-time.After(300 * time.Millisecond):
			}
		}
	}()
	return func() { cancel(); <-done }
}

// runFor runs a program that never ends until it has said a word.
func runFor(t *testing.T, path, word string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	said := &watched{word: word, stop: cancel}
	cmd.Stdout, cmd.Stderr = said, said
	_ = cmd.Run() // it ends by being killed
	return said.b.String()
}

// watched calls stop once the word was written; exec writes from one
// goroutine.
type watched struct {
	b    bytes.Buffer
	word string
	stop func()
}

func (w *watched) Write(p []byte) (int, error) {
	w.b.Write(p)
	if strings.Contains(w.b.String(), w.word) {
		w.stop()
	}
	return len(p), nil
}

// freePort is one that was free a moment ago.
func freePort(t *testing.T) int {
	t.Helper()
	at, stop := serve(t, http.NotFoundHandler())
	stop()
	_, port, _ := strings.Cut(at, ":")
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
