//go:build unix && !linux

package machine

import (
	"errors"
	"os/exec"
	"syscall"
)

func setProcessAttributes(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}

func adopt() error { return nil }

func killWhenClosed(int) error { return errors.ErrUnsupported }
