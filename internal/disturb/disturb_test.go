package disturb

import (
	"net/netip"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab/internal/labtest"
)

func TestDisturbScript(t *testing.T) {
	a, b := netip.MustParseAddr("192.168.59.1"), netip.MustParseAddr("192.168.59.3")
	for _, c := range []struct {
		name      string
		peers     []Peer
		has, lack []string
	}{
		{"nothing wrong", nil, []string{"$m -X LAB-CUT", "tc qdisc del"}, []string{"iptables-restore", "tc qdisc add"}},
		{"cut from two", []Peer{{IP: a, Cut: true}, {IP: b, Cut: true}},
			[]string{":LAB-CUT - [0:0]\n-A LAB-CUT -s 192.168.59.1 -j DROP\n-A LAB-CUT -d 192.168.59.1 -j DROP\n-A LAB-CUT -s 192.168.59.3 -j DROP\n", "for c in PREROUTING POSTROUTING; do $m -C"},
			[]string{"-X LAB-CUT", "tc qdisc add"}},
		{"slow", []Peer{{IP: a, Delay: 200 * time.Millisecond, Jitter: 50 * time.Millisecond}, {IP: b, Loss: 0.05}},
			[]string{"-X LAB-CUT", "prio bands 3 ", "parent 7ab:2 netem limit 10000 delay 200000us 50000us |", "match ip dst 192.168.59.1/32 flowid 7ab:2",
				"parent 7ab:3 netem limit 10000 loss 5% |", "match ip dst 192.168.59.3/32 flowid 7ab:3"},
			[]string{"iptables-restore"}},
	} {
		got := Script(c.peers)
		for _, w := range c.has {
			if !strings.Contains(got, w) {
				t.Errorf("%s: lacks %q:\n%s", c.name, w, got)
			}
		}
		for _, w := range c.lack {
			if strings.Contains(got, w) {
				t.Errorf("%s: has %q:\n%s", c.name, w, got)
			}
		}
		if out, err := exec.Command("sh", "-n", "-c", got).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", c.name, err, out)
		}
	}
}

// TestCutInNamespaces runs the scripts in network namespaces of its own: two
// machines and one between which packets pass or do not.
func TestCutInNamespaces(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("Linux machines only")
	}
	for _, p := range []string{"ip", "iptables", "iptables-restore", "tc", "bash", "timeout"} {
		labtest.NeedProgram(t, p)
	}
	if out, err := exec.Command("id", "-u").Output(); err != nil || strings.TrimSpace(string(out)) != "0" {
		labtest.Missing(t, "only root makes network namespaces")
	}
	sh := func(script string) error {
		out, err := exec.Command("sh", "-c", script).CombinedOutput()
		if err != nil {
			t.Logf("%s: %v: %s", script, err, out)
		}
		return err
	}
	t.Cleanup(func() { sh("for n in a b c h; do ip netns del labt-$n 2>/dev/null; done; true") })
	if sh(`set -e; for n in a b c h; do ip netns add labt-$n; ip -n labt-$n link set lo up; done
ip -n labt-h link add br0 type bridge; ip -n labt-h link set br0 up; i=1
for n in a b c; do ip -n labt-$n link add eth0 type veth peer name $n netns labt-h; ip -n labt-h link set dev $n up master br0
ip -n labt-$n addr add 10.77.0.$i/24 dev eth0; ip -n labt-$n link set eth0 up; i=$((i+1)); done`) != nil {
		labtest.Missing(t, "network namespaces cannot be made here")
	}
	reaches := func(from, to string) bool {
		// Whoever is reached refuses: nobody listens there.
		out, err := exec.Command("ip", "netns", "exec", "labt-"+from, "timeout", "1", "bash", "-c", "echo > /dev/tcp/10.77.0."+to+"/7").CombinedOutput()
		return err != nil && strings.Contains(string(out), "refused")
	}
	disturb := func(on string, peers []Peer) {
		t.Helper()
		if out, err := exec.Command("ip", "netns", "exec", "labt-"+on, "sh", "-c", Script(peers)).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	if !reaches("a", "2") {
		t.Fatal("the namespaces do not reach each other")
	}
	cut := []Peer{{IP: netip.MustParseAddr("10.77.0.2"), Cut: true}}
	for range 2 { // again is no error
		disturb("a", cut)
		if reaches("a", "2") || reaches("b", "1") {
			t.Error("packets pass a cut")
		}
		if !reaches("a", "3") || !reaches("c", "1") {
			t.Error("the machine that is not cut off is not reached")
		}
	}
	disturb("a", append(cut, Peer{IP: netip.MustParseAddr("10.77.0.3"), Cut: true}))
	if reaches("a", "3") || reaches("b", "1") {
		t.Error("packets pass a cut from two")
	}
	for range 2 {
		disturb("a", nil)
		if !reaches("a", "2") || !reaches("c", "1") {
			t.Error("not mended")
		}
	}
	if out, err := exec.Command("ip", "netns", "exec", "labt-a", "iptables", "-w", "-t", "mangle", "-S").Output(); err != nil || strings.Contains(string(out), "LAB") {
		t.Errorf("left: %s, %v", out, err)
	}
}
