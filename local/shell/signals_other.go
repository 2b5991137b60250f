//go:build !unix

package shell

import "syscall"

func signalByName(name string) (syscall.Signal, bool) {
	s, ok := map[string]syscall.Signal{"INT": syscall.SIGINT, "KILL": syscall.SIGKILL, "TERM": syscall.SIGTERM, "0": 0}[name]
	return s, ok
}

func harmless(syscall.Signal) bool { return false }
func stops(syscall.Signal) bool    { return false }
