package haproxy

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/proctab"
	"github.com/mesoslab/lab/mini/marathonlb/proxy"
)

// TestReloadsLoseNothing: clients knock all the while, a request is under way,
// and a server that is down stays so.
func TestReloadsLoseNothing(t *testing.T) {
	r := newRig(t)
	release := make(chan struct{})
	a := r.web("2", func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/slow" {
			<-release
		}
		io.WriteString(w, "2")
	})
	b := r.web("3", nil)
	r.must(r.give(10000, a))
	r.until("the first server is asked", func() bool { body, err := r.get(10000); return err == nil && body == "2" })

	slow, err := net.Dial("tcp", r.prefix+"1:10000")
	r.must(err)
	defer slow.Close()
	_, err = io.WriteString(slow, "GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	r.must(err)

	k := r.knock(4)
	for i := range 6 {
		if i%2 == 0 {
			r.must(r.give(10000, a, b))
		} else {
			r.must(r.give(10000, a))
		}
		before := k.asked.Load()
		r.until("requests after a reload", func() bool { return k.asked.Load() > before+20 })
	}
	k.end()
	if _, both := k.seen.Load("3"); k.failed.Load() > 0 || !both {
		t.Errorf("%d of %d requests failed; the second server asked: %v", k.failed.Load(), k.asked.Load(), both)
	}
	pids, err := r.Pids(t.Context())
	if err != nil || len(pids) < 2 { // the old worker has a client still
		t.Errorf("workers %v, %v", pids, err)
	}
	close(release)
	answer, err := io.ReadAll(slow)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200") || !strings.HasSuffix(string(answer), "2") {
		t.Errorf("the request under way: %q, %v", answer, err)
	}
	r.until("the old worker has gone", func() bool { pids, err := r.Pids(t.Context()); return err == nil && len(pids) == 1 })
}

// TestStateOutlivesReloads: without the state a server would begin as up.
func TestStateOutlivesReloads(t *testing.T) {
	r := newRig(t)
	a := r.web("2", nil)
	dead := r.prefix + "3:9"
	r.must(r.give(10000, a, dead))
	r.until("the check takes the dead server out", func() bool { return strings.HasPrefix(r.status("s1"), "DOWN") })
	// Checks so slow that none can have looked between reload and question.
	text := strings.ReplaceAll(sections(10000, a, dead), "inter 200ms", "inter 300s")
	r.must(r.Apply(t.Context(), []proxy.Frontend{{Name: "web", Bind: "*:10000", Mode: proxy.HTTP, Backend: "web"}}, text))
	if s := r.status("s1"); !strings.HasPrefix(s, "DOWN") {
		t.Errorf("after the reload it is %q", s)
	}
}

