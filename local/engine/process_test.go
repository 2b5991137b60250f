package engine

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mesoslab/lab/local/engine/internal/api"
)

// real is a process of the system; it is the test binary itself.
type real struct {
	cmd  *exec.Cmd
	done chan struct{}
	code int
}

const envReal = "ENGINE_TEST_PROCESS"

// TestRealProcess is what the processes of TestProcesses run.
func TestRealProcess(t *testing.T) {
	switch os.Getenv(envReal) {
	case "":
		t.Skip("it is started by TestProcesses")
	case "web":
		l, err := net.FileListener(os.NewFile(3, "listener"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("serving")
		http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, os.Getpid()) }))
	}
}

// startReal hands the container's port 80 to a child of its own.
func startReal(_ context.Context, c Command) (Process, error) {
	l, err := c.Listen(context.Background(), "tcp", ":80")
	if err != nil {
		return nil, err
	}
	p := &real{cmd: exec.Command(os.Args[0], "-test.run=^TestRealProcess$"), done: make(chan struct{})}
	for _, raw := range l.(interface{ Unwrap() []net.Listener }).Unwrap() {
		f, err := raw.(*net.TCPListener).File()
		if err != nil {
			return nil, err
		}
		defer f.Close()
		p.cmd.ExtraFiles = append(p.cmd.ExtraFiles, f)
	}
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = append(os.Environ(), envReal+"=web"), c.Stdout, c.Stderr
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.done)
		err := p.cmd.Wait()
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			p.code = exit.ExitCode()
			if ws := exit.Sys().(syscall.WaitStatus); ws.Signaled() {
				p.code = 128 + int(ws.Signal())
			}
		}
	}()
	return p, nil
}

func (p *real) Pid() int { return p.cmd.Process.Pid }

func (p *real) Wait(ctx context.Context) (int, error) {
	select {
	case <-p.done:
		return p.code, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (p *real) Signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }
func (p *real) Pause() error                  { return p.cmd.Process.Signal(syscall.SIGSTOP) }
func (p *real) Unpause() error                { return p.cmd.Process.Signal(syscall.SIGCONT) }

// get asks the web container once; a new connection each time.
func get(t *testing.T, url string) (string, error) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
	r, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	return string(b), err
}

// measured asks the container for its pid and compares it with what inspect,
// top and stats say.
func (b *bench) measured(t *testing.T, c *container, url string) string {
	t.Helper()
	first, err := get(t, url)
	if err != nil || first != fmt.Sprint(c.inspect(false).State.Pid) {
		t.Errorf("answer %q, %v; inspect says pid %d", first, err, c.inspect(false).State.Pid)
	}
	if _, body := b.do(t, "GET", "/containers/web/top", ""); !strings.Contains(body, `"`+first+`"`) || !strings.Contains(body, "TestRealProcess") {
		t.Errorf("top: %s", body)
	}
	var stats struct {
		CPU struct {
			CPU struct {
				Total int64 `json:"total_usage"`
			} `json:"cpu_usage"`
		} `json:"cpu_stats"`
		Memory struct{ Usage, Limit int64 } `json:"memory_stats"`
	}
	_, body := b.do(t, "GET", "/containers/web/stats?stream=0&one-shot=1", "")
	if err := json.Unmarshal([]byte(body), &stats); err != nil || stats.Memory.Usage < 1<<20 || stats.Memory.Limit != 1<<30 {
		t.Errorf("stats: %+v %v\n%s", stats, err, body)
	}
	return first
}

