//go:build !unix

package engine

import "syscall"

// localSignal is this system's signal for Linux' number.
func localSignal(linux int) syscall.Signal { return syscall.Signal(linux) }
