//go:build unix

package local

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/proctab"
	"github.com/mesoslab/lab/local/folder"
	"github.com/mesoslab/lab/local/netns"
)

// apartError is why machines with namespaces are refused: whoever is not root
// cannot have them, root has not said that others may come.
func apartError() string {
	if netns.Supported() != nil {
		return "netns-impossible"
	}
	return "netns-open"
}

func TestWrongPlans(t *testing.T) {
	p := newProvider(t)
	node := func(ip string) []lab.Node { return []lab.Node{{Name: "node1", IP: netip.MustParseAddr(ip)}} }
	for name, c := range map[string]struct {
		plan lab.Plan
		id   string
	}{
		"private network": {lab.Plan{Dir: t.TempDir(), Nodes: node("192.168.59.1")}, "subnet-not-loopback"},
		"127.0.0.1":       {lab.Plan{Dir: t.TempDir(), Nodes: node("127.0.0.1")}, "subnet-not-loopback"},
		"netns":           {lab.Plan{Dir: t.TempDir(), ID: "0badcafe", Nodes: node("192.168.59.1"), Spec: lab.Spec{Local: lab.LocalSpec{Network: "netns"}}}, apartError()},
	} {
		if _, err := p.Up(t.Context(), c.plan); lab.ErrorID(err) != c.id {
			t.Errorf("%s: %v, want %s", name, err, c.id)
		}
	}
	if _, err := p.Up(t.Context(), lab.Plan{Dir: t.TempDir(), Nodes: []lab.Node{{Name: "../x", IP: netip.MustParseAddr("127.1.1.1")}}}); err == nil {
		t.Error("a name that leads elsewhere is taken")
	}
}