// TestProcesses runs a container as a real process: descriptors, pid, top,
// stats, pause, kill, restart.
func TestProcesses(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("top and stats read /proc")
	}
	b := newBench(t, "", func(c *Config) { c.Start = startReal })
	c, _, err := b.create("web", api.CreateRequest{
		Config: api.Config{Image: "nginx:1.10"},
		HostConfig: &api.HostConfig{
			PortBindings:  api.PortMap{"80/tcp": {{HostPort: "31009"}}},
			RestartPolicy: api.RestartPolicy{Name: "always"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Engine.start(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	url := "http://" + b.ip + ":31009"
	first := b.measured(t, c, url)
	if err := b.pause(c); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, b.pause(c), 409, "already paused")
	wantStatus(t, b.remove(t.Context(), c, false, false), 409, "paused and must be unpaused first")
	if err := b.unpause(c); err != nil {
		t.Fatal(err)
	}
	// It dies by someone else's hand: the policy brings it back on its port.
	if err := c.process(t).Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	rec, err := c.await(t.Context(), func(exits int, r record) bool { return exits == 1 && r.Status == running })
	if err != nil || rec.RestartCount != 1 {
		t.Fatalf("%+v %v", rec, err)
	}
	second, err := get(t, url)
	if err != nil || second == first {
		t.Errorf("answer %q, %v; before the restart %q", second, err, first)
	}
	if err := b.pause(c); err != nil {
		t.Fatal(err)
	}
	if err := b.remove(t.Context(), c, true, false); err != nil { // rm -f of a paused one
		t.Fatal(err)
	}
	if _, err := get(t, url); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("after removal: %v", err)
	}
}

// TestAPIWaitsForNobody: while one container takes its time to stop and
// another to start, everything else is answered.
func TestAPIWaitsForNobody(t *testing.T) {
	hold, entered := make(chan struct{}), make(chan struct{})
	b := newBench(t, "")
	start := b.Engine.cfg.Start
	b.Engine.cfg.Start = func(ctx context.Context, c Command) (Process, error) {
		if c.Name == "slow" {
			close(entered)
			<-hold
		}
		return start(ctx, c)
	}
	for _, name := range []string{"slow", "stubborn", "other"} {
		if status, body := b.do(t, "POST", "/containers/create?name="+name, `{"Image":"lab/tool","Cmd":["stubborn"]}`); status != 201 {
			t.Fatal(body)
		}
	}
	started, stopped := make(chan int, 1), make(chan int, 1)
	go func() { s, _ := b.do(t, "POST", "/containers/slow/start", ""); started <- s }()
	<-entered
	b.do(t, "POST", "/containers/stubborn/start", "")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, live := b.bus.Subscribe(ctx, time.Time{})
	go func() { s, _ := b.do(t, "POST", "/containers/stubborn/stop?t=-1", ""); stopped <- s }()
	for e := range live {
		if e.Action == "kill" {
			break
		}
	}
	for _, x := range []struct {
		method, target string
		status         int
	}{
		{"GET", "/containers/json?all=1", 200}, {"GET", "/info", 200}, {"GET", "/containers/slow/json", 200}, {"GET", "/containers/stubborn/json", 200},
		{"POST", "/containers/other/start", 204}, {"POST", "/containers/other/kill", 204}, {"DELETE", "/containers/other", 204},
		{"GET", "/networks", 200}, {"GET", "/system/df", 200}, {"POST", "/containers/stubborn/kill", 204},
	} {
		if status, body := b.do(t, x.method, x.target, ""); status != x.status {
			t.Errorf("%s %s: %d %s", x.method, x.target, status, body)
		}
	}
	close(hold)
	if a, z := <-started, <-stopped; a != 204 || z != 204 {
		t.Errorf("start %d, stop %d", a, z)
	}
}

// TestPrivatePorts: what a program listens on without publishing it, with host
// networking, and when the port is published but nobody listens.
func TestPrivatePorts(t *testing.T) {
	b := newBench(t, "")
	for _, x := range []struct{ name, host string }{
		{"bridge", `{"PortBindings":{"80/tcp":[{"HostPort":"31011"}]}}`}, {"host", `{"NetworkMode":"host"}`}, {"all", `{"PublishAllPorts":true}`},
	} {
		if status, body := b.do(t, "POST", "/containers/create?name="+x.name, `{"Image":"nginx","Cmd":[],"Entrypoint":["wait"],"HostConfig":`+x.host+`}`); status != 201 {
			t.Fatal(body)
		}
		if status, body := b.do(t, "POST", "/containers/"+x.name+"/start", ""); status != 204 {
			t.Fatal(body)
		}
	}
	if _, err := get(t, "http://"+b.ip+":31011"); !errors.Is(err, syscall.ECONNREFUSED) && runtime.GOOS == "linux" {
		t.Errorf("published, nobody listens: %v", err)
	}
	all, err := b.find("all")
	if err != nil {
		t.Fatal(err)
	}
	if p := all.inspect(false).NetworkSettings.Ports["80/tcp"]; len(p) != 1 || p[0].HostPort < "32768" {
		t.Errorf("publish all: %v", p)
	}
	for i, x := range []struct{ ask, want string }{
		{"0.0.0.0:81", b.ip + ":*"}, {"0.0.0.0:31012", b.ip + ":31012"}, {":81", b.ip + ":*"},
	} {
		l, err := b.started[i].Listen(t.Context(), "tcp", x.ask)
		if err != nil {
			t.Fatal(err)
		}
		got := l.Addr().String()
		if prefix, random := strings.CutSuffix(x.want, "*"); random && (!strings.HasPrefix(got, prefix) || strings.HasSuffix(got, ":81")) || !random && got != x.want {
			t.Errorf("%s listens on %s for %s, want %s", b.started[i].Name, got, x.ask, x.want)
		}
	}
	sock, err := b.started[0].Listen(t.Context(), "unix", "/run/x.sock")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(b.started[0].Dir + "/run/x.sock"); err != nil {
		t.Error(err)
	}
	if status, body := b.do(t, "POST", "/containers/bridge/stop", ""); status != 204 {
		t.Fatal(body)
	}
	if _, err := sock.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a socket outlived its container: %v", err)
	}
	if _, err := b.started[0].Listen(t.Context(), "tcp", ":80"); err == nil {
		t.Error("a dead container may still listen")
	}
}

// TestOldClient speaks API 1.24 by hand: wait without an early header, a raw
// log of a terminal.
func TestOldClient(t *testing.T) {
	b := newBench(t, "")
	host := b.tcp(t)
	url := "http://" + strings.TrimPrefix(host, "tcp://") + "/v1.24"
	resp, err := http.Post(url+"/containers/create?name=old", "application/json", strings.NewReader(`{"Image":"lab/tool","Cmd":["lines","3"],"Tty":true}`))
	if err != nil || resp.StatusCode != 201 {
		t.Fatal(resp, err)
	}
	resp.Body.Close()
	resp, err = http.Post(url+"/containers/old/start", "", nil)
	if err != nil || resp.StatusCode != 204 {
		t.Fatal(resp, err)
	}
	resp, err = http.Post(url+"/containers/old/wait", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := bufio.NewReader(resp.Body).ReadString('\n'); err != nil || s != "{\"StatusCode\":0}\n" {
		t.Errorf("wait: %q %v", s, err)
	}
	resp.Body.Close()
	resp, err = http.Get(url + "/containers/old/logs?stdout=1&stderr=1")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || string(text) != "line 0\r\nline 1\r\nline 2\r\n" || resp.Header.Get("Content-Type") != rawStream {
		t.Errorf("logs: %q %v %v", text, resp.Header, err)
	}
}
