package containers

import (
	"net/netip"
	"testing"

	"github.com/mesoslab/lab"
)

func TestSubnets(t *testing.T) {
	for name, c := range map[string]struct {
		networks, routes string
		free             bool
	}{
		"nothing there":                {free: true},
		"others beside":                {networks: "192.168.60.0/24", routes: "10.0.0.0/8", free: true},
		"a network has it":             {networks: "192.168.59.0/24"},
		"a larger network holds it":    {networks: "192.168.0.0/16"},
		"a smaller network lies in it": {networks: "192.168.59.128/25"},
		"a route leads there":          {routes: "192.168.0.0/16"},
	} {
		e := newFakeEngine()
		p := newFake(e)
		if c.networks != "" {
			e.networks["stranger"] = &fakeNetwork{id: "x", subnet: netip.MustParsePrefix(c.networks)}
		}
		p.routes = func() ([]netip.Prefix, error) {
			if c.routes == "" {
				return nil, nil
			}
			return []netip.Prefix{netip.MustParsePrefix(c.routes)}, nil
		}
		if free := p.SubnetFree(t.Context(), "192.168.59.0/24", lab.PortsSpec{}); free != c.free {
			t.Errorf("%s: free %v, want %v", name, free, c.free)
		}
		_, err := p.Up(t.Context(), fakePlan(t, 1))
		if want := map[bool]string{true: "", false: "subnet-taken"}[c.free]; lab.ErrorID(err) != want {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
		if !c.free && len(e.calls) > 0 {
			t.Errorf("%s: %q was done", name, e.calls)
		}
	}
	p := newFake(newFakeEngine())
	if p.SubnetFree(t.Context(), "nonsense", lab.PortsSpec{}) {
		t.Error("nonsense is free")
	}
}

// TestOwnNetworkOfOtherAddresses: ips of the spec were edited under a lab.
func TestOwnNetworkOfOtherAddresses(t *testing.T) {
	e := newFakeEngine()
	p, plan := newFake(e), fakePlan(t, 1)
	if _, err := p.Up(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	plan.Nodes[0].IP = netip.MustParseAddr("192.168.61.1")
	if _, err := p.Up(t.Context(), plan); lab.ErrorID(err) != "subnet-taken" {
		t.Errorf("%v, want subnet-taken", err)
	}
}
