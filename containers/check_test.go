package containers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/computer"
	"github.com/mesoslab/lab/internal/computer/computertest"
	"github.com/moby/moby/api/types/container"
	sysinfo "github.com/moby/moby/api/types/system"
	"github.com/moby/moby/client"
)

// bench is a computer with an engine, as the cases of a table change it.
type bench struct {
	*computertest.Fake
	engine *fakeEngine
	opts   *Options
	plan   *lab.Plan
}

// newBench is one on which machines can be made.
func newBench(t *testing.T) *bench {
	b := &bench{
		Fake: &computertest.Fake{
			Files:    map[string]string{"/proc/sys/fs/inotify/max_user_instances": "512\n", "/var/run/docker.sock": ""},
			Programs: map[string]string{"docker": ""},
			Routes:   []string{"192.168.1.0/24"},
		},
		engine: newFakeEngine(), opts: &Options{Build: system},
	}
	b.engine.system, b.engine.root, b.engine.cgroup, b.engine.arch = "Debian GNU/Linux 12 (bookworm)", "/var/lib/docker", "2", "x86_64"
	plan := fakePlan(t, 3)
	plan.ID = "" // a lab that does not exist yet
	b.plan = &plan
	return b
}

func (b *bench) provider() *Provider {
	b.opts.Engine, b.opts.Computer = b.engine, b.Computer()
	return New(*b.opts)
}

