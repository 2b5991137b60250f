package vagrant

import (
	"maps"
	"strings"
	"testing"

	"github.com/mesoslab/lab"
)

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
