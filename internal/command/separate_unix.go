//go:build unix && !linux

package command

import (
	"os/exec"
	"syscall"
)

// separate puts a program in a process group of its own, so that the
// terminal's Ctrl-C reaches lab alone, and lab's signal all of the program.
func separate(cmd *exec.Cmd, _ bool) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
