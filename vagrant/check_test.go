package vagrant

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/computer/computertest"
)

// recorded is what a real tool has printed; see testdata/check/README.
func recorded(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata/check", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// withVirtualBox is a computer on which VirtualBox machines can be made.
func withVirtualBox(t *testing.T) *computertest.Fake {
	return &computertest.Fake{
		Programs: map[string]string{
			"vagrant --version":                recorded(t, "vagrant-version.txt"),
			"VBoxManage --version":             "7.0.14r161095\n",
			"VBoxManage list hostonlyifs":      "",
			"VBoxManage list systemproperties": recorded(t, "vboxmanage-systemproperties.txt"),
			"VBoxManage list vms":              "",
		},
		Files: map[string]string{
			"/home/ann/.local/state/lab/class/Vagrantfile":  "",
			"/home/ann/.vagrant.d/data/machine-index/index": recorded(t, "machine-index.json"),
			"/dev/vboxdrv": "", "/proc/cpuinfo": recorded(t, "cpuinfo-amd.txt"),
			"/home/ann/.vagrant.d/boxes/bento-VAGRANTSLASH-debian-12/202502.21.0/amd64/virtualbox/box.ovf": "",
		},
		Addresses: []string{"eth0 192.168.1.7/24", "docker0 172.17.0.1/16"},
		Routes:    []string{"192.168.1.0/24", "172.17.0.0/16", "192.168.0.0/16"},
	}
}

// withLibvirt is one for libvirt machines.
func withLibvirt(t *testing.T) *computertest.Fake {
	const virsh = "virsh -q -c qemu:///system "
	return &computertest.Fake{
		Programs: map[string]string{
			"vagrant --version":                      recorded(t, "vagrant-version.txt"),
			"vagrant plugin list --machine-readable": recorded(t, "vagrant-plugin-list.txt"),
			virsh + "uri":                            "qemu:///system\n",
			virsh + "net-list --all --name":          "default\n",
			virsh + "net-dumpxml default":            recorded(t, "virsh-net-dumpxml-default.xml"),
			virsh + "pool-list --all":                recorded(t, "virsh-pool-list-active.txt"),
			virsh + "pool-dumpxml default":           recorded(t, "virsh-pool-dumpxml.xml"),
			virsh + "list --all --name":              "test\n\n",
		},
		Files: map[string]string{
			"/dev/kvm": "", "/home/ann/.vagrant.d/boxes/debian-VAGRANTSLASH-bookworm64/0/libvirt/box.img": "",
		},
		Addresses: []string{"eth0 192.168.1.7/24", "virbr0 192.168.122.1/24"},
	}
}

func planFor(t testing.TB, spec lab.Spec) lab.Plan {
	t.Helper()
	if spec.Subnet == "" && len(spec.IPs) == 0 {
		spec.Subnet = lab.ArticleSubnet
	}
	spec = spec.WithDefaults()
	nodes, err := spec.Nodes()
	if err != nil {
		t.Fatal(err)
	}
	return lab.Plan{Dir: "/home/ann/.local/state/lab/lab", ID: "01234567", Spec: spec, Nodes: nodes}
}

// bad lists what is not ok, as "id severity".
func bad(found []lab.Finding) []string {
	var out []string
	for _, f := range found {
		if f.Severity != lab.SeverityOK {
			out = append(out, f.ID+" "+string(f.Severity))
		}
	}
	return out
}

func told(found []lab.Finding) string {
	var b strings.Builder
	for _, f := range found {
		fmt.Fprintf(&b, "%s %s: %s | %s\n", f.Severity, f.ID, f.Text, f.Advice)
	}
	return b.String()
}

func wellFormed(t *testing.T, found []lab.Finding) {
	t.Helper()
	for _, f := range found {
		if f.ID == "" || f.Text == "" || strings.Contains(f.Text, "\n") || (f.Advice == "" && f.Severity == lab.SeverityStop) || (f.Repair == nil) != (f.RepairText == "") {
			t.Errorf("finding %+v", f)
		}
	}
}

// bench is what a case of the tables may change.
type bench struct {
	*computertest.Fake
	spec  *lab.Spec
	reach func(url string) (int, error)
}

func (b *bench) prints(line, text string) { b.Programs[line] = text }

func (b *bench) lacks(program string) {
	maps.DeleteFunc(b.Programs, func(line, _ string) bool { return line == program || strings.HasPrefix(line, program+" ") })
}

type checkCase struct {
	name   string
	change func(*bench)
	want   string // what is not ok, joined by commas
	says   string // in a text or an advice
}

func runCases(t *testing.T, base func(*testing.T) *computertest.Fake, spec lab.Spec, cases []checkCase) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := &bench{Fake: base(t), spec: &spec, reach: func(string) (int, error) { return http.StatusOK, nil }}
			mine := spec
			b.spec = &mine
			if c.change != nil {
				c.change(b)
			}
			p := New(Options{Computer: b.Computer(), Reach: func(_ context.Context, url string) (int, error) { return b.reach(url) }})
			found := p.Check(t.Context(), planFor(t, *b.spec), lab.CheckFull)
			wellFormed(t, found)
			if got := strings.Join(bad(found), ","); got != c.want {
				t.Errorf("found %q, want %q\n%s", got, c.want, told(found))
			}
			if c.says != "" && !slices.ContainsFunc(found, func(f lab.Finding) bool { return strings.Contains(f.Text+" | "+f.Advice, c.says) }) {
				t.Errorf("nothing says %q:\n%s", c.says, told(found))
			}
		})
	}
}

