//go:build !linux

package ports

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
)

// Quiet is Linux' only.
func Quiet(syscall.Conn, bool) error { return errors.ErrUnsupported }

// Bind is Linux' only.
func Bind(netip.AddrPort) (*net.TCPListener, error) { return nil, errors.ErrUnsupported }
