//go:build !linux

package ports

import (
	"errors"
	"syscall"
)

// Quiet is Linux' only.
func Quiet(syscall.Conn, bool) error { return errors.ErrUnsupported }
