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
