package provision

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mesoslab/lab"
)

// fakeHost is a machine in memory.
type fakeHost struct {
	user    string
	files   map[string]string
	units   string           // what systemctl cat says, without our drop-in
	fail    map[string]error // by command prefix
	ran     []string
	wrote   []string
	restart func(h *fakeHost) error // what AwaitDocker sees
}

func (h *fakeHost) Machine() lab.Machine {
	return lab.Machine{Node: lab.Node{Name: "node1", IP: netip.MustParseAddr("127.0.0.1")}, SSH: lab.SSHEndpoint{User: h.user}}
}

func (h *fakeHost) Run(_ context.Context, cmd string, _ io.Reader) ([]byte, error) {
	h.ran = append(h.ran, cmd)
	for prefix, err := range h.fail {
		if strings.HasPrefix(cmd, prefix) {
			return nil, err
		}
	}
	if strings.HasPrefix(cmd, "systemctl cat") {
		out := h.units
		if d, ok := h.files[dropInPath]; ok {
			out += "\n# " + dropInPath + "\n" + d
		}
		return []byte(out), nil
	}
	return nil, nil
}

func (h *fakeHost) ReadFile(_ context.Context, name string) ([]byte, error) {
	data, ok := h.files[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return []byte(data), nil
}

func (h *fakeHost) WriteFile(_ context.Context, name string, data []byte, _ fs.FileMode) error {
	h.files[name] = string(data)
	h.wrote = append(h.wrote, name)
	return nil
}

func (h *fakeHost) AwaitDocker(context.Context, time.Duration) (Engine, error) {
	if h.restart != nil {
		return Engine{}, h.restart(h)
	}
	return Engine{State: EngineRunning}, nil
}

const debianUnit = `# /lib/systemd/system/docker.service
[Unit]
Description=Docker Application Container Engine

[Service]
Type=notify
EnvironmentFile=-/etc/default/docker
ExecStart=/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock $DOCKER_OPTS
`

const ceUnit = `# /lib/systemd/system/docker.service
[Service]
# the comment of a distributor
ExecStart=/usr/bin/dockerd -H fd:// \
  --containerd=/run/containerd/containerd.sock
`

func TestConfigureDocker(t *testing.T) {
	real := Engine{State: EngineRunning, Number: "20.10.24+dfsg1"}
	old := Engine{State: EngineRunning, Number: "1.11.1"}
	const (
		plain  = `DOCKER_OPTS="` + article + `"` + "\n"
		tlsOff = `DOCKER_OPTS="` + article + ` --tls=false"` + "\n"
	)
	for _, tt := range []struct {
		name, user string
		facts      Facts
		units      string
		defaults   string // what is there already
		opts       string
		want       string // /etc/default/docker
		dropIn     string
		ran        []string
		changed    bool
	}{
		{name: "Debian, systemd", user: "vagrant", facts: Facts{Init: Systemd, Engine: real}, units: debianUnit, opts: article, want: tlsOff, changed: true,
			ran: []string{"systemctl cat --no-pager docker.service", "sudo -n sh -c 'systemctl --quiet --no-reload enable docker.service; systemctl reset-failed docker.service docker.socket; systemctl restart docker.service'"}},
		{name: "docker-ce, systemd", user: "root", facts: Facts{Init: Systemd, Engine: real}, units: ceUnit, opts: article, want: tlsOff, changed: true,
			dropIn: "# Made by lab: this unit does not read /etc/default/docker by itself.\n[Service]\nEnvironmentFile=-/etc/default/docker\nExecStart=\nExecStart=/usr/bin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock $DOCKER_OPTS\n",
			ran:    []string{"systemctl cat --no-pager docker.service", "systemctl daemon-reload; systemctl --quiet --no-reload enable docker.service; systemctl reset-failed docker.service docker.socket; systemctl restart docker.service"}},
		{name: "Ubuntu 14.04, upstart", user: "vagrant", facts: Facts{Init: Upstart, Engine: old}, opts: article, want: plain, changed: true,
			ran: []string{"sudo -n sh -c 'initctl stop docker; initctl start docker'"}},
		{name: "sysvinit", user: "root", facts: Facts{Init: SysVinit, Engine: real}, opts: article, want: tlsOff, changed: true,
			ran: []string{"service docker restart"}},
		{name: "embedded", user: "root", facts: Facts{Init: Systemd, Engine: Engine{State: EngineRunning, Number: "dev", Embedded: true}}, opts: article, want: plain, changed: true,
			ran: []string{"systemctl --quiet --no-reload enable docker.service; systemctl reset-failed docker.service docker.socket; systemctl restart docker.service"}},
		{name: "TLS is the spec's business", user: "root", facts: Facts{Init: SysVinit, Engine: real}, opts: article + " --tlsverify", want: `DOCKER_OPTS="` + article + ` --tlsverify"` + "\n", changed: true,
			ran: []string{"service docker restart"}},
		{name: "no TCP, nothing to hurry", user: "root", facts: Facts{Init: SysVinit, Engine: real}, opts: "-H unix:///var/run/docker.sock", want: "DOCKER_OPTS=\"-H unix:///var/run/docker.sock\"\n", changed: true,
			ran: []string{"service docker restart"}},
		{name: "stopped", user: "root", facts: Facts{Init: SysVinit, Engine: Engine{State: EngineStopped}}, defaults: tlsOff, opts: article, want: tlsOff, changed: true,
			ran: []string{"service docker restart"}},
		{name: "nothing to do", user: "root", facts: Facts{Init: Systemd, Engine: real}, units: debianUnit, defaults: "DOCKER_OPTS=\"-H unix:///var/run/docker.sock\"\n", opts: "-H unix:///var/run/docker.sock", want: "DOCKER_OPTS=\"-H unix:///var/run/docker.sock\"\n",
			ran: []string{"systemctl cat --no-pager docker.service"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := &fakeHost{user: tt.user, files: map[string]string{}, units: tt.units}
			if tt.defaults != "" {
				h.files[defaultsPath] = tt.defaults
			}
			changed, err := ConfigureDocker(t.Context(), h, tt.facts, tt.opts)
			if err != nil || changed != tt.changed {
				t.Errorf("changed %v, %v, want %v", changed, err, tt.changed)
			}
			if h.files[defaultsPath] != tt.want || h.files[dropInPath] != tt.dropIn {
				t.Errorf("files %q, want %q and %q", h.files, tt.want, tt.dropIn)
			}
			if diff := cmp.Diff(tt.ran, h.ran); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestConfigureDockerTwice(t *testing.T) {
	h := &fakeHost{user: "root", files: map[string]string{}, units: ceUnit}
	f := Facts{Init: Systemd, Engine: Engine{State: EngineRunning, Number: "28.0.0"}}
	for i, want := range []bool{true, false} {
		changed, err := ConfigureDocker(t.Context(), h, f, "-H fd:// --debug")
		if err != nil || changed != want {
			t.Errorf("call %d: changed %v, %v", i, changed, err)
		}
	}
	if len(h.wrote) != 2 {
		t.Errorf("wrote %q, want each file once", h.wrote)
	}
	// A new package brings another command line: the drop-in follows.
	h.units = strings.Replace(ceUnit, "/usr/bin/dockerd", "/opt/dockerd", 1)
	if changed, err := ConfigureDocker(t.Context(), h, f, "-H fd:// --debug"); err != nil || !changed || !strings.Contains(h.files[dropInPath], "ExecStart=/opt/dockerd ") {
		t.Errorf("after an upgrade: %v, %v, %q", changed, err, h.files[dropInPath])
	}
}

// TestConfigureDockerAsksThePort: settings that are right do not prove that
// the engine was restarted with them.
func TestConfigureDockerAsksThePort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	opts := fmt.Sprintf("-H tcp://0.0.0.0:%d --tls=false", l.Addr().(*net.TCPAddr).Port)
	h := &fakeHost{user: "root", files: map[string]string{defaultsPath: "DOCKER_OPTS=\"" + opts + "\"\n"}}
	f := Facts{Init: SysVinit, Engine: Engine{State: EngineRunning, Number: "20.10.24"}}
	if changed, err := ConfigureDocker(t.Context(), h, f, opts); err != nil || changed {
		t.Errorf("somebody listens: restarted %v, %v", changed, err)
	}
	l.Close()
	if changed, err := ConfigureDocker(t.Context(), h, f, opts); err != nil || !changed || len(h.wrote) != 0 {
		t.Errorf("nobody listens: restarted %v, wrote %q, %v", changed, h.wrote, err)
	}
}

func TestConfigureDockerFails(t *testing.T) {
	exit := &CommandError{Cmd: "service docker restart", Exit: 1, Stderr: "Job failed"}
	for _, tt := range []struct {
		name  string
		host  fakeHost
		facts Facts
		id    string
		says  string
	}{
		{"no Docker", fakeHost{}, Facts{Engine: Engine{State: EngineMissing}}, "docker-missing", "no dockerd"},
		{"broken file", fakeHost{files: map[string]string{defaultsPath: "A='\n"}}, Facts{Engine: Engine{State: EngineRunning}}, "docker-settings", "line 1"},
		{"no unit", fakeHost{fail: map[string]error{"systemctl cat": exit}}, Facts{Init: Systemd, Engine: Engine{State: EngineRunning}}, "docker-settings", "Job failed"},
		{"does not come back", fakeHost{fail: map[string]error{"service": exit}, restart: func(*fakeHost) error { return errors.New("socket is silent") }},
			Facts{Engine: Engine{State: EngineRunning}}, "docker-restart", "Job failed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := &tt.host
			h.user = "root"
			if h.files == nil {
				h.files = map[string]string{}
			}
			_, err := ConfigureDocker(t.Context(), h, tt.facts, article)
			if lab.ErrorID(err) != tt.id || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v (%s), want %s that says %q", err, lab.ErrorID(err), tt.id, tt.says)
			}
		})
	}
	// An exit code alone is no failure: the socket answers.
	h := &fakeHost{user: "root", files: map[string]string{}, fail: map[string]error{"service": exit}}
	if changed, err := ConfigureDocker(t.Context(), h, Facts{Engine: Engine{State: EngineRunning}}, article); err != nil || !changed {
		t.Errorf("restart with an exit code: %v, %v", changed, err)
	}
}

func TestDropIn(t *testing.T) {
	for _, tt := range []struct{ name, unit, exec string }{
		{"Debian reads the file", debianUnit, ""},
		{"reads it, but does not use it", strings.Replace(debianUnit, " $DOCKER_OPTS", "", 1), "/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock $DOCKER_OPTS"},
		{"uses it, but does not read it", strings.Replace(debianUnit, "EnvironmentFile=-/etc/default/docker", "", 1), "/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock $DOCKER_OPTS"},
		{"another drop-in decides", debianUnit + "\n# /etc/systemd/system/docker.service.d/a.conf\n[Service]\nExecStart=\nExecStart=/bin/dockerd\n", "/bin/dockerd $DOCKER_OPTS"},
		{"file list cleared", debianUnit + "EnvironmentFile=\n", "/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock $DOCKER_OPTS"},
	} {
		got, err := dropIn(splitUnit(tt.unit))
		if err != nil || (got == "") != (tt.exec == "") || !strings.HasSuffix(got, map[bool]string{true: "", false: "\nExecStart=\nExecStart=" + tt.exec + "\n"}[tt.exec == ""]) {
			t.Errorf("%s: %q, %v, want %q", tt.name, got, err, tt.exec)
		}
	}
	if _, err := dropIn(splitUnit("# /lib/x.service\n[Service]\n")); err == nil {
		t.Error("a unit without ExecStart was accepted")
	}
}

func TestDockerOpts(t *testing.T) {
	for _, tt := range []struct{ tcp, opts, want string }{
		{"open", article, article},
		{"", article, article},
		{"local", article, "-H tcp://127.0.0.1:2375 -H unix:///var/run/docker.sock"},
		{"local", "--host=tcp://:4000 -D", "--host=tcp://127.0.0.1:4000 -D"},
		{"off", article, "-H unix:///var/run/docker.sock"},
		{"off", "-Htcp://0.0.0.0:2375", ""},
	} {
		if got := DockerOpts(lab.DockerSpec{TCP: tt.tcp, Opts: tt.opts}); got != tt.want {
			t.Errorf("%s of %q: %q, want %q", tt.tcp, tt.opts, got, tt.want)
		}
	}
}

func TestWholeFileNames(t *testing.T) {
	for _, p := range []string{defaultsPath, dropInPath, daemonJSONPath, hostsPath, grubPath} {
		if !filepath.IsAbs(p) || os.PathSeparator == '/' && filepath.Clean(p) != p {
			t.Errorf("%s is no clean absolute path", p)
		}
	}
}
