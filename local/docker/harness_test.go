package docker

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mesoslab/lab/internal/guard"
	"github.com/mesoslab/lab/local/engine"
	"github.com/mesoslab/lab/local/shell"
)

// world is a machine whose docker command speaks to a real engine, the
// containers of which are goroutines.
type world struct {
	t      *testing.T
	cfg    shell.Config
	socket string // the engine's, on this computer
}

// machine dials as a machine does: its own socket, or the engine of node2.
type machine struct {
	shell.Machine
	socket string
}

func (m machine) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if network+" "+address != "unix "+shell.DockerSocket && network+" "+address != "tcp node2:2375" {
		return nil, fmt.Errorf("dial %s %s: %w", network, address, syscall.ECONNREFUSED)
	}
	var d net.Dialer
	return d.DialContext(ctx, "unix", m.socket)
}

// process is a container's: say and lines print and end, the others print
// "ready" and wait for a signal.
type process struct {
	signals chan syscall.Signal
	done    chan struct{}
	code    int
}

func (p *process) Pid() int { return 0 }
func (p *process) Wait(ctx context.Context) (int, error) {
	select {
	case <-p.done:
		return p.code, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}
func (p *process) Signal(s syscall.Signal) error {
	select {
	case <-p.done:
		return os.ErrProcessDone
	case p.signals <- s:
		return nil
	}
}
func (p *process) Pause() error   { return nil }
func (p *process) Unpause() error { return nil }

func startProcess(_ context.Context, c engine.Command) (engine.Process, error) {
	if c.Argv[0] == "missing" {
		return nil, fmt.Errorf("look for it: %w", exec.ErrNotFound)
	}
	p := &process{signals: make(chan syscall.Signal), done: make(chan struct{})}
	go func() {
		defer close(p.done)
		switch c.Argv[0] {
		case "say":
			fmt.Fprintln(c.Stdout, strings.Join(c.Argv[1:], " "))
			fmt.Fprintln(c.Stderr, "said")
		case "exit":
			p.code, _ = strconv.Atoi(c.Argv[1])
		case "cat":
			io.Copy(c.Stdout, c.Stdin)
		case "env":
			fmt.Fprintln(c.Stdout, strings.Join(c.Env, "\n"))
		default:
			fmt.Fprintln(c.Stdout, "ready")
			p.code = 128 + int(<-p.signals)
		}
	}()
	return p, nil
}

func runLine(_ context.Context, c engine.ExecCommand) (int, error) {
	switch c.Argv[0] {
	case "say":
		fmt.Fprintln(c.Stdout, strings.Join(c.Argv[1:], " "))
	case "cat":
		io.Copy(c.Stdout, c.Stdin)
	case "env":
		fmt.Fprintln(c.Stdout, strings.Join(c.Env, "\n"))
	case "pwd":
		fmt.Fprintln(c.Stdout, c.WorkingDir)
	case "fail":
		fmt.Fprintln(c.Stderr, "failing")
		return 3, nil
	default:
		return 0, fmt.Errorf("%s: %w", c.Argv[0], exec.ErrNotFound)
	}
	return 0, nil
}

func newWorld(t *testing.T) *world {
	t.Helper()
	disk := t.TempDir()
	short, err := os.MkdirTemp("", "dck") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(short) })
	if err := os.MkdirAll(filepath.Join(disk, "root"), 0o755); err != nil {
		t.Fatal(err)
	}
	e, err := engine.New(context.WithoutCancel(t.Context()), engine.Config{
		Dir: filepath.Join(disk, "var/lib/docker"), MachineRoot: disk, Hostname: "node1", IP: "127.0.0.1", CPUs: 2, MemoryMiB: 1024, Version: "1.2.3",
		Catalogue: []engine.Image{
			{Name: "lab/tool", Created: time.Unix(1600000000, 0), Size: 123456789, Cmd: []string{"say", "hello"}, Labels: map[string]string{"kind": "tool"}},
			{Name: "lab/web", Aliases: []string{"nginx"}, Created: time.Unix(1500000000, 0), Cmd: []string{"wait"}, ExposedPorts: []string{"80/tcp"}, Env: []string{"IMAGE=web"}},
		},
		Start: startProcess, Exec: runLine,
		Listen: func(ctx context.Context, network, address string) (net.Listener, error) {
			var lc net.ListenConfig
			return lc.Listen(ctx, network, address)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, socket: filepath.Join(short, "s")}
	l, err := net.Listen("unix", w.socket)
	if err != nil {
		t.Fatal(err)
	}
	srv := guard.Policy{SameUser: true}.Server(e.Handler())
	go srv.Serve(l)
	root, err := os.OpenRoot(disk)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		srv.Close()
		now, cancel := context.WithCancel(context.Background())
		cancel() // no patience with what runs
		e.Close(now)
		root.Close()
	})
	commands := maps.Clone(shell.Standard())
	commands["docker"] = Command
	w.cfg = shell.Config{Root: root, Dir: "/root", User: "root", Hostname: "node1", Machine: machine{socket: w.socket}, Commands: commands}
	return w
}

type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

// run runs a line of the machine's shell.
func (w *world) run(line, stdin string) (stdout, stderr string, exit int) {
	w.t.Helper()
	var out, errOut output
	cfg := w.cfg
	cfg.Stdin, cfg.Stdout, cfg.Stderr = strings.NewReader(stdin), &out, &errOut
	exit, err := shell.Run(w.t.Context(), cfg, line)
	if err != nil {
		w.t.Fatalf("%s: %v", line, err)
	}
	return out.b.String(), errOut.b.String(), exit
}

// ok runs a line that must work.
func (w *world) ok(line string) string {
	w.t.Helper()
	out, errOut, exit := w.run(line, "")
	if exit != 0 {
		w.t.Fatalf("%s: exit %d, %s%s", line, exit, out, errOut)
	}
	return out
}
