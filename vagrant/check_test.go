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
		{name: "a full disk", change: func(b *bench) { b.Disk.Free = 100 * lab.MiB }, want: "disk-full stop,disk-full stop"},
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
		{name: "no room for it", change: func(b *bench) { b.Disk.Free = lab.GiB }, want: "box-download warn,disk-full stop,disk-machines warn"},
	})
}
