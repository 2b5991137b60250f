//go:build unix

package engine

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// localSignal is this system's signal for Linux' number.
func localSignal(linux int) syscall.Signal {
	for name, n := range linuxSignals {
		if n == linux {
			if s := unix.SignalNum("SIG" + name); s != 0 {
				return s
			}
		}
	}
	return syscall.Signal(linux)
}
