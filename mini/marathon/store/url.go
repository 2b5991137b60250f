package store

import (
	"fmt"
	"strings"
)

// URL is where in which ZooKeeper something lies.
type URL struct {
	Servers []string // host:port
	Path    string   // "/marathon"
}

// ParseURL reads zk://host1:port1,host2:port2/path. Ports default to 2181;
// user:password@ is refused (no ACLs here).
func ParseURL(s string) (URL, error) {
	rest, ok := strings.CutPrefix(s, "zk://")
	if !ok {
		return URL{}, fmt.Errorf("%q does not begin with zk://", s)
	}
	if strings.Contains(rest, "@") {
		return URL{}, fmt.Errorf("%q: credentials are not supported", s)
	}
	hosts, path, _ := strings.Cut(rest, "/")
	u := URL{Path: "/" + strings.Trim(path, "/")}
	for h := range strings.SplitSeq(hosts, ",") {
		if h == "" {
			return URL{}, fmt.Errorf("%q has an empty host", s)
		}
		if !strings.Contains(h, ":") {
			h += ":2181"
		}
		u.Servers = append(u.Servers, h)
	}
	return u, nil
}
