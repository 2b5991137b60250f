//go:build unix

package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/mesoslab/lab/internal/guard"
	"github.com/mesoslab/lab/local/engine"
	"github.com/mesoslab/lab/local/shell"
)

// stopTimeout bounds the end of the docker service: containers get ten
// seconds each, all at once.
const stopTimeout = 20 * time.Second

// dockerService is the service docker: what "service docker …" acts on.
type dockerService struct {
	machine *machine

	mu     sync.Mutex // held through every change
	daemon *dockerd   // nil while it does not run
	dead   *dockerd   // killed; its containers run on until the next start
	failed string     // why it does not, in dockerd's words
}

// respawnAfter is when the service is started again after dockerd was killed:
// systemd's RestartSec of Docker's own unit.
const respawnAfter = 2 * time.Second

// signal is what dockerd does on a signal. The caller has looked up its pid.
func (s *dockerService) signal(ctx context.Context, sig syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.daemon == nil {
		return syscall.ESRCH
	}
	switch sig {
	case 0:
	case syscall.SIGSTOP:
		s.daemon.gate.set(true)
	case syscall.SIGCONT:
		s.daemon.gate.set(false)
	case syscall.SIGTERM, syscall.SIGINT:
		s.stopLocked(ctx)
	case syscall.SIGKILL:
		killed := s.daemon
		killed.kill()
		s.daemon, s.dead, s.failed = nil, killed, "killed"
		time.AfterFunc(respawnAfter, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.dead == killed && s.failed != "" && s.machine.life.Err() == nil {
				s.startLocked(s.machine.life)
			}
		})
	default:
		return syscall.EINVAL
	}
	return nil
}

// act implements the verbs of service(8).
func (s *dockerService) act(ctx context.Context, verb string) (shell.ServiceResult, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := shell.ServiceResult{Was: s.daemon != nil, PID: os.Getpid()}
	switch verb {
	case "start":
		if s.daemon == nil {
			s.startLocked(ctx)
		}
	case "stop":
		s.stopLocked(ctx)
		s.failed = "" // also: not to be started again after a kill
	case "restart":
		s.stopLocked(ctx)
		s.startLocked(ctx)
	case "reload", "status":
	default:
		return r, fmt.Errorf("unknown action %q", verb)
	}
	r.Running, r.Failed = s.daemon != nil, s.failed
	if s.daemon != nil {
		r.Since = s.daemon.since
	}
	return r, nil
}

func (s *dockerService) startLocked(ctx context.Context) {
	s.failed = ""
	s.buryLocked(ctx)
	d, err := s.machine.startDockerd(ctx)
	if err != nil {
		s.failed = err.Error()
		s.machine.dockerLog("fatal", err.Error())
		return
	}
	s.daemon = d
}

// buryLocked ends the containers that a killed dockerd has left running, as
// dockerd does at its start without live-restore.
func (s *dockerService) buryLocked(ctx context.Context) {
	if s.dead == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	cancel() // nobody gets time for a clean end
	if err := s.dead.stop(ctx); err != nil {
		s.machine.dockerLog("error", err.Error())
	}
	s.dead = nil
}

func (s *dockerService) stopLocked(ctx context.Context) {
	if s.daemon == nil {
		return
	}
	s.machine.dockerLog("info", "Processing signal 'terminated'")
	// A stop that was begun is finished, whoever asked for it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	s.daemon.gate.set(false)
	if err := s.daemon.stop(ctx); err != nil {
		s.machine.dockerLog("error", err.Error())
	}
	s.daemon = nil
	if err := s.machine.files().Remove(dockerPIDFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.machine.log.Warn(dockerPIDFile, "error", err)
	}
}

// dockerd is one run of the engine.
type dockerd struct {
	engine  *engine.Engine
	since   time.Time
	cancel  context.CancelFunc
	servers []*http.Server
	gate    *apiGate
	log     io.Closer
	serving sync.WaitGroup
}

const (
	dockerLogFile = "/var/log/docker.log"
	dockerPIDFile = "/var/run/docker.pid" // where real ones have it
)

// dockerLog appends a line to the service's log, as dockerd writes it.
func (m *machine) dockerLog(level, text string) {
	f, err := m.files().OpenFile(dockerLogFile, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		m.log.Warn("docker.log", "error", err)
		return
	}
	defer f.Close()
	for line := range strings.Lines(text) {
		fmt.Fprintf(f, "time=%q level=%s msg=%q\n", time.Now().Format(time.RFC3339Nano), level, strings.TrimSpace(line))
	}
}

