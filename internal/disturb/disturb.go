// Package disturb writes the scripts that break the network of a Linux system
// towards other machines, and mend it: packets to and from a machine are
// dropped by a chain of lab's own in iptables' table mangle, which every
// machine with Docker has and which comes before Docker's own rules; what is
// sent is delayed and lost by netem below a queue of lab's own. Both are
// removed whole.
//
// It owns the words of the scripts. Where they run (over SSH, or in a network
// namespace) is its callers' business.
package disturb

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/mesoslab/lab"
)

// Peer is what is wrong with the way to one address.
type Peer struct {
	IP            netip.Addr
	Cut           bool
	Delay, Jitter time.Duration
	Loss          float64 // 0 … 1
}

// Towards merges what is wrong for one machine, by peer. A cut is made on both
// sides.
func Towards(nodes []lab.Node, node string, all []lab.Disturbance) []Peer {
	var out []Peer
	for _, n := range nodes {
		p := Peer{IP: n.IP}
		for _, d := range all {
			forward := d.Node == node && d.Peer == n.Name
			p.Cut = p.Cut || d.Cut && (forward || d.Peer == node && d.Node == n.Name)
			if forward && !d.Cut {
				p.Delay, p.Jitter, p.Loss = max(p.Delay, d.Delay), max(p.Jitter, d.Jitter), max(p.Loss, d.Loss)
			}
		}
		if p.Cut || p.Delay > 0 || p.Loss > 0 {
			out = append(out, p)
		}
	}
	return out
}

const networkHead = `PATH=$PATH:/usr/sbin:/sbin
s='sudo -n'; [ "$(id -u)" = 0 ] && s=
m="$s iptables -w -t mangle"
`

// mendCut removes our chain and the ways into it.
const mendCut = `for c in PREROUTING POSTROUTING; do while $m -D $c -j LAB-CUT 2>/dev/null; do :; done; done
$m -F LAB-CUT 2>/dev/null && $m -X LAB-CUT
`

// mendSlow removes our queue, wherever it is.
const mendSlow = `for d in $(tc qdisc show 2>/dev/null | sed -n 's/^qdisc prio 7ab: dev \([^ ]*\).*/\1/p'); do $s tc qdisc del dev "$d" root || exit 1; done
`

// Script brings the ways to other machines into exactly this state; no peer
// mends everything. The rules of a cut are replaced at once, so that nothing
// slips through when one more is added. It may be repeated.
func Script(peers []Peer) string {
	var cuts, slow []Peer
	for _, p := range peers {
		if p.Cut {
			cuts = append(cuts, p)
		}
		if p.Delay > 0 || p.Loss > 0 {
			slow = append(slow, p)
		}
	}
	var b strings.Builder
	b.WriteString(networkHead)
	if len(cuts) == 0 {
		b.WriteString(mendCut)
	} else {
		b.WriteString("$s iptables-restore --noflush <<'END' || exit 1\n*mangle\n:LAB-CUT - [0:0]\n")
		for _, p := range cuts {
			fmt.Fprintf(&b, "-A LAB-CUT -s %s -j DROP\n-A LAB-CUT -d %[1]s -j DROP\n", p.IP)
		}
		b.WriteString("COMMIT\nEND\nfor c in PREROUTING POSTROUTING; do $m -C $c -j LAB-CUT 2>/dev/null || $m -I $c 1 -j LAB-CUT || exit 1; done\n")
	}
	b.WriteString(mendSlow)
	if len(slow) > 0 {
		b.WriteString(slowScript(slow))
	}
	b.WriteString("exit 0\n")
	return b.String()
}

// slowScript makes a queue with a band for each peer; all other packets go
// through the first band.
func slowScript(slow []Peer) string {
	var b strings.Builder
	fmt.Fprintf(&b, "d=$(ip -o route get %s | sed -n 's/.* dev \\([^ ]*\\).*/\\1/p')\n", slow[0].IP)
	fmt.Fprintf(&b, "$s tc qdisc add dev \"$d\" root handle 7ab: prio bands %d priomap 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 || exit 1\n", max(3, len(slow)+1))
	for i, p := range slow {
		var how []string
		if p.Delay > 0 {
			how = append(how, "delay", tcTime(p.Delay))
			if p.Jitter > 0 {
				how = append(how, tcTime(p.Jitter))
			}
		}
		if p.Loss > 0 {
			how = append(how, "loss", fmt.Sprintf("%g%%", p.Loss*100))
		}
		fmt.Fprintf(&b, "$s tc qdisc add dev \"$d\" parent 7ab:%x netem limit 10000 %s || { $s tc qdisc del dev \"$d\" root; exit 1; }\n", i+2, strings.Join(how, " "))
		fmt.Fprintf(&b, "$s tc filter add dev \"$d\" parent 7ab: protocol ip prio 1 u32 match ip dst %s/32 flowid 7ab:%x || { $s tc qdisc del dev \"$d\" root; exit 1; }\n", p.IP, i+2)
	}
	return b.String()
}

func tcTime(d time.Duration) string { return fmt.Sprintf("%dus", d.Microseconds()) }

// MostSlow is how many bands a queue of the kernel may have, but for the one
// of everything else.
const MostSlow = 15

// CanCut and CanSlow try what is needed where it harms nobody: a chain without
// a way into it, a queue that delays by nothing on the loopback interface.
const CanCut = networkHead + `command -v iptables >/dev/null || { echo 'there is no iptables' >&2; exit 1; }
$m -N LAB-TRY && $m -X LAB-TRY`

const CanSlow = networkHead + `command -v tc >/dev/null || { echo 'there is no tc (package iproute2)' >&2; exit 1; }
tc qdisc show dev lo | grep -q '^qdisc noqueue' || exit 0
$s tc qdisc add dev lo root netem delay 0ms && $s tc qdisc del dev lo root`
