package command

import (
	"os"
	"os/exec"
	"syscall"
)

// separate puts a program in a process group of its own, so that the
// terminal's Ctrl-C reaches lab alone, and lab's signal all of the program.
func separate(cmd *exec.Cmd, ownMounts bool) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if ownMounts && os.Geteuid() == 0 {
		// Package syscall makes the new namespace's mounts private.
		cmd.SysProcAttr.Unshareflags = syscall.CLONE_NEWNS
	}
}
