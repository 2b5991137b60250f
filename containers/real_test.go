//go:build linux

package containers

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/provision"
	"github.com/moby/moby/client"
)

// The real run takes minutes, needs root, and wants a Docker engine that it
// can start: LAB_TEST_DOCKER=1 go test -run TestRealEngine -v ./containers
//
// It starts a dockerd of its own in a network namespace of its own, builds the
// machine image, and runs itself again inside the namespace (as
// TestInsideNamespace) for everything that speaks to machines.
const insideEnv = "LAB_TEST_DOCKER_SOCKET"

func TestRealEngine(t *testing.T) {
	if os.Getenv("LAB_TEST_DOCKER") != "1" {
		t.Skip("the run on a real engine takes minutes: LAB_TEST_DOCKER=1 asks for it")
	}
	if os.Getuid() != 0 {
		t.Fatal("the run on a real engine needs root")
	}
	for _, name := range []string{"mmdebstrap", "dockerd", "ip", "nsenter", "iptables"} {
		labtest.NeedProgram(t, name)
	}
	ns := newNamespace(t)
	socket := startEngine(t, ns)

	p := New(Options{Host: "unix://" + socket})
	start := time.Now()
	plan := lab.Plan{ID: "00000000", Report: func(e lab.Event) { t.Log(e.Kind, e.Step, e.Text, e.Err) }}
	if err := p.ensureImage(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	t.Logf("image built in %s", time.Since(start).Round(100*time.Millisecond))
	if ready, err := p.ImageReady(t.Context()); err != nil || !ready {
		t.Fatalf("image ready after building: %v, %v", ready, err)
	}

	inside := exec.CommandContext(t.Context(), "nsenter", "--net=/run/netns/"+ns, os.Args[0],
		"-test.run=^TestInsideNamespace$", "-test.v", "-test.timeout=20m")
	inside.Env = append(os.Environ(), insideEnv+"="+socket)
	inside.Cancel = func() error { return inside.Process.Signal(syscall.SIGTERM) }
	inside.WaitDelay = 10 * time.Second
	out, err := inside.CombinedOutput()
	t.Logf("inside the namespace:\n%s", out)
	if err != nil {
		t.Fatalf("inside the namespace: %v", err)
	}
	nothingLeft(t, p)
}

// nothingLeft looks at the engine after all labs were destroyed.
func nothingLeft(t *testing.T, p *Provider) {
	t.Helper()
	any := client.Filters{}.Add("label", labelName)
	cs, err1 := p.engine.ContainerList(t.Context(), client.ContainerListOptions{All: true})
	vs, err2 := p.engine.VolumeList(t.Context(), client.VolumeListOptions{})
	ns, err3 := p.engine.NetworkList(t.Context(), client.NetworkListOptions{Filters: any})
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	if len(cs.Items)+len(vs.Items)+len(ns.Items) > 0 {
		t.Errorf("left behind: containers %v, volumes %v, networks %v", cs.Items, vs.Items, ns.Items)
	}
}

func command(t *testing.T, argv ...string) {
	t.Helper()
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(argv, " "), err, out)
	}
}

// newNamespace makes a network namespace in which an address that nobody has
// refuses connections.
func newNamespace(t *testing.T) string {
	t.Helper()
	ns := "labtest-" + strconv.Itoa(os.Getpid())
	command(t, "ip", "netns", "add", ns)
	t.Cleanup(func() { command(t, "ip", "netns", "del", ns) })
	command(t, "ip", "-n", ns, "link", "set", "lo", "up")
	// Behind the main table, so that it is no local route in SubnetFree's eyes.
	command(t, "ip", "-n", ns, "route", "add", "192.168.0.0/16", "dev", "lo", "src", "127.0.0.1", "table", "100")
	command(t, "ip", "-n", ns, "rule", "add", "pref", "40000", "lookup", "100")
	command(t, "nsenter", "--net=/run/netns/"+ns, "iptables", "-A", "OUTPUT", "-o", "lo", "-d", "192.168.0.0/16", "-p", "tcp", "-j", "REJECT", "--reject-with", "tcp-reset")
	return ns
}

