//go:build unix

package rig

import (
	"os/exec"
	"syscall"
)

// signalled is the shell's exit code after a signal: 128+n.
func signalled(exit *exec.ExitError) int {
	if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return -1
}