// TestRefusedKeepsTheOld: whatever cannot come into force changes nothing.
func TestRefusedKeepsTheOld(t *testing.T) {
	r := newRig(t)
	a := r.web("2", nil)
	r.must(r.give(10000, a))
	taken, err := net.Listen("tcp", r.prefix+"1:10001")
	r.must(err)
	defer taken.Close()
	two := func() error {
		return r.Apply(t.Context(), []proxy.Frontend{{Name: "web", Bind: "*:10000"}, {Name: "more", Bind: "*:10001"}},
			sections(10000, a)+"\nfrontend more\n  bind *:10001\n  mode http\n  use_backend web\n")
	}
	var bind *proxy.BindError
	if err := two(); !errors.As(err, &bind) || bind.Frontend != "more" || bind.Bind != "*:10001" {
		t.Errorf("a taken port: %v", err)
	}
	err = r.Apply(t.Context(), []proxy.Frontend{{Name: "web", Bind: "*:10000"}}, strings.Replace(sections(10000, a), "roundrobin", "roundrobbin", 1))
	if err == nil || !strings.Contains(err.Error(), "roundrobin") { // it lists what it knows
		t.Errorf("a wrong word: %v", err)
	}
	if body, err := r.get(10000); err != nil || body != "2" {
		t.Errorf("the old configuration: %q, %v", body, err)
	}
	// A server that is wrong is not looked for before the reload.
	var refused *RefusedError
	if err := r.give(10000, "a..b:80"); !errors.As(err, &refused) || refused.Alerts[0].Section != "backend web" {
		t.Errorf("a wrong server: %v", err)
	}
	if body, err := r.get(10000); err != nil || body != "2" {
		t.Errorf("after a wrong server: %q, %v", body, err)
	}
	r.must(r.give(10000, a, r.web("3", nil)))
	r.must(r.give(10000, a))
	taken.Close()
	r.must(two())
	if body, err := r.get(10001); err != nil || body != "2" {
		t.Errorf("the new port: %q, %v", body, err)
	}
	// A port that somebody takes between the trial and the reload.
	other, err := net.Listen("tcp", r.prefix+"1:10002")
	r.must(err)
	defer other.Close()
	r.mu.Lock()
	r.binds["*:10002"] = r.prefix + "1:10002"
	r.mu.Unlock()
	err = r.Apply(t.Context(), []proxy.Frontend{{Name: "web", Bind: "*:10002"}}, sections(10002, a))
	if err == nil || !strings.Contains(err.Error(), "cannot bind socket") {
		t.Errorf("a port that is taken in time: %v", err)
	}
	if body, err := r.get(10001); err != nil || body != "2" {
		t.Errorf("after a reload that failed: %q, %v", body, err)
	}
	r.must(r.give(10000, a))
	r.until("a port that is no longer wanted is closed", func() bool { _, err := r.get(10001); return errors.Is(err, syscall.ECONNREFUSED) })
}

// TestStartsAgain: a HAProxy that dies comes back with what was in force.
func TestStartsAgain(t *testing.T) {
	r := newRig(t)
	r.must(r.give(10000, r.web("2", nil)))
	var before []int
	r.until("the first worker to be gone", func() (ok bool) {
		var err error
		before, err = r.Pids(t.Context())
		return err == nil && len(before) == 1
	})
	r.must(syscall.Kill(before[0], syscall.SIGKILL)) // the master follows its worker
	r.until("it serves again", func() bool { body, err := r.get(10000); return err == nil && body == "2" })
	after, err := r.Pids(t.Context())
	if err != nil || after[0] == before[0] || !strings.Contains(r.said(), "started again") {
		t.Errorf("workers %v, then %v (%v)\n%s", before, after, err, r.said())
	}
}

// inProcess starts this program again in a role of TestMain's, which gets a short
// folder of its own before the other arguments, and returns the first line that
// it prints. prepare, unless nil, has a last word about how.
func inProcess(t *testing.T, prepare func(cmd *exec.Cmd, folder string), role string, args ...string) (cmd *exec.Cmd, line string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	folder, err := os.MkdirTemp("", "hap")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	cmd = exec.Command(self, append([]string{role, folder}, args...)...)
	cmd.Stderr = os.Stderr
	if prepare != nil {
		prepare(cmd, folder)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	if line, err = bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return cmd, line
}

// TestEndsWithItsProcess: nothing of it is left of a process that was killed.
func TestEndsWithItsProcess(t *testing.T) {
	labtest.NeedProgram(t, "haproxy")
	ip := strings.TrimSuffix(labtest.Subnet(t), "0/24") + "1"
	cmd, line := inProcess(t, nil, "serve", ip)
	worker, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	below := proctab.Descendants(cmd.Process.Pid)
	if len(below) < 3 || !contains(below, worker) { // supervisor, master, worker
		t.Fatalf("below it: %v; the worker is %d", below, worker)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := proctab.Await(ctx, below, proctab.Gone); err != nil {
		t.Fatal(err)
	}
}

func contains(ids []proctab.ID, pid int) bool {
	for _, id := range ids {
		if id.PID == pid {
			return true
		}
	}
	return false
}
