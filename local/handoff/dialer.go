package handoff

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Hosts are the names of a lab's machines and their addresses.
type Hosts map[string]string

// ParseHosts reads node1=127.168.59.1,node2=… Entries that are no such pair
// are left out.
func ParseHosts(text string) Hosts {
	h := Hosts{}
	for pair := range strings.SplitSeq(text, ",") {
		name, ip, ok := strings.Cut(strings.TrimSpace(pair), "=")
		if a, err := netip.ParseAddr(ip); ok && name != "" && err == nil {
			h[name] = a.String()
		}
	}
	return h
}

func (h Hosts) String() string {
	var pairs []string
	for name, ip := range h {
		pairs = append(pairs, name+"="+ip)
	}
	slices.Sort(pairs)
	return strings.Join(pairs, ",")
}

// Names lists the names in order.
func (h Hosts) Names() []string {
	var names []string
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Resolve returns the address that a machine with the address own means by
// host: its loopback is its own address, names are the lab's.
func (h Hosts) Resolve(own, host string) (netip.Addr, error) {
	if host == "" || host == "localhost" {
		host = own
	}
	if ip, ok := h[host]; ok {
		host = ip
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}, &net.DNSError{Err: "no machine of this lab has that name", Name: host, IsNotFound: true}
	}
	a = a.Unmap()
	if a == netip.AddrFrom4([4]byte{127, 0, 0, 1}) || a == netip.IPv6Loopback() || a.IsUnspecified() {
		return netip.ParseAddr(own)
	}
	return a, nil
}

// Dialer returns a dial function for a process of the machine with this
// address. TCP connections come from that address; names are the lab's, and
// localhost is the machine itself. An absolute path of a unix socket is taken
// relative to the working directory, which is the process's "/": paths of
// sockets may have 108 bytes only.
func Dialer(ip string, hosts Hosts) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if strings.HasPrefix(network, "unix") {
			var d net.Dialer
			return d.DialContext(ctx, network, strings.TrimLeft(address, "/"))
		}
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, fmt.Errorf("dial %s: %w", address, err)
		}
		to, err := hosts.Resolve(ip, host)
		if err != nil {
			return nil, fmt.Errorf("dial %s: %w", address, err)
		}
		from := net.ParseIP(ip)
		if from == nil {
			return nil, fmt.Errorf("dial %s: %q is no address to come from", address, ip)
		}
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: from}, Control: latePort, KeepAlive: 15 * time.Second}
		return d.DialContext(ctx, network, net.JoinHostPort(to.String(), port))
	}
}
