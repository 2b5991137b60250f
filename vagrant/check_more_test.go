package vagrant

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/computer/computertest"
)

// TestQuickStartsNoRuby: create must not wait for it.
func TestQuickStartsNoRuby(t *testing.T) {
	for name, f := range map[string]*computertest.Fake{"virtualbox": withVirtualBox(t), "libvirt": withLibvirt(t)} {
		p := New(Options{Computer: f.Computer(), Reach: func(context.Context, string) (int, error) { t.Error("asked for a URL"); return 0, nil }})
		found := p.Check(t.Context(), planFor(t, lab.Spec{Vagrant: lab.VagrantSpec{Provider: name}}), lab.CheckQuick)
		if len(bad(found)) > 0 {
			t.Errorf("%s: %v", name, found)
		}
		for _, line := range f.Ran() {
			if strings.HasPrefix(line, "vagrant") {
				t.Errorf("%s: ran %s", name, line)
			}
		}
	}
}

// TestRepairOfPool: the one thing that is mended is started, and no more.
func TestRepairOfPool(t *testing.T) {
	f := withLibvirt(t)
	const start = "virsh -q -c qemu:///system pool-start default"
	f.Programs["virsh -q -c qemu:///system pool-list --all"] = recorded(t, "virsh-pool-list-inactive.txt")
	f.Programs[start] = "Pool default started\n"
	found := New(Options{Computer: f.Computer()}).Check(t.Context(), planFor(t, lab.Spec{Vagrant: lab.VagrantSpec{Provider: "libvirt"}}), lab.CheckFull)
	i := slices.IndexFunc(found, func(f lab.Finding) bool { return f.Repair != nil })
	if i < 0 || found[i].ID != "libvirt-pool" {
		t.Fatalf("%+v", found)
	}
	if slices.Contains(f.Ran(), start) {
		t.Error("looking has started the pool")
	}
	if err := found[i].Repair(t.Context()); err != nil || !slices.Contains(f.Ran(), start) {
		t.Errorf("repair: %v, ran %q", err, f.Ran())
	}
	f.Programs[start] = "error: no such folder"
	if err := found[i].Repair(t.Context()); err == nil {
		t.Error("a failed start is no repair")
	}
}

