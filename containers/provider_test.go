package containers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/labtest"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// dialling is a Provider together with the way to its machines.
type dialling struct {
	*Provider
	host *labtest.Host
}

func (d dialling) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return d.host.Dial(ctx, network, address)
}

func system(_ context.Context, _ []string, out io.Writer, said func(string)) error {
	said("I: a system of one line")
	_, err := io.WriteString(out, "system")
	return err
}

func newFake(e *fakeEngine) dialling {
	host := e.net.Host("192.168.59.254")
	return dialling{New(Options{Engine: e, Dial: host.Dial, Build: system, Routes: func() ([]netip.Prefix, error) { return nil, nil }}), host}
}

func fakePlan(t *testing.T, machines int) lab.Plan {
	t.Helper()
	plan := lab.Plan{Dir: t.TempDir(), ID: "0badcafe", Spec: lab.Spec{Name: "t"}}
	for i := range machines {
		n := lab.Node{Name: fmt.Sprint("node", i+1), Role: lab.RoleSlave, CPUs: 1, MemoryMiB: 512, IP: netip.AddrFrom4([4]byte{192, 168, 59, byte(i + 1)})}
		if i == 0 {
			n.Role = lab.RoleMaster
		}
		plan.Nodes = append(plan.Nodes, n)
	}
	return plan
}

func TestConformance(t *testing.T) {
	labtest.TestProvider(t, func(t *testing.T) (lab.Provider, lab.Plan) {
		return newFake(newFakeEngine()), fakePlan(t, 2)
	})
}

// only returns the calls about one machine.
func only(calls []string, name string) []string {
	return slices.DeleteFunc(slices.Clone(calls), func(c string) bool { return !strings.Contains(c+" ", " "+name) })
}

