package election

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path"
	"strings"
)

// URL is a parsed ZooKeeper address.
type URL struct {
	// Servers are "host:port", the port 2181 where none was given.
	Servers []string
	// Path is the parent of the candidates' nodes, never "/".
	Path string
	// Auth is "user:password" for the digest scheme, or "".
	Auth string
}

// ParseURL reads Mesos' zk://[user:password@]host[:port][,host[:port]…]/path.
func ParseURL(s string) (URL, error) {
	rest, ok := strings.CutPrefix(s, "zk://")
	if !ok {
		return URL{}, fmt.Errorf("parse %q: expecting 'zk://' at the beginning", s)
	}
	hosts, p, _ := strings.Cut(rest, "/")
	var u URL
	if i := strings.LastIndexByte(hosts, '@'); i >= 0 {
		u.Auth, hosts = hosts[:i], hosts[i+1:]
		if !strings.Contains(u.Auth, ":") {
			return URL{}, fmt.Errorf("parse %q: expecting 'user:password' before the '@'", s)
		}
	}
	for h := range strings.SplitSeq(hosts, ",") {
		if h == "" {
			return URL{}, fmt.Errorf("parse %q: empty host", s)
		}
		if _, _, err := net.SplitHostPort(h); err != nil {
			h = net.JoinHostPort(strings.Trim(h, "[]"), "2181")
		}
		u.Servers = append(u.Servers, h)
	}
	u.Path = path.Clean("/" + p)
	if u.Path == "/" {
		return URL{}, fmt.Errorf("parse %q: expecting a (chroot) path for ZooKeeper ('/' is not supported)", s)
	}
	return u, nil
}

// Parse makes a Group of an agent's --master: zk://… is opened as by Open,
// ip:port (or ip alone, port 5050) is Fixed.
func Parse(ctx context.Context, master string, o Options) (Group, error) {
	if strings.HasPrefix(master, "zk://") {
		return Open(ctx, master, o)
	}
	if master == "" {
		return nil, errors.New("parse master: empty")
	}
	addr, err := netip.ParseAddrPort(master)
	if err != nil {
		ip, err2 := netip.ParseAddr(master)
		if err2 != nil {
			return nil, fmt.Errorf("parse master %q: want zk://host:port/path or ip:port: %w", master, err)
		}
		addr = netip.AddrPortFrom(ip, 5050)
	}
	return Fixed(NewMaster("", addr.Addr().String(), addr, "")), nil
}