func (m *machine) writePID() error {
	if err := m.files().MkdirAll(dirOf(dockerPIDFile), 0o755); err != nil {
		return err
	}
	f, err := m.files().OpenFile(dockerPIDFile, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(strconv.Itoa(os.Getpid()))
	return errors.Join(err, f.Close())
}

// daemonFlags reads DOCKER_OPTS.
func (m *machine) daemonFlags() (daemonFlags, error) {
	f, err := m.files().Open(defaultsFile)
	if errors.Is(err, fs.ErrNotExist) {
		return parseDaemon("")
	} else if err != nil {
		return daemonFlags{}, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 1<<20))
	if err != nil {
		return daemonFlags{}, fmt.Errorf("read %s: %w", defaultsFile, err)
	}
	opts, err := dockerOpts(string(text))
	if err != nil {
		return daemonFlags{}, err
	}
	return parseDaemon(opts)
}

// startDockerd starts an engine, then its listeners, then the containers that
// want to run.
func (m *machine) startDockerd(ctx context.Context) (*dockerd, error) {
	flags, err := m.daemonFlags()
	if err != nil {
		return nil, err
	}
	listeners, err := m.dockerListeners(ctx, flags.Endpoints)
	if err != nil {
		return nil, fmt.Errorf("error starting daemon: %w", err)
	}
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	d := &dockerd{cancel: cancel, since: time.Now(), gate: newGate()}
	logFile, err := m.files().OpenFile(dockerLogFile, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err == nil {
		d.log = logFile
		d.engine, err = engine.New(life, m.engineConfig(logFile))
	}
	if err != nil {
		cancel()
		for _, l := range listeners {
			l.Close()
		}
		return nil, errors.Join(fmt.Errorf("error starting daemon: %w", err), closeIf(d.log))
	}
	errorLog := slog.NewLogLogger(slog.NewTextHandler(logFile, nil), slog.LevelError)
	for _, l := range listeners {
		srv := m.policy(l).Server(d.engine.Handler())
		srv.ErrorLog = errorLog
		d.servers = append(d.servers, srv)
		d.serving.Go(func() {
			if err := srv.Serve(d.gate.guard(l)); !errors.Is(err, http.ErrServerClosed) {
				m.dockerLog("error", "API server: "+err.Error())
			}
		})
		m.dockerLog("info", "API listen on "+strings.TrimPrefix(l.Addr().String(), rootDir))
	}
	if err := m.writePID(); err != nil {
		m.log.Warn(dockerPIDFile, "error", err)
	}
	if err := d.engine.Boot(ctx); err != nil {
		m.dockerLog("error", err.Error())
	}
	return d, nil
}

func closeIf(c io.Closer) error {
	if c == nil {
		return nil
	}
	return c.Close()
}

// policy says who may use an endpoint; nobody but this user reaches the unix
// socket.
func (m *machine) policy(l net.Listener) guard.Policy {
	if l.Addr().Network() == "unix" {
		return guard.Policy{}
	}
	return guard.Policy{Names: m.hosts.Names(), SameUser: !m.settings.AllowOtherUsers}
}

func (m *machine) dockerListeners(ctx context.Context, endpoints []endpoint) (out []net.Listener, err error) {
	defer func() {
		if err != nil {
			for _, l := range out {
				l.Close()
			}
		}
	}()
	seen := map[endpoint]bool{}
	for _, e := range endpoints {
		if e.Network == "tcp" {
			if e.Address, err = m.net.own(e.Address); err != nil {
				return out, err
			}
		}
		if seen[e] {
			continue
		}
		seen[e] = true
		l, err := m.listenDocker(ctx, e)
		if err != nil {
			return out, err
		}
		l.setOwner("dockerd", os.Getpid())
		out = append(out, l)
	}
	return out, nil
}

func (m *machine) listenDocker(ctx context.Context, e endpoint) (*socket, error) {
	if e.Network == "tcp" {
		return m.net.listen(ctx, "tcp", e.Address)
	}
	// Through os.Root first: a link in the way must not lead elsewhere.
	if err := m.files().MkdirAll(dirOf(e.Address), 0o755); err != nil {
		return nil, err
	}
	if err := m.files().Remove(e.Address); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if real, err := m.realDir(dirOf(e.Address)); err != nil {
		return nil, err
	} else if path := real + "/" + baseOf(e.Address); len(path) > maxSocketPath {
		return nil, fmt.Errorf("unix://%s: the path is too long for a socket", e.Address)
	} else {
		l, err := m.net.listen(ctx, "unix", path)
		if err != nil {
			return nil, err
		}
		if err := os.Chmod(path, 0o600); err != nil {
			l.Close()
			return nil, err
		}
		return l, nil
	}
}

// kill is SIGKILL: all connections break at once, and nobody watches over the
// containers any more, which run on. stop ends them.
func (d *dockerd) kill() {
	d.engine.Halt()
	for _, srv := range d.servers {
		_ = srv.Close() // a process that dies closes everything
	}
	d.gate.drop()
}

// stop stops the containers, as dockerd without live-restore does, and then
// the API.
func (d *dockerd) stop(ctx context.Context) error {
	err := d.engine.Close(ctx)
	d.cancel()
	for _, srv := range d.servers {
		err = errors.Join(err, srv.Close())
	}
	d.serving.Wait()
	return errors.Join(err, d.log.Close())
}
