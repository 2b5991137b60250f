//go:build unix

package machine

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/mesoslab/lab/internal/proctab"
	"github.com/mesoslab/lab/local/folder"
	"github.com/mesoslab/lab/local/handoff"
)

// Main is "lab machine": args are the words after it, "run [--lock-fd N]
// [--die-with-fd N] FOLDER". It returns the exit code.
func Main(ctx context.Context, args []string, cfg Config) int {
	if cfg.Log == nil {
		cfg.Log = io.Discard
	}
	flags := flag.NewFlagSet("lab machine run", flag.ContinueOnError)
	flags.SetOutput(cfg.Log)
	flags.IntVar(&cfg.LockFD, "lock-fd", cfg.LockFD, "descriptor of the locked lock file")
	flags.IntVar(&cfg.DieWithFD, "die-with-fd", cfg.DieWithFD, "die when this pipe closes")
	if len(args) == 0 || args[0] != "run" || flags.Parse(args[1:]) != nil || flags.NArg() != 1 {
		fmt.Fprintln(cfg.Log, "usage: lab machine run FOLDER")
		return 2
	}
	return Run(ctx, flags.Arg(0), cfg)
}

// Run is the whole life of the machine in a folder that the provider has
// prepared. It changes the working directory of this process, takes its
// signals, and returns the exit code when the machine is off.
func Run(ctx context.Context, dir string, cfg Config) int {
	if cfg.Log == nil {
		cfg.Log = io.Discard
	}
	m := &machine{cfg: cfg, folder: ".", boot: time.Now(), log: slog.New(slog.NewTextHandler(cfg.Log, nil))}
	signals, orphans := make(chan os.Signal, 16), make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGCONT, syscall.SIGHUP)
	signal.Notify(orphans, syscall.SIGCHLD)
	signal.Ignore(syscall.SIGPIPE, syscall.SIGINT)
	defer signal.Stop(signals)
	defer signal.Stop(orphans)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m.life = ctx
	lock, err := m.enter(dir)
	if err != nil {
		m.log.Error("machine", "error", err)
		return 1
	}
	defer lock.Close()
	if err := m.bootUp(ctx); err != nil {
		m.log.Error("boot", "error", err)
		m.report(folder.Life{State: folder.Failed, Problem: problem(err)})
		return 1
	}
	return m.loop(ctx, signals, orphans)
}

// enter makes the folder the working directory and the lock ours alone.
func (m *machine) enter(dir string) (*os.File, error) {
	var lock *os.File
	if m.cfg.LockFD > 0 {
		syscall.CloseOnExec(m.cfg.LockFD) // before anything else: children must not keep it
		lock = os.NewFile(uintptr(m.cfg.LockFD), folder.LockFile)
	}
	if m.cfg.DieWithFD > 0 {
		syscall.CloseOnExec(m.cfg.DieWithFD)
		m.dieWith(m.cfg.DieWithFD)
	}
	full, err := filepath.Abs(dir)
	if err == nil {
		full, err = filepath.EvalSymlinks(full)
	}
	if err == nil {
		err = os.Chdir(full)
	}
	if err != nil {
		return nil, fmt.Errorf("enter %s: %w", dir, err)
	}
	m.mark = full
	if lock == nil {
		if lock, err = m.folder.Lock(); err != nil {
			return nil, err
		}
	}
	if m.self, err = proctab.Self(); err != nil {
		return nil, err
	}
	return lock, folder.Sign(lock, m.self)
}

// dieWith ends this process when the pipe's other end closes: by the kernel
// where it can (it works on frozen processes, too), else by reading.
func (m *machine) dieWith(fd int) {
	pipe := os.NewFile(uintptr(fd), "life line")
	if err := killWhenClosed(fd); err != nil {
		m.log.Info("life line is read", "why", err)
	}
	go func() {
		_, _ = io.Copy(io.Discard, pipe)
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}()
}

