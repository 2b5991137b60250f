package handoff

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// latePort lets the kernel choose the port when it knows the destination;
// else all connections from one address share one small range of ports.
func latePort(_, _ string, c syscall.RawConn) error {
	// Where the kernel does not know the option, connections still work.
	return c.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	})
}