func TestChecksOfVirtualBox(t *testing.T) {
	runCases(t, withVirtualBox, lab.Spec{}, []checkCase{
		{name: "all is well", says: "192.168.59.0/24 is in VirtualBox's own range"},
		{name: "no vagrant", change: func(b *bench) { b.lacks("vagrant") }, want: "vagrant-missing stop"},
		{name: "vagrant is something else", change: func(b *bench) { b.prints("vagrant --version", "usage: vagrant\n") }, want: "vagrant-failed stop"},
		{name: "vagrant too old", change: func(b *bench) { b.prints("vagrant --version", "Vagrant 1.8.7\n") }, want: "vagrant-version stop", says: "2.0 is the first"},
		{name: "vagrant with an old SSH client", change: func(b *bench) {
			b.prints("vagrant --version", "Vagrant 2.2.19\n")
			b.prints("VBoxManage --version", "6.1.50r161033\n")
		}, want: "vagrant-version warn", says: "SHA-1"},
		{name: "vagrant without choice of processor", change: func(b *bench) { b.Arch = "arm64" }, want: "vagrant-version warn,box-download warn"},
		{name: "no virtualbox", change: func(b *bench) { b.lacks("VBoxManage") }, want: "virtualbox-missing stop"},
		{name: "no driver", change: func(b *bench) {
			delete(b.Files, "/dev/vboxdrv")
			b.prints("VBoxManage --version", recorded(t, "vboxmanage-version-nodriver.txt"))
		}, want: "virtualbox-driver stop", says: "modprobe vboxdrv"},
		{name: "virtualbox too new for vagrant", change: func(b *bench) { b.prints("VBoxManage --version", "7.1.4r165100\n") }, want: "virtualbox-version stop", says: "Vagrant 2.4.2"},
		{name: "VBoxManage fails", change: func(b *bench) { b.prints("VBoxManage --version", "error: Failed to create the VirtualBox object!") },
			want: "virtualbox-failed stop,subnet note"},
		{name: "no virtualization", change: func(b *bench) { b.Files["/proc/cpuinfo"] = recorded(t, "cpuinfo-none.txt") }, want: "virtualization-off stop"},
		{name: "a KVM machine runs", change: func(b *bench) { b.Files["/proc/modules"] = recorded(t, "modules-kvm.txt") }, want: "kvm-busy stop", says: "kvm_amd"},
		{name: "KVM holds it since boot", change: func(b *bench) {
			b.Files["/proc/modules"] = "kvm_intel 1 0 - Live 0x0\n"
			b.Files["/sys/module/kvm/parameters/enable_virt_at_load"] = "Y\n"
		}, want: "kvm-busy warn", says: "modprobe -r kvm_intel"},
		{name: "KVM does not hold it", change: func(b *bench) {
			b.Files["/proc/modules"] = "kvm_intel 1 0 - Live 0x0\n"
			b.Files["/sys/module/kvm/parameters/enable_virt_at_load"] = "N\n"
		}},
		{name: "WSL", change: func(b *bench) { b.Files["/proc/sys/kernel/osrelease"] = "5.15.167.4-microsoft-standard-WSL2\n" }, want: "wsl stop"},
		{name: "WSL with access to Windows", change: func(b *bench) {
			b.Files["/proc/sys/kernel/osrelease"] = "4.4.0-19041-Microsoft\n"
			b.Env = map[string]string{"VAGRANT_WSL_ENABLE_WINDOWS_ACCESS": "1"}
		}, want: "wsl warn"},
		{name: "sudo", change: func(b *bench) { b.Root, b.Env = true, map[string]string{"SUDO_USER": "ann"} }, want: "sudo warn", says: "run lab as ann"},
		{name: "a plan that cannot be rendered", change: func(b *bench) { b.spec.Vagrant.BoxChecksum = "sha256:12" }, want: "box-checksum-form stop"},
		{name: "a box over http", change: func(b *bench) { b.spec.Vagrant.BoxURL = "http://boxes.example/x.box" }, want: "box-unverified stop"},
		{name: "more memory than there is", change: func(b *bench) { b.spec.Machine.Memory = 8 * lab.GiB }, want: "memory stop", says: "3 machines need 24 GiB, this computer has 16 GiB"},
		{name: "more memory than is free", change: func(b *bench) { b.spec.Machine.Memory = 5 * lab.GiB }, want: "memory warn"},
		{name: "a disk that gets tight", change: func(b *bench) { b.Disk.Free = 5 * lab.GiB }, want: "disk-machines warn", says: "/home/ann/VirtualBox VMs"},
		{name: "a full disk", change: func(b *bench) { b.Disk.Free = 100 * lab.MiB }, want: "disk-boxes stop,disk-machines stop"},
		{name: "machines of an earlier lab", change: func(b *bench) { b.prints("VBoxManage list vms", recorded(t, "vboxmanage-vms.txt")) },
			want: "leftover-machines warn", says: "lab-89abcdef-node1, lab-89abcdef-node2"},
		{name: "folders of labs that are gone", change: func(b *bench) { delete(b.Files, "/home/ann/.local/state/lab/class/Vagrantfile") }, want: "leftover-folders warn", says: "node1 of /home/ann/.local/state/lab/class (libvirt, running)"},
		{name: "another form of the index", change: func(b *bench) { b.Files["/home/ann/.vagrant.d/data/machine-index/index"] = `{"version": 2}` }, want: "leftover-folders note"},
		{name: "a proxy", change: func(b *bench) { b.Env = map[string]string{"http_proxy": "http://proxy:3128"} }, want: "proxy note", says: "no_proxy=192.168.59.1,192.168.59.2,192.168.59.3"},
		{name: "a proxy with exceptions", change: func(b *bench) {
			b.Env = map[string]string{"http_proxy": "http://proxy:3128", "no_proxy": "localhost,192.168.59.0/24"}
		}},
	})
}

