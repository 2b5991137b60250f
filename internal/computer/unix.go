//go:build unix

package computer

import (
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// ownGroup lets a cancelled program take along what it has started.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}

func access(path string) error { return unix.Access(path, unix.R_OK|unix.W_OK) }
