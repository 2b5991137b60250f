//go:build !linux

package silence

import (
	"errors"
	"syscall"
)

// Supported is the answer of systems without socket filters.
func Supported() error { return errors.ErrUnsupported }

// Socket is not supported here.
func (List) Socket(syscall.Conn) error { return errors.ErrUnsupported }

// Sockets remembers nothing here.
type Sockets struct{}

// NewSockets returns an empty one.
func NewSockets(List) *Sockets { return &Sockets{} }

// Process is not supported here.
func (*Sockets) Process(int) error { return errors.ErrUnsupported }

// Deaf is nothing here.
type Deaf struct{}

// Deafen is not supported here.
func Deafen([]int) (*Deaf, error) { return nil, errors.ErrUnsupported }

// Restore has nothing to do here.
func (*Deaf) Restore(List) error { return nil }
