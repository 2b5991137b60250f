//go:build unix

package command

import (
	"os/exec"
	"syscall"
)

func terminate(cmd *exec.Cmd) error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
