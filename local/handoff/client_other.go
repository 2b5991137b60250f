//go:build !unix

package handoff

import (
	"context"
	"errors"
	"net"
)

// Client exists on systems with unix sockets only.
type Client struct{}

// NewClient says that this system has no embedded machines.
func NewClient(uintptr) (*Client, error) { return nil, errors.ErrUnsupported }

// Listen is never called.
func (*Client) Listen(context.Context, string, string) (net.Listener, error) {
	return nil, errors.ErrUnsupported
}

// Close is never called.
func (*Client) Close() error { return nil }
