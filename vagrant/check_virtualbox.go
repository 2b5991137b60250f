package vagrant

import (
	"context"
	"fmt"
	"strings"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/computer"
)

// virtualBox looks whether VirtualBox is there and its driver is loaded.
func (q *inquiry) virtualBox(ctx context.Context) []lab.Finding {
	const id = "virtualbox"
	if !q.Has("VBoxManage") {
		return []lab.Finding{computer.Stop("virtualbox-missing", "install VirtualBox (virtualbox.org), or name another VM provider (vagrant: {provider: libvirt} in lab.yaml), "+noVMs, "VirtualBox is not installed")}
	}
	if q.OS == "linux" && !q.Exists("/dev/vboxdrv") {
		return []lab.Finding{computer.Stop("virtualbox-driver",
			"sudo modprobe vboxdrv; after a new kernel sudo /sbin/vboxconfig builds it (with the kernel's headers); under Secure Boot it must be signed",
			"VirtualBox's kernel driver is not loaded: /dev/vboxdrv is missing")}
	}
	version, err := q.virtualBoxVersion(ctx)
	if ctx.Err() != nil {
		return computer.Unseen(id, context.Cause(ctx)) // slow is not broken
	}
	if err != nil {
		return []lab.Finding{computer.Stop("virtualbox-failed", "look what VBoxManage --version says", "VBoxManage does not answer: %s", computer.Brief(err.Error()))}
	}
	if q.OS == "darwin" && q.Arch == "arm64" && version.before("7.1") {
		return []lab.Finding{computer.Stop("virtualbox-version", "install VirtualBox 7.1 or newer, or use vagrant: {provider: parallels}", "VirtualBox %s does not run on Apple's processors", version)}
	}
	return []lab.Finding{computer.OK(id, "VirtualBox %s", version)}
}

// virtualBoxVersion is VBoxManage's. Warnings may stand before it.
func (s *sight) virtualBoxVersion(ctx context.Context) (release, error) {
	return s.vbox.get(func() (release, error) {
		out, err := s.Run(ctx, "VBoxManage", "--version")
		if err != nil {
			return nil, err
		}
		lines := strings.Split(strings.TrimSpace(out.Out), "\n")
		r := parseRelease(lines[len(lines)-1])
		if len(r) < 2 {
			return nil, fmt.Errorf("VBoxManage --version says %q", computer.Brief(out.Out))
		}
		return r, nil
	})
}

func (r release) String() string {
	return strings.Join(strings.Fields(strings.Trim(fmt.Sprint([]int(r)), "[]")), ".")
}

// virtualBoxFits looks whether this Vagrant knows this VirtualBox.
func (q *inquiry) virtualBoxFits(ctx context.Context) []lab.Finding {
	version, err := q.virtualBoxVersion(ctx)
	if err != nil {
		return nil // told by virtualBox
	}
	since := supported(version)
	installed, err := q.installed(ctx)
	if err != nil || judgeVersion(installed) != nil || since == "" || !parseRelease(installed).before(since) {
		return nil
	}
	return []lab.Finding{computer.Stop("virtualbox-version", "install Vagrant "+since+" or newer, or an older VirtualBox",
		"Vagrant %s refuses VirtualBox %s: it knows that line from %s on", installed, version, since)}
}

// virtualization looks for VT-x or AMD-V, as Linux shows it.
func (q *inquiry) virtualization(context.Context) []lab.Finding {
	const id = "virtualization"
	if q.OS != "linux" || q.Arch != "amd64" {
		return nil
	}
	info, err := q.Read("/proc/cpuinfo")
	if err != nil {
		return computer.Unseen(id, err)
	}
	for line := range strings.Lines(info) {
		key, flags, _ := strings.Cut(line, ":")
		if strings.TrimSpace(key) != "flags" {
			continue
		}
		for _, f := range strings.Fields(flags) {
			if name := map[string]string{"vmx": "VT-x", "svm": "AMD-V"}[f]; name != "" {
				return []lab.Finding{computer.OK(id, "the processor has %s", name)}
			}
		}
		break
	}
	return []lab.Finding{computer.Stop("virtualization-off", "switch it on in this computer's firmware (or nested virtualization, if it is a VM itself), "+noVMs,
		"the processor shows neither VT-x nor AMD-V, and VirtualBox runs no VM without")}
}

