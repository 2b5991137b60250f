package ports

import (
	"os"
	"syscall"
)

// backlog is how many connections may wait for the program; the kernel caps it.
const backlog = 4096

// Quiet lets the kernel refuse connections to a listening socket, which keeps
// its port: Linux ends the listening of one whose reading side is shut down
// (net/ipv4/af_inet.c, inet_shutdown). The port must have been asked for by its
// number, else the kernel takes it back. Without SO_REUSEADDR nobody else can
// listen there meanwhile. False takes that back.
func Quiet(conn syscall.Conn, quiet bool) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		reuse := 1
		if quiet {
			reuse = 0
		}
		if failed = os.NewSyscallError("setsockopt", syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, reuse)); failed != nil {
			return
		}
		if quiet {
			failed = os.NewSyscallError("shutdown", syscall.Shutdown(int(fd), syscall.SHUT_RD))
		} else {
			failed = os.NewSyscallError("listen", syscall.Listen(int(fd), backlog))
		}
	})
	if err != nil {
		return err
	}
	return failed
}