// startEngine starts a dockerd in the namespace and returns its socket.
func startEngine(t *testing.T, ns string) string {
	dir, err := os.MkdirTemp("", "lab-engine-")
	if err != nil {
		t.Fatal(err)
	}
	_, confErr := os.Stat("/etc/docker")
	group := "lab-" + ns
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "docker.sock")
	cmd := exec.Command("nsenter", "--net=/run/netns/"+ns, "dockerd", "--data-root", filepath.Join(dir, "data"), "--exec-root", filepath.Join(dir, "exec"),
		"--pidfile", filepath.Join(dir, "docker.pid"), "--cgroup-parent", "/"+group, "-H", "unix://"+socket)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		stopEngine(t, cmd, ended)
		log.Close()
		if t.Failed() {
			if text, err := os.ReadFile(log.Name()); err == nil {
				t.Logf("dockerd's log ends:\n%s", text[max(0, len(text)-4000):])
			}
		}
		unmountBelow(t, dir)
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
		removeCgroups(t, group)
		if errors.Is(confErr, fs.ErrNotExist) {
			os.Remove("/etc/docker/key.json")
			os.Remove("/etc/docker")
		}
	})
	awaitEngine(t, socket, ended)
	return socket
}

func stopEngine(t *testing.T, cmd *exec.Cmd, ended chan error) {
	cmd.Process.Signal(syscall.SIGTERM) // nsenter has become dockerd
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Error("dockerd does not end")
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-ended
	}
}

func awaitEngine(t *testing.T, socket string, ended chan error) {
	t.Helper()
	c, err := client.New(client.WithHost("unix://" + socket))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := lab.Until(ctx, 100*time.Millisecond, "dockerd", func(ctx context.Context) error {
		select {
		case err := <-ended:
			ended <- err
			return lab.Permanent(fmt.Errorf("dockerd ended: %v", err))
		default:
		}
		_, err := c.Ping(ctx, client.PingOptions{})
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func unmountBelow(t *testing.T, dir string) {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Error(err)
	}
	lines := strings.Split(string(mounts), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if f := strings.Fields(lines[i]); len(f) > 1 && strings.HasPrefix(f[1], dir+"/") {
			if err := syscall.Unmount(f[1], 0); err != nil {
				t.Errorf("unmount %s: %v", f[1], err)
			}
		}
	}
}

// removeCgroups removes the empty cgroups of this name in every hierarchy.
func removeCgroups(t *testing.T, group string) {
	t.Helper()
	tops, _ := filepath.Glob("/sys/fs/cgroup/*/" + group)
	tops = append(tops, filepath.Join("/sys/fs/cgroup", group))
	for _, top := range tops {
		var dirs []string
		filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
		for i := len(dirs) - 1; i >= 0; i-- {
			if err := os.Remove(dirs[i]); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("remove cgroup: %v", err)
			}
		}
	}
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

func TestInsideNamespace(t *testing.T) {
	socket := os.Getenv(insideEnv)
	if socket == "" {
		t.Skip("runs as a part of TestRealEngine")
	}
	newReal := func() *Provider { return New(Options{Host: "unix://" + socket}) }
	third := 59
	t.Run("provisioning", func(t *testing.T) { provisionReal(t, newReal(), realPlan(t, third, 3)) })
	t.Run("suite", func(t *testing.T) {
		labtest.TestProvider(t, func(t *testing.T) (lab.Provider, lab.Plan) {
			third++
			return newReal(), realPlan(t, third, 2)
		})
	})
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
	t.Logf("three machines answer SSH after %s, form %q", time.Since(start).Round(time.Millisecond), p.form)
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
	if _, err := h.AwaitDocker(ctx, 30*time.Second); err != nil {
		t.Fatal(err)
	}
	facts, err := provision.FindFacts(ctx, h)
	if err != nil {
		t.Fatal(err)
	}
	if facts.Init != provision.Systemd || !facts.Sudo || facts.Hostname != m.Name || facts.Engine.Embedded {
		t.Errorf("facts %+v", facts)
	}
	t.Logf("%s, engine %s, cgroup v%d", facts.OSName, facts.Engine.Number, facts.Cgroup)
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