// bootUp brings the machine up to the point where SSH answers and docker runs.
func (m *machine) bootUp(ctx context.Context) (err error) {
	m.report(folder.Life{State: folder.Booting})
	if m.settings, err = m.folder.Settings(); err != nil {
		return err
	}
	m.hosts = handoff.Hosts(m.settings.Hosts)
	if m.cfg.Executable == "" {
		if m.cfg.Executable, err = os.Executable(); err != nil {
			return err
		}
	}
	if err := adopt(); err != nil {
		m.log.Warn("boot", "error", err)
	}
	if err := m.buryThePast(ctx); err != nil {
		return err
	}
	if err := m.folder.ForgetNetwork(); err != nil {
		return err
	}
	if err := os.MkdirAll(rootDir, 0o755); err != nil {
		return err
	}
	if m.root, err = os.OpenRoot(rootDir); err != nil {
		return err
	}
	if err := m.skeleton(); err != nil {
		return err
	}
	m.net = newNetwork(m.settings.IP, m.hosts)
	m.children = newChildren(m.cfg.Executable, m.environ(), m.folder, m.log)
	m.programs = programs{children: m.children, allowed: m.allowed}
	m.children.programs = m.programs
	m.docker = &dockerService{machine: m}
	server, err := m.newSSHServer()
	if err != nil {
		return err
	}
	l, err := m.net.listen(ctx, "tcp", net.JoinHostPort(m.settings.IP, strconv.Itoa(m.settings.SSHPort)))
	if err != nil {
		return err
	}
	l.setOwner("sshd", os.Getpid())
	go server.serve(ctx, l)
	if r, err := m.docker.act(ctx, "start"); err != nil || r.Failed != "" {
		m.log.Warn("docker does not start", "why", r.Failed, "error", err)
	}
	m.report(folder.Life{State: folder.Running})
	m.log.Info("up", "name", m.settings.Name, "address", l.Addr().String(), "pid", m.self.PID)
	return nil
}

// buryThePast ends what an earlier life left behind.
func (m *machine) buryThePast(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	procs, err := m.folder.Procs()
	if err != nil {
		m.log.Warn("record of processes", "error", err)
	}
	if err := proctab.Kill(ctx, func() []proctab.ID { return Remains(m.mark, procs, m.self) }); err != nil {
		return fmt.Errorf("end an earlier life: %w", err)
	}
	return m.folder.WriteProcs(nil)
}

// Remains are the processes of a machine, by its folder's full path, that live:
// those it recorded and those that carry its mark, without the given one.
func Remains(mark string, procs []folder.Proc, without proctab.ID) []proctab.ID {
	out := proctab.Marked(folder.EnvMark, mark)
	for _, p := range procs {
		if p.State() != proctab.Gone {
			out = append(out, p.ID)
		}
	}
	for i := len(out) - 1; i >= 0; i-- {
		if out[i] == without {
			out = append(out[:i], out[i+1:]...)
		}
	}
	return out
}

// report writes state.json; a machine whose disk is full goes on without.
func (m *machine) report(l folder.Life) {
	l.Process = m.self
	if err := m.folder.WriteLife(l); err != nil {
		m.log.Error("state", "error", err)
	}
}

// problem makes an error readable for the provider.
func problem(err error) *folder.Problem {
	p := &folder.Problem{ID: "machine-boot", Op: "boot", Text: err.Error()}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		p.ID = "port-taken"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		p.ID = "address-missing"
	}
	return p
}

// loop waits for signals until the machine is off.
func (m *machine) loop(ctx context.Context, signals, orphans <-chan os.Signal) int {
	for {
		select {
		case <-ctx.Done():
			return m.shutdown(ctx)
		case s := <-signals:
			switch s {
			case syscall.SIGTERM:
				return m.shutdown(ctx)
			case syscall.SIGUSR1:
				if !m.freeze(ctx, folder.Cut, signals) {
					return m.die(ctx)
				}
			case syscall.SIGUSR2:
				if !m.freeze(ctx, folder.Paused, signals) {
					return m.die(ctx)
				}
			case syscall.SIGHUP:
				m.listenTo(ctx)
			}
		case <-orphans:
			m.children.reap()
		}
	}
}

// shutdown is the clean way out.
func (m *machine) shutdown(ctx context.Context) int {
	m.log.Info("shutdown")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	m.docker.mu.Lock()
	m.docker.stopLocked(ctx)
	m.docker.mu.Unlock()
	m.programs.end(ctx)
	if err := m.children.kill(ctx); err != nil {
		m.log.Error("shutdown", "error", err)
	}
	for _, s := range m.net.list() {
		s.Close()
	}
	m.report(folder.Life{State: folder.Off})
	return 0
}

// die ends everything at once: the machine was cut off and must not go on.
func (m *machine) die(ctx context.Context) int {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := m.children.kill(ctx); err != nil {
		m.log.Error("die", "error", err)
	}
	m.report(folder.Life{State: folder.Off})
	return 1
}
