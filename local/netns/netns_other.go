//go:build !linux

package netns

import (
	"context"
	"errors"
	"net/netip"
)

var errUnsupported = errors.New("only Linux has network namespaces")

// Supported says why there can be no namespaces here.
func Supported() error { return errUnsupported }

// Net is the network of one lab, which cannot be here.
type Net struct{ gateway netip.Addr }

// New describes the network of a lab.
func New(string, netip.Prefix) Net { return Net{} }

// Gateway is this computer's address in the network.
func (n Net) Gateway() netip.Addr { return n.gateway }

// Name is that of a machine's namespace.
func (n Net) Name(node string) string { return node }

// EnsureBridge fails.
func (n Net) EnsureBridge() error { return errUnsupported }

// Ensure fails.
func (n Net) Ensure(string, netip.Addr) error { return errUnsupported }

// Plug fails.
func (n Net) Plug(netip.Addr, bool) error { return errUnsupported }

// Exists reports that there is none.
func (n Net) Exists(string) bool { return false }

// HasBridge reports that there is none.
func (n Net) HasBridge() bool { return false }

// Enter fails.
func (n Net) Enter(string, func() error) error { return errUnsupported }

// Run fails.
func (n Net) Run(context.Context, string, string) error { return errUnsupported }

// Remove has nothing to remove.
func (n Net) Remove(string, netip.Addr) error { return nil }

// RemoveBridge has nothing to remove.
func (n Net) RemoveBridge() error { return nil }
