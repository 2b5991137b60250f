package ports

import (
	"net"
	"net/netip"
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

// Bind opens a TCP socket of IPv4 as Quiet leaves one: it has its port, and the
// kernel refuses connections. One that net.Listen has opened has heard some
// before it can be made quiet, and those are reset.
func Bind(address netip.AddrPort) (*net.TCPListener, error) {
	l, err := bind(address)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: net.TCPAddrFromAddrPort(address), Err: err}
	}
	return l, nil
}

func bind(address netip.AddrPort) (*net.TCPListener, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	f := os.NewFile(uintptr(fd), "port "+address.String())
	defer f.Close() // the listener has a descriptor of its own
	// For the moment of binding: what is left of connections that have ended
	// (TIME_WAIT) is in nobody's way.
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return nil, os.NewSyscallError("setsockopt", err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: address.Addr().As4(), Port: int(address.Port())}); err != nil {
		return nil, os.NewSyscallError("bind", err)
	}
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 0); err != nil {
		return nil, os.NewSyscallError("setsockopt", err)
	}
	l, err := net.FileListener(f)
	if err != nil {
		return nil, err
	}
	return l.(*net.TCPListener), nil // of such a socket it is one
}
