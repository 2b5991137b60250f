package engine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/moby/moby/client"

	"github.com/mesoslab/lab/internal/guard"
)

// bench is an engine with programs that are goroutines.
type bench struct {
	*Engine
	cfg  Config
	root string
	ip   string

	mu      sync.Mutex
	started []Command
	procs   []Process
	fail    error // Start's answer while set
}

var nextAddress atomic.Int32

// address is a loopback address that no other test uses.
func address() string {
	n := int(nextAddress.Add(1))
	return fmt.Sprintf("127.%d.%d.%d", 220+os.Getpid()%30, n/250, 1+n%250)
}

func catalogue() []Image {
	return []Image{
		{Name: "lab/web", Aliases: []string{"nginx"}, Entrypoint: []string{"/lab", "mini", "web"}, ExposedPorts: []string{"80/tcp"}, Env: []string{"IMAGE=web"}},
		{Name: "lab/tool", Cmd: []string{"say", "hello"}, Labels: map[string]string{"kind": "tool"}},
		{Name: "lab/data:1", Cmd: []string{"wait"}, Volumes: []string{"/data"}, WorkingDir: "/data", StopSignal: "INT"},
	}
}

// newBench makes an engine in a folder; an empty root is a new one.
func newBench(t testing.TB, root string, edit ...func(*Config)) *bench {
	t.Helper()
	if root == "" {
		root = t.TempDir()
	}
	b := &bench{root: root, ip: address()}
	b.cfg = Config{
		Dir: filepath.Join(root, "var/lib/docker"), MachineRoot: root, Hostname: "node1", IP: b.ip,
		CPUs: 2, MemoryMiB: 1024, Catalogue: catalogue(), Version: "1.2.3", Start: b.start, Exec: runLine,
		Listen: func(ctx context.Context, network, address string) (net.Listener, error) {
			var lc net.ListenConfig
			return lc.Listen(ctx, network, address)
		},
		Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, f := range edit {
		f(&b.cfg)
	}
	e, err := New(context.WithoutCancel(t.Context()), b.cfg)
	if err != nil {
		t.Fatal(err)
	}
	b.Engine = e
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // no patience
		b.Close(ctx)
		b.cancel()
		for _, p := range b.procs { // a cut engine leaves them running
			p.Signal(syscall.SIGKILL)
		}
	})
	return b
}

// process is the container's present process.
func (c *container) process(t testing.TB) Process {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.life == nil {
		t.Fatalf("%s has no process", c.rec.Name)
	}
	return c.life.proc
}

func (b *bench) start(ctx context.Context, c Command) (Process, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.started = append(b.started, c)
	if b.fail != nil {
		return nil, b.fail
	}
	p, err := startGoroutine(ctx, c)
	if err == nil {
		b.procs = append(b.procs, p)
	}
	return p, err
}

// starts is how often a process was started.
func (b *bench) starts() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.started)
}

// goroutine is a process without a process.
type goroutine struct {
	signals chan syscall.Signal
	done    chan struct{}
	code    int
	paused  atomic.Bool
}

func (g *goroutine) Pid() int { return 0 }

