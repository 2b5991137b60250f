package vagrant

import (
	"errors"
	"io/fs"
	"os"
	"runtime"

	"github.com/mesoslab/lab"
)

// lacksKVM reports whether a spec wants KVM on this computer, and it has
// none. A libvirt of another computer (LIBVIRT_DEFAULT_URI) is not judged.
func (o Options) lacksKVM(spec lab.Spec) bool {
	if vmProvider(spec) != "libvirt" || spec.Vagrant.Emulate || runtime.GOOS != "linux" || os.Getenv("LIBVIRT_DEFAULT_URI") != "" {
		return false
	}
	_, err := os.Stat(o.kvm)
	return errors.Is(err, fs.ErrNotExist)
}

// checkKVM refuses to start machines that libvirt would refuse after minutes
// of copying. Emulation is ten times slower: nobody gets it unasked.
func (s *session) checkKVM() error {
	if !s.opts.lacksKVM(s.plan.Spec) {
		return nil
	}
	return &lab.Error{
		ID: "kvm-missing", Op: "start machines", Err: errors.New("this computer has no " + s.opts.kvm),
		Advice: "switch on virtualization in its firmware (or nested virtualization, if it is a VM itself); or set vagrant: {emulate: true} in lab.yaml, which is ten times slower; or use --provider local",
	}
}
