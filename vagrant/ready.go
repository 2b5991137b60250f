package vagrant

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/mesoslab/lab"
)

var (
	_ lab.Readier  = (*Provider)(nil)
	_ lab.Foreseer = (*Provider)(nil)
)

// Ready implements lab.Readier, without starting Vagrant or anything else: the
// command, the VM provider's own command and driver, and the box are there.
func (p *Provider) Ready(_ context.Context, plan lab.Plan) error {
	q := p.sight.about(plan)
	command := commandOf(q.kind)
	switch {
	case !q.Has("vagrant"):
		return errors.New("no Vagrant")
	case command == "":
		return fmt.Errorf("no VM provider %s", q.kind)
	case !q.Has(command):
		return fmt.Errorf("no %s", title(q.kind))
	case q.kind == "virtualbox" && q.OS == "linux" && !q.Exists("/dev/vboxdrv"):
		return errors.New("no VirtualBox driver")
	case q.opts.lacksKVM(plan.Spec):
		return errors.New("no KVM")
	}
	if name, there := q.box(); !there {
		return fmt.Errorf("no box %s", name)
	}
	return nil
}

func title(kind string) string {
	return map[string]string{"virtualbox": "VirtualBox", "libvirt": "libvirt", "vmware_desktop": "VMware", "parallels": "Parallels"}[kind]
}

// Foresee implements lab.Foreseer. A VM has this computer's processor; of
// boxes, the default one alone is known: Debian 12, whose docker.io is engine
// 20.10.
func (p *Provider) Foresee(_ context.Context, plan lab.Plan) lab.Foreseen {
	f := lab.Foreseen{Arch: p.sight.Arch}
	v := plan.Spec.Vagrant
	if v.BoxURL == "" && (v.Box == "" || slices.Contains([]string{"bento/debian-12", "debian/bookworm64"}, v.Box)) {
		f.Cgroup, f.Engine, f.API, f.MinAPI = 2, "20.10.24", "1.41", "1.12"
	}
	return f
}