func (g *goroutine) Wait(ctx context.Context) (int, error) {
	select {
	case <-g.done:
		return g.code, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (g *goroutine) Signal(s syscall.Signal) error {
	select {
	case <-g.done:
		return os.ErrProcessDone
	case g.signals <- s:
		return nil
	}
}

func (g *goroutine) Pause() error   { g.paused.Store(true); return nil }
func (g *goroutine) Unpause() error { g.paused.Store(false); return nil }

// startGoroutine runs the test's programs: say, exit, wait, stubborn, cat,
// web, stderr, env, lines.
func startGoroutine(_ context.Context, c Command) (Process, error) {
	words := c.Argv
	if len(words) > 2 && words[0] == "/lab" {
		words = words[2:]
	}
	if words[0] == "missing" {
		return nil, fmt.Errorf("look for it: %w", exec.ErrNotFound)
	}
	g := &goroutine{signals: make(chan syscall.Signal), done: make(chan struct{})}
	go func() {
		defer close(g.done)
		g.code = program(g.signals, c, words)
	}()
	return g, nil
}

func program(signals <-chan syscall.Signal, c Command, words []string) int {
	switch words[0] {
	case "say":
		fmt.Fprintln(c.Stdout, strings.Join(words[1:], " "))
	case "stderr":
		fmt.Fprintln(c.Stdout, "out")
		fmt.Fprintln(c.Stderr, "err")
	case "lines":
		n, _ := strconv.Atoi(words[1])
		for i := range n {
			fmt.Fprintf(c.Stdout, "line %d\n", i)
		}
	case "exit":
		n, _ := strconv.Atoi(words[1])
		return n
	case "env":
		fmt.Fprintln(c.Stdout, strings.Join(c.Env, "\n"))
	case "cat":
		io.Copy(c.Stdout, c.Stdin)
	case "stubborn":
		for s := range signals {
			if s == syscall.SIGKILL {
				return 137
			}
		}
	case "web":
		return web(signals, c)
	default:
		fmt.Fprintln(c.Stdout, "ready")
		return 128 + int(<-signals)
	}
	return 0
}

// web serves HTTP on port 80 until a signal comes.
func web(signals <-chan syscall.Signal, c Command) int {
	l, err := c.Listen(context.Background(), "tcp", "0.0.0.0:80")
	if err != nil {
		fmt.Fprintln(c.Stderr, err)
		return 1
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, c.Name) })}
	go srv.Serve(l)
	fmt.Fprintln(c.Stdout, "serving")
	<-signals
	srv.Close()
	return 0
}

// runLine is the sandbox shell of the tests.
func runLine(ctx context.Context, c ExecCommand) (int, error) {
	switch c.Argv[0] {
	case "say":
		fmt.Fprintln(c.Stdout, strings.Join(c.Argv[1:], " "))
	case "fail":
		fmt.Fprintln(c.Stderr, "failing")
		return 3, nil
	case "cat":
		io.Copy(c.Stdout, c.Stdin)
	case "wait":
		<-ctx.Done()
		return 137, nil
	case "shell": // cat with a prompt
		fmt.Fprint(c.Stdout, "$ ")
		lines := bufio.NewScanner(c.Stdin)
		for lines.Scan() {
			fmt.Fprintf(c.Stdout, "got %q\n$ ", lines.Text())
		}
		return 7, nil
	case "pwd":
		fmt.Fprintln(c.Stdout, c.WorkingDir)
	default:
		return 0, fmt.Errorf("%s: %w", c.Argv[0], exec.ErrNotFound)
	}
	return 0, nil
}

// unix serves the engine on a unix socket, as the machine does, and returns
// its DOCKER_HOST.
func (b *bench) unix(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "eng")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return b.serve(t, "unix", filepath.Join(dir, "docker.sock"))
}

// tcp serves the engine on the machine's address behind the guard.
func (b *bench) tcp(t testing.TB) string { return b.serve(t, "tcp", b.ip+":0") }

func (b *bench) serve(t testing.TB, network, address string) string {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	srv := guard.Policy{SameUser: true}.Server(b.Handler())
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	return network + "://" + l.Addr().String()
}

// client is a foreign client on an endpoint.
func dockerClient(t testing.TB, host string) *client.Client {
	t.Helper()
	c, err := client.New(client.WithHost(host))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// line reads lines until one contains the text.
func line(t testing.TB, r *bufio.Reader, want string) string {
	t.Helper()
	for {
		s, err := r.ReadString('\n')
		if strings.Contains(s, want) {
			return s
		}
		if err != nil {
			t.Fatalf("waiting for a line with %q: %v", want, err)
		}
	}
}

// status is the status code of an error of this package.
func wantStatus(t testing.TB, err error, status int, words string) {
	t.Helper()
	if statusOf(err) != status || err != nil && !strings.Contains(err.Error(), words) {
		t.Errorf("got %d %v, want %d %q", statusOf(err), err, status, words)
	}
}

var errNoStart = errors.New("no process today")
