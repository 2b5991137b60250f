package supervise

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/mesoslab/lab/internal/proctab"
)

// becomeSubreaper makes orphans among the descendants children of this process.
func becomeSubreaper() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("adopt orphans: %w", err)
	}
	return nil
}

func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }

// wakeWhenClosed makes the kernel send SIGCONT when something happens on the
// pipe: a supervisor that was frozen with its machine notices that the machine
// is gone.
func wakeWhenClosed(fd int) error {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_SETOWN, unix.Getpid())
	}
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_SETSIG, int(unix.SIGCONT))
	}
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_SETFL, flags|unix.O_ASYNC)
	}
	if err != nil {
		return fmt.Errorf("watch the pipe: %w", err)
	}
	return nil
}

// signal sends sig to every descendant that wanted accepts. Those that stand
// still are woken, so that they can hear it.
func (e *ending) signal(sig syscall.Signal, wanted func(proctab.ID) bool) {
	for _, id := range proctab.Descendants(os.Getpid()) {
		if !wanted(id) {
			continue
		}
		// Who has gone meanwhile needs no signal; who may not be signalled (a
		// setuid program) is met again at the next look.
		_ = id.Signal(sig)
		_ = id.Signal(syscall.SIGCONT)
	}
}

// rest has nothing to do: no child left means no descendant left.
func (e *ending) rest() {}
