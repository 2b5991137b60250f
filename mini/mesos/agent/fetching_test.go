package agent

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/mini/mesos/wire"
)

// website serves /f on 10.0.0.50:80, and nothing on /slow, for an hour.
func (w *world) website() {
	w.t.Helper()
	l, err := w.net.Host("10.0.0.50").Listen(w.t.Context(), "tcp", ":80")
	if err != nil {
		w.t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/f":
			io.WriteString(rw, "content")
		case "/slow":
			pause(r.Context(), time.Hour)
		default:
			http.NotFound(rw, r)
		}
	})}
	go s.Serve(l)
	w.t.Cleanup(func() { s.Close() })
}

func wanting(t mesos.TaskInfo, uris ...string) mesos.TaskInfo {
	for _, u := range uris {
		t.Command.URIs = append(t.Command.URIs, mesos.CommandInfo_URI{Value: u})
	}
	return t
}

func (w *world) sandboxOf(task string) string {
	return filepath.Join(w.root, "tmp/mesos/slaves", id0, "frameworks/fw-0/executors", task, "runs/latest")
}

func (w *world) has(name, want string) {
	w.t.Helper()
	if b, err := os.ReadFile(name); err != nil || !strings.Contains(string(b), want) {
		w.t.Errorf("%s: %q, %v, want %q in it", name, b, err, want)
	}
}

func TestURIsAreFetchedBeforeTheStart(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.website()
		m, _ := registered(w)
		m.commanded(w, wanting(cmdTask("cmd"), "http://10.0.0.50/f"))
		w.has(w.sandboxOf("cmd")+"/f", "content")
		w.has(w.sandboxOf("cmd")+"/stderr", "fetcher] Fetching URI 'http://10.0.0.50/f'")
		m.run(wanting(dockerTask(id0, "docker"), "http://10.0.0.50/f"))
		m.update("docker", mesos.TASK_RUNNING)
		synctest.Wait()
		w.has(w.sandboxOf("docker")+"/f", "content")
		w.has(w.sandboxOf("docker")+"/stderr", "fetcher] Fetching URI") // also once the engine's output is written
	})
}

func TestFailedFetch(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.website()
		m, _ := registered(w)
		for i, task := range []mesos.TaskInfo{cmdTask("0"), dockerTask(id0, "1")} {
			m.run(wanting(task, "http://10.0.0.50/f", "http://10.0.0.50/missing"))
			id := fmt.Sprint(i)
			s := m.update(id, mesos.TASK_FAILED)
			run := s.ContainerStatus.ContainerID.GetValue()
			want := "Failed to launch container: Failed to fetch all URIs for container '" + run + "' with exit status: 256 ("
			if s.GetReason() != mesos.REASON_CONTAINER_LAUNCH_FAILED || !strings.HasPrefix(s.GetMessage(), want) {
				t.Errorf("%s %s", s.GetReason(), s.GetMessage())
			}
			w.has(w.sandboxOf(id)+"/stderr", "received HTTP return code 404")
		}
		if n := append(w.engine.Started(), w.launcher.Started()...); len(n) > 0 {
			t.Errorf("started %q", n)
		}
	})
}

func TestKillWhileFetching(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.website()
		m, _ := registered(w)
		m.run(wanting(cmdTask("a"), "http://10.0.0.50/slow"))
		synctest.Wait()
		began := time.Now()
		m.send(&wire.KillTask{FrameworkID: "fw-0", TaskID: "a"})
		m.update("a", mesos.TASK_KILLED)
		if d := time.Since(began); d > time.Second {
			t.Errorf("it took %v", d)
		}
	})
}
