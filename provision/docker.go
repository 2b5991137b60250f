package provision

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
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
// Error ids: docker-missing, docker-settings, docker-daemon-json (found before
// anything is changed), docker-restart.
func ConfigureDocker(ctx context.Context, host Configurable, f Facts, opts string) (changed bool, err error) {
	m := host.Machine()
	if f.Engine.State == EngineMissing {
		return false, MissingDocker(m.Name, errors.New("no dockerd on this machine, and its socket does not answer"))
	}
	fail := func(id string, err error, advice string) (bool, error) {
		if ctx.Err() != nil {
			return false, fmt.Errorf("%s: configure Docker: %w", m.Name, err)
		}
		return false, &lab.Error{ID: id, Op: "configure Docker", Machine: m.Name, Err: err, Advice: advice}
	}
	now, err := readSettings(ctx, host, f)
	if err != nil {
		return fail("docker-settings", err, "look at it on the machine: lab ssh "+m.Name)
	}
	opts = now.engineOpts(opts, f.Engine)
	want, err := now.wanted(opts)
	if err != nil {
		return fail("docker-settings", err, "look at it on the machine: lab ssh "+m.Name)
	}
	files := now.changes(want)
	if len(files) == 0 && f.Engine.State == EngineRunning && !portRefuses(ctx, m, opts) {
		return false, nil
	}
	if keys, err := conflicts(now.daemonJSON, opts, now.systemd); err != nil || len(keys) > 0 {
		if err == nil {
			err = conflictError(keys)
		}
		return fail("docker-daemon-json", err, "take that out of "+daemonJSONPath+" on the machine (lab ssh "+m.Name+"): lab says it in DOCKER_OPTS, by docker.opts and docker.tcp of the spec")
	}
	for _, c := range files {
		if err := host.WriteFile(ctx, c.name, c.data, 0o644); err != nil {
			return fail("docker-settings", err, "look at the file on the machine: lab ssh "+m.Name)
		}
	}
	reload := slices.ContainsFunc(files, func(c change) bool { return c.name == dropInPath })
	if err := restart(ctx, host, f, reload); err != nil {
		return fail("docker-restart", err, "see why on the machine: lab ssh "+m.Name+", then "+whyCommand(f.Init))
	}
	return true, nil
}

// settings are what a machine says about Docker's command line now.
type settings struct {
	defaults, daemonJSON, dropIn []byte
	unit                         string // systemctl cat; "" where systemd does not rule
	systemd                      bool
}

func readSettings(ctx context.Context, host Configurable, f Facts) (settings, error) {
	s := settings{systemd: f.Init == Systemd && !f.Engine.Embedded}
	for _, file := range []struct {
		name  string
		data  *[]byte
		wants bool
	}{{defaultsPath, &s.defaults, true}, {daemonJSONPath, &s.daemonJSON, !f.Engine.Embedded}, {dropInPath, &s.dropIn, s.systemd}} {
		if !file.wants {
			continue
		}
		data, err := host.ReadFile(ctx, file.name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return s, err
		}
		*file.data = data
	}
	if !s.systemd {
		return s, nil
	}
	out, err := host.Run(ctx, Quote("systemctl", "cat", "--no-pager", "docker.service"), nil)
	s.unit = string(out)
	return s, err
}

// engineOpts adds --tls=false where that helps (see the function engineOpts),
// unless daemon.json has a word about TLS.
func (s settings) engineOpts(opts string, e Engine) string {
	quick := engineOpts(opts, e)
	for _, key := range []string{"tls", "tlsverify"} {
		if keys, err := conflicts(s.daemonJSON, "--"+key, false); err == nil && len(keys) > 0 {
			return opts
		}
	}
	return quick
}

// wanted returns the settings as they should be.
func (s settings) wanted(opts string) (settings, error) {
	want := s
	var err error
	if want.defaults, err = setDefault(s.defaults, "DOCKER_OPTS", opts); err != nil {
		return s, fmt.Errorf("%s: %w", defaultsPath, err)
	}
	if !s.systemd {
		return want, nil
	}
	text, err := dropIn(splitUnit(s.unit))
	if err != nil {
		return s, err
	}
	if text != "" {
		want.dropIn = []byte(text)
	}
	return want, nil
}

// change is a file to be written.
type change struct {
	name string
	data []byte
}

// changes returns the files in which two settings differ.
func (s settings) changes(want settings) []change {
	var out []change
	if !bytes.Equal(s.defaults, want.defaults) {
		out = append(out, change{defaultsPath, want.defaults})
	}
	if !bytes.Equal(s.dropIn, want.dropIn) {
		out = append(out, change{dropInPath, want.dropIn})
	}
	return out
}

// restart restarts Docker by one command line and waits for its socket. The
// exit code is kept for the case that it does not come: by itself it means
// little (a restart that succeeds without effect, or fails and comes up).
func restart(ctx context.Context, host Configurable, f Facts, reload bool) error {
	root := host.Machine().SSH.User == "root"
	_, said := host.Run(ctx, commandLine(root, restartCommands(f.Init, reload)), nil)
	if _, exited := errors.AsType[*CommandError](said); said != nil && !exited {
		return said
	}
	if _, err := host.AwaitDocker(ctx, restartWait); err != nil {
		return errors.Join(said, err)
	}
	return nil
}

// commandLine runs root's commands one after the other, by one sudo: each costs
// more than most of what it is asked for.
func commandLine(root bool, commands [][]string) string {
	if !root && len(commands) == 1 {
		return Quote(privileged(root, commands[0]...)...)
	}
	var parts []string
	for _, argv := range commands {
		parts = append(parts, Quote(argv...))
	}
	line := strings.Join(parts, "; ")
	if root {
		return line
	}
	return Quote(privileged(root, "sh", "-c", line)...)
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
