package shell

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// fakeMachine is a machine with one service and one process.
type fakeMachine struct {
	mu      sync.Mutex
	running bool
	failed  string
	killed  []int
	acts    []string
}

func (m *fakeMachine) Info() Info {
	return Info{Boot: time.Now().Add(-time.Hour), IP: "127.0.0.1", CPUs: 2, MemoryMiB: 1024, DiskMiB: 10240}
}
func (m *fakeMachine) Processes() []Process {
	return []Process{{PID: 4711, User: "root", Name: "lab", Command: "/lab mini zookeeper"}}
}
func (m *fakeMachine) Sockets() []Socket {
	return []Socket{{Network: "tcp", Address: "127.0.0.1:2222", Program: "sshd", PID: 7}}
}
func (m *fakeMachine) Kill(pid int, _ syscall.Signal) error {
	if pid != 4711 {
		return syscall.ESRCH
	}
	m.killed = append(m.killed, pid)
	return nil
}
func (m *fakeMachine) Service(_ context.Context, name, verb string) (ServiceResult, error) {
	if name != "docker" {
		return ServiceResult{}, ErrNoService
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.acts = append(m.acts, verb)
	r := ServiceResult{Was: m.running, PID: 4712}
	switch verb {
	case "start", "restart":
		m.running = m.failed == ""
	case "stop":
		m.running = false
	}
	r.Running, r.Failed = m.running, m.failed
	return r, nil
}
func (m *fakeMachine) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if network == "unix" {
		return nil, syscall.ECONNREFUSED
	}
	var d net.Dialer
	return d.DialContext(ctx, network, address)
}

// world is a root folder beside a secret that nothing may reach.
type world struct {
	t       *testing.T
	cfg     Config
	dir     string
	machine *fakeMachine
}

func newWorld(t *testing.T) *world {
	t.Helper()
	outer := t.TempDir()
	dir := filepath.Join(outer, "root")
	for _, d := range []string{"etc", "root", "home/vagrant", "tmp", "bin"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"../secret": "SECRET\n", "etc/passwd": "root:inside\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	m := &fakeMachine{}
	return &world{t: t, dir: dir, machine: m, cfg: Config{Root: root, Dir: "/home/vagrant", User: "vagrant", Hostname: "node2", Machine: m}}
}

func (w *world) run(script, stdin string) (stdout, stderr string, exit int) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	var out, errOut lockedBuffer
	cfg := w.cfg
	cfg.Stdin, cfg.Stdout, cfg.Stderr = strings.NewReader(stdin), &out, &errOut
	exit, err := Run(ctx, cfg, script)
	if err != nil {
		w.t.Fatalf("%s: %v", script, err)
	}
	return out.String(), errOut.String(), exit
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}
func (b *lockedBuffer) String() string { b.mu.Lock(); defer b.mu.Unlock(); return b.b.String() }
