package provision

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab"
	"golang.org/x/crypto/ssh"
)

// The real run goes the whole way on a machine that exists and is to be thrown
// away: it installs Docker, opens tcp/2375 to everybody, and, with cgroup v2 and
// LAB_TEST_CGROUP=1, restarts the machine. It wants a user with sudo or root:
//
//	LAB_TEST_MACHINE=vagrant@192.168.59.1:22 LAB_TEST_MACHINE_KEY=key go test -run TestRealMachine -v ./provision
//
// LAB_TEST_CUT=1 cuts the first installation off while packages are unpacked.
func TestRealMachine(t *testing.T) {
	at := os.Getenv("LAB_TEST_MACHINE")
	if at == "" {
		t.Skip("LAB_TEST_MACHINE names no machine to provision")
	}
	m := realMachine(t, at)
	h, err := Connect(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { h.Close() }()
	f := realFacts(t, h)
	t.Logf("%+v", f)
	say := func(text string) { t.Logf("%s  %s", time.Now().Format("15:04:05.000"), text) }
	if changed, err := SetClock(t.Context(), h, f); err != nil {
		t.Errorf("clock: %v, %v", changed, err)
	}
	if _, err := SetHosts(t.Context(), h, []lab.Node{m.Node}); err != nil {
		t.Error(err)
	}
	if f.Cgroup == 2 && os.Getenv("LAB_TEST_CGROUP") == "1" {
		start := time.Now()
		if h, f, err = UseCgroupV1(t.Context(), Connector{}, h, f, say); err != nil || f.Cgroup != 1 {
			t.Fatalf("cgroup v%d, %v", f.Cgroup, err)
		}
		t.Logf("cgroup v1 after %s", time.Since(start).Round(time.Millisecond))
	}
	if os.Getenv("LAB_TEST_CUT") == "1" && NeedsInstall(f) {
		cutOff(t, h, f, say)
		f = realFacts(t, h)
		t.Logf("after the cut: engine %+v, package %q", f.Engine, f.Package)
	}
	start := time.Now()
	changed, err := InstallDocker(t.Context(), h, f, say)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("installed: %v, after %s", changed, time.Since(start).Round(time.Millisecond))
	f = realFacts(t, h)
	if f.Engine, err = AwaitBoot(t.Context(), h, f, say); err != nil {
		t.Fatal(err)
	}
	realEngine(t, h, f)
}

// realEngine opens the engine's port, twice.
func realEngine(t *testing.T, h *Host, f Facts) {
	opts := DockerOpts(lab.Spec{}.WithDefaults().Docker)
	start := time.Now()
	changed, err := ConfigureDocker(t.Context(), h, f, opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := VerifyTCP(t.Context(), h.Machine().IP.String(), 2375, time.Minute); err != nil && h.Machine().IP.IsLoopback() {
		err = VerifyTCPFrom(t.Context(), h.Dial, "127.0.0.1", 2375, time.Minute) // behind a forwarded port
		if err != nil {
			t.Error(err)
		}
	} else if err != nil {
		t.Error(err)
	}
	t.Logf("DOCKER_OPTS changed: %v, in force after %s", changed, time.Since(start).Round(time.Millisecond))
	f = realFacts(t, h)
	t.Logf("engine %+v, package %q, cgroup v%d", f.Engine, f.Package, f.Cgroup)
	if NeedsInstall(f) || f.Engine.State != EngineRunning || ClockOff(f) {
		t.Errorf("facts %+v", f)
	}
	if changed, err := InstallDocker(t.Context(), h, f, func(string) {}); err != nil || changed {
		t.Errorf("install again: %v, %v", changed, err)
	}
	if h.Machine().IP.IsLoopback() {
		return // its port is not where the options open it
	}
	if changed, err := ConfigureDocker(t.Context(), h, f, opts); err != nil || changed {
		t.Errorf("configure again: %v, %v", changed, err)
	}
}

func cutOff(t *testing.T, h *Host, f Facts, say func(string)) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := InstallDocker(ctx, h, f, func(text string) {
		say(text)
		if strings.Contains(text, "Unpacking docker.io") || strings.Contains(text, "Installing docker.io") {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cut off: %v", err)
	}
}

func realFacts(t *testing.T, h *Host) Facts {
	t.Helper()
	f, err := FindFacts(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// realMachine pins the host key that answers first.
func realMachine(t *testing.T, at string) lab.Machine {
	t.Helper()
	user, addr, _ := strings.Cut(at, "@")
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	m := lab.Machine{Node: lab.Node{Name: "node1", Role: lab.RoleMaster, IP: netip.MustParseAddr(host)},
		SSH: lab.SSHEndpoint{Addr: addr, User: user, KeyFile: os.Getenv("LAB_TEST_MACHINE_KEY")}}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	err = lab.Until(ctx, time.Second, "the host key of "+addr, func(context.Context) error {
		client, err := ssh.Dial("tcp", addr, &ssh.ClientConfig{User: user, Timeout: 10 * time.Second, HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			m.SSH.HostKey = string(ssh.MarshalAuthorizedKey(key))
			return nil
		}})
		if err == nil {
			client.Close()
		}
		if m.SSH.HostKey != "" {
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}
