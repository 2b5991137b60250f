package provision

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/mesoslab/lab"
)

func TestExposure(t *testing.T) {
	nodes := []lab.Node{
		{Name: "node1", Role: lab.RoleMaster, IP: netip.MustParseAddr("192.168.59.1")},
		{Name: "node2", Role: lab.RoleSlave, IP: netip.MustParseAddr("192.168.59.2")},
	}
	with := func(more ...string) map[string]Facts {
		facts := map[string]Facts{}
		for _, n := range nodes {
			f := Facts{Networks: []Network{{"eth1", netip.PrefixFrom(n.IP, 24)}}}
			for _, text := range more {
				node, prefix, _ := strings.Cut(text, " ")
				if node == n.Name || node == "*" {
					f.Networks = append(f.Networks, Network{"eth0", netip.MustParsePrefix(prefix)})
				}
			}
			facts[n.Name] = f
		}
		return facts
	}
	for _, tt := range []struct {
		name  string
		facts map[string]Facts
		says  []string
	}{
		{"only the lab's network", with(), nil},
		{"nothing known", map[string]Facts{}, nil},
		{"VirtualBox", with("* 10.0.2.15/24"), []string{"tcp/2375 has no password", "10.0.2.0/24 (all machines): the VM provider's address translation, nobody gets in"}},
		{"libvirt", with("node1 192.168.121.7/24", "node2 192.168.121.8/24"), []string{"192.168.121.0/24 (all machines): this computer and its other virtual machines"}},
		{"one machine in public", with("node2 203.0.113.5/28"), []string{"203.0.113.0/28 (node2): a public network"}},
		{"two, in order", with("* 10.0.2.15/24", "node1 10.1.0.9/16"), []string{"10.0.2.0/24 (all machines)", "; 10.1.0.0/16 (node1)", "docker.tcp: local"}},
	} {
		got := Exposure(nodes, tt.facts, 2375)
		if (got == "") != (len(tt.says) == 0) {
			t.Errorf("%s: %q", tt.name, got)
		}
		for _, part := range tt.says {
			if !strings.Contains(got, part) {
				t.Errorf("%s: %q does not say %q", tt.name, got, part)
			}
		}
	}
}
