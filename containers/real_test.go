//go:build linux

package containers

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/dockerd"
	"github.com/mesoslab/lab/provision"
)

func TestMain(m *testing.M) { os.Exit(dockerd.Main(m)) }

// TestRealEngine runs the conformance suite and provisioning on an engine of
// its own: LAB_TEST_DOCKER=1 go test -run TestRealEngine -v ./containers
func TestRealEngine(t *testing.T) {
	engine := dockerd.Inside(t, buildReal)
	if engine == nil {
		return
	}
	newReal := func() *Provider { return New(Options{Host: engine.Host}) }
	third := 59
	t.Run("provisioning", func(t *testing.T) { provisionReal(t, newReal(), realPlan(t, third, 3)) })
	t.Run("suite", func(t *testing.T) {
		labtest.TestProvider(t, func(t *testing.T) (lab.Provider, lab.Plan) {
			third++
			return newReal(), realPlan(t, third, 2)
		})
	})
	if left, err := engine.Left(t.Context()); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

// buildReal builds the machine image on the test's engine.
func buildReal(ctx context.Context, host string) error {
	p := New(Options{Host: host})
	if err := p.EnsureImage(ctx, nil); err != nil {
		return err
	}
	if ready, err := p.ImageReady(ctx); err != nil || !ready {
		return fmt.Errorf("image ready after building: %v, %w", ready, err)
	}
	return nil
}

func realPlan(t *testing.T, third, machines int) lab.Plan {
	t.Helper()
	id := make([]byte, 4)
	rand.Read(id)
	plan := lab.Plan{Dir: t.TempDir(), ID: hex.EncodeToString(id), Spec: lab.Spec{Name: "t"}}
	for i := range machines {
		n := lab.Node{Name: "node" + strconv.Itoa(i+1), Role: lab.RoleSlave, CPUs: 1, MemoryMiB: 1024,
			IP: netip.AddrFrom4([4]byte{192, 168, byte(third), byte(i + 1)})}
		if i == 0 {
			n.Role = lab.RoleMaster
		}
		plan.Nodes = append(plan.Nodes, n)
	}
	return plan
}

// provisionReal goes the way of lab create up to open engines.
func provisionReal(t *testing.T, p *Provider, plan lab.Plan) {
	ctx := t.Context()
	subnet := netip.PrefixFrom(plan.Nodes[0].IP, 24).Masked().String()
	if !p.SubnetFree(ctx, subnet, lab.PortsSpec{}) {
		t.Errorf("%s is not free before", subnet)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		start := time.Now()
		if err := p.Destroy(ctx, plan); err != nil {
			t.Error(err)
		}
		t.Logf("three machines destroyed in %s", time.Since(start).Round(time.Millisecond))
		if !p.SubnetFree(ctx, subnet, lab.PortsSpec{}) {
			t.Errorf("%s is not free after", subnet)
		}
	})
	start := time.Now()
	machines, err := p.Up(ctx, plan)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("three machines answer SSH after %s", time.Since(start).Round(time.Millisecond))
	if p.SubnetFree(ctx, subnet, lab.PortsSpec{}) {
		t.Errorf("%s is free while the lab has it", subnet)
	}
	other := realPlan(t, int(plan.Nodes[0].IP.As4()[2]), 2)
	if _, err := p.Up(ctx, other); lab.ErrorID(err) != "subnet-taken" {
		t.Errorf("a second lab on %s: %v, want subnet-taken", subnet, err)
	}
	hosts := make([]*provision.Host, len(machines))
	for i, m := range machines {
		t.Run(m.Name, func(t *testing.T) { hosts[i] = provisionOne(t, m, plan.Nodes) })
	}
	for i, h := range hosts {
		if h == nil {
			t.Fatalf("node%d was not provisioned", i+1)
		}
		defer h.Close()
		to := machines[(i+1)%len(machines)].IP.String()
		if err := provision.VerifyTCPFrom(ctx, h.Dial, to, 2375, 30*time.Second); err != nil {
			t.Errorf("from %s to %s: %v", machines[i].Name, to, err)
		}
	}
	runInner(t, hosts[1])
	// Off is clean: services of the machine are told to stop.
	if _, err := hosts[2].Run(ctx, "sudo systemd-run --quiet --unit=witness -p ExecStop='/usr/bin/touch /home/vagrant/told' /bin/sleep infinity", nil); err != nil {
		t.Fatal(err)
	}
	powerReal(t, p, plan, machines)
}

