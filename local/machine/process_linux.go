package machine

import (
	"fmt"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// setProcessAttributes gives a child a group of its own and makes the kernel
// kill it when the machine dies.
func setProcessAttributes(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// adopt makes orphans among the machine's descendants its own children, so
// that they can always be found.
func adopt() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("adopt orphans: %w", err)
	}
	return nil
}

// killWhenClosed makes the kernel kill this process when the other end of the
// pipe closes, even while the process is frozen.
func killWhenClosed(fd int) error {
	// A description of its own: the signal's receiver is a part of it.
	own, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open pipe again: %w", err)
	}
	if _, err := unix.FcntlInt(uintptr(own), unix.F_SETOWN, unix.Getpid()); err != nil {
		return fmt.Errorf("own pipe: %w", err)
	}
	if _, err := unix.FcntlInt(uintptr(own), unix.F_SETSIG, int(unix.SIGKILL)); err != nil {
		return fmt.Errorf("choose signal: %w", err)
	}
	if _, err := unix.FcntlInt(uintptr(own), unix.F_SETFL, unix.O_NONBLOCK|unix.O_ASYNC); err != nil {
		return fmt.Errorf("ask for signal: %w", err)
	}
	return nil
}
