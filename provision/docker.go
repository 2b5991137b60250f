package provision

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/mesoslab/lab"
)

// Files reads and replaces files of a machine; *Host does.
type Files interface {
	// ReadFile's error is fs.ErrNotExist for a missing file.
	ReadFile(ctx context.Context, name string) ([]byte, error)
	WriteFile(ctx context.Context, name string, data []byte, mode fs.FileMode) error
}

// Target is a host that runs commands and knows which machine it is.
type Target interface {
	Runner
	Machine() lab.Machine
}

// Configurable is what ConfigureDocker needs of a host.
type Configurable interface {
	Target
	Files
	AwaitDocker(ctx context.Context, wait time.Duration) (Engine, error)
}

// defaultsPath is where DOCKER_OPTS lives on every init system.
const defaultsPath = "/etc/default/docker"

// restartWait is how long Docker may take to come back; without --tls=false a
// restart takes 17 s.
const restartWait = 90 * time.Second

// ConfigureDocker makes the machine's engine run with these DOCKER_OPTS (see
// the function DockerOpts). It writes /etc/default/docker and, on systemd, a
// drop-in where the unit does not read that file; it restarts Docker only if
// one of them changed, if the engine is stopped, or if the TCP port that the
// options open refuses connections. changed says that Docker was restarted.
// Whether the port answers is for VerifyTCP.
//
// Error ids: docker-missing, docker-settings, docker-restart.
func ConfigureDocker(ctx context.Context, host Configurable, f Facts, opts string) (changed bool, err error) {
	m := host.Machine()
	if f.Engine.State == EngineMissing {
		return false, &lab.Error{ID: "docker-missing", Op: "configure Docker", Machine: m.Name,
			Err:    errors.New("no dockerd on this machine, and its socket does not answer"),
			Advice: "install Docker on it (docker.io on Debian and Ubuntu), then run lab create again"}
	}
	fail := func(id string, err error, advice string) (bool, error) {
		if ctx.Err() != nil {
			return false, fmt.Errorf("%s: configure Docker: %w", m.Name, err)
		}
		return false, &lab.Error{ID: id, Op: "configure Docker", Machine: m.Name, Err: err, Advice: advice}
	}
	wrote, err := writeDefaults(ctx, host, engineOpts(opts, f.Engine))
	if err != nil {
		return fail("docker-settings", err, "look at "+defaultsPath+" on the machine: lab ssh "+m.Name)
	}
	reload := false
	if f.Init == Systemd && !f.Engine.Embedded {
		if reload, err = writeDropIn(ctx, host); err != nil {
			return fail("docker-settings", err, "look at systemctl cat docker.service on the machine: lab ssh "+m.Name)
		}
	}
	if !wrote && !reload && f.Engine.State == EngineRunning && !portRefuses(ctx, m, opts) {
		return false, nil
	}
	if err := restart(ctx, host, f, reload); err != nil {
		return fail("docker-restart", err, "see why on the machine: lab ssh "+m.Name+", then "+whyCommand(f.Init))
	}
	return true, nil
}

func writeDefaults(ctx context.Context, host Files, opts string) (changed bool, err error) {
	old, err := host.ReadFile(ctx, defaultsPath)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	file, err := setDefault(old, "DOCKER_OPTS", opts)
	if err != nil {
		return false, fmt.Errorf("%s: %w", defaultsPath, err)
	}
	if bytes.Equal(file, old) {
		return false, nil
	}
	return true, host.WriteFile(ctx, defaultsPath, file, 0o644)
}

// writeDropIn writes our drop-in where the unit needs it.
func writeDropIn(ctx context.Context, host Configurable) (changed bool, err error) {
	out, err := host.Run(ctx, Quote("systemctl", "cat", "--no-pager", "docker.service"), nil)
	if err != nil {
		return false, err
	}
	files := splitUnit(string(out))
	want, err := dropIn(files)
	if err != nil || want == "" {
		return false, err
	}
	old, err := host.ReadFile(ctx, dropInPath)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if string(old) == want {
		return false, nil
	}
	return true, host.WriteFile(ctx, dropInPath, []byte(want), 0o644)
}

// restart restarts Docker and waits for its socket. The commands' exit codes
// are kept for the case that it does not come: by themselves they mean little
// (reset-failed of an unknown unit, stop of a stopped job, a restart that
// succeeds without effect).
func restart(ctx context.Context, host Configurable, f Facts, reload bool) error {
	root := host.Machine().SSH.User == "root"
	var said []error
	for _, argv := range restartCommands(f.Init, root, reload) {
		_, err := host.Run(ctx, Quote(argv...), nil)
		if _, exited := errors.AsType[*CommandError](err); err != nil && !exited {
			return err
		}
		said = append(said, err)
	}
	if _, err := host.AwaitDocker(ctx, restartWait); err != nil {
		return errors.Join(append(said, err)...)
	}
	return nil
}

func whyCommand(i Init) string {
	switch i {
	case Systemd:
		return "journalctl -u docker"
	case Upstart:
		return "less /var/log/upstart/docker.log"
	}
	return "less /var/log/docker.log"
}

// portRefuses looks whether the machine says that nobody listens on the TCP
// port of the options. Silence proves nothing: a firewall or a route may be
// the cause, and a restart would not help.
func portRefuses(ctx context.Context, m lab.Machine, opts string) bool {
	port, ok := lab.TCPPort(opts)
	if !ok || !strings.Contains(opts, "tcp://0.0.0.0:") {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(m.IP.String(), strconv.Itoa(port)))
	if err != nil {
		return errors.Is(err, syscall.ECONNREFUSED)
	}
	conn.Close()
	return false
}