func TestTakenPort(t *testing.T) {
	p, plan := newProvider(t), newPlan(t, 2)
	for _, address := range []string{plan.Nodes[0].IP.String() + ":8080", plan.Nodes[1].IP.String() + ":2222"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.Up(t.Context(), plan)
		l.Close()
		if lab.ErrorID(err) != "port-taken" || !errors.Is(err, syscall.EADDRINUSE) {
			t.Fatalf("%s: %v, want port-taken", address, err)
		}
		e, _ := errors.AsType[*lab.Error](err)
		if want := map[bool]string{true: "ports.marathon", false: "ports.ssh"}[strings.HasSuffix(address, "8080")]; !strings.Contains(e.Advice, want) {
			t.Errorf("advice %q does not name %s", e.Advice, want)
		}
		if me := fmt.Sprintf("(process %d)", os.Getpid()); runtime.GOOS == "linux" && !strings.Contains(err.Error(), me) {
			t.Errorf("%v does not name this process %s", err, me)
		}
		if err := p.Destroy(t.Context(), plan); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWildcardListenersAreInTheWay(t *testing.T) {
	p, plan := newProvider(t), newPlan(t, 1)
	for _, network := range []string{"tcp4", "tcp"} {
		l, err := net.Listen(network, ":0")
		if err != nil {
			t.Fatal(err)
		}
		plan.Spec.Ports.App = l.Addr().(*net.TCPAddr).Port
		_, err = p.Up(t.Context(), plan)
		l.Close()
		if lab.ErrorID(err) != "port-taken" {
			t.Errorf("%s: %v, want port-taken", network, err)
		}
		if runtime.GOOS == "linux" && !strings.Contains(err.Error(), fmt.Sprintf("(process %d)", os.Getpid())) {
			t.Errorf("%s: %v does not name this process", network, err)
		}
	}
	if err := p.Destroy(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
}

// TestKilledAtAnyMoment kills machines and half-made labs at random moments;
// the next Up makes them whole.
func TestKilledAtAnyMoment(t *testing.T) {
	p, plan, ms := up(t, 2)
	d := dockerOf(t, ms[1])
	d.run("always", "lab/echo", []string{"echo", ":7000"}, obj{"RestartPolicy": obj{"Name": "always"}})
	f := folder.Folder(filepath.Join(plan.Dir, "machines", "node2"))
	t.Cleanup(func() {
		if t.Failed() {
			st, err := p.Status(context.Background(), plan)
			t.Logf("status: %+v, %v", st, err)
			configs, _ := filepath.Glob(f.Path("root/var/lib/docker/containers/*/config.json"))
			for _, name := range configs {
				text, _ := os.ReadFile(name)
				t.Logf("%s", text)
			}
			t.Logf("%v", processesOf(plan.Dir))
		}
	})
	rounds := 25
	if testing.Short() {
		rounds = 5
	}
	for i := range rounds {
		id, ok := f.Holder()
		if !ok {
			t.Fatal("nobody has signed the lock")
		}
		if err := id.Signal(syscall.SIGKILL); err != nil && !errors.Is(err, proctab.ErrGone) {
			t.Fatal(err)
		}
		if err := proctab.Await(t.Context(), []proctab.ID{id}, proctab.Gone); err != nil {
			t.Fatal(err)
		}
		// A boot that is killed somewhere on its way.
		ctx, cancel := context.WithCancel(t.Context())
		var killer sync.WaitGroup
		killer.Go(func() {
			<-time.After(time.Duration(rand.Int64N(int64(60 * time.Millisecond))))
			if id, ok := f.Holder(); ok && i%2 == 0 {
				_ = id.Signal(syscall.SIGKILL) // it may not have begun
				if err := proctab.Await(t.Context(), []proctab.ID{id}, proctab.Gone); err != nil {
					t.Error(err)
				}
			}
			cancel()
		})
		_, _ = p.Up(ctx, plan) // may fail: that is the point
		killer.Wait()
		if _, err := p.Up(t.Context(), plan); err != nil {
			t.Fatalf("round %d: %v", i, err)
		}
		echoes(t, ms[1].IP.String()+":7000").Close()
		if out, _ := run(t, connect(t, ms[1], "vagrant"), "cat /etc/hostname", ""); out != "node2\n" {
			t.Fatalf("round %d: hostname %q", i, out)
		}
		if n := len(proctab.Marked(folder.EnvMark, string(f))); n != 2 {
			if _, err := os.Stat("/proc"); err == nil {
				t.Fatalf("round %d: %d processes, want the machine and its container", i, n)
			}
		}
	}
	// Folders of which a part is gone.
	for _, gone := range []string{"machine.json", "state.json", "procs.json", "lock", "host_key.pub", "authorized_keys", "root/etc", "root"} {
		if err := p.Power(t.Context(), plan, []string{"node2"}, lab.PowerCrash); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(f.Path(gone)); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Up(t.Context(), plan); err != nil {
			t.Fatalf("without %s: %v", gone, err)
		}
	}
}

func TestUpAtTheSameTime(t *testing.T) {
	p, plan := newProvider(t), newPlan(t, 2)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 5 {
				if _, err := p.Status(t.Context(), plan); err != nil {
					t.Error(err)
				}
			}
		})
	}
	if _, err := p.Up(t.Context(), plan); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if err := p.Destroy(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
}

func TestEventsOfUp(t *testing.T) {
	p, plan := newProvider(t), newPlan(t, 2)
	var mu sync.Mutex
	seen := map[string][]lab.EventKind{}
	plan.Report = func(e lab.Event) {
		mu.Lock()
		defer mu.Unlock()
		seen[e.Node+" "+e.Step] = append(seen[e.Node+" "+e.Step], e.Kind)
	}
	if _, err := p.Up(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	if err := p.Destroy(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	for _, node := range []string{"node1", "node2"} {
		if got := fmt.Sprint(seen[node+" boot"]); got != "[start wait done]" {
			t.Errorf("%s boot: %s", node, got)
		}
	}
}

// TestMachinesDieWithTheirTest: the life line ends even frozen machines.
func TestMachinesDieWithTheirTest(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p, plan := New(Options{DieWithFD: r}), newPlan(t, 2)
	if _, err := p.Up(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	if err := p.Power(t.Context(), plan, []string{"node2"}, lab.PowerCut); err != nil {
		t.Fatal(err)
	}
	w.Close()
	r.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := lab.Until(ctx, 5*time.Millisecond, "the machines to die", func(context.Context) error {
		if left := processesOf(plan.Dir); len(left) > 0 {
			return fmt.Errorf("%v", left)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	if err := p.Destroy(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
}

// TestBinaryIsCopiedOnce: machines outlive the file they were started from.
func TestBinaryIsCopiedOnce(t *testing.T) {
	plan := newPlan(t, 2)
	original := filepath.Join(shortDir(t), "lab-downloaded")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", self, original).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	r, err := lifeLine()
	if err != nil {
		t.Fatal(err)
	}
	p := New(Options{Executable: original, DieWithFD: r})
	ms, err := p.Up(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	copies, _ := filepath.Glob(filepath.Join(plan.Dir, "bin", "*", "*"))
	if len(copies) != 1 || filepath.Base(copies[0]) != "lab" || len(filepath.Base(filepath.Dir(copies[0]))) != 16 {
		t.Errorf("copies: %v", copies)
	}
	if err := os.WriteFile(original, []byte("rewritten"), 0o700); err != nil {
		t.Fatal(err)
	}
	dockerOf(t, ms[0]).run("echo", "lab/echo", nil, nil)
	echoes(t, ms[0].IP.String()+":7000")
	if err := p.Destroy(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
}

// TestForeignProcessesAreSafe: a recorded pid that is another's by now is
// left alone.
func TestForeignProcessesAreSafe(t *testing.T) {
	p, plan, _ := up(t, 1)
	cmd := exec.Command("/bin/sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	if err := p.Power(t.Context(), plan, []string{"node1"}, lab.PowerCrash); err != nil {
		t.Fatal(err)
	}
	f := folder.Folder(filepath.Join(plan.Dir, "machines", "node1"))
	stranger := proctab.ID{PID: cmd.Process.Pid, Start: "17@another"}
	if err := errors.Join(f.WriteProcs([]folder.Proc{{ID: stranger}}), f.WriteLife(folder.Life{State: folder.Running, Process: stranger})); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Up(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	id, err := proctab.Of(cmd.Process.Pid)
	if err != nil || id.State() == proctab.Gone {
		t.Errorf("the stranger was killed: %v", err)
	}
}

// TestLongPathsAndNewKeys: sockets work below any folder, and a lab whose keys
// were lost gets new ones.
func TestLongPathsAndNewKeys(t *testing.T) {
	p, plan := newProvider(t), newPlan(t, 1)
	plan.Dir = filepath.Join(plan.Dir, strings.Repeat("long/", 40))
	if err := os.MkdirAll(plan.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		checkLogs(t, plan)
		if err := p.Destroy(context.Background(), plan); err != nil {
			t.Error(err)
		}
	})
	ms, err := p.Up(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	dockerOf(t, ms[0]).run("echo", "lab/echo", nil, nil)
	echoes(t, ms[0].IP.String()+":7000")
	if err := os.RemoveAll(filepath.Join(plan.Dir, "keys")); err != nil {
		t.Fatal(err)
	}
	if ms, err = p.Up(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	run(t, connect(t, ms[0], "vagrant"), "true", "")
	if err := os.Remove(ms[0].SSH.KeyFile + ".pub"); err != nil {
		t.Fatal(err)
	}
	if ms, err = p.Up(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	run(t, connect(t, ms[0], "vagrant"), "true", "")
}

func TestMachinesAreAdded(t *testing.T) {
	p, plan := newProvider(t), newPlan(t, 3)
	t.Cleanup(func() {
		if err := p.Destroy(context.Background(), plan); err != nil {
			t.Error(err)
		}
	})
	small := plan
	small.Nodes = plan.Nodes[:2]
	ms, err := p.Up(t.Context(), small)
	if err != nil {
		t.Fatal(err)
	}
	c := connect(t, ms[0], "vagrant")
	const ask = "curl -s -o /dev/null -m 5 http://node3:2222/; echo $?"
	if out, _ := run(t, c, ask, ""); out != "6\n" {
		t.Errorf("a machine that is not there: %q", out)
	}
	all, err := p.Up(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	if all[0] != ms[0] {
		t.Errorf("node1 changed: %+v", all[0])
	}
	if out, _ := run(t, c, ask, ""); out != "7\n" { // an SSH server answers no HTTP
		t.Errorf("a machine that was added: %q", out)
	}
}

// TestDockerCommand lets the real docker command in, by SSH and by TCP.
func TestDockerCommand(t *testing.T) {
	bin := labtest.NeedProgram(t, "docker")
	labtest.NeedProgram(t, "ssh")
	_, plan, ms := up(t, 1)
	m := ms[0]
	host, port, _ := net.SplitHostPort(m.SSH.Addr)
	known, config := filepath.Join(plan.Dir, "known_hosts"), filepath.Join(plan.Dir, "ssh_config")
	text := fmt.Sprintf("Host machine\n HostName %s\n Port %s\n User vagrant\n IdentityFile %s\n IdentitiesOnly yes\n UserKnownHostsFile %s\n BatchMode yes\n", host, port, m.SSH.KeyFile, known)
	if err := errors.Join(os.WriteFile(known, fmt.Appendf(nil, "[%s]:%s %s\n", host, port, m.SSH.HostKey), 0o600), os.WriteFile(config, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
	// The docker command takes the ssh that PATH has: one with our config.
	wrapper := filepath.Join(plan.Dir, "path")
	real := labtest.NeedProgram(t, "ssh")
	if err := errors.Join(os.MkdirAll(wrapper, 0o755), os.WriteFile(filepath.Join(wrapper, "ssh"), []byte("#!/bin/sh\nexec "+real+" -F "+config+" \"$@\"\n"), 0o755)); err != nil {
		t.Fatal(err)
	}
	run(t, connect(t, m, "root"), "echo 'DOCKER_OPTS=\"-H tcp://0.0.0.0:2375 -H unix:///var/run/docker.sock\"' > /etc/default/docker; service docker restart", "")
	for i, endpoint := range []string{"ssh://machine", "tcp://" + host + ":2375"} {
		docker := func(args ...string) string {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
			defer cancel()
			cmd := exec.CommandContext(ctx, bin, args...)
			cmd.Env = append(os.Environ(), "DOCKER_HOST="+endpoint, "PATH="+wrapper+":"+os.Getenv("PATH"), "DOCKER_CONFIG="+plan.Dir, "DOCKER_API_VERSION=")
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("%s: docker %v: %v\n%s", endpoint, args, err, out)
			}
			return string(out)
		}
		name := fmt.Sprintf("c%d", i)
		docker("run", "-d", "--name", name, "--net=host", "lab/echo", "echo", fmt.Sprintf(":%d", 7000+i))
		echoes(t, fmt.Sprintf("%s:%d", host, 7000+i))
		if out := docker("ps", "--format", "{{.Names}} {{.Image}}"); !strings.Contains(out, name+" lab/echo") {
			t.Errorf("ps: %q", out)
		}
		if out := docker("exec", name, "sh", "-c", "hostname; echo $LAB_IP"); !strings.HasPrefix(out, "node1\n") {
			t.Errorf("exec: %q", out)
		}
		if out := docker("logs", name); !strings.Contains(out, "listening on "+host) {
			t.Errorf("logs: %q", out)
		}
		docker("rm", "-f", name)
		refuses(t, fmt.Sprintf("%s:%d", host, 7000+i))
	}
}