func TestChecksOfBoxes(t *testing.T) {
	noBox := func(t *testing.T) *computertest.Fake {
		f := withVirtualBox(t)
		maps.DeleteFunc(f.Files, func(path, _ string) bool { return strings.Contains(path, "/boxes/") })
		return f
	}
	runCases(t, noBox, lab.Spec{}, []checkCase{
		{name: "from the cloud", want: "box-download warn", says: "lab box build"},
		{name: "the cloud is closed", change: func(b *bench) { b.reach = func(string) (int, error) { return 410, nil } }, want: "box-missing stop"},
		{name: "the cloud is not to be reached", change: func(b *bench) { b.reach = func(string) (int, error) { return 0, errors.New("no route to host") } },
			want: "box-unreachable stop", says: "https://vagrantcloud.com/bento/debian-12 cannot be reached: no route"},
		{name: "another server", change: func(b *bench) {
			b.Env = map[string]string{"VAGRANT_SERVER_URL": "https://boxes.example"}
			b.reach = func(url string) (int, error) {
				if url != "https://boxes.example/bento/debian-12" {
					return 0, errors.New("asked " + url)
				}
				return 503, nil
			}
		}, want: "box-unreachable warn"},
		{name: "from a URL", change: func(b *bench) { b.spec.Vagrant.BoxURL = "https://boxes.example/x.box" }, want: "box-download note"},
		{name: "from a file", change: func(b *bench) {
			b.spec.Vagrant.BoxURL = "/srv/boxes/x.box"
			b.Files["/srv/boxes/x.box"] = ""
			b.reach = func(string) (int, error) { return 0, errors.New("nobody should ask") }
		}, says: "the box comes from /srv/boxes/x.box"},
		{name: "from a file URL that is not there", change: func(b *bench) { b.spec.Vagrant.BoxURL = "file:///srv/boxes/y.box" }, want: "box-missing stop"},
		{name: "here in another version", change: func(b *bench) {
			b.spec.Vagrant.Box, b.spec.Vagrant.BoxVersion = "me/own", "2.0"
			b.Files["/home/ann/.vagrant.d/boxes/me-VAGRANTSLASH-own/1.0/virtualbox/x"] = ""
		}, want: "box-download warn"},
		{name: "here for another VM provider", change: func(b *bench) {
			b.Files["/home/ann/.vagrant.d/boxes/bento-VAGRANTSLASH-debian-12/1/libvirt/x"] = ""
		}, want: "box-download warn"},
		{name: "in a home of its own", change: func(b *bench) {
			b.Env = map[string]string{"VAGRANT_HOME": "/srv/vagrant"}
			b.Files["/srv/vagrant/boxes/bento-VAGRANTSLASH-debian-12/1/virtualbox/x"] = ""
		}},
		{name: "no room for it", change: func(b *bench) { b.Disk.Free = lab.GiB }, want: "box-download warn,disk-boxes stop,disk-machines warn"},
	})
}