// built lets the engine have the machine image.
func (b *bench) built(t *testing.T) {
	t.Helper()
	if err := b.provider().EnsureImage(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	b.engine.calls = nil
}

func bad(found []lab.Finding) string {
	var out []string
	for _, f := range found {
		if f.Severity != lab.SeverityOK {
			out = append(out, f.ID+" "+string(f.Severity))
		}
	}
	return strings.Join(out, ",")
}

func told(found []lab.Finding) string {
	var b strings.Builder
	for _, f := range found {
		fmt.Fprintf(&b, "%s %s: %s | %s\n", f.Severity, f.ID, f.Text, f.Advice)
	}
	return b.String()
}

func TestChecks(t *testing.T) {
	strange := func(b *bench, subnet string) {
		b.engine.networks["strange"] = &fakeNetwork{id: "x", subnet: netip.MustParsePrefix(subnet)}
	}
	for _, c := range []struct {
		name   string
		change func(*bench)
		want   string // what is not ok
		says   string
	}{
		{name: "all is well", says: "Docker 20.10.24+dfsg1 on Debian GNU/Linux 12 (bookworm), cgroup v2"},
		{name: "not installed", change: func(b *bench) {
			b.engine.unreachable = errors.New("dial unix /var/run/docker.sock: connect: no such file or directory")
			b.Programs, b.Files = nil, nil
		}, want: "engine-unreachable stop", says: "Docker is not installed"},
		{name: "not running", change: func(b *bench) { b.engine.unreachable = errors.New("connect: connection refused") }, want: "engine-unreachable stop", says: "start Docker"},
		{name: "not allowed", change: func(b *bench) {
			b.engine.unreachable = fmt.Errorf("dial unix /var/run/docker.sock: connect: %w", syscall.EACCES)
		}, want: "engine-unreachable stop", says: "usermod -aG docker $USER"},
		{name: "too old", change: func(b *bench) { b.engine.api = "1.39" }, want: "engine-too-old stop"},
		{name: "Docker Desktop", change: func(b *bench) { b.engine.system = "Docker Desktop" }, want: "engine-unsuitable stop", says: "--provider local, or --provider vagrant"},
		{name: "without root", change: func(b *bench) {
			b.engine.security = []string{"name=seccomp,profile=builtin", "name=rootless", "name=cgroupns"}
		}, want: "engine-unsuitable stop"},
		{name: "mapped users", change: func(b *bench) { b.engine.security = []string{"name=userns"} }, want: "engine-unsuitable stop", says: "userns-remap"},
		{name: "another computer's", change: func(b *bench) { b.opts.Host = "ssh://root@example" }, want: "engine-unsuitable stop", says: "ssh://root@example"},
		{name: "this computer's by TCP", change: func(b *bench) { b.opts.Host = "tcp://127.0.0.1:2375" }},
		{name: "a network has the subnet", change: func(b *bench) { strange(b, "192.168.59.0/24") }, want: "subnet-taken stop", says: "Docker's network strange"},
		{name: "a route leads there", change: func(b *bench) { b.Routes = append(b.Routes, "192.168.0.0/16") }, want: "subnet-taken stop"},
		{name: "addresses that cannot be", change: func(b *bench) { b.plan.Nodes[0].IP = netip.MustParseAddr("127.168.59.1") }, want: "subnet-unfit stop"},
		{name: "no image", change: func(b *bench) { clear(b.engine.images) }, want: "machine-image note", says: "--fix builds it"},
		{name: "no image and no mmdebstrap", change: func(b *bench) {
			clear(b.engine.images)
			b.opts.Build = nil
			t.Setenv("PATH", "/nonexistent")
		}, want: "machine-image warn", says: "apt install mmdebstrap"},
		{name: "no rights", change: func(b *bench) { b.engine.noRights = true }, want: "privileged-impossible stop"},
		{name: "little memory", change: func(b *bench) { b.Memory = computer.Memory{Total: 2 * lab.GiB, Available: lab.GiB} }, want: "memory warn", says: "machines under full load need 1.5 GiB"},
		{name: "a tight disk", change: func(b *bench) { b.Disk = computer.Disk{Free: 2 * lab.GiB, Total: 9 * lab.GiB} }, want: "disk-engine warn", says: "/var/lib/docker"},
		{name: "a full disk", change: func(b *bench) { b.Disk = computer.Disk{Free: lab.MiB, Total: 9 * lab.GiB} }, want: "disk-full stop"},
		{name: "Linux's own inotify limit", change: func(b *bench) { b.Files["/proc/sys/fs/inotify/max_user_instances"] = "128\n" }, want: "inotify note", says: "max_user_instances=512"},
		{name: "a low inotify limit", change: func(b *bench) { b.Files["/proc/sys/fs/inotify/max_user_instances"] = "64\n" }, want: "inotify warn"},
		{name: "nothing is forwarded", change: func(b *bench) { b.engine.noForward = true }, want: "engine-firewall warn"},
		{name: "rules before Docker's", change: func(b *bench) {
			b.Root = true
			b.Files["/proc/sys/net/bridge/bridge-nf-call-iptables"] = "1\n"
			b.Programs["iptables -S DOCKER-USER"] = "-N DOCKER-USER\n-A DOCKER-USER -i eth0 -j DROP\n-A DOCKER-USER -j RETURN\n"
		}, want: "engine-firewall note", says: "-A DOCKER-USER -i eth0 -j DROP"},
		{name: "Docker's own rules", change: func(b *bench) {
			b.Root = true
			b.Files["/proc/sys/net/bridge/bridge-nf-call-iptables"] = "1\n"
			b.Programs["iptables -S DOCKER-USER"] = recorded(t, "iptables-docker-user.txt")
		}},
		{name: "machines of an earlier lab", change: func(b *bench) {
			b.engine.containers["old"] = &fakeContainer{id: "old", o: client.ContainerCreateOptions{Config: &container.Config{Labels: map[string]string{labelName: "t/89abcdef"}}}}
			b.engine.containers["else"] = &fakeContainer{id: "else", o: client.ContainerCreateOptions{Config: &container.Config{Labels: map[string]string{labelName: "other/89abcdef"}}}}
		}, want: "leftover-containers warn", says: "label=lab.name=t/89abcdef"},
		{name: "a proxy", change: func(b *bench) { b.Env = map[string]string{"HTTP_PROXY": "http://proxy:3128"} }, want: "proxy note"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			b.built(t)
			if c.change != nil {
				c.change(b)
			}
			found := b.provider().Check(t.Context(), *b.plan, lab.CheckFull)
			if got := bad(found); got != c.want {
				t.Errorf("found %q, want %q\n%s", got, c.want, told(found))
			}
			if !strings.Contains(told(found), c.says) {
				t.Errorf("nothing says %q:\n%s", c.says, told(found))
			}
			for _, f := range found {
				if f.Text == "" || (f.Severity == lab.SeverityStop && f.Advice == "") || (f.Repair == nil) != (f.RepairText == "") {
					t.Errorf("finding %+v", f)
				}
			}
		})
	}
}

// TestQuickMakesNothing: create's own look changes nothing at all.
func TestQuickMakesNothing(t *testing.T) {
	b := newBench(t)
	b.built(t)
	if found := b.provider().Check(t.Context(), *b.plan, lab.CheckQuick); bad(found) != "" || len(b.engine.calls) > 0 {
		t.Errorf("calls %q\n%s", b.engine.calls, told(found))
	}
	if found := b.provider().Check(t.Context(), *b.plan, lab.CheckFull); bad(found) != "" || !slices.Contains(b.engine.calls, "create t-00000000-probe") {
		t.Errorf("a full check tries the rights: %q\n%s", b.engine.calls, told(found))
	}
	if len(b.engine.containers) > 0 {
		t.Errorf("left behind: %v", b.engine.containers)
	}
}

