package state

import (
	"fmt"
	"net/netip"

	"github.com/mesoslab/lab"
)

// Allocate makes the record of a new lab and, where spec names no address,
// gives it the first subnet of pool that no other lab has and that free
// accepts. It runs under one lock for all labs of this store.
func (s Store) Allocate(spec lab.Spec, provider string, pool []string, free func(subnet string) bool) (l *Lab, err error) {
	return s.AllocateIf(spec, provider, pool, free, func(lab.Spec) error { return nil })
}

// AllocateIf is Allocate that asks admit, with the addresses in spec, before
// anything is written.
func (s Store) AllocateIf(spec lab.Spec, provider string, pool []string, free func(subnet string) bool, admit func(lab.Spec) error) (l *Lab, err error) {
	err = s.withSubnets(func() error {
		labs, err := s.Labs()
		if err != nil {
			return err
		}
		if spec.Subnet == "" && len(spec.IPs) == 0 {
			if spec.Subnet, err = choose(pool, labs, free); err != nil {
				return err
			}
		} else if err := collision(spec, labs); err != nil {
			return err
		}
		if err := admit(spec); err != nil {
			return err
		}
		l, err = s.New(spec, provider)
		return err
	})
	return l, err
}

// Propose says which subnet Allocate would choose now, or returns its error.
func (s Store) Propose(pool []string, free func(subnet string) bool) (string, error) {
	labs, err := s.Labs()
	if err != nil {
		return "", err
	}
	return choose(pool, labs, free)
}

// Collision is the error with which Allocate would refuse the addresses of
// spec, which belong to another lab.
func (s Store) Collision(spec lab.Spec) error {
	labs, err := s.Labs()
	if err != nil {
		return err
	}
	return collision(spec, labs)
}

func choose(pool []string, labs []*Lab, free func(string) bool) (string, error) {
	for _, subnet := range pool {
		if holder(netip.MustParsePrefix(subnet), labs) == nil && free(subnet) {
			return subnet, nil
		}
	}
	return "", &lab.Error{
		ID: "subnet-exhausted", Op: "choose a subnet",
		Err:    fmt.Errorf("all %d networks from %s to %s are taken", len(pool), pool[0], pool[len(pool)-1]),
		Advice: "lab list shows the labs; destroy one, or give --subnet",
	}
}

// collision refuses addresses that another lab has.
func collision(spec lab.Spec, labs []*Lab) error {
	nodes, err := spec.Nodes()
	if err != nil {
		return fmt.Errorf("%w: %w", lab.ErrUsage, err)
	}
	for _, n := range nodes {
		if other := holder(netip.PrefixFrom(n.IP, 32), labs); other != nil && other.Spec.Name != spec.Name {
			return &lab.Error{
				ID: "subnet-taken", Op: "choose addresses",
				Err:    fmt.Errorf("%w: %s belongs to lab %s", lab.ErrUsage, n.IP, other.Spec.Name),
				Advice: "leave subnet empty to get a free one, or destroy the other lab: lab destroy --name " + other.Spec.Name,
			}
		}
	}
	return nil
}

// holder returns the lab that has a machine in p.
func holder(p netip.Prefix, labs []*Lab) *Lab {
	for _, l := range labs {
		if own, err := netip.ParsePrefix(l.Spec.Subnet); err == nil && own.Overlaps(p) {
			return l
		}
		for _, ip := range l.Spec.IPs {
			if a, err := netip.ParseAddr(ip); err == nil && p.Contains(a) {
				return l
			}
		}
	}
	return nil
}