func TestChecksOfNetworks(t *testing.T) {
	nets := func(name string) func(*bench) {
		return func(b *bench) { b.prints("VBoxManage list hostonlyifs", recorded(t, name)) }
	}
	runCases(t, withVirtualBox, lab.Spec{}, []checkCase{
		{name: "minikube's network", change: nets("vboxmanage-hostonlyifs-minikube.txt"), want: "subnet-taken stop",
			says: "in it this computer has 192.168.59.1, which is to be node1 | give the lab another subnet (--subnet 192.168.60.0/24), or remove that network, if nobody needs it: VBoxManage hostonlyif remove vboxnet1"},
		{name: "the lab's own network of last time", change: func(b *bench) {
			nets("vboxmanage-hostonlyifs-lab.txt")(b)
			b.Addresses = append(b.Addresses, "vboxnet1 192.168.59.254/24")
			b.Routes = append(b.Routes, "192.168.59.0/24")
		}},
		{name: "that network, and VirtualBox does not list it", change: func(b *bench) {
			b.prints("VBoxManage list hostonlyifs", "error: busy")
			b.Addresses = append(b.Addresses, "vboxnet1 192.168.59.254/24")
		}, want: "subnet note"},
		{name: "minikube's network, and VirtualBox does not list it", change: func(b *bench) {
			b.prints("VBoxManage list hostonlyifs", "error: busy")
			b.Addresses = append(b.Addresses, "vboxnet1 192.168.59.1/24")
		}, want: "subnet-taken stop"},
		{name: "addresses that do not meet", change: func(b *bench) {
			nets("vboxmanage-hostonlyifs-minikube.txt")(b)
			b.spec.IPs = []string{"192.168.59.11", "192.168.59.12"}
		}},
		{name: "an interface in it", change: func(b *bench) { b.Addresses = append(b.Addresses, "eth1 192.168.59.77/24") }, want: "subnet-taken stop", says: "192.168.59.77/24 on eth1"},
		{name: "an interface that is down", change: func(b *bench) { b.Addresses = append(b.Addresses, "!eth1 192.168.59.77/24") }},
		{name: "a wide network around it", change: func(b *bench) { b.Addresses = append(b.Addresses, "tun0 192.168.3.4/16") }},
		{name: "a VPN's route", change: func(b *bench) { b.Routes = append(b.Routes, "192.168.59.128/25") }, want: "subnet-taken stop", says: "a route to 192.168.59.128/25"},
		{name: "outside of VirtualBox's range", change: func(b *bench) { b.spec.Subnet = "192.168.33.0/24" }, want: "host-only-range stop", says: "echo '* 192.168.33.0/24' | sudo tee -a /etc/vbox/networks.conf"},
		{name: "allowed by networks.conf", change: func(b *bench) {
			b.spec.Subnet = "192.168.33.0/24"
			b.Files[networksConf] = "# ours\n* 10.0.0.0/8 192.168.0.0/16\n* 2001::/64\n"
		}},
		{name: "forbidden by networks.conf", change: func(b *bench) { b.Files[networksConf] = "* 10.0.0.0/8\n" }, want: "host-only-range stop"},
		{name: "networks.conf without the asterisk", change: func(b *bench) { b.Files[networksConf] = "10.0.0.0/8\n* 192.168.59.0/24\n" }, want: "networks-conf stop", says: "line 1 "},
		{name: "before there were ranges", change: func(b *bench) {
			b.spec.Subnet = "192.168.33.0/24"
			b.prints("VBoxManage --version", "6.1.26r145957\n")
		}},
		{name: "macOS", change: func(b *bench) {
			b.OS = "darwin"
			b.prints("VBoxManage list hostonlynets", "")
		}, want: "host-only-first warn", says: "--ips 192.168.59.2,192.168.59.3,192.168.59.4"},
		{name: "macOS with minikube's network", change: func(b *bench) {
			b.OS = "darwin"
			b.prints("VBoxManage list hostonlynets", recorded(t, "vboxmanage-hostonlynets-minikube.txt"))
		}, want: "subnet-taken stop", says: "VBoxManage hostonlynet remove --name minikube-hostonly-192.168.59.1"},
	})
}

