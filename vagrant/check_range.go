package vagrant

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strings"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/computer"
)

// defaultRange is what VirtualBox allows for host-only networks without being
// told (since 6.1.28).
var defaultRange = netip.MustParsePrefix("192.168.56.0/21")

const networksConf = "/etc/vbox/networks.conf"

// hostOnlyRange looks whether VirtualBox allows the addresses.
func (q *inquiry) hostOnlyRange(ctx context.Context) []lab.Finding {
	const id = "host-only-range"
	version, err := q.virtualBoxVersion(ctx)
	if err != nil || version.before("6.1.28") || q.OS == "windows" || (q.OS == "darwin" && !version.before("7.0")) || len(q.missing) == 0 {
		return nil
	}
	ranges, said := []netip.Prefix{defaultRange}, "VirtualBox's own range "+defaultRange.String()
	text, err := q.Read(networksConf)
	switch {
	case err == nil:
		var bad []int
		if ranges, bad = parseNetworksConf(text); len(bad) > 0 {
			return []lab.Finding{computer.Stop("networks-conf", "write each range as: * 192.168.56.0/21", "%s: line %s cannot be read: a range begins with an asterisk and a space", networksConf, join(bad))}
		}
		said = fmt.Sprint(networksConf, " (", ranges, ")")
	case !errors.Is(err, fs.ErrNotExist):
		return computer.Unseen(id, err)
	}
	wanted := q.plan.Nodes
	if q.page != nil && q.page.HostIP != "" {
		wanted = append(wanted[:len(wanted):len(wanted)], lab.Node{IP: netip.MustParseAddr(q.page.HostIP)})
	}
	for _, n := range wanted {
		if !contains(ranges, n.IP) {
			return []lab.Finding{computer.Stop(id, fmt.Sprintf("take a subnet of 192.168.56–63, or allow this one: echo '* %s' | sudo tee -a %s", q.subnet, networksConf),
				"VirtualBox does not allow %s: it is not in %s", n.IP, said)}
		}
	}
	return []lab.Finding{computer.OK(id, "%s is in %s", q.subnet, said)}
}

func contains(ranges []netip.Prefix, a netip.Addr) bool {
	for _, r := range ranges {
		if r.Contains(a) {
			return true
		}
	}
	return false
}

func join(numbers []int) string { return strings.Trim(fmt.Sprint(numbers), "[]") }

// parseNetworksConf reads the ranges that an administrator allows, and the
// numbers of the lines that VirtualBox would stumble over.
func parseNetworksConf(text string) (ranges []netip.Prefix, bad []int) {
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		rest, ok := strings.CutPrefix(line, "*")
		if !ok || strings.TrimSpace(rest) == "" {
			bad = append(bad, number)
			continue
		}
		for entry := range strings.FieldsSeq(rest) {
			p, err := netip.ParsePrefix(entry)
			if err != nil {
				bad = append(bad, number)
				break
			}
			ranges = append(ranges, p.Masked())
		}
	}
	return ranges, bad
}
