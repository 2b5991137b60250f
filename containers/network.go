package containers

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/mesoslab/lab"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
)

// findNetwork reports whether the lab's network is there, and fails if
// something else has its addresses.
func (p *Provider) findNetwork(ctx context.Context, plan lab.Plan, want netip.Prefix) (bool, error) {
	list, err := p.engine.NetworkList(ctx, client.NetworkListOptions{})
	if err != nil {
		return false, fmt.Errorf("list the engine's networks: %w", err)
	}
	for _, n := range list.Items {
		mine := n.Labels[labelName] == owner(plan)
		if n.Name == networkName(plan) && !mine {
			return false, nameTaken("network", n.Name)
		}
		for _, c := range n.IPAM.Config {
			if mine && c.Subnet == want {
				return true, nil
			}
			if c.Subnet.Overlaps(want) {
				return false, subnetTaken(want, "Docker's network "+n.Name+" has "+c.Subnet.String())
			}
		}
		if mine {
			return false, subnetTaken(want, "this lab's network "+n.Name+" was made with other addresses; destroy the lab first")
		}
	}
	routes, err := p.routes()
	if err != nil {
		return false, fmt.Errorf("list this computer's routes: %w", err)
	}
	for _, r := range routes {
		if r.Overlaps(want) {
			return false, subnetTaken(want, "this computer has a route to "+r.String())
		}
	}
	return false, nil
}

func subnetTaken(want netip.Prefix, why string) error {
	return &lab.Error{ID: "subnet-taken", Op: "make network", Err: fmt.Errorf("%s is taken: %s", want, why),
		Advice: "choose another with --subnet, or leave subnet out and lab takes the next free one"}
}

func nameTaken(kind, name string) error {
	return &lab.Error{ID: "name-taken", Op: "look at the engine", Err: fmt.Errorf("a %s named %s is there and is not this lab's", kind, name),
		Advice: "remove it (docker " + kind + " rm " + name + "), or give the lab another name"}
}

func (p *Provider) createNetwork(ctx context.Context, plan lab.Plan, want netip.Prefix) error {
	return plan.Report.Step("create", "", "network", func(func(string)) error {
		_, err := p.engine.NetworkCreate(ctx, networkName(plan), client.NetworkCreateOptions{
			Driver: "bridge",
			IPAM:   &network.IPAM{Driver: "default", Config: []network.IPAMConfig{{Subnet: want, Gateway: gateway(want)}}},
			Labels: map[string]string{labelName: owner(plan)},
		})
		switch {
		case err == nil || errdefs.IsConflict(err) || errdefs.IsAlreadyExists(err):
			return nil // a conflict is our own name, made by somebody who was interrupted just now
		case strings.Contains(err.Error(), "overlap"):
			return subnetTaken(want, err.Error())
		}
		return fmt.Errorf("make network %s: %w", networkName(plan), err)
	})
}

// SubnetFree reports whether no network of the engine and no route of this
// computer has addresses of the subnet. Ports do not matter: each machine has
// its own.
func (p *Provider) SubnetFree(ctx context.Context, subnet string, _ lab.PortsSpec) bool {
	want, err := netip.ParsePrefix(subnet)
	if err != nil || p.reach(ctx) != nil {
		return false
	}
	found, err := p.findNetwork(ctx, lab.Plan{ID: "none"}, want.Masked())
	return err == nil && !found
}

// localRoutes asks the system: the networks of its interfaces and, on Linux,
// the main routing table.
func localRoutes() ([]netip.Prefix, error) {
	var out []netip.Prefix
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() {
			out = append(out, p.Masked())
		}
	}
	table, err := os.ReadFile("/proc/net/route")
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	} else if err != nil {
		return nil, err
	}
	return append(out, parseRoutes(table)...), nil
}

// parseRoutes reads /proc/net/route (proc(5)): destination and mask are hex in
// the byte order of little-endian computers. Default routes are left out, and
// so are lines that say something else.
func parseRoutes(table []byte) []netip.Prefix {
	var out []netip.Prefix
	lines := bufio.NewScanner(bytes.NewReader(table))
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 8 {
			continue
		}
		dest, err1 := hex.DecodeString(f[1])
		mask, err2 := hex.DecodeString(f[7])
		if err1 != nil || err2 != nil || len(dest) != 4 || len(mask) != 4 {
			continue
		}
		var d, m [4]byte
		binary.BigEndian.PutUint32(d[:], binary.LittleEndian.Uint32(dest))
		binary.BigEndian.PutUint32(m[:], binary.LittleEndian.Uint32(mask))
		bits, size := net.IPMask(m[:]).Size()
		if size == 32 && bits > 0 {
			out = append(out, netip.PrefixFrom(netip.AddrFrom4(d), bits).Masked())
		}
	}
	return out
}
