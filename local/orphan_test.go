//go:build unix

package local

import (
	"os/exec"
	"syscall"
)

// startOrphan starts a process that nobody waits for, in a session of its own.
func startOrphan() error {
	cmd := exec.Command("/bin/sleep", "1000000")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd.Start()
}