// powerReal looks at what the conformance suite does not: that a machine's
// engine and routes are there again after its power was gone.
func powerReal(t *testing.T, p *Provider, plan lab.Plan, machines []lab.Machine) {
	ctx := t.Context()
	for i, power := range []lab.Power{lab.PowerPause, lab.PowerCut, lab.PowerOff} {
		m := machines[i]
		off := time.Now()
		if err := p.Power(ctx, plan, []string{m.Name}, power); err != nil {
			t.Fatal(err)
		}
		on := time.Now()
		if err := p.Power(ctx, plan, []string{m.Name}, lab.PowerOn); err != nil {
			t.Fatal(err)
		}
		ssh := time.Now()
		if err := provision.VerifyTCP(ctx, m.IP.String(), 2375, 30*time.Second); err != nil {
			t.Errorf("after %s: %v", power, err)
		}
		t.Logf("%s took %s; on again, SSH answers after %s, tcp/2375 %s later", power, on.Sub(off).Round(time.Millisecond),
			ssh.Sub(on).Round(time.Millisecond), time.Since(ssh).Round(time.Millisecond))
		h, err := provision.Connect(ctx, m)
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		gateway := netip.AddrFrom4([4]byte{192, 168, m.IP.As4()[2], 254}).String()
		out, err := h.Run(ctx, "ip route show default; grep -c "+machines[0].IP.String()+" /etc/hosts; ls", nil)
		if err != nil || !strings.Contains(string(out), "default via "+gateway+" ") {
			t.Errorf("after %s: routes and names %q, %v", power, out, err)
		}
		if told := strings.Contains(string(out), "told"); told != (power == lab.PowerOff) {
			t.Errorf("after %s: services were told to stop: %v", power, told)
		}
	}
}

func provisionOne(t *testing.T, m lab.Machine, nodes []lab.Node) *provision.Host {
	ctx := t.Context()
	h, err := provision.Connect(ctx, m)
	if err != nil {
		t.Fatal(err)
	}
	facts, err := provision.FindFacts(ctx, h)
	if err != nil {
		t.Fatal(err)
	}
	if facts.Init != provision.Systemd || !facts.Sudo || facts.Hostname != m.Name || facts.Engine.Embedded || facts.Engine.State != provision.EngineStopped {
		t.Errorf("facts %+v", facts)
	}
	if changed, err := provision.SetHosts(ctx, h, nodes); err != nil || !changed {
		t.Errorf("set hosts: %v, %v", changed, err)
	}
	spec := lab.Spec{}.WithDefaults()
	start := time.Now()
	changed, err := provision.ConfigureDocker(ctx, h, facts, provision.DockerOpts(spec.Docker))
	if err != nil || !changed {
		t.Fatalf("configure Docker: %v, %v", changed, err)
	}
	if err := provision.VerifyTCP(ctx, m.IP.String(), 2375, 30*time.Second); err != nil {
		t.Fatal(err)
	}
	t.Logf("DOCKER_OPTS in force after %s", time.Since(start).Round(time.Millisecond))
	if facts, err = provision.FindFacts(ctx, h); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s, engine %s, cgroup v%d", facts.OSName, facts.Engine.Number, facts.Cgroup)
	if changed, err := provision.ConfigureDocker(ctx, h, facts, provision.DockerOpts(spec.Docker)); err != nil || changed {
		t.Errorf("configure Docker again: %v, %v, want no change", changed, err)
	}
	state, err := h.Run(ctx, "systemctl is-system-running --wait; systemctl --failed --no-legend", nil)
	if err != nil || strings.TrimSpace(string(state)) != "running" {
		t.Errorf("systemd says %q, %v", state, err)
	}
	return h
}

// runInner runs a container of the machine's own engine, made of a program of
// the machine and its libraries.
func runInner(t *testing.T, h *provision.Host) {
	out, err := h.Run(t.Context(), `set -e
storage=$(docker info -f '{{.Driver}}')
tar -ch --hard-dereference /usr/bin/echo $(ldd /usr/bin/echo | grep -o '/[^ ]*') 2>/dev/null | docker import - lab/inner >/dev/null
docker run --rm --pull=never lab/inner /usr/bin/echo "inner on $storage"`, nil)
	if err != nil || !bytes.Equal(out, []byte("inner on overlay2\n")) {
		t.Errorf("a container of the machine says %q, %v", out, err)
	}
}
