//go:build unix

package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/mesoslab/lab/internal/proctab"
	"github.com/mesoslab/lab/local/docker"
	"github.com/mesoslab/lab/local/engine"
	"github.com/mesoslab/lab/local/folder"
	"github.com/mesoslab/lab/local/handoff"
	"github.com/mesoslab/lab/local/procfs"
	"github.com/mesoslab/lab/local/shell"
)

// machine is one life of a machine; its working directory is its folder.
type machine struct {
	cfg      Config
	folder   folder.Folder
	settings folder.Settings
	hosts    handoff.Hosts
	self     proctab.ID
	mark     string // the folder's full path, carried by every process
	boot     time.Time
	log      *slog.Logger
	root     *os.Root
	net      *network
	children *children
	programs programs
	docker   *dockerService
	ears     ears
	life     context.Context // ends with the machine
}

// rootDir is the machine's disk, and where the engine keeps its things in it.
const (
	rootDir       = folder.RootDir
	engineDir     = rootDir + "/var/lib/docker"
	maxSocketPath = 100 // sun_path has 104 bytes on some systems
)

func (m *machine) files() shell.Files { return shell.Files{Root: m.root} }

func dirOf(p string) string  { return path.Dir(path.Clean("/" + p)) }
func baseOf(p string) string { return path.Base(path.Clean("/" + p)) }

// realDir resolves the links of a directory on the machine to a path of this
// process, checking that it lies on the machine.
func (m *machine) realDir(dir string) (string, error) {
	real, err := filepath.EvalSymlinks(rootDir + dir)
	if err != nil {
		return "", err
	}
	if real != rootDir && !strings.HasPrefix(real, rootDir+"/") {
		return "", fmt.Errorf("%s: path leads out of the machine", dir)
	}
	return real, nil
}

