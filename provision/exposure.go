package provision

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/mesoslab/lab"
)

// natNetwork is where VirtualBox (and qemu's user network) put each machine
// behind an address translation of its own.
var natNetwork = netip.MustParsePrefix("10.0.2.0/24")

// Exposure says in words for people who else reaches an engine that listens on
// all addresses of its machine, or "" where the machines have no networks but
// the lab's. Machines are told apart by what they have, not one by one.
func Exposure(nodes []lab.Node, facts map[string]Facts, port int) string {
	own := map[netip.Addr]bool{}
	for _, n := range nodes {
		own[n.IP] = true
	}
	who := map[netip.Prefix][]string{} // network → machines
	for _, n := range nodes {
		for _, net := range facts[n.Name].Networks {
			p := net.Address.Masked()
			if own[net.Address.Addr()] || slices.ContainsFunc(nodes, func(n lab.Node) bool { return p.Contains(n.IP) }) {
				continue // the lab's network
			}
			if !slices.Contains(who[p], n.Name) {
				who[p] = append(who[p], n.Name)
			}
		}
	}
	var parts []string
	for p, names := range who {
		where := strings.Join(names, ", ")
		if len(names) == len(nodes) {
			where = "all machines"
		}
		parts = append(parts, fmt.Sprintf("%s (%s): %s", p, where, reach(p)))
	}
	if len(parts) == 0 {
		return ""
	}
	slices.Sort(parts)
	return fmt.Sprintf("Docker on tcp/%d has no password: whoever reaches it is root on the machine. Besides the lab's, the machines are on %s. "+
		"docker.tcp: local closes the port to all of them.", port, strings.Join(parts, "; "))
}

// reach says who is on a network.
func reach(p netip.Prefix) string {
	switch a := p.Addr(); {
	case p == natNetwork:
		return "the VM provider's address translation, nobody gets in unless a port is forwarded"
	case a.IsPrivate(), a.IsLinkLocalUnicast():
		return "this computer and its other virtual machines get in, and everybody on your network if it is bridged there"
	}
	return "a public network, perhaps the whole Internet gets in"
}
