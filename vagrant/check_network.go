package vagrant

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/computer"
)

// hostNet is a network that a VM provider has made on this computer.
type hostNet struct {
	name   string
	device string       // its network interface; "" if the name is that, too
	at     netip.Prefix // this computer's own address in it; only the network, if first is set
	first  bool         // this computer takes the first address, whatever is asked for
	remove string       // the command that removes it
}

// prefixOf makes a prefix of an address and a mask, written as 255.255.255.0
// or 24.
func prefixOf(address, mask string) (netip.Prefix, error) {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Prefix{}, err
	}
	if bits, err := strconv.Atoi(mask); err == nil && bits > 0 && bits <= 32 {
		return netip.PrefixFrom(a, bits), nil
	}
	m := net.ParseIP(mask).To4()
	bits, size := net.IPMask(m).Size()
	if m == nil || size != 32 || bits == 0 {
		return netip.Prefix{}, fmt.Errorf("%q is no netmask", mask)
	}
	return netip.PrefixFrom(a, bits), nil
}

// hostNets lists the networks of the VM provider. Those of others are seen by
// their interfaces.
func (s *sight) hostNets(ctx context.Context, kind string) ([]hostNet, error) {
	switch kind {
	case "virtualbox":
		return s.hostOnlyNets(ctx)
	case "libvirt":
		return s.libvirtNets(ctx)
	}
	return nil, nil
}

// own is this computer's address in the network.
func (n hostNet) own() netip.Addr {
	if n.first {
		return n.at.Addr().Next()
	}
	return n.at.Addr()
}

// clash says why machines with these addresses cannot be beside what is
// there already, and what would remove it; "" if they can.
func (s *sight) clash(ctx context.Context, kind string, subnet netip.Prefix, nodes []lab.Node) (why, remove string, err error) {
	nets, err := s.hostNets(ctx, kind)
	blind := err != nil // their interfaces are still seen below
	device := map[string]bool{}
	for _, n := range nets {
		device[n.name], device[n.device] = true, true
		if !n.at.Overlaps(subnet) {
			continue
		}
		if n.at.Bits() != subnet.Bits() {
			return fmt.Sprintf("the %s network %s has %s", kind, n.name, n.at.Masked()), n.remove, nil
		}
		for _, node := range nodes {
			if node.IP == n.own() {
				return fmt.Sprintf("the %s network %s is in %s already, and in it this computer has %s, which is to be %s", kind, n.name, subnet, n.own(), node.Name), n.remove, nil
			}
		}
	}
	addrs, errA := s.Addresses()
	for _, a := range addrs {
		if device[a.Interface] || !a.Prefix.Masked().Overlaps(subnet) {
			continue
		}
		if a.Prefix.Bits() < subnet.Bits() && !subnet.Contains(a.Prefix.Addr()) {
			continue // a wide network around: the lab's own, narrower route wins
		}
		if isNode(nodes, a.Prefix.Addr()) || (a.Up && !(blind && ofVMs(a.Interface))) {
			return fmt.Sprintf("this computer has %s on %s", a.Prefix, a.Interface), "", nil
		}
	}
	routes, errR := s.Routes()
	for _, r := range routes {
		if r.Bits() >= subnet.Bits() && r.Overlaps(subnet) && !inNets(nets, r) {
			return fmt.Sprintf("this computer has a route to %s", r), "", nil
		}
	}
	if computer.IsMissing(err) {
		err = nil // told elsewhere, and no networks of it
	}
	return "", "", errors.Join(err, errA, errR)
}

// ofVMs reports whether an interface is called as VirtualBox and libvirt call
// theirs.
func ofVMs(name string) bool {
	return strings.HasPrefix(name, "vboxnet") || strings.HasPrefix(name, "virbr")
}

func isNode(nodes []lab.Node, a netip.Addr) bool {
	for _, n := range nodes {
		if n.IP == a {
			return true
		}
	}
	return false
}

func inNets(nets []hostNet, p netip.Prefix) bool {
	for _, n := range nets {
		if n.at.Overlaps(p) {
			return true
		}
	}
	return false
}

// addressesFree looks for networks that are in the lab's way. VirtualBox and
// libvirt take an existing network of the subnet as it is, whatever address
// the Vagrantfile wants for this computer: with that one being a machine's,
// the machine comes up and is never reached.
func (q *inquiry) addressesFree(ctx context.Context) []lab.Finding {
	const id = "subnet"
	if !q.subnet.IsValid() {
		return nil
	}
	why, remove, err := q.clash(ctx, q.kind, q.subnet, q.plan.Nodes)
	switch {
	case why != "":
		advice := "give the lab another subnet" + q.otherSubnet(ctx)
		if remove != "" {
			advice += ", or remove that network, if nobody needs it: " + remove
		}
		if q.subnet.String() == lab.ArticleSubnet && q.kind == "virtualbox" {
			advice += " (minikube's VirtualBox network is this very subnet)"
		}
		return []lab.Finding{computer.Stop("subnet-taken", advice, "%s is taken: %s", q.subnet, why)}
	case err != nil:
		return computer.Unseen(id, err)
	}
	found := []lab.Finding{computer.OK(id, "%s is free", q.subnet)}
	if q.firstIsHosts(ctx) {
		found = append(found, computer.Warn("host-only-first", "begin with the next address: --ips "+q.fromSecond(),
			"VirtualBox on macOS may give this computer the first address of its network, which is to be %s", q.plan.Nodes[0].Name))
	}
	return found
}

// firstIsHosts reports whether the VM provider has no key that moves this
// computer from the first address, and the first machine is to have it.
func (q *inquiry) firstIsHosts(ctx context.Context) bool {
	if q.kind != "virtualbox" || q.OS != "darwin" || !isNode(q.plan.Nodes, q.subnet.Addr().Next()) {
		return false
	}
	version, err := q.virtualBoxVersion(ctx)
	return err == nil && !version.before("7.0")
}

// fromSecond lists as many addresses as there are machines, without the first.
func (q *inquiry) fromSecond() string {
	a := q.subnet.Addr().Next()
	var all []string
	for range q.plan.Nodes {
		a = a.Next()
		all = append(all, a.String())
	}
	return strings.Join(all, ",")
}

// otherSubnet proposes one that is free.
func (q *inquiry) otherSubnet(ctx context.Context) string {
	for _, text := range subnets() {
		p := netip.MustParsePrefix(text)
		if why, _, err := q.clash(ctx, q.kind, p, firstTwo(p)); why == "" && err == nil {
			return " (--subnet " + text + ")"
		}
	}
	return ""
}

func firstTwo(p netip.Prefix) []lab.Node {
	a := p.Addr().Next()
	return []lab.Node{{Name: "node1", IP: a}, {Name: "node2", IP: a.Next()}}
}

// SubnetFree reports whether machines in a subnet would be in nobody's way.
// Ports do not matter: each machine has its own.
func (p *Provider) SubnetFree(ctx context.Context, subnet string, _ lab.PortsSpec) bool {
	want, err := netip.ParsePrefix(subnet)
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, readyWait)
	defer cancel()
	for _, kind := range []string{"virtualbox", "libvirt"} {
		// What could not be looked at is Vagrant's to say.
		if why, _, _ := p.sight.clash(ctx, kind, want.Masked(), firstTwo(want.Masked())); why != "" {
			return false
		}
	}
	return true
}

const readyWait = 900 * time.Millisecond
