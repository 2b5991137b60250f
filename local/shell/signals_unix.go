//go:build unix

package shell

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// signalByName knows names without SIG; "0" is the signal that only asks.
func signalByName(name string) (syscall.Signal, bool) {
	s := unix.SignalNum("SIG" + name)
	return s, s != 0 || name == "0"
}

// harmless signals end no process that does not handle them; stops reports
// those that stop one.
func harmless(s syscall.Signal) bool {
	return s == syscall.SIGCONT || s == syscall.SIGCHLD || s == syscall.SIGWINCH || s == syscall.SIGURG
}

func stops(s syscall.Signal) bool {
	return s == syscall.SIGSTOP || s == syscall.SIGTSTP || s == syscall.SIGTTIN || s == syscall.SIGTTOU
}
