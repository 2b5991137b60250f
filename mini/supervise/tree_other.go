//go:build unix && !linux

package supervise

import (
	"syscall"

	"github.com/mesoslab/lab/internal/proctab"
)

// There is no subreaper, no parent death signal and no list of descendants on
// this system: the command's process group has to do (package doc).

func becomeSubreaper() error { return nil }

func dieWithParent(*syscall.SysProcAttr) {}

func wakeWhenClosed(int) error { return nil }

func (e *ending) signal(sig syscall.Signal, wanted func(proctab.ID) bool) {
	if wanted(proctab.ID{PID: e.pid}) {
		_ = syscall.Kill(-e.pid, sig) // no group left is as good
		_ = syscall.Kill(-e.pid, syscall.SIGCONT)
	}
}

// rest ends what the command has left in its group: nobody can be waited for.
func (e *ending) rest() { _ = syscall.Kill(-e.pid, syscall.SIGKILL) }
