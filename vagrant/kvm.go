package vagrant

import (
	"errors"

	"github.com/mesoslab/lab"
)

// lacksKVM reports whether a spec wants KVM on this computer, and it has
// none. A libvirt of another computer (LIBVIRT_DEFAULT_URI) is not judged.
func (o Options) lacksKVM(spec lab.Spec) bool {
	c := o.Computer
	if vmProvider(spec) != "libvirt" || spec.Vagrant.Emulate || c.OS != "linux" || c.Env("LIBVIRT_DEFAULT_URI") != "" {
		return false
	}
	return !c.Exists(o.kvm)
}

// checkKVM refuses to start machines that libvirt would refuse after minutes
// of copying. Emulation is ten times slower: nobody gets it unasked.
func (o Options) checkKVM(spec lab.Spec) error {
	if !o.lacksKVM(spec) {
		return nil
	}
	return &lab.Error{
		ID: "kvm-missing", Op: "start machines", Err: errors.New("this computer has no " + o.kvm),
		Advice: "switch on virtualization in its firmware (or nested virtualization, if it is a VM itself); or set vagrant: {emulate: true} in lab.yaml, which is ten times slower; or use --provider local",
	}
}