func TestWhatHappensInWhichOrder(t *testing.T) {
	e := newFakeEngine()
	p, plan := newFake(e), fakePlan(t, 1)
	machine, card := "t-0badcafe-node1", "t-0badcafe-node1-net"
	want := func(what string, calls ...string) {
		t.Helper()
		if got := only(e.calls, machine); !slices.Equal(got, calls) {
			t.Errorf("%s: %q, want %q", what, got, calls)
		}
		e.calls = nil
	}
	if _, err := p.Up(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	if got, first := e.calls[:3], []string{`import ""`, "tag", "network-create t-0badcafe"}; !slices.Equal(got, first) {
		t.Errorf("up begins with %q, want %q", got, first)
	}
	want("up", "create "+card, "volume-create "+machine+"-docker", "create "+machine, "start "+card, "copy-to "+machine+" /", "start "+machine)
	power := func(p *Provider, power lab.Power) {
		t.Helper()
		if err := p.Power(t.Context(), plan, []string{"node1"}, power); err != nil {
			t.Fatalf("power %s: %v", power, err)
		}
	}
	power(p.Provider, lab.PowerCut)
	want("cut", "disconnect "+card, "kill "+machine)
	power(p.Provider, lab.PowerOn)
	want("on after cut", "connect "+card, "copy-to "+machine+" /", "start "+machine)
	power(p.Provider, lab.PowerPause)
	want("pause", "pause "+machine, "disconnect "+card)
	power(p.Provider, lab.PowerOn)
	want("on after pause", "connect "+card, "unpause "+machine)
	power(p.Provider, lab.PowerCrash)
	want("crash", "kill "+machine)

	// A cut that is interrupted before it kills leaves a machine that nobody
	// hears; it must die before it is plugged in again.
	power(p.Provider, lab.PowerOn)
	e.fail = func(call string) error {
		if strings.HasPrefix(call, "kill ") {
			return errors.New("interrupted")
		}
		return nil
	}
	if err := p.Power(t.Context(), plan, []string{"node1"}, lab.PowerCut); err == nil {
		t.Fatal("a cut that cannot kill succeeds")
	}
	e.fail = nil
	if st, err := p.Status(t.Context(), plan); err != nil || st[0].State != lab.StateCut {
		t.Errorf("half cut: %v, %v", st, err)
	}
	e.calls = nil
	power(p.Provider, lab.PowerOn)
	want("on after half a cut", "kill "+machine, "connect "+card, "copy-to "+machine+" /", "start "+machine)

	if err := p.Destroy(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	want("destroy", "remove "+machine, "remove "+card, "volume-remove "+machine+"-docker")
}

func TestEverythingIsLabelled(t *testing.T) {
	e := newFakeEngine()
	p, plan := newFake(e), fakePlan(t, 3)
	if _, err := p.Up(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	if len(e.containers) != 6 || len(e.volumes) != 3 || len(e.networks) != 1 {
		t.Errorf("%d containers, %d volumes, %d networks; want 6, 3, 1", len(e.containers), len(e.volumes), len(e.networks))
	}
	check := func(kind string, labels map[string]string) {
		if labels[labelName] != "t/0badcafe" {
			t.Errorf("%s has labels %v", kind, labels)
		}
	}
	for _, c := range e.containers {
		check(c.o.Name, c.o.Config.Labels)
		if c.o.Config.Labels[labelPart] != partMachine {
			continue
		}
		if h := c.o.HostConfig; !rightful(h) || h.CgroupnsMode != container.CgroupnsModePrivate || h.NanoCPUs != 1e9 || h.Memory != 512<<20 {
			t.Errorf("%s: %+v", c.o.Name, h)
		}
		public, err := os.ReadFile(plan.Dir + "/keys/id_ed25519.pub")
		if err != nil || string(c.key) != string(public) || len(public) == 0 {
			t.Errorf("%s has key %q, want %q, %v", c.o.Name, c.key, public, err)
		}
	}
	for name, labels := range e.volumes {
		check(name, labels)
	}
	for name, n := range e.networks {
		check(name, n.labels)
	}
}

// TestNewRecipeLeavesMachinesAlone: another version of lab carries another
// recipe; a lab that is complete needs no image.
func TestNewRecipeLeavesMachinesAlone(t *testing.T) {
	e := newFakeEngine()
	p, plan := newFake(e), fakePlan(t, 2)
	if _, err := p.Up(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	clear(e.images)
	e.calls = nil
	if _, err := p.Up(t.Context(), plan); err != nil || len(e.calls) > 0 {
		t.Errorf("up of a complete lab: %v, did %q", err, e.calls)
	}
}

func TestStrangersAreLeftAlone(t *testing.T) {
	e := newFakeEngine()
	p, plan := newFake(e), fakePlan(t, 2)
	other := fakePlan(t, 2)
	other.ID = "00000002"
	for i := range other.Nodes {
		other.Nodes[i].IP = netip.AddrFrom4([4]byte{192, 168, 60, byte(i + 1)})
	}
	for _, pl := range []lab.Plan{plan, other} {
		if _, err := p.Up(t.Context(), pl); err != nil {
			t.Fatal(err)
		}
	}
	foreign := map[string]string{"app": "x"}
	e.volumes["t-0badcafe-node9-docker"] = foreign
	if err := p.Destroy(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	if len(e.containers) != 4 || len(e.volumes) != 3 || len(e.networks) != 1 {
		t.Errorf("%d containers, %d volumes, %d networks are left; want 4, 3, 1", len(e.containers), len(e.volumes), len(e.networks))
	}
	made, err := e.ContainerCreate(t.Context(), client.ContainerCreateOptions{Name: "t-0badcafe-node1", Config: &container.Config{Labels: foreign}, HostConfig: &container.HostConfig{}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Up(t.Context(), plan); lab.ErrorID(err) != "name-taken" {
		t.Errorf("up over a stranger's container: %v", err)
	}
	if err := p.Destroy(t.Context(), plan); err != nil || e.containers[made.ID] == nil {
		t.Errorf("destroy beside a stranger's container: %v, left: %v", err, e.containers[made.ID])
	}
}

// TestInterruptedAnywhere breaks create and destroy at every change they make
// and repeats them.
func TestInterruptedAnywhere(t *testing.T) {
	for at := 0; ; at++ {
		e := newFakeEngine()
		p, plan := newFake(e), fakePlan(t, 2)
		changes := 0
		var mu sync.Mutex
		e.fail = func(string) error {
			mu.Lock()
			defer mu.Unlock()
			if changes++; changes > at {
				return errors.New("interrupted")
			}
			return nil
		}
		_, upErr := p.Up(t.Context(), plan)
		e.fail = nil
		machines, err := newFake(e).Up(t.Context(), plan)
		if err != nil || len(machines) != 2 {
			t.Fatalf("up after an interruption at change %d (%v): %v", at, upErr, err)
		}
		changes = 0
		e.fail = func(string) error {
			mu.Lock()
			defer mu.Unlock()
			if changes++; changes > at {
				return errors.New("interrupted")
			}
			return nil
		}
		destroyErr := p.Destroy(t.Context(), plan)
		e.fail = nil
		if err := p.Destroy(t.Context(), plan); err != nil {
			t.Fatalf("destroy after an interruption at change %d: %v", at, err)
		}
		if len(e.containers)+len(e.volumes)+len(e.networks) > 0 {
			t.Fatalf("interrupted at change %d: left %v %v %v", at, e.containers, e.volumes, e.networks)
		}
		if upErr == nil && destroyErr == nil {
			if at < 15 {
				t.Errorf("only %d changes were interrupted", at)
			}
			return
		}
	}
}

func rightful(h *container.HostConfig) bool {
	return !h.Privileged && slices.Equal(h.CapAdd, []string{"ALL"}) && slices.Equal(h.CapDrop, []string{"SYS_RESOURCE"}) &&
		h.MaskedPaths != nil && len(h.MaskedPaths) == 0 && h.ReadonlyPaths != nil && len(h.ReadonlyPaths) == 0
}

// TestNoRights meets an engine that gives no container the rights of a
// machine: nothing of a new lab stays, and nothing of an old one goes.
func TestNoRights(t *testing.T) {
	e := newFakeEngine()
	e.noRights = true
	p, plan := newFake(e), fakePlan(t, 2)
	if _, err := p.Up(t.Context(), plan); lab.ErrorID(err) != "privileged-impossible" {
		t.Errorf("a new lab: %v", err)
	}
	if len(e.containers)+len(e.volumes)+len(e.networks) > 0 {
		t.Errorf("left behind: %v %v %v", e.containers, e.volumes, e.networks)
	}
	e.noRights = false
	if _, err := p.Up(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	if err := p.Power(t.Context(), plan, []string{"node1"}, lab.PowerCut); err != nil {
		t.Fatal(err)
	}
	e.noRights = true
	if _, err := p.Up(t.Context(), plan); lab.ErrorID(err) != "privileged-impossible" {
		t.Errorf("an old lab: %v", err)
	}
	if len(e.containers) != 4 || len(e.volumes) != 2 {
		t.Errorf("of an old lab: %v %v", e.containers, e.volumes)
	}
	e.noRights = false
	e.fail = func(call string) error {
		if call == "start t-0badcafe-node1" {
			return errors.New("no space left on device")
		}
		return nil
	}
	if _, err := p.Up(t.Context(), plan); lab.ErrorID(err) != "machine-start" {
		t.Errorf("a machine that cannot be started for another reason: %v", err)
	}
}

// TestHostKeyStays: a machine has one host key for its life.
func TestHostKeyStays(t *testing.T) {
	e := newFakeEngine()
	p, plan := newFake(e), fakePlan(t, 2)
	first, err := p.Up(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	if first[0].SSH.HostKey == first[1].SSH.HostKey {
		t.Error("two machines have one host key")
	}
	if err := p.Power(t.Context(), plan, []string{"node1"}, lab.PowerOff); err != nil {
		t.Fatal(err)
	}
	for range 2 { // off, then running
		again, err := p.Up(t.Context(), plan)
		if err != nil || again[0].SSH.HostKey != first[0].SSH.HostKey || !strings.HasPrefix(string(e.lookup("t-0badcafe-node1").hostKey), first[0].SSH.HostKey) {
			t.Errorf("host key %q, then %+v, %v", first[0].SSH.HostKey, again, err)
		}
	}
	e.lookup("t-0badcafe-node2").hostKey = e.lookup("t-0badcafe-node1").hostKey // somebody made another
	again, err := p.Up(t.Context(), plan)
	if err != nil || again[1].SSH.HostKey != first[0].SSH.HostKey {
		t.Errorf("a host key that was changed inside: %+v, %v", again, err)
	}
}

func TestEngineErrors(t *testing.T) {
	plan := fakePlan(t, 1)
	for name, c := range map[string]struct {
		change func(*fakeEngine)
		id     string
	}{
		"old engine":     {func(e *fakeEngine) { e.api = "1.40" }, "engine-too-old"},
		"no version":     {func(e *fakeEngine) { e.api = "" }, "engine-too-old"},
		"Docker Desktop": {func(e *fakeEngine) { e.system = "Docker Desktop" }, "engine-unsuitable"},
		"rootless":       {func(e *fakeEngine) { e.security = []string{"name=seccomp,profile=default", "name=rootless"} }, "engine-unsuitable"},
	} {
		e := newFakeEngine()
		c.change(e)
		if _, err := newFake(e).Up(t.Context(), plan); lab.ErrorID(err) != c.id {
			t.Errorf("%s: %v, want %s", name, err, c.id)
		}
		if len(e.calls) > 0 {
			t.Errorf("%s: %q was done", name, e.calls)
		}
	}
	for _, host := range []string{"unix://" + t.TempDir() + "/no.sock", "nonsense"} {
		p := New(Options{Host: host})
		_, upErr := p.Up(t.Context(), plan)
		_, statusErr := p.Status(t.Context(), plan)
		for _, err := range []error{upErr, statusErr, p.Destroy(t.Context(), plan), p.Power(t.Context(), plan, []string{"node1"}, lab.PowerOff)} {
			if lab.ErrorID(err) != "engine-unreachable" {
				t.Errorf("%s: %v, want engine-unreachable", host, err)
			}
		}
		if p.SubnetFree(t.Context(), lab.ArticleSubnet, lab.PortsSpec{}) {
			t.Error("a subnet is free without an engine")
		}
	}
}

func TestWrongPlans(t *testing.T) {
	p := newFake(newFakeEngine())
	for _, ips := range []string{"127.168.59.1", "8.8.8.8", "192.168.59.254", "192.168.59.0", "192.168.59.1 192.168.60.2", "fd00::1"} {
		plan := fakePlan(t, 0)
		for i, ip := range strings.Fields(ips) {
			plan.Nodes = append(plan.Nodes, lab.Node{Name: fmt.Sprint("node", i+1), IP: netip.MustParseAddr(ip)})
		}
		if _, err := p.Up(t.Context(), plan); lab.ErrorID(err) != "subnet-unfit" || !errors.Is(err, lab.ErrUsage) {
			t.Errorf("%s: %v", ips, err)
		}
	}
	plan := fakePlan(t, 1)
	plan.Nodes[0].Name = "../x"
	if _, err := p.Up(t.Context(), plan); err == nil {
		t.Error("a name that leads elsewhere is taken")
	}
}
