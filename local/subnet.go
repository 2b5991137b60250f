//go:build unix

package local

import (
	"context"
	"net"
	"net/netip"
	"strconv"

	"github.com/mesoslab/lab"
)

// SubnetFree reports whether the master's ports can be had on the first
// address of a subnet: another lab of another state folder, or any program
// that listens everywhere, may have them.
func (p *Provider) SubnetFree(ctx context.Context, subnet string, ports lab.PortsSpec) bool {
	prefix, err := netip.ParsePrefix(subnet)
	if err != nil {
		return false
	}
	first := prefix.Masked().Addr().Next().String()
	for _, port := range ports.All() {
		var config net.ListenConfig
		l, err := config.Listen(ctx, "tcp", net.JoinHostPort(first, strconv.Itoa(port.Port)))
		if err != nil {
			return false
		}
		l.Close()
	}
	return true
}
