package provision

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/labtest/bubble"
)

// initHost behaves like a machine with one of the init systems and a Docker
// of its package: it knows the commands by their words and what they do there,
// and refuses others.
type initHost struct {
	init  Init
	user  string
	files map[string]string
	unit  string // docker.service as its package has it

	loaded  string // systemd: the drop-in that daemon-reload has read
	starts  []time.Time
	socket  bool   // systemd: docker.socket works
	failed  bool   // systemd: the unit is failed
	enabled bool   // systemd: the unit starts with the machine
	running string // command line of the engine that runs; "" for none
	boot    func() string
	ran     []string
}

func newInitHost(init Init) *initHost {
	return &initHost{init: init, user: "vagrant", files: map[string]string{}, unit: debianUnit, socket: true}
}

func (h *initHost) Machine() lab.Machine {
	return lab.Machine{Node: lab.Node{Name: "node1", IP: netip.MustParseAddr("127.0.0.1")}, SSH: lab.SSHEndpoint{User: h.user}}
}

func (h *initHost) ReadFile(_ context.Context, name string) ([]byte, error) {
	if data, ok := h.files[name]; ok {
		return []byte(data), nil
	}
	return nil, fs.ErrNotExist
}

func (h *initHost) WriteFile(_ context.Context, name string, data []byte, _ fs.FileMode) error {
	h.files[name] = string(data)
	return nil
}

func (h *initHost) EngineVersion(context.Context) (Engine, error) {
	if h.running == "" {
		return Engine{}, errors.New("dial /var/run/docker.sock: connect: connection refused")
	}
	return Engine{State: EngineRunning, Number: "20.10.24", API: "1.41"}, nil
}

func (h *initHost) AwaitDocker(ctx context.Context, _ time.Duration) (Engine, error) {
	return h.EngineVersion(ctx)
}

// Run runs the commands of a line one after the other; the last one's exit
// code counts.
func (h *initHost) Run(_ context.Context, line string, _ io.Reader) ([]byte, error) {
	h.ran = append(h.ran, line)
	if line == bootQuestion[h.init] {
		return []byte(h.boot()), nil
	}
	var out string
	var err error
	line, root := strings.CutPrefix(line, "sudo -n ")
	if inner, ok := strings.CutPrefix(line, "sh -c '"); ok {
		line = strings.TrimSuffix(inner, "'")
	}
	for cmd := range strings.SplitSeq(line, "; ") {
		words := strings.Fields(cmd)
		if h.user != "root" && root {
			// sudo is for those who are not root
		} else if words[0] != "systemctl" || words[1] != "cat" {
			return nil, fmt.Errorf("%s: only root may", cmd)
		}
		verb := words[0]
		does := map[Init]map[string]func([]string) (string, error){
			Systemd: {"systemctl": h.systemctl}, Upstart: {"initctl": h.initctl}, SysVinit: {"service": h.service},
		}[h.init][verb]
		if does == nil {
			return nil, fmt.Errorf("%s: command not found", verb)
		}
		if out, err = does(words[1:]); err != nil {
			err = &CommandError{Cmd: cmd, Host: "node1", Exit: 1, Stderr: err.Error()}
		}
	}
	return []byte(out), err
}

// start is what every init system does in the end.
func (h *initHost) start(exec string) error {
	words := strings.Fields(exec)
	var file map[string]any
	if text, ok := h.files[daemonJSONPath]; ok {
		if err := json.Unmarshal([]byte(text), &file); err != nil {
			return errors.New("unable to configure the Docker daemon with file " + daemonJSONPath)
		}
	}
	if _, both := file["hosts"]; both && slices.Contains(words, "-H") {
		return errors.New("the following directives are specified both as a flag and in the configuration file: hosts")
	}
	if slices.Contains(words, "fd://") && !h.socket {
		return errors.New("failed to load listeners: no sockets found via socket activation")
	}
	h.running = exec
	return nil
}

// opts is DOCKER_OPTS as a shell reads the file.
func (h *initHost) opts() string {
	spans, _ := assignments(h.files[defaultsPath], "DOCKER_OPTS")
	if len(spans) == 0 {
		return ""
	}
	return spans[len(spans)-1].value
}

func (h *initHost) systemctl(words []string) (string, error) {
	switch strings.Join(words, " ") {
	case "cat --no-pager docker.service":
		text := h.unit
		if d, ok := h.files[dropInPath]; ok {
			text += "\n# " + dropInPath + "\n" + d
		}
		return text, nil
	case "daemon-reload":
		h.loaded = h.files[dropInPath]
	case "--quiet --no-reload enable docker.service":
		h.enabled = true
	case "reset-failed docker.service docker.socket":
		h.starts, h.failed, h.socket = nil, false, true
	case "restart docker.service":
		// StartLimitBurst=3 within 60 s; the limit takes docker.socket down.
		now := time.Now()
		h.starts = slices.DeleteFunc(append(h.starts, now), func(t time.Time) bool { return now.Sub(t) > time.Minute })
		h.running = ""
		if len(h.starts) > 3 {
			h.failed, h.socket = true, false
			return "", errors.New("Job for docker.service failed: start request repeated too quickly")
		}
		err := h.start(h.exec())
		h.failed = err != nil
		return "", err
	default:
		return "", errors.New("Unknown operation " + strings.Join(words, " "))
	}
	return "", nil
}

