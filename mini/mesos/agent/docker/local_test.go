package docker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mesoslab/lab/local/engine"
)

// sleeper is a process that runs until it is signalled.
type sleeper struct{ ended chan int }

func (s sleeper) Pid() int       { return 0 }
func (s sleeper) Pause() error   { return nil }
func (s sleeper) Unpause() error { return nil }

func (s sleeper) Wait(ctx context.Context) (int, error) {
	select {
	case code := <-s.ended:
		return code, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (s sleeper) Signal(sig syscall.Signal) error {
	select {
	case s.ended <- 128 + int(sig):
		return nil
	default:
		return os.ErrProcessDone
	}
}

// labEngine serves the engine of embedded machines on a unix socket.
func labEngine(t *testing.T) (dial DialFunc, started func() engine.Command) {
	t.Helper()
	root, commands := t.TempDir(), make(chan engine.Command, 10)
	var lc net.ListenConfig
	e, err := engine.New(t.Context(), engine.Config{
		Dir: filepath.Join(root, "var/lib/docker"), MachineRoot: root, Hostname: "node2", IP: "127.0.0.1", CPUs: 1, MemoryMiB: 1024,
		Catalogue: []engine.Image{{Name: "lab/web", Aliases: []string{"nginx"}, Entrypoint: []string{"/lab", "mini", "web"}, ExposedPorts: []string{"80/tcp"}}},
		Start: func(_ context.Context, c engine.Command) (engine.Process, error) {
			commands <- c
			fmt.Fprintln(c.Stdout, "to stdout")
			fmt.Fprintln(c.Stderr, "to stderr")
			return sleeper{make(chan int, 1)}, nil
		},
		Exec: func(_ context.Context, c engine.ExecCommand) (int, error) {
			if c.Argv[0] != "/bin/sh" {
				return 0, fmt.Errorf("%s: %w", c.Argv[0], exec.ErrNotFound)
			}
			fmt.Fprintln(c.Stdout, "some output")
			return len(c.Argv), nil
		},
		Listen: lc.Listen,
	})
	must(t, err)
	dir, err := os.MkdirTemp("", "eng") // a socket's path must be short
	must(t, err)
	socket := filepath.Join(dir, "docker.sock")
	l, err := lc.Listen(t.Context(), "unix", socket)
	must(t, err)
	server := &http.Server{Handler: e.Handler()}
	go server.Serve(l)
	t.Cleanup(func() {
		server.Close()
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // no patience
		e.Close(ctx)
		os.RemoveAll(dir)
	})
	must(t, os.MkdirAll(filepath.Join(root, "tmp/mesos/run"), 0o755))
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}, func() engine.Command { return <-commands }
}

// A task's container in the engine that embedded machines really have.
func TestOnTheEngineOfEmbeddedMachines(t *testing.T) {
	dial, started := labEngine(t)
	e := NewMoby(dial, "/var/run/docker.sock")
	defer e.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if v, err := e.Version(ctx); err != nil || !strings.Contains(v, "API 1.44") {
		t.Errorf("version %q, %v", v, err)
	}
	if err := e.Pull(ctx, "postgres:9", false); err == nil || !strings.Contains(err.Error(), "catalogue") {
		t.Errorf("pulled what is not in the catalogue: %v", err)
	}
	must(t, e.Pull(ctx, "nginx:1.9", false))
	name := "mesos-S0.1"
	must(t, e.Create(ctx, Spec{Name: name, Image: "nginx:1.9", Network: "bridge", Env: []string{"PORT=0"}, CPUShares: 512, MemoryBytes: 64 << 20,
		Ports: []Port{{0, 80, "tcp"}}, Binds: []string{"/tmp/mesos/run:/mnt/mesos/sandbox"}, Labels: map[string]string{"MESOS_TASK_ID": "t"}}))
	if info, err := e.Inspect(ctx, name); err != nil || info.Started || info.Running {
		t.Errorf("created: %+v, %v", info, err)
	}
	must(t, e.Start(ctx, name))
	if c := started(); !slices.Contains(c.Env, "PORT=0") || c.Labels["MESOS_TASK_ID"] != "t" {
		t.Errorf("started %+v", c)
	}
	if info, err := e.Inspect(ctx, name); err != nil || !info.Started || !info.Running {
		t.Errorf("running: %+v, %v", info, err)
	}
	if code, err := e.Exec(ctx, name, []string{"/bin/sh", "-c", "true"}, nil); err != nil || code != 3 {
		t.Errorf("exec: %d, %v", code, err)
	}
	if u, err := e.Usage(ctx, name); err != nil { // its process is played here and uses nothing
		t.Errorf("usage: %+v, %v", u, err)
	}
	if names, err := e.List(ctx, "mesos-S0."); err != nil || !slices.Equal(names, []string{name}) {
		t.Errorf("list %q, %v", names, err)
	}
	waited := make(chan error, 1)
	go func() {
		code, err := e.Wait(ctx, name)
		if err == nil && code != 143 && code != 137 {
			err = fmt.Errorf("exit code %d", code)
		}
		waited <- err
	}()
	must(t, e.Stop(ctx, name, 0))
	must(t, <-waited)
	var stdout, stderr strings.Builder
	must(t, e.Logs(ctx, name, &stdout, &stderr))
	if stdout.String() != "to stdout\n" || stderr.String() != "to stderr\n" {
		t.Errorf("output %q and %q", stdout.String(), stderr.String())
	}
	must(t, e.Remove(ctx, name))
	if _, err := e.Inspect(ctx, name); !errors.Is(err, ErrNotFound) {
		t.Errorf("removed: %v", err)
	}
}
