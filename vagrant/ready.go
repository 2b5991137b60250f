package vagrant

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/mesoslab/lab"
)

var _ lab.Readier = (*Provider)(nil)

// Ready implements lab.Readier, without starting Vagrant: the command, the VM
// provider's own command, and the box are there.
func (p *Provider) Ready(_ context.Context, plan lab.Plan) error {
	if _, err := exec.LookPath("vagrant"); err != nil {
		return errors.New("not installed")
	}
	kind := vmProvider(plan.Spec)
	command := map[string]string{"virtualbox": "VBoxManage", "libvirt": "virsh", "vmware_desktop": "vmrun", "parallels": "prlctl"}[kind]
	if command == "" {
		return fmt.Errorf("no provider %s", kind)
	}
	if _, err := exec.LookPath(command); err != nil {
		return fmt.Errorf("no %s (%s)", kind, command)
	}
	if p.opts.lacksKVM(plan.Spec) {
		return errors.New("no KVM (" + p.opts.kvm + ")")
	}
	box := plan.Spec.Vagrant.Box
	if box == "" {
		box = defaultBox(kind)
	}
	if !haveBox(box, kind) {
		return fmt.Errorf("no box %s yet", box)
	}
	return nil
}

// haveBox looks into Vagrant's own folder: boxes/<name>/<version>/[<arch>/]<provider>.
func haveBox(name, kind string) bool {
	home := os.Getenv("VAGRANT_HOME")
	if home == "" {
		user, err := os.UserHomeDir()
		if err != nil {
			return false
		}
		home = filepath.Join(user, ".vagrant.d")
	}
	at := filepath.Join(home, "boxes", strings.NewReplacer("/", "-VAGRANTSLASH-", ":", "-VAGRANTCOLON-").Replace(name))
	for _, depth := range []string{"*", "*/*"} {
		if found, err := filepath.Glob(filepath.Join(at, depth, kind)); err == nil && len(found) > 0 {
			return true
		}
	}
	return false
}