func TestChecksOfLibvirt(t *testing.T) {
	const virsh = "virsh -q -c qemu:///system "
	runCases(t, withLibvirt, lab.Spec{Vagrant: lab.VagrantSpec{Provider: "libvirt"}}, []checkCase{
		{name: "all is well", says: "vagrant-libvirt 0.11.2"},
		{name: "no virsh", change: func(b *bench) { b.lacks("virsh") }, want: "libvirt-missing stop"},
		{name: "not running", change: func(b *bench) { b.prints(virsh+"uri", recorded(t, "virsh-uri-down.txt")) }, want: "libvirt-unreachable stop", says: "libvirt does not answer: Failed to connect socket"},
		{name: "not allowed", change: func(b *bench) {
			b.prints(virsh+"uri", "error: authentication unavailable: no polkit agent available to authenticate action 'org.libvirt.unix.manage'")
		}, want: "libvirt-permission stop", says: "usermod -aG libvirt"},
		{name: "no plugin", change: func(b *bench) { b.prints("vagrant plugin list --machine-readable", "") }, want: "vagrant-plugin stop", says: "vagrant plugin install vagrant-libvirt"},
		{name: "no KVM", change: func(b *bench) { delete(b.Files, "/dev/kvm") }, want: "kvm-missing stop"},
		{name: "a session without rights", change: func(b *bench) {
			b.Env, b.Forbidden = map[string]string{"LIBVIRT_DEFAULT_URI": "qemu:///session"}, []string{"/dev/kvm"}
			for line, text := range maps.Clone(b.Programs) {
				b.Programs[strings.Replace(line, "qemu:///system", "qemu:///session", 1)] = text
			}
		}, want: "kvm-permission stop"},
		{name: "the pool is not started", change: func(b *bench) { b.prints(virsh+"pool-list --all", recorded(t, "virsh-pool-list-inactive.txt")) }, want: "libvirt-pool stop"},
		{name: "no pool", change: func(b *bench) {
			b.prints(virsh+"pool-list --all", recorded(t, "virsh-pool-list-none.txt"))
			b.prints(virsh+"pool-dumpxml default", "error: Storage pool not found")
		}, want: "libvirt-pool note"},
		{name: "a network where this computer is the master", change: func(b *bench) {
			b.prints(virsh+"net-list --all --name", recorded(t, "virsh-net-list.txt"))
			b.prints(virsh+"net-dumpxml other-lab0", recorded(t, "virsh-net-dumpxml-master.xml"))
		}, want: "subnet-taken stop", says: "virsh net-destroy other-lab0; virsh net-undefine other-lab0"},
		{name: "the lab's own network", change: func(b *bench) {
			b.prints(virsh+"net-list --all --name", "lab0\n")
			b.prints(virsh+"net-dumpxml lab0", recorded(t, "virsh-net-dumpxml-254.xml"))
			b.Addresses = append(b.Addresses, "virbr2 192.168.59.254/24")
		}},
		{name: "machines of an earlier lab", change: func(b *bench) { b.prints(virsh+"list --all --name", "lab-89abcdef-node1\n") }, want: "leftover-machines warn"},
	})
}

func TestChecksOfOtherProviders(t *testing.T) {
	runCases(t, withVirtualBox, lab.Spec{Vagrant: lab.VagrantSpec{Provider: "parallels"}}, []checkCase{
		{name: "not installed", change: func(b *bench) { b.prints("vagrant plugin list --machine-readable", "") }, want: "provider-unusable stop,vagrant-plugin stop,box-download warn"},
		{name: "unknown", change: func(b *bench) { b.spec.Vagrant.Provider = "hyperv" }, want: "provider-unknown stop"},
		{name: "VMware takes .1", change: func(b *bench) {
			b.spec.Vagrant.Provider = "vmware_desktop"
			b.prints("vagrant plugin list --machine-readable", "1,vagrant-vmware-desktop,plugin-version,3.0.4\n")
			b.prints("vmrun", "")
		}, want: "address-taken stop"},
	})
}

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
