package provision

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/mesoslab/lab"
)

func TestSetHosts(t *testing.T) {
	nodes := []lab.Node{
		{Name: "node1", Role: lab.RoleMaster, IP: netip.MustParseAddr("192.168.59.1")},
		{Name: "node2", Role: lab.RoleSlave, IP: netip.MustParseAddr("192.168.59.2")},
	}
	const ours = "# lab: begin, do not edit\n192.168.59.1 node1 master\n192.168.59.2 node2 slave1\n# lab: end\n"
	const local = "127.0.0.1 localhost\n::1 localhost ip6-localhost\n"
	for _, tt := range []struct{ name, old, want string }{
		{"fresh", local, ours + local},
		{"Debian's own name", local + "127.0.1.1\tnode1\n", ours + local + "# lab: not 127.0.1.1 node1\n"},
		{"Vagrant's own name", "127.0.2.1 node1 node1\n" + local, ours + "# lab: not 127.0.2.1 node1 node1\n" + local},
		{"one name of several", "127.0.1.1 node1.example.org node1 old # mine\n", ours + "127.0.1.1 node1.example.org old # mine\n"},
		{"beside localhost", "127.0.0.1 localhost node2 master\n::1 node1 x", ours + "127.0.0.1 localhost\n::1 x\n"},
		{"other loopback names stay as they are", "127.0.1.1   other\t# ü\n", ours + "127.0.1.1   other\t# ü\n"},
		{"its own address, by Docker", "192.168.59.1\tnode1\n", ours + "192.168.59.1\tnode1\n"},
		{"again", ours + local + "# lab: not 127.0.1.1 node1\n", ours + local + "# lab: not 127.0.1.1 node1\n"},
		{"other addresses", strings.ReplaceAll(ours, ".59.", ".60.") + local, ours + local},
		{"end marker lost", "# lab: begin, do not edit\n1.2.3.4 node1\n\n" + local, ours + "\n" + local},
		{"no file", "", ours},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := &fakeHost{files: map[string]string{}}
			if tt.old != "" {
				h.files[hostsPath] = tt.old
			}
			changed, err := SetHosts(t.Context(), h, nodes)
			if err != nil || h.files[hostsPath] != tt.want || changed != (tt.old != tt.want) {
				t.Errorf("changed %v, %v\n%s\nwant\n%s", changed, err, h.files[hostsPath], tt.want)
			}
			if changed, err := SetHosts(t.Context(), h, nodes); changed || err != nil {
				t.Errorf("the second call changed something: %v", err)
			}
		})
	}
}

// TestSetHostsOnLoopback: the addresses of embedded machines are loopback
// addresses, and theirs.
func TestSetHostsOnLoopback(t *testing.T) {
	nodes := []lab.Node{{Name: "node1", Role: lab.RoleMaster, IP: netip.MustParseAddr("127.168.59.1")}}
	h := &fakeHost{files: map[string]string{hostsPath: "127.168.59.1 node1\n127.0.1.1 node1\n"}}
	if _, err := SetHosts(t.Context(), h, nodes); err != nil {
		t.Fatal(err)
	}
	if got := h.files[hostsPath]; !strings.Contains(got, "\n127.168.59.1 node1\n") || !strings.Contains(got, "# lab: not 127.0.1.1") {
		t.Errorf("/etc/hosts is\n%s", got)
	}
}

// FuzzHostsFile: what stood there and does not name a machine stays, and a
// second pass changes nothing.
func FuzzHostsFile(f *testing.F) {
	f.Add("127.0.0.1 localhost\n127.0.1.1 node1\n")
	f.Add(hostsBegin + "\nx\n\n" + hostsEnd)
	f.Add("::1 node1 #\r\n#\n1")
	nodes := []lab.Node{{Name: "node1", Role: lab.RoleMaster, IP: netip.MustParseAddr("192.168.59.1")}}
	f.Fuzz(func(t *testing.T, old string) {
		once := hostsFile([]byte(old), nodes)
		if twice := hostsFile(once, nodes); string(once) != string(twice) {
			t.Errorf("once\n%q\ntwice\n%q", once, twice)
		}
		if !strings.HasPrefix(string(once), hostsBegin+"\n192.168.59.1 node1 master\n"+hostsEnd+"\n") {
			t.Errorf("our lines do not stand first: %q", once)
		}
	})
}