// exec is the command line that systemd makes of unit and drop-in.
func (h *initHost) exec() string {
	exec, reads := "", false
	for _, line := range append(unitLines(h.unit), unitLines(h.loaded)...) {
		switch key, value, _ := strings.Cut(line, "="); {
		case key == "ExecStart" && value != "":
			exec = value
		case key == "EnvironmentFile":
			reads = true
		}
	}
	opts := ""
	if reads {
		opts = h.opts()
	}
	return strings.Replace(exec, "$DOCKER_OPTS", opts, 1)
}

func (h *initHost) initctl(words []string) (string, error) {
	switch strings.Join(words, " ") {
	case "stop docker":
		if h.running == "" {
			return "", errors.New("initctl: Unknown instance:")
		}
		h.running = ""
		return "docker stop/waiting\n", nil
	case "start docker":
		if h.running != "" {
			return "", errors.New("initctl: Job is already running: docker")
		}
		return "docker start/running, process 987\n", h.start("/usr/bin/docker -d " + h.opts())
	}
	return "", errors.New("initctl: invalid command: " + words[0])
}

func (h *initHost) service(words []string) (string, error) {
	if strings.Join(words, " ") != "docker restart" {
		return "", errors.New("Usage: service docker {start|stop|restart|status}")
	}
	h.running = ""
	return " * Starting Docker: docker\n", h.start("/usr/bin/dockerd " + h.opts())
}

// TestEachInitSystem goes the whole way on each: a change, nothing to do, an
// engine that was stopped by hand, other options, and four changes in a row.
func TestEachInitSystem(t *testing.T) {
	for _, tt := range []struct {
		name string
		host *initHost
	}{
		{"systemd, docker.io", newInitHost(Systemd)},
		{"systemd, docker-ce", func() *initHost { h := newInitHost(Systemd); h.unit = ceUnit; return h }()},
		{"upstart", newInitHost(Upstart)},
		{"sysvinit", newInitHost(SysVinit)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) { eachInitSystem(t, tt.host) })
		})
	}
}

func eachInitSystem(t *testing.T, h *initHost) {
	const silent = "-H unix:///var/run/docker.sock" // no TCP: the double opens no ports
	configure := func(what, opts string, changed bool) {
		t.Helper()
		f := Facts{Init: h.init, Engine: Engine{State: EngineStopped}}
		if e, err := h.EngineVersion(t.Context()); err == nil {
			f.Engine = e
		}
		got, err := ConfigureDocker(t.Context(), h, f, opts)
		if err != nil || got != changed {
			t.Errorf("%s: changed %v, %v", what, got, err)
		}
		if !strings.Contains(h.running, opts) {
			t.Errorf("%s: the engine runs as %q, without %q", what, h.running, opts)
		}
	}
	configure("first", silent, true)
	configure("again", silent, false)
	h.running = ""
	configure("stopped by hand", silent, true)
	for i := range 5 {
		configure(fmt.Sprintf("change %d within a minute", i), fmt.Sprintf("%s --label n=%d", silent, i), true)
	}
	h.failed, h.socket, h.running = true, false, ""
	if h.init == Systemd {
		configure("the start limit took docker.socket down before", silent, true)
	}
	if h.init == Systemd && !h.enabled {
		t.Error("Docker will not start with the machine")
	}
	before, running := len(h.ran), h.running
	h.files[daemonJSONPath] = `{"hosts": ["fd://"]}`
	_, err := ConfigureDocker(t.Context(), h, Facts{Init: h.init, Engine: Engine{State: EngineRunning}}, silent+" --debug")
	if lab.ErrorID(err) != "docker-daemon-json" || h.running != running || strings.Contains(strings.Join(h.ran[before:], "\n"), "start") {
		t.Errorf("hosts in daemon.json: %v; ran %q", err, h.ran[before:])
	}
}

// TestRestartCommands is what each init system gets to hear, word for word.
func TestRestartCommands(t *testing.T) {
	for _, tt := range []struct {
		init         Init
		root, reload bool
		want         string
	}{
		{Systemd, true, false, "systemctl --quiet --no-reload enable docker.service; systemctl reset-failed docker.service docker.socket; systemctl restart docker.service"},
		{Systemd, false, true, "sudo -n sh -c 'systemctl daemon-reload; systemctl --quiet --no-reload enable docker.service; systemctl reset-failed docker.service docker.socket; systemctl restart docker.service'"},
		{Upstart, true, false, "initctl stop docker; initctl start docker"},
		{Upstart, false, true, "sudo -n sh -c 'initctl stop docker; initctl start docker'"},
		{SysVinit, false, false, "sudo -n service docker restart"},
		{"", true, false, "service docker restart"},
	} {
		if got := commandLine(tt.root, restartCommands(tt.init, tt.reload)); got != tt.want {
			t.Errorf("%s: %s", tt.init, cmp.Diff(tt.want, got))
		}
	}
	if got := Quote(rebootCommand(false)...); got != "sudo -n shutdown -r now" {
		t.Errorf("reboot by %s", got)
	}
	if got := Quote(clockCommand(false, time.Unix(1467811125, 5))...); got != "sudo -n date -u -s @1467811125.000000005" {
		t.Errorf("clock set by %s", got)
	}
}
