//go:build unix

package handoff

import (
	"fmt"
	"net"
	"os"
	"syscall"
)

// Pair makes a socketpair: the machine's end, and the child's as a file for
// exec.Cmd.ExtraFiles. Close the file once the child runs.
func Pair() (machine *net.UnixConn, child *os.File, err error) {
	syscall.ForkLock.RLock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, fmt.Errorf("handoff: socketpair: %w", err)
	}
	own := os.NewFile(uintptr(fds[0]), "handoff")
	child = os.NewFile(uintptr(fds[1]), "handoff of child")
	conn, err := net.FileConn(own)
	own.Close()
	if err != nil {
		child.Close()
		return nil, nil, fmt.Errorf("handoff: socketpair: %w", err)
	}
	return conn.(*net.UnixConn), child, nil
}
