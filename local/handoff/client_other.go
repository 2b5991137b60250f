//go:build !unix

package handoff

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/mesoslab/lab/internal/proctab"
)

// Client exists on systems with unix sockets only.
type Client struct{}

// NewClient says that this system has no embedded machines.
func NewClient(uintptr) (*Client, error) { return nil, errors.ErrUnsupported }

// Listen is never called.
func (*Client) Listen(context.Context, string, string) (net.Listener, error) {
	return nil, errors.ErrUnsupported
}

// Start is never called.
func (*Client) Start(context.Context, string, string) (proctab.ID, error) {
	return proctab.ID{}, errors.ErrUnsupported
}

// Wait is never called.
func (*Client) Wait(context.Context, proctab.ID) error { return errors.ErrUnsupported }

// Stop is never called.
func (*Client) Stop(context.Context, proctab.ID, time.Duration) error { return errors.ErrUnsupported }

// Close is never called.
func (*Client) Close() error { return nil }