func TestRepairBuildsTheImage(t *testing.T) {
	b := newBench(t)
	p := b.provider()
	found := p.Check(t.Context(), *b.plan, lab.CheckFull)
	i := slices.IndexFunc(found, func(f lab.Finding) bool { return f.Repair != nil })
	if i < 0 || len(b.engine.images) > 0 {
		t.Fatalf("images %v\n%s", b.engine.images, told(found))
	}
	if err := found[i].Repair(t.Context()); err != nil {
		t.Fatal(err)
	}
	if found := p.Check(t.Context(), *b.plan, lab.CheckFull); bad(found) != "" {
		t.Errorf("after the repair:\n%s", told(found))
	}
}

// TestWholeLab: where all machines exist, what is in the way of making them is
// no matter.
func TestWholeLab(t *testing.T) {
	b := newBench(t)
	b.built(t)
	b.plan.ID = "0badcafe"
	p := b.provider()
	p.dial = b.engine.net.Host("192.168.59.254").Dial
	if _, err := p.Up(t.Context(), *b.plan); err != nil {
		t.Fatal(err)
	}
	b.Disk = computer.Disk{Free: lab.MiB}
	b.Routes = append(b.Routes, "192.168.0.0/16")
	if found := p.Check(t.Context(), *b.plan, lab.CheckQuick); bad(found) != "" {
		t.Errorf("whole:\n%s", told(found))
	}
	more := *b.plan
	more.Nodes = append(slices.Clone(more.Nodes), lab.Node{Name: "node4", Role: lab.RoleSlave, IP: netip.MustParseAddr("192.168.59.4"), MemoryMiB: 512})
	if found := p.Check(t.Context(), more, lab.CheckQuick); bad(found) != "disk-full stop" {
		t.Errorf("one more:\n%s", told(found))
	}
}

func TestReady(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*bench)
		want   string
	}{
		"ready":     {func(*bench) {}, ""},
		"no engine": {func(b *bench) { b.engine.unreachable = errors.New("refused") }, "no Docker engine"},
		"no image":  {func(b *bench) { clear(b.engine.images) }, "no machine image for Docker yet"},
		"desktop":   {func(b *bench) { b.engine.system = "Docker Desktop" }, "a Docker that cannot make machines"},
		"old":       {func(b *bench) { b.engine.api = "1.30" }, "a Docker that is too old"},
	} {
		b := newBench(t)
		b.built(t)
		c.change(b)
		got := ""
		if err := b.provider().Ready(t.Context(), lab.Plan{}); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestForesee(t *testing.T) {
	b := newBench(t)
	b.engine.cgroup, b.engine.arch = "1", "aarch64"
	f := b.provider().Foresee(t.Context(), *b.plan)
	if f.Arch != "arm64" || f.Cgroup != 1 || !f.SharedKernel || f.API == "" {
		t.Errorf("%+v", f)
	}
	b.engine.unreachable = errors.New("refused")
	if f := b.provider().Foresee(context.Background(), *b.plan); f.Arch != "" || f.Cgroup != 0 {
		t.Errorf("without an engine: %+v", f)
	}
}

func recorded(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile("testdata/check/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestJudgeRealEngine: what Debian's engine says of itself will do, and the
// words that other engines are known by are looked for in the right place.
func TestJudgeRealEngine(t *testing.T) {
	var info sysinfo.Info
	if err := json.Unmarshal([]byte(recorded(t, "info-debian12.json")), &info); err != nil {
		t.Fatal(err)
	}
	if s, err := judge(info); err != nil || s.cpus != 2 || !s.limits {
		t.Errorf("%+v, %v", s, err)
	}
	if info.ServerVersion == "" || info.DockerRootDir == "" || info.CgroupVersion == "" || goArch(info.Architecture) != "amd64" {
		t.Errorf("%+v", info)
	}
	for _, option := range []string{"name=rootless", "name=userns"} {
		info.SecurityOptions = append(slices.Clone(info.SecurityOptions), option)
		if _, err := judge(info); lab.ErrorID(err) != "engine-unsuitable" {
			t.Errorf("%s: %v", option, err)
		}
	}
}

// TestSlowEngine: what has not answered yet does not stop a create.
func TestSlowEngine(t *testing.T) {
	b := newBench(t)
	b.built(t)
	b.engine.hangs = func(string) bool { return true }
	if found := b.provider().Check(t.Context(), *b.plan, lab.CheckQuick); bad(found) != "engine note" {
		t.Error(told(found))
	}
}
