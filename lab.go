// Package lab holds the words that every room of the program shares: Spec
// (the wanted lab), Node (one wanted machine), Machine (one that exists),
// Provider (who makes machines), Event and Report (how libraries speak),
// Error (what people read when something fails) and Until (the one way to
// wait).
//
// A lab is the platform of the article "mesos-marathon-platform": three
// machines, Docker on tcp/2375, ZooKeeper, Mesos, Marathon and Marathon-LB on
// the first, a Mesos slave on each of the others. Data flows one way:
//
//	flags + lab.yaml → Spec → Provider.Up → []Machine → provision → stack → scenarios
//
// The package does almost no I/O and knows no provider, no output and no
// environment variable; those belong to the rooms that import it.
package lab

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Role is what a machine does in the cluster, in the article's words.
type Role string

// The two roles of the article.
const (
	RoleMaster Role = "master"
	RoleSlave  Role = "slave"
)

// Node is one wanted machine.
type Node struct {
	Name      string     `json:"name"` // node1 … nodeN
	Role      Role       `json:"role"`
	IP        netip.Addr `json:"ip"`
	CPUs      int        `json:"cpus"`
	MemoryMiB int64      `json:"memory_mib"`
	DiskMiB   int64      `json:"disk_mib"`
}

// SSHEndpoint says how a machine is reached. Key and HostKey are what the
// SSH protocol calls a private key (PEM) and a public host key
// (authorized_keys line); both are pinned by the provider that made them.
type SSHEndpoint struct {
	Addr    string `json:"addr"` // host:port
	User    string `json:"user"`
	KeyFile string `json:"key_file"`
	HostKey string `json:"host_key"`
}

// Machine is one machine that exists and is on.
type Machine struct {
	Node
	SSH SSHEndpoint `json:"ssh"`
}

// Alias returns the article's word for the node: "master" or "slave1",
// "slave2" in the order of their numbers.
func (n Node) Alias() string {
	if n.Role == RoleMaster {
		return "master"
	}
	i, err := strconv.Atoi(strings.TrimPrefix(n.Name, "node"))
	if err != nil {
		return n.Name
	}
	return "slave" + strconv.Itoa(i-1)
}

// FindNodes returns the nodes that are named, as FindNode finds them; nil names
// mean all.
func FindNodes(nodes []Node, names []string) ([]Node, error) {
	if names == nil {
		return nodes, nil
	}
	var found []Node
	for _, name := range names {
		n, err := FindNode(nodes, name)
		if err != nil {
			return nil, err
		}
		found = append(found, n)
	}
	return found, nil
}

// FindNode returns the node that a person means by name: node2, slave1,
// master, or an IP address.
func FindNode(nodes []Node, name string) (Node, error) {
	i := slices.IndexFunc(nodes, func(n Node) bool {
		return name == n.Name || name == n.Alias() || name == n.IP.String()
	})
	if i >= 0 {
		return nodes[i], nil
	}
	var known []string
	for _, n := range nodes {
		known = append(known, n.Name)
	}
	for _, n := range nodes {
		known = append(known, n.Alias())
	}
	return Node{}, &Error{
		ID: "unknown-machine", Op: "find machine",
		Err:    fmt.Errorf("%w: no machine %q in this lab", ErrUsage, name),
		Advice: "machines are " + strings.Join(known, ", ") + DidYouMean(name, known),
	}
}

// Nodes returns the machines that the spec asks for. The subnet (or IPs) must
// be set: choosing one is the state folder's business.
func (s Spec) Nodes() ([]Node, error) {
	addrs, err := s.addresses()
	if err != nil {
		return nil, err
	}
	nodes := make([]Node, 0, len(addrs))
	for i, a := range addrs {
		n := Node{
			Name: "node" + strconv.Itoa(i+1), Role: RoleSlave, IP: a,
			CPUs: s.Machine.CPUs, MemoryMiB: s.Machine.Memory.MiB(), DiskMiB: s.Machine.Disk.MiB(),
		}
		if i == 0 {
			n.Role = RoleMaster
		}
		nodes = append(nodes, n)
	}
	return nodes, nil
}

func (s Spec) addresses() ([]netip.Addr, error) {
	want := s.Slaves + 1
	if len(s.IPs) > 0 {
		var out []netip.Addr
		for i, text := range s.IPs {
			a, err := netip.ParseAddr(text)
			if err != nil {
				return nil, fmt.Errorf("ips[%d]: %w", i, err)
			}
			out = append(out, a)
		}
		return out, nil
	}
	p, err := netip.ParsePrefix(s.Subnet)
	if err != nil {
		return nil, fmt.Errorf("subnet: %w", err)
	}
	a := p.Masked().Addr()
	var out []netip.Addr
	for range want {
		a = a.Next()
		out = append(out, a)
	}
	return out, nil
}
