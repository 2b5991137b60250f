//go:build unix

package local

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/disturb"
	"github.com/mesoslab/lab/local/netns"
)

// Machines of a lab whose spec says local.network: netns have a network of
// their own each (package netns) and with it the addresses of real machines.
// Everything else about them is as on loopback addresses.

const networkNamespaces = "netns"

// apart reports whether the lab's machines have namespaces.
func apart(spec lab.Spec) bool { return spec.Local.Network == networkNamespaces }

// network is the lab's, where it has one.
func (s site) network() (n netns.Net, ok bool) {
	if !apart(s.plan.Spec) {
		return n, false
	}
	return netns.New(s.plan.ID, netip.PrefixFrom(s.node.IP, subnetBits)), true
}

// subnetBits is the size of a lab's subnet: a /24.
const subnetBits = 24

// possible refuses namespaces where they cannot be, and where nobody has said
// that others may come in: whose a connection is can be seen on loopback only.
func possible(spec lab.Spec) error {
	if !apart(spec) {
		return nil
	}
	if err := netns.Supported(); err != nil {
		return &lab.Error{ID: "netns-impossible", Op: "plan machines", Err: fmt.Errorf("local.network: netns: %w", err), Advice: "run lab as root on Linux, or use local.network: loopback"}
	}
	if !spec.Local.AllowOtherUsers {
		return &lab.Error{ID: "netns-open", Op: "plan machines",
			Err:    fmt.Errorf("%w: every user of this computer can reach machines in network namespaces, and start tasks there as root", lab.ErrUsage),
			Advice: "say local.allow_other_users: true in lab.yaml if that is fine, or use local.network: loopback"}
	}
	return nil
}

// apartFits refuses addresses that are not for machines.
func (s site) apartFits() error {
	ip := s.node.IP
	wrong := ""
	switch {
	case !ip.Is4() || !ip.IsPrivate():
		wrong = "is not in a private network (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16)"
	case ip.As4()[3] == 0 || ip.As4()[3] > 253:
		wrong = "is no machine's: .0 and .255 are the network's, .254 is this computer's"
	default:
		for _, n := range s.plan.Nodes {
			if netip.PrefixFrom(n.IP, subnetBits).Masked() != netip.PrefixFrom(ip, subnetBits).Masked() {
				wrong = "is not in one /24 with " + n.IP.String()
			}
		}
	}
	if wrong == "" {
		return nil
	}
	return &lab.Error{ID: "subnet-unfit", Op: "plan machines", Machine: s.node.Name, Err: fmt.Errorf("%w: %s %s", lab.ErrUsage, ip, wrong),
		Advice: "leave subnet out, or take one like 192.168.59.0/24"}
}

// unclaimed refuses a subnet that leads elsewhere, as long as this lab has
// nothing there.
func (p *Provider) unclaimed(want netip.Prefix) error {
	routes, err := p.opts.Computer.Or().Routes()
	if err != nil {
		return fmt.Errorf("look at this computer's routes: %w", err)
	}
	for _, r := range routes {
		if r.Overlaps(want) {
			return &lab.Error{ID: "subnet-taken", Op: "make network", Err: fmt.Errorf("%s is taken: this computer has a route to %s", want, r),
				Advice: "choose another with --subnet, or leave subnet out and lab takes the next free one"}
		}
	}
	return nil
}

// connect makes a machine's namespace, and this computer's part of the network,
// and plugs the machine in.
func (s site) connect() error {
	n, ok := s.network()
	if !ok {
		return nil
	}
	err := n.EnsureBridge()
	if err == nil {
		err = n.Ensure(s.node.Name, s.node.IP)
	}
	if err != nil {
		return &lab.Error{ID: "network", Op: "connect the machine", Machine: s.node.Name, Err: err, Advice: "see ip link and ip netns on this computer; lab destroy removes what is there of it"}
	}
	return nil
}

// reconnect gives a machine that boots a new kernel's network: what was wrong
// with the old one is forgotten.
func (s site) reconnect() error {
	if err := s.disconnect(); err != nil {
		return err
	}
	return s.connect()
}

// plug plugs a machine in or out, where it has a cable.
func (s site) plug(in bool) error {
	n, ok := s.network()
	if !ok {
		return nil
	}
	if in {
		return s.connect()
	}
	return n.Plug(s.node.IP, false)
}

// within runs something where the machine's addresses are.
func (s site) within(do func() error) error {
	if n, ok := s.network(); ok {
		return n.Enter(s.node.Name, do)
	}
	return do()
}

// disconnect removes what connect has made.
func (s site) disconnect() error {
	n, ok := s.network()
	if !ok {
		return nil
	}
	return n.Remove(s.node.Name, s.node.IP)
}

// removeNetwork removes this computer's part of the network, after the last
// machine.
func removeNetwork(sites []site) error {
	if len(sites) == 0 {
		return nil
	}
	n, ok := sites[0].network()
	if !ok {
		return nil
	}
	return n.RemoveBridge()
}

// canDisturbApart asks the namespace of a machine, as it would be a machine.
func (s site) canDisturbApart(ctx context.Context, n netns.Net, d lab.Disturbance) error {
	script, what := disturb.CanCut, "cut"
	if !d.Cut {
		script, what = disturb.CanSlow, "slow"
	}
	var err error
	if peers := len(s.plan.Nodes) - 1; !d.Cut && peers > disturb.MostSlow {
		err = fmt.Errorf("at most %d machines can be slow for one", disturb.MostSlow)
	} else {
		err = n.Run(ctx, s.node.Name, script)
	}
	if err == nil {
		return nil
	}
	return &lab.Error{ID: "fault-unsupported", Op: what, Machine: s.node.Name, Err: fmt.Errorf("%w: %w", lab.ErrUsage, err),
		Advice: "this computer's kernel and programs must be able to: iptables, tc, the module sch_netem"}
}

// disturbApart tells each namespace what is wrong with its ways to others.
func disturbApart(ctx context.Context, sites []site, all []lab.Disturbance) error {
	return each(sites, func(_ int, s site) error {
		n, _ := s.network()
		if !n.Exists(s.node.Name) {
			return nil // a boot begins with a whole network
		}
		if err := n.Run(ctx, s.node.Name, disturb.Script(disturb.Towards(s.plan.Nodes, s.node.Name, all))); err != nil {
			return fmt.Errorf("%s: disturb the network: %w", s.node.Name, err)
		}
		return nil
	})
}
