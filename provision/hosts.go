package provision

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"

	"github.com/mesoslab/lab"
)

// The markers between which /etc/hosts is ours.
const (
	hostsPath  = "/etc/hosts"
	hostsBegin = "# lab: begin, do not edit"
	hostsEnd   = "# lab: end"
)

// SetHosts writes the names of all nodes (node1 and master, node2 and slave1,
// …) into a machine's /etc/hosts, between two markers, and leaves the rest
// alone.
func SetHosts(ctx context.Context, host Files, nodes []lab.Node) (changed bool, err error) {
	old, err := host.ReadFile(ctx, hostsPath)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("set names of the machines: %w", err)
	}
	file := hostsFile(old, nodes)
	if bytes.Equal(file, old) {
		return false, nil
	}
	if err := host.WriteFile(ctx, hostsPath, file, 0o644); err != nil {
		return false, fmt.Errorf("set names of the machines: %w", err)
	}
	return true, nil
}

// hostsFile replaces what is between the markers, and takes the machines'
// names from loopback addresses elsewhere: Debian maps a machine's own name to
// 127.0.1.1, and getaddrinfo gives that first, wherever it stands in the file
// (seen with glibc 2.36), so that programs would advertise it. A marker without
// its partner ends at the next blank line.
func hostsFile(old []byte, nodes []lab.Node) []byte {
	var b strings.Builder
	b.WriteString(hostsBegin + "\n")
	for _, n := range nodes {
		fmt.Fprintf(&b, "%s %s %s\n", n.IP, n.Name, n.Alias())
	}
	b.WriteString(hostsEnd + "\n")
	inside := false
	for line := range strings.Lines(string(old)) {
		text := strings.TrimSpace(line)
		switch {
		case text == hostsBegin:
			inside = true
		case text == hostsEnd:
			inside = false
		case inside && text == "":
			inside = false
			b.WriteString(line)
		case !inside:
			b.WriteString(withoutNames(line, nodes))
		}
	}
	return []byte(b.String())
}

// withoutNames returns a line of /etc/hosts without names of machines that it
// gives a loopback address which is not theirs. Where none is left it becomes
// a comment.
func withoutNames(line string, nodes []lab.Node) string {
	entry, comment, commented := strings.Cut(strings.TrimRight(line, "\r\n"), "#")
	words := strings.Fields(entry)
	if len(words) < 2 {
		return line
	}
	addr, err := netip.ParseAddr(words[0])
	if err != nil || !addr.IsLoopback() {
		return line
	}
	kept := slices.DeleteFunc(slices.Clone(words[1:]), func(name string) bool {
		return slices.ContainsFunc(nodes, func(n lab.Node) bool { return n.IP != addr && (name == n.Name || name == n.Alias()) })
	})
	switch {
	case len(kept) == len(words)-1:
		return line
	case len(kept) == 0:
		return "# lab: not " + strings.Join(words, " ") + "\n"
	case commented:
		kept = append(kept, "#"+comment)
	}
	return words[0] + " " + strings.Join(kept, " ") + "\n"
}
