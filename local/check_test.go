//go:build unix

package local

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/computer"
	"github.com/mesoslab/lab/internal/computer/computertest"
	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/local/folder"
)

func checkPlan(t *testing.T, spec lab.Spec) lab.Plan {
	t.Helper()
	if spec.Subnet == "" && len(spec.IPs) == 0 {
		spec.Subnet = "127.168.59.0/24"
	}
	spec = spec.WithDefaults()
	nodes, err := spec.Nodes()
	if err != nil {
		t.Fatal(err)
	}
	return lab.Plan{Dir: "/home/ann/.local/state/lab/lab", Spec: spec, Nodes: nodes}
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

func noAddress(netip.AddrPort) error {
	return &net.OpError{Op: "listen", Net: "tcp4", Err: os.NewSyscallError("bind", syscall.EADDRNOTAVAIL)}
}

func apartSpec(_ *computertest.Fake, s *lab.Spec) {
	s.Local.Network, s.Local.AllowOtherUsers, s.Subnet = "netns", true, "192.168.59.0/24"
}

func TestChecks(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(f *computertest.Fake, spec *lab.Spec)
		want   string
		says   string
	}{
		{name: "all is well", says: "this computer has 127.168.59.1 to 127.168.59.3"},
		{name: "no address on Linux", change: func(f *computertest.Fake, _ *lab.Spec) { f.Bind = noAddress }, want: "address-missing stop", says: "look at the lo interface"},
		{name: "no address on macOS", change: func(f *computertest.Fake, _ *lab.Spec) { f.OS, f.Bind = "darwin", noAddress },
			want: "address-missing stop,other-users note", says: "sudo ifconfig lo0 alias 127.168.59.1; sudo ifconfig lo0 alias 127.168.59.2; sudo ifconfig lo0 alias 127.168.59.3; or: sudo lab doctor --fix"},
		{name: "a private subnet", change: func(_ *computertest.Fake, s *lab.Spec) { s.Subnet = "192.168.59.0/24" }, want: "subnet-not-loopback stop", says: "192.168.59.1 is not in 127.0.0.0/8"},
		{name: "this computer's own address", change: func(_ *computertest.Fake, s *lab.Spec) { s.IPs = []string{"127.0.0.1", "127.0.0.2"} }, want: "subnet-not-loopback stop"},
		{name: "namespaces", change: apartSpec, want: "other-users note", says: "192.168.59.1 to 192.168.59.3 are free"},
		{name: "namespaces for nobody else", change: func(f *computertest.Fake, s *lab.Spec) { apartSpec(f, s); s.Local.AllowOtherUsers = false }, want: "netns-open stop", says: "local.allow_other_users: true"},
		{name: "namespaces on loopback", change: func(f *computertest.Fake, s *lab.Spec) { apartSpec(f, s); s.Subnet = "127.168.59.0/24" }, want: "subnet-unfit stop,other-users note"},
		{name: "namespaces where a route leads", change: func(f *computertest.Fake, s *lab.Spec) { apartSpec(f, s); f.Routes = []string{"192.168.0.0/16"} }, want: "subnet-taken stop,other-users note"},
		{name: "little memory", change: func(f *computertest.Fake, _ *lab.Spec) {
			f.Memory = computer.Memory{Total: lab.GiB, Available: 100 * lab.MiB}
		}, want: "memory warn"},
		{name: "a tight disk", change: func(f *computertest.Fake, _ *lab.Spec) { f.Disk = computer.Disk{Free: 200 * lab.MiB, Total: lab.GiB} }, want: "disk-state warn"},
		{name: "a full disk", change: func(f *computertest.Fake, _ *lab.Spec) { f.Disk = computer.Disk{Free: lab.MiB, Total: lab.GiB} }, want: "disk-full stop"},
		{name: "a disk without programs", change: func(f *computertest.Fake, _ *lab.Spec) {
			f.Disk = computer.Disk{Free: lab.GiB, Total: lab.GiB, NoExec: true}
		}, want: "state-noexec stop"},
		{name: "other users", change: func(_ *computertest.Fake, s *lab.Spec) { s.Local.AllowOtherUsers = true }, want: "other-users note"},
		{name: "other users as root", change: func(f *computertest.Fake, s *lab.Spec) {
			f.Root, s.Local.AllowOtherUsers, s.Local.AllowRootCmd = true, true, true
		}, want: "other-users warn"},
		{name: "a proxy that curl would use", change: func(f *computertest.Fake, _ *lab.Spec) { f.Env = map[string]string{"http_proxy": "http://proxy:3128"} }, want: "proxy note"},
		{name: "a proxy with exceptions", change: func(f *computertest.Fake, _ *lab.Spec) {
			f.Env = map[string]string{"http_proxy": "http://proxy:3128", "no_proxy": "127.0.0.0/8"}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, spec := &computertest.Fake{}, lab.Spec{}
			if c.change != nil {
				c.change(f, &spec)
			}
			q := &inquiry{Computer: f.Computer(), plan: checkPlan(t, spec)}
			for _, n := range q.plan.Nodes {
				q.missing = append(q.missing, site{plan: q.plan, node: n})
			}
			var checks []computer.Check
			for _, one := range q.checks() {
				if one.ID != "ports" && one.ID != "open-files" { // real ones: see below
					checks = append(checks, one)
				}
			}
			found := computer.Survey(t.Context(), nil, lab.CheckFull, checks)
			if got := bad(found); got != c.want {
				t.Errorf("found %q, want %q\n%s", got, c.want, told(found))
			}
			if !strings.Contains(told(found), c.says) {
				t.Errorf("nothing says %q:\n%s", c.says, told(found))
			}
		})
	}
}

