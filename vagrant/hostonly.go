package vagrant

import (
	"context"
	"strings"
)

// hostOnlyNets asks VirtualBox; on macOS it has other networks from 7.0 on.
func (s *sight) hostOnlyNets(ctx context.Context) ([]hostNet, error) {
	return s.hostOnly.get(func() ([]hostNet, error) {
		version, err := s.virtualBoxVersion(ctx)
		if err != nil {
			return nil, err
		}
		what := "hostonlyifs"
		if s.OS == "darwin" && !version.before("7.0") {
			what = "hostonlynets"
		}
		out, err := s.Run(ctx, "VBoxManage", "list", what)
		if err != nil {
			return nil, err
		}
		return parseHostOnly(out.Out), nil
	})
}

// parseHostOnly reads VBoxManage list hostonlyifs or hostonlynets: a record
// begins with its Name. Networks without an address are left out.
func parseHostOnly(text string) []hostNet {
	var records []map[string]string
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		if key == "Name" {
			records = append(records, map[string]string{})
		}
		if len(records) > 0 {
			records[len(records)-1][key] = strings.TrimSpace(value)
		}
	}
	var nets []hostNet
	for _, r := range records {
		n := hostNet{name: r["Name"], remove: "VBoxManage hostonlyif remove " + shellWord(r["Name"])}
		address := r["IPAddress"]
		if address == "" {
			address, n.first, n.remove = r["LowerIP"], true, "VBoxManage hostonlynet remove --name "+shellWord(r["Name"])
		}
		p, err := prefixOf(address, r["NetworkMask"])
		if err != nil || !p.Addr().Is4() || p.Addr().IsUnspecified() {
			continue
		}
		if n.at = p; n.first {
			n.at = p.Masked()
		}
		nets = append(nets, n)
	}
	return nets
}

// shellWord quotes a name with spaces for a command that people copy.
func shellWord(s string) string {
	if strings.ContainsAny(s, " #'\"") {
		return `"` + strings.ReplaceAll(s, `"`, `\"`) + `"`
	}
	return s
}
