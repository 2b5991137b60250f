package provision

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
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

// hostsFile replaces what is between the markers. Our lines stand first: on
// Debian a machine's own name is 127.0.1.1 otherwise, and Marathon would
// advertise that. A marker without its partner ends at the next blank line.
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
			b.WriteString(line)
		}
	}
	return []byte(b.String())
}