// TestRepairOfAddresses: root gets them from the one command, nobody else
// does.
func TestRepairOfAddresses(t *testing.T) {
	f := &computertest.Fake{OS: "darwin", Root: true, Bind: noAddress, Programs: map[string]string{
		"ifconfig lo0 alias 127.168.59.1": "", "ifconfig lo0 alias 127.168.59.2": "", "ifconfig lo0 alias 127.168.59.3": "error: no such interface",
	}}
	found := New(Options{Computer: f.Computer()}).Check(t.Context(), checkPlan(t, lab.Spec{}), lab.CheckFull)
	i := slices.IndexFunc(found, func(f lab.Finding) bool { return f.ID == "address-missing" })
	if i < 0 || found[i].Repair == nil || found[i].RepairText != "ifconfig lo0 alias 127.168.59.1; ifconfig lo0 alias 127.168.59.2; ifconfig lo0 alias 127.168.59.3" {
		t.Fatal(told(found))
	}
	if len(f.Ran()) > 0 {
		t.Errorf("looking ran %q", f.Ran())
	}
	if err := found[i].Repair(t.Context()); err == nil || !strings.Contains(err.Error(), "no such interface") {
		t.Errorf("a failed command is no repair: %v", err)
	}
	if got := f.Ran(); len(got) != 3 {
		t.Errorf("ran %q", got)
	}
}

// TestPorts takes real ports of real addresses.
func TestPorts(t *testing.T) {
	subnet := labtest.Subnet(t)
	plan := checkPlan(t, lab.Spec{Subnet: subnet})
	plan.Dir = t.TempDir()
	p := New(Options{})
	if found := p.Check(t.Context(), plan, lab.CheckQuick); bad(found) != "" {
		t.Fatalf("a free subnet:\n%s", told(found))
	}
	l, err := net.Listen("tcp4", netip.AddrPortFrom(plan.Nodes[0].IP, 8080).String())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	found := p.Check(t.Context(), plan, lab.CheckQuick)
	if bad(found) != "port-taken stop" || !strings.Contains(told(found), "ports.marathon in lab.yaml (now 8080)") || !strings.Contains(told(found), "port 8080 of "+plan.Nodes[0].IP.String()) {
		t.Errorf("a port is taken:\n%s", told(found))
	}
	if lab.ErrorID(found[slices.IndexFunc(found, func(f lab.Finding) bool { return f.ID == "port-taken" })].Err) != "port-taken" {
		t.Error("what create would return is missing")
	}
	// A machine that exists holds its ports itself.
	for _, n := range plan.Nodes {
		at := filepath.Join(plan.Dir, "machines", n.Name, folder.SettingsFile)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte("{}"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if found := p.Check(t.Context(), plan, lab.CheckQuick); bad(found) != "" {
		t.Errorf("a whole lab:\n%s", told(found))
	}
}

func TestOpenFiles(t *testing.T) {
	if got := bad(judgeFiles(256)); got != "open-files warn" {
		t.Error(got)
	}
	if got := bad(judgeFiles(1 << 20)); got != "" {
		t.Error(got)
	}
}
