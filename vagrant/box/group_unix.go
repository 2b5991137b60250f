//go:build unix

package box

import (
	"os/exec"
	"syscall"
)

// ownGroup puts a program in a process group of its own, so that the
// terminal's Ctrl-C reaches lab alone, and lab's signal all of the program.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func terminate(cmd *exec.Cmd) error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