// TestWholeLab: what is in the way of making machines is no matter where all
// of them exist.
func TestWholeLab(t *testing.T) {
	f := withVirtualBox(t)
	f.Programs["VBoxManage list hostonlyifs"] = recorded(t, "vboxmanage-hostonlyifs-minikube.txt")
	f.Disk.Free = lab.MiB
	plan := planFor(t, lab.Spec{})
	plan.Dir = t.TempDir()
	p := New(Options{Computer: f.Computer()})
	if got := bad(p.Check(t.Context(), plan, lab.CheckQuick)); len(got) == 0 {
		t.Error("a lab to be made on a full disk: nothing found")
	}
	for _, n := range plan.Nodes {
		at := filepath.Join(plan.Dir, ".vagrant", "machines", n.Name, "virtualbox")
		if err := os.MkdirAll(at, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(at, "id"), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := bad(p.Check(t.Context(), plan, lab.CheckQuick)); len(got) > 0 {
		t.Errorf("whole: %v", got)
	}
}

func TestBusyFolder(t *testing.T) {
	f := withVirtualBox(t)
	c := f.Computer()
	c.Files = os.DirFS("/")
	plan := planFor(t, lab.Spec{})
	plan.Dir = t.TempDir()
	l, err := takeLock(t.Context(), plan.Dir, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	look := func() []string {
		return bad((&inquiry{sight: newSight(Options{Computer: c}), plan: plan}).vagrantBusy(t.Context()))
	}
	if got := look(); !slices.Equal(got, []string{"vagrant-locked warn"}) {
		t.Errorf("locked: %v", got)
	}
	l.release()
	if got := look(); len(got) > 0 {
		t.Errorf("free: %v", got)
	}
	if l, err := takeLock(t.Context(), plan.Dir, time.Second); err != nil {
		t.Errorf("looking has kept the lock: %v", err)
	} else {
		l.release()
	}
}

func TestReady(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*bench)
		want   string
	}{
		"ready":      {},
		"no vagrant": {func(b *bench) { b.lacks("vagrant") }, "no Vagrant"},
		"no vms":     {func(b *bench) { b.lacks("VBoxManage") }, "no VirtualBox"},
		"no driver":  {func(b *bench) { delete(b.Files, "/dev/vboxdrv") }, "no VirtualBox driver"},
		"no box":     {func(b *bench) { b.Env = map[string]string{"VAGRANT_HOME": "/srv"} }, "no box bento/debian-12"},
	} {
		b := &bench{Fake: withVirtualBox(t)}
		if c.change != nil {
			c.change(b)
		}
		err := New(Options{Computer: b.Computer()}).Ready(t.Context(), lab.Plan{Spec: lab.Spec{}.WithDefaults()})
		if got := text(err); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		if len(b.Ran()) > 0 {
			t.Errorf("%s: ran %q", name, b.Ran())
		}
	}
	f := withLibvirt(t)
	delete(f.Files, "/dev/kvm")
	if err := New(Options{Computer: f.Computer()}).Ready(t.Context(), lab.Plan{Spec: lab.Spec{Vagrant: lab.VagrantSpec{Provider: "libvirt"}}}); text(err) != "no KVM" {
		t.Errorf("libvirt without KVM: %v", err)
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestSubnetFree(t *testing.T) {
	f := withVirtualBox(t)
	f.Programs["VBoxManage list hostonlyifs"] = recorded(t, "vboxmanage-hostonlyifs-minikube.txt")
	f.Addresses = append(f.Addresses, "eth1 192.168.62.5/24")
	p := New(Options{Computer: f.Computer()})
	var free []string
	for _, s := range p.Features().Subnets {
		if p.SubnetFree(t.Context(), s, lab.PortsSpec{}) {
			free = append(free, strings.TrimSuffix(strings.TrimPrefix(s, "192.168."), ".0/24"))
		}
	}
	if got := strings.Join(free, " "); got != "60 61 63 57 58" { // 56 is VirtualBox's own, with this computer at .1
		t.Errorf("free: %s", got)
	}
	if n := len(f.Ran()); n > 4 {
		t.Errorf("%d programs for eight subnets: %q", n, f.Ran())
	}
}

func TestForesee(t *testing.T) {
	p := New(Options{Computer: withVirtualBox(t).Computer()})
	if f := p.Foresee(t.Context(), planFor(t, lab.Spec{})); f.Arch != "amd64" || f.Cgroup != 2 || f.MinAPI != "1.12" || f.SharedKernel {
		t.Errorf("%+v", f)
	}
	if f := p.Foresee(t.Context(), planFor(t, lab.Spec{Vagrant: lab.VagrantSpec{Box: "ubuntu/trusty64"}})); f.Cgroup != 0 || f.API != "" {
		t.Errorf("an unknown box is known: %+v", f)
	}
}

func TestReleases(t *testing.T) {
	for text, want := range map[string][]int{"2.3.4": {2, 3, 4}, "7.0.14_Ubuntur161095": {7, 0, 14}, "7.1.4r165100": {7, 1, 4}, "2.4.2.dev": {2, 4, 2}, "": nil, "x.1": nil} {
		if got := parseRelease(text); !slices.Equal(got, release(want)) {
			t.Errorf("%q: %v", text, got)
		}
	}
	if !parseRelease("2.9").before("2.10") || parseRelease("2.0").before("2.0") || !parseRelease("7").before("7.0") {
		t.Error("order")
	}
	if got := (release{7, 0, 14}).String(); got != "7.0.14" {
		t.Error(got)
	}
}

func FuzzForeignOutput(f *testing.F) {
	for _, name := range []string{"vboxmanage-hostonlyifs-minikube.txt", "vboxmanage-hostonlynets-minikube.txt", "virsh-net-dumpxml-254.xml", "machine-index.json", "vboxmanage-vms.txt"} {
		f.Add(recorded(f, name))
	}
	f.Add("* 10.0.0.0/8\n10.0.0.0/8\n*\n")
	f.Fuzz(func(t *testing.T, text string) {
		nets := parseHostOnly(text)
		if n, err := parseLibvirtNet([]byte(text)); err == nil {
			nets = append(nets, n)
		}
		for _, n := range nets {
			if !n.at.IsValid() || !n.own().IsValid() {
				t.Errorf("%+v", n)
			}
		}
		ranges, bad := parseNetworksConf(text)
		for _, r := range ranges {
			if r != r.Masked() {
				t.Errorf("range %s", r)
			}
		}
		for _, line := range bad {
			if line < 1 || line > strings.Count(text, "\n")+1 {
				t.Errorf("line %d", line)
			}
		}
		_, _ = parseIndex([]byte(text))
		parseVMs(text)
		kvmModule(text)
		_, _ = poolPath(text)
	})
}
