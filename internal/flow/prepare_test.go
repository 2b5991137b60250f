package flow

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/provision"
	"github.com/mesoslab/lab/stack"
)

func prepared(t *testing.T, spec lab.Spec) *preparation {
	t.Helper()
	spec.Subnet = "192.168.59.0/24"
	nodes, err := spec.WithDefaults().Nodes()
	if err != nil {
		t.Fatal(err)
	}
	p, err := stack.New(spec, "0123abcd", lab.Features{Name: "vagrant", Real: true, PingTimeout: 3 * time.Second, PingTimeouts: 5}, nodes)
	if err != nil {
		t.Fatal(err)
	}
	return &preparation{platform: p, machine: lab.Machine{Node: nodes[1]}, did: &changes{}, note: func(string) {}}
}

// TestStepNames: event logs and people know the steps by these words.
func TestStepNames(t *testing.T) {
	var names []string
	for _, s := range steps {
		names = append(names, s.name)
	}
	const want = "ssh facts clock names cgroup docker boot DOCKER_OPTS engine tcp"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("steps are %q, want %q", got, want)
	}
}

// TestStepsReport: nothing is said of what is not done, quiet steps end
// quietly, and the first failure is the last step.
func TestStepsReport(t *testing.T) {
	var did []string
	note := func(name string, err error) func(*preparation, context.Context, func(string)) error {
		return func(_ *preparation, _ context.Context, say func(string)) error {
			did = append(did, name)
			say("looking")
			return err
		}
	}
	table := []step{
		{name: "a", do: note("a", nil), quiet: true},
		{name: "b", do: note("b", nil), look: func(*preparation) bool { return false }},
		{name: "tcp", do: note("c", nil), look: func(*preparation) bool { return true }},
		{name: "d", do: note("d", errors.New("broken"))},
		{name: "e", do: note("e", nil)},
	}
	var events []string
	report := func(e lab.Event) {
		text := fmt.Sprintf("%s %s %s", e.Node, e.Step, e.Kind)
		if e.Data["quiet"] == true {
			text += " quiet"
		}
		events = append(events, text+strings.TrimRight(" "+e.Err, " "))
	}
	err := prepared(t, lab.Spec{}).run(t.Context(), table, report)
	if err == nil || err.Error() != "broken" || strings.Join(did, "") != "acd" {
		t.Errorf("did %q, %v", did, err)
	}
	want := "node2 a start|node2 a wait|node2 a done quiet|node2 :2375 start|node2 :2375 wait|node2 :2375 done|node2 d start|node2 d wait|node2 d fail broken"
	if got := strings.Join(events, "|"); got != want {
		t.Errorf("events\n%s\nwant\n%s", got, want)
	}
}

// TestLooks: each step is due only where there is something to do.
func TestLooks(t *testing.T) {
	good := provision.Facts{Sudo: true, Cgroup: 1, Init: provision.Systemd, Arch: "amd64", Package: "install ok installed",
		Engine: provision.Engine{State: provision.EngineRunning, API: "1.41", MinAPI: "1.12"}}
	for _, tt := range []struct {
		name   string
		spec   lab.Spec
		change func(*provision.Facts)
		due    string // beyond those that look for themselves
	}{
		{name: "nothing to do", spec: lab.Spec{Stack: "mini"}, due: "engine tcp"},
		{name: "port off", spec: lab.Spec{Stack: "mini", Docker: lab.DockerSpec{TCP: "off"}}, due: "engine"},
		{name: "clock slow", change: func(f *provision.Facts) { f.ClockOffset = -time.Second }, due: "clock engine tcp"},
		{name: "cgroup v2 for the seed", spec: lab.Spec{Stack: "seed"}, change: func(f *provision.Facts) { f.Cgroup = 2 }, due: "cgroup engine tcp"},
		{name: "cgroup v2 for the mini stack", spec: lab.Spec{Stack: "mini"}, change: func(f *provision.Facts) { f.Cgroup = 2 }, due: "engine tcp"},
		{name: "no Docker", change: func(f *provision.Facts) { f.Engine = provision.Engine{State: provision.EngineMissing} }, due: "docker engine tcp"},
		{name: "Docker half installed", change: func(f *provision.Facts) { f.Package = "install ok unpacked" }, due: "docker engine tcp"},
		{name: "Docker stopped", change: func(f *provision.Facts) { f.Engine = provision.Engine{State: provision.EngineStopped} }, due: "boot engine tcp"},
	} {
		p := prepared(t, tt.spec)
		p.facts = good
		if tt.change != nil {
			tt.change(&p.facts)
		}
		var due []string
		for _, s := range steps {
			if s.look != nil && s.look(p) {
				due = append(due, s.name)
			}
		}
		if got := strings.Join(due, " "); got != tt.due {
			t.Errorf("%s: due %q, want %q", tt.name, got, tt.due)
		}
	}
}

// TestJudge: what a later step cures is no reason to stop.
func TestJudge(t *testing.T) {
	p := prepared(t, lab.Spec{Stack: "seed"})
	if err := p.judge(provision.Facts{Cgroup: 2, Init: provision.Systemd}); err != nil {
		t.Errorf("cgroup v2 on a machine that can be restarted: %v", err)
	}
	err := p.judge(provision.Facts{Cgroup: 2, SharedKernel: true, Arch: "arm64", Engine: provision.Engine{API: "1.52", MinAPI: "1.44"}})
	for _, id := range []string{"arm64", "cgroup v2", "1.44"} {
		if err == nil || !strings.Contains(err.Error(), id) {
			t.Errorf("%v does not tell of %s", err, id)
		}
	}
	if lab.ErrorID(err) != "arch-unsuitable" {
		t.Errorf("id %s", lab.ErrorID(err))
	}
}

func TestInstallMayBeForbidden(t *testing.T) {
	no := false
	p := prepared(t, lab.Spec{Docker: lab.DockerSpec{Install: &no}})
	err := p.installDocker(t.Context(), func(string) {})
	if e, ok := errors.AsType[*lab.Error](err); !ok || e.ID != "docker-missing" || e.Machine != "node2" || !strings.Contains(e.Advice, "docker.install: true") {
		t.Errorf("error %v", err)
	}
}

// TestOneMachineDown: the others are still taken through the steps, and every
// failure is told.
func TestOneMachineDown(t *testing.T) {
	p := prepared(t, lab.Spec{})
	var machines []lab.Machine
	for i, n := range p.platform.Nodes {
		n.IP = netip.AddrFrom4([4]byte{127, 0, 0, byte(i + 1)})
		machines = append(machines, lab.Machine{Node: n, SSH: lab.SSHEndpoint{Addr: "127.0.0.1:1", KeyFile: fmt.Sprintf("/no/such/key%d", i+1)}})
	}
	failed := map[string]int{}
	hosts, err := prepareAll(t.Context(), p.platform, machines, lab.Report(nil), &changes{})
	if len(hosts) != 0 || lab.ErrorID(err) != "ssh-key" {
		t.Errorf("%v, %v", hosts, err)
	}
	for _, m := range machines {
		failed[m.Name] = strings.Count(fmt.Sprint(err), m.SSH.KeyFile)
	}
	if len(failed) != 3 || failed["node1"] == 0 || failed["node2"] == 0 || failed["node3"] == 0 {
		t.Errorf("%v tells of %v", err, failed)
	}
}