// kvmHolds looks whether KVM has the processor's virtualization: VirtualBox
// then fails with VERR_VMX_IN_VMX_ROOT_MODE or VERR_SVM_IN_USE. A KVM VM holds
// it while it runs; since Linux 6.12 the loaded module does, too, unless told
// otherwise (VirtualBox/virtualbox#188), and VirtualBox 7.2.10 is the first
// that lives with that, and only with that (VirtualBox/virtualbox#711).
func (q *inquiry) kvmHolds(ctx context.Context) []lab.Finding {
	const id = "kvm-busy"
	modules, err := q.Read("/proc/modules")
	if q.OS != "linux" || err != nil {
		return nil
	}
	module, users := kvmModule(modules)
	switch {
	case module == "":
		return nil
	case users > 0:
		return []lab.Finding{computer.Stop(id, "end the KVM VMs (virsh list, or ps -C qemu-system-x86_64), or use vagrant: {provider: libvirt}",
			"a KVM machine is running (%s is in use): VirtualBox cannot start one beside it", module)}
	}
	setting, err := q.Read("/sys/module/kvm/parameters/enable_virt_at_load")
	if err != nil {
		return nil // an older kernel, which holds nothing while nothing runs
	}
	version, err := q.virtualBoxVersion(ctx)
	if err != nil {
		return nil
	}
	atLoad := strings.TrimSpace(setting) == "Y"
	if old := version.before("7.2.10"); old && atLoad {
		return []lab.Finding{computer.Warn(id, "sudo modprobe -r "+module+"; for good: kvm.enable_virt_at_load=0 on the kernel's command line, or a newer VirtualBox",
			"this kernel gives virtualization to KVM (%s) at boot, and VirtualBox %s may be refused it", module, version)}
	} else if !old && !atLoad {
		return []lab.Finding{computer.Warn(id, "take enable_virt_at_load=0 out of /etc/modprobe.d and restart, or sudo modprobe -r "+module,
			"VirtualBox %s wants kvm.enable_virt_at_load=1 while %s is loaded", version, module)}
	}
	return nil
}

// kvmModule finds KVM's module for this processor and how often it is in use.
func kvmModule(modules string) (name string, users int) {
	for line := range strings.Lines(modules) {
		f := strings.Fields(line)
		if len(f) > 2 && (f[0] == "kvm_intel" || f[0] == "kvm_amd") {
			_, _ = fmt.Sscan(f[2], &users) // what is no number is nobody
			return f[0], users
		}
	}
	return "", 0
}

// windows tells of Linux inside Windows.
func (q *inquiry) windows(context.Context) []lab.Finding {
	kernel, err := q.Read("/proc/sys/kernel/osrelease")
	if err != nil || !strings.Contains(strings.ToLower(kernel), "microsoft") {
		return nil
	}
	const advice = "run Vagrant on Windows itself, or do without VMs: --provider local"
	if q.Env("VAGRANT_WSL_ENABLE_WINDOWS_ACCESS") != "" {
		return []lab.Finding{computer.Warn("wsl", advice, "this is WSL: VirtualBox runs on Windows, and Vagrant in here reaches its machines only in part (hashicorp/vagrant#12642)")}
	}
	return []lab.Finding{computer.Stop("wsl", advice, "this is WSL: VirtualBox cannot run in here")}
}

// sudo warns of VMs that would belong to root: the user's own VirtualBox does
// not see them, and the two disturb each other (dcos/dcos-e2e#1594).
func (q *inquiry) sudo(context.Context) []lab.Finding {
	user := q.Env("SUDO_USER")
	if q.UID != 0 || user == "" || user == "root" {
		return nil
	}
	return []lab.Finding{computer.Warn("sudo", "run lab as "+user+", without sudo", "under sudo the VMs and boxes become root's: %s's VirtualBox does not see them", user)}
}
