package labtest

import (
	"net/netip"
	"testing"

	"github.com/mesoslab/lab"
)

func TestMemProvider(t *testing.T) {
	TestProvider(t, func(t *testing.T) (lab.Provider, lab.Plan) {
		return NewMemProvider(NewNetwork()), lab.Plan{Dir: t.TempDir(), ID: "00000001", Nodes: []lab.Node{
			{Name: "node1", Role: lab.RoleMaster, IP: netip.MustParseAddr("127.200.1.1")},
			{Name: "node2", Role: lab.RoleSlave, IP: netip.MustParseAddr("127.200.1.2")},
		}}
	})
}

func TestSubnetsAreNeverShared(t *testing.T) {
	seen := map[string]bool{}
	for range 20 {
		s := Subnet(t)
		if p, err := netip.ParsePrefix(s); err != nil || p.Bits() != 24 || !p.Addr().IsLoopback() || seen[s] {
			t.Fatalf("subnet %q, %v, seen before: %v", s, err, seen[s])
		}
		seen[s] = true
	}
}