func (m *machine) engineConfig(log io.Writer) engine.Config {
	return engine.Config{
		Dir: engineDir, MachineRoot: rootDir, Hostname: m.settings.Name, IP: m.settings.IP,
		CPUs: float64(m.settings.CPUs), MemoryMiB: m.settings.MemoryMiB, Catalogue: m.cfg.Catalogue, Version: m.cfg.Version,
		Start: m.startProcess, Exec: m.execProcess, Log: slog.New(slog.NewTextHandler(log, nil)),
		Listen: func(ctx context.Context, network, address string) (net.Listener, error) {
			// A nil *socket is no nil net.Listener.
			s, err := m.net.listen(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return s, nil
		},
		Bind: func(_ context.Context, address string) (net.Listener, error) {
			s, err := m.net.bind(address)
			if err != nil {
				return nil, err
			}
			return s, nil
		},
	}
}

// environ is what every process of the machine gets.
func (m *machine) environ() []string {
	env := []string{
		handoff.EnvIP + "=" + m.settings.IP, handoff.EnvHosts + "=" + m.hosts.String(), folder.EnvMark + "=" + m.mark,
		"LAB_GUARD_NAMES=" + strings.Join(m.hosts.Names(), ","),
		fmt.Sprintf("LAB_MACHINE_CPUS=%d", m.settings.CPUs), fmt.Sprintf("LAB_MACHINE_MEMORY_MIB=%d", m.settings.MemoryMiB),
		fmt.Sprintf("LAB_MACHINE_DISK_MIB=%d", m.settings.DiskMiB),
	}
	if !m.settings.AllowOtherUsers {
		env = append(env, "LAB_GUARD_SAME_USER=1")
	}
	if dir := os.Getenv("GOCOVERDIR"); dir != "" {
		env = append(env, "GOCOVERDIR="+dir)
	}
	return env
}

// startProcess is the engine's Start.
func (m *machine) startProcess(ctx context.Context, c engine.Command) (engine.Process, error) {
	if len(c.Argv) == 0 {
		return nil, fmt.Errorf("no command: %w", exec.ErrNotFound)
	}
	if c.Argv[0] == "/lab" {
		return m.children.start(ctx, c)
	}
	cfg, err := m.containerShell(c.Dir, c.WorkingDir, c.User, c.Hostname, c.Env)
	if err != nil {
		return nil, err
	}
	if !runnable(cfg, c.Argv[0]) {
		return nil, fmt.Errorf("exec: %q: executable file not found in $PATH: %w", c.Argv[0], exec.ErrNotFound)
	}
	cfg.Stdin, cfg.Stdout, cfg.Stderr = c.Stdin, c.Stdout, c.Stderr
	return startScript(m.life, cfg, c.Argv), nil
}

// execProcess is the engine's Exec.
func (m *machine) execProcess(ctx context.Context, c engine.ExecCommand) (int, error) {
	if len(c.Argv) == 0 {
		return 0, fmt.Errorf("no command: %w", exec.ErrNotFound)
	}
	cfg, err := m.containerShell(c.Dir, c.WorkingDir, c.User, c.Hostname, c.Env)
	if err != nil {
		return 0, err
	}
	if !runnable(cfg, c.Argv[0]) {
		return 0, fmt.Errorf("exec: %q: executable file not found in $PATH: %w", c.Argv[0], exec.ErrNotFound)
	}
	cfg.Stdin, cfg.Stdout, cfg.Stderr = c.Stdin, c.Stdout, c.Stderr
	return shell.RunArgv(ctx, cfg, c.Argv)
}

// containerShell configures a shell whose "/" is a container's rootfs, a path
// of this process.
func (m *machine) containerShell(rootfs, workingDir, user, hostname string, env []string) (shell.Config, error) {
	base, err := filepath.Rel(rootDir, rootfs)
	if err != nil || base == ".." || strings.HasPrefix(base, "../") {
		return shell.Config{}, fmt.Errorf("rootfs %s lies outside the machine", rootfs)
	}
	if user, _, _ = strings.Cut(user, ":"); user == "" || user == "0" {
		user = "root"
	}
	return shell.Config{
		Root: m.root, Base: filepath.ToSlash(base), Dir: workingDir, Env: env, User: user, Hostname: hostname,
		Machine: containerView{m}, Commands: containerCommands(),
	}, nil
}

// commands are the machine's own.
func commands() map[string]shell.Command {
	all := shell.Standard()
	all["docker"] = docker.Command
	return all
}

// containerCommands are the commands inside containers: those about services
// are the machine's own business.
func containerCommands() map[string]shell.Command {
	all := shell.Standard()
	for _, name := range []string{"service", "systemctl", "initctl", "restart", "start", "stop", "reload", "status", "sudo", "scp"} {
		delete(all, name)
	}
	return all
}

// builtins of the shell that count as programs.
func runnable(cfg shell.Config, name string) bool {
	switch baseOf(name) {
	case "echo", "true", "false", "test", "[", "printf", "pwd", "kill":
		return true
	}
	if shell.Known(cfg.Commands, name) {
		return true
	}
	if !strings.Contains(name, "/") {
		return false
	}
	_, err := shell.Files{Root: cfg.Root, Base: cfg.Base}.Stat(name)
	return err == nil
}

// Info implements shell.Machine.
func (m *machine) Info() shell.Info {
	return shell.Info{Boot: m.boot, IP: m.settings.IP, SSHPort: m.settings.SSHPort, CPUs: m.settings.CPUs, MemoryMiB: m.settings.MemoryMiB, DiskMiB: m.settings.DiskMiB}
}

// Processes implements shell.Machine. The services are parts of this process.
func (m *machine) Processes() []shell.Process {
	out := []shell.Process{
		{PID: os.Getpid(), User: "root", Start: m.boot, Name: "dockerd", Command: "/usr/bin/dockerd"},
	}
	for _, p := range m.children.list() {
		out = append(out, shell.Process{PID: p.Pid(), User: "root", Start: p.record.At, Name: baseOf(p.record.Argv[0]), Command: strings.Join(p.record.Argv, " ")})
	}
	for i := range out {
		if used, ok := procfs.Of(out[i].PID); ok {
			out[i].CPU, out[i].RSS = used.CPU, used.RSS
		}
	}
	return out
}

// Sockets implements shell.Machine.
func (m *machine) Sockets() []shell.Socket {
	var out []shell.Socket
	for _, s := range m.net.list() {
		m.net.mu.Lock()
		out = append(out, shell.Socket{Network: strings.TrimRight(s.Addr().Network(), "4"), Address: strings.TrimPrefix(s.Addr().String(), rootDir), Program: s.program, PID: s.pid})
		m.net.mu.Unlock()
	}
	return append(out, m.foreignSockets(out)...)
}

// foreignSockets are the ports that programs which are not lab's own have opened
// themselves; the others are known.
func (m *machine) foreignSockets(known []shell.Socket) []shell.Socket {
	var pids []int
	for _, id := range proctab.Marked(folder.EnvMark, m.mark) {
		pids = append(pids, id.PID)
	}
	var out []shell.Socket
	for _, l := range procfs.Listeners(pids) {
		s := shell.Socket{Network: "tcp", Address: l.Address.String(), Program: l.Command, PID: l.PID}
		same := func(o shell.Socket) bool { return o.Network == s.Network && o.Address == s.Address }
		if !slices.ContainsFunc(known, same) && !slices.ContainsFunc(out, same) {
			out = append(out, s)
		}
	}
	return out
}

// Kill implements shell.Machine. The machine's children can be reached, and
// dockerd, which is a part of this process.
func (m *machine) Kill(pid int, sig syscall.Signal) error {
	if pid == os.Getpid() {
		return m.docker.signal(m.life, sig)
	}
	for _, p := range m.children.list() {
		if p.Pid() == pid {
			return p.Signal(sig)
		}
	}
	return syscall.ESRCH
}

// Service implements shell.Machine.
func (m *machine) Service(ctx context.Context, name, verb string) (shell.ServiceResult, error) {
	switch name {
	case "docker":
		return m.docker.act(ctx, verb)
	case "ssh", "sshd":
		r := shell.ServiceResult{Was: true, Running: true, PID: os.Getpid(), Since: m.boot}
		if verb == "stop" {
			return r, errors.New("it is the way into this machine, and always runs")
		}
		return r, nil
	}
	return shell.ServiceResult{}, shell.ErrNoService
}

// Crashed implements shell.Crashed.
func (m *machine) Crashed(args []string, cause any, stack []byte) {
	m.log.Error("a command panicked", "command", args, "cause", cause, "stack", string(stack))
}

// Dial implements shell.Machine.
func (m *machine) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return m.net.dialLab(ctx, network, address)
}

// containerView is the machine as a container sees it.
type containerView struct{ *machine }

// Service knows no services in a container.
func (containerView) Service(context.Context, string, string) (shell.ServiceResult, error) {
	return shell.ServiceResult{}, shell.ErrNoService
}
