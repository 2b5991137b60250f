package haproxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/proctab"
	"github.com/mesoslab/lab/mini"
	"github.com/mesoslab/lab/mini/marathonlb/proxy"
)

// rig is a HAProxy on a loopback subnet of its own: it is .1, servers are .2
// and .3.
type rig struct {
	*HAProxy
	t      *testing.T
	env    mini.Env
	prefix string
	log    struct {
		sync.Mutex
		strings.Builder
	}
}

func newRig(t *testing.T) *rig {
	t.Helper()
	labtest.NeedProgram(t, "haproxy")
	r := &rig{t: t, prefix: strings.TrimSuffix(labtest.Subnet(t), "0/24")}
	root, err := os.MkdirTemp("", "hap") // paths of sockets are short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	r.env = envAt(root, r.prefix+"1")
	p, err := Find(t.Context(), r.env, "auto")
	if err != nil {
		t.Fatal(err)
	}
	r.HAProxy, err = Start(t.Context(), r.env, Options{Program: p, Folder: folder, Limits: proxy.DefaultLimits(), Log: func(format string, args ...any) {
		r.log.Lock()
		defer r.log.Unlock()
		fmt.Fprintf(&r.log, format+"\n", args...)
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.Close()
		if _, err := os.Stat(r.env.Path(folder)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the folder is still there: %v", err)
		}
		if t.Failed() {
			t.Logf("log:\n%s", r.said())
		}
	})
	return r
}

func (r *rig) said() string {
	r.log.Lock()
	defer r.log.Unlock()
	return r.log.String()
}

// web serves at an address of the subnet; the answer is its name.
func (r *rig) web(host string, handler http.HandlerFunc) string {
	r.t.Helper()
	l, err := net.Listen("tcp", r.prefix+host+":0")
	if err != nil {
		r.t.Fatal(err)
	}
	if handler == nil {
		handler = func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, host) }
	}
	s := &http.Server{Handler: handler}
	go s.Serve(l)
	r.t.Cleanup(func() { s.Close() })
	return l.Addr().String()
}

// give applies one service on a port.
func (r *rig) give(port int, servers ...string) error {
	return r.Apply(r.t.Context(), []proxy.Frontend{{Name: "web", Bind: fmt.Sprintf("*:%d", port), Mode: proxy.HTTP, Backend: "web"}}, sections(port, servers...))
}

func sections(port int, servers ...string) string {
	text := "  timeout connect 3s\n  timeout client 30s\n  timeout server 30s\n  option redispatch\n  option http-server-close\n" +
		fmt.Sprintf("\nfrontend web\n  bind *:%d\n  mode http\n  use_backend web\n\nbackend web\n  mode http\n  balance roundrobin\n", port)
	for i, s := range servers {
		text += fmt.Sprintf("  server s%d %s check inter 200ms fall 2\n", i, s)
	}
	return text
}

// get asks over a connection of its own.
func (r *rig) get(port int) (string, error) {
	tr := &http.Transport{DisableKeepAlives: true}
	req, err := http.NewRequestWithContext(r.t.Context(), "GET", fmt.Sprintf("http://%s1:%d/", r.prefix, port), nil)
	if err != nil {
		return "", err
	}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != 200 {
		err = errors.New(resp.Status)
	}
	return string(body), err
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// until waits for a condition.
func (r *rig) until(what string, holds func() bool) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 30*time.Second)
	defer cancel()
	for !holds() {
		select {
		case <-ctx.Done():
			r.t.Fatalf("%s: not until now\n%s", what, r.said())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// status is a server's in the statistics.
func (r *rig) status(server string) string {
	rows, err := r.Stats(r.t.Context())
	r.must(err)
	for _, row := range rows {
		if row["svname"] == server {
			return row["status"]
		}
	}
	return ""
}

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

	var asked, failed atomic.Int64
	var seen sync.Map
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				body, err := r.get(10000)
				asked.Add(1)
				if seen.Store(body, true); err != nil {
					failed.Add(1)
					t.Errorf("request %d: %v", asked.Load(), err)
				}
			}
		})
	}
	for i := range 6 {
		if i%2 == 0 {
			r.must(r.give(10000, a, b))
		} else {
			r.must(r.give(10000, a))
		}
		before := asked.Load()
		r.until("requests after a reload", func() bool { return asked.Load() > before+20 })
	}
	close(stop)
	clients.Wait()
	if _, both := seen.Load("3"); failed.Load() > 0 || !both {
		t.Errorf("%d of %d requests failed; the second server asked: %v", failed.Load(), asked.Load(), both)
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
	before, err := r.Pids(t.Context())
	r.must(err)
	r.must(syscall.Kill(before[0], syscall.SIGKILL)) // the master follows its worker
	r.until("it serves again", func() bool { body, err := r.get(10000); return err == nil && body == "2" })
	after, err := r.Pids(t.Context())
	if err != nil || after[0] == before[0] || !strings.Contains(r.said(), "started again") {
		t.Errorf("workers %v, then %v (%v)\n%s", before, after, err, r.said())
	}
}

// TestEndsWithItsProcess: nothing of it is left of a process that was killed.
func TestEndsWithItsProcess(t *testing.T) {
	labtest.NeedProgram(t, "haproxy")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.MkdirTemp("", "hap")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	ip := strings.TrimSuffix(labtest.Subnet(t), "0/24") + "1"
	cmd := exec.Command(self, "serve", root, ip)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
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
