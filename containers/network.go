package containers

import (
	"context"
	"fmt"
	"net/netip"
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
