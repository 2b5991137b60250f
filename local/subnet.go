//go:build unix

package local

import (
	"context"
	"net"
	"net/netip"
	"strconv"

	"github.com/mesoslab/lab"
)

// Pool implements lab.Pooler.
func (p *Provider) Pool(spec lab.Spec) []string {
	if !apart(spec) {
		return p.Features().Subnets
	}
	var out []string
	for third := 59; third <= 254; third++ {
		out = append(out, "192.168."+strconv.Itoa(third)+".0/24")
	}
	return out
}

// SubnetFree reports whether the master's ports can be had on the first
// address of a subnet: another lab of another state folder, or any program
// that listens everywhere, may have them.
//
// A private subnet is free where no route leads there.
func (p *Provider) SubnetFree(ctx context.Context, subnet string, ports lab.PortsSpec) bool {
	prefix, err := netip.ParsePrefix(subnet)
	if err != nil {
		return false
	}
	if !prefix.Addr().IsLoopback() {
		return p.unclaimed(prefix.Masked()) == nil
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
