//go:build unix

package machine

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// defaultsFile is where every system here keeps DOCKER_OPTS.
const defaultsFile = "/etc/default/docker"

// dockerOpts reads the value of DOCKER_OPTS as a shell that sources the file
// would have it. Commands in the file are not run.
func dockerOpts(file string) (string, error) {
	parsed, err := syntax.NewParser().Parse(strings.NewReader(file), defaultsFile)
	if err != nil {
		return "", err
	}
	vars := map[string]string{}
	env := expand.FuncEnviron(func(name string) string { return vars[name] })
	cfg := &expand.Config{Env: env, NoUnset: false}
	for _, stmt := range parsed.Stmts {
		var assigns []*syntax.Assign
		switch cmd := stmt.Cmd.(type) {
		case *syntax.CallExpr:
			if len(cmd.Args) == 0 {
				assigns = cmd.Assigns
			}
		case *syntax.DeclClause:
			assigns = cmd.Args
		}
		for _, a := range assigns {
			if a.Name == nil || a.Naked || a.Array != nil || a.Index != nil || !plainWord(a.Value) {
				continue
			}
			value, err := expand.Literal(cfg, a.Value)
			if err != nil {
				return "", fmt.Errorf("%s:%d: %w", defaultsFile, a.Pos().Line(), err)
			}
			if a.Append {
				value = vars[a.Name.Value] + value
			}
			vars[a.Name.Value] = value
		}
	}
	return vars["DOCKER_OPTS"], nil
}

// plainWord reports whether a word is made of text, quotes and plain
// variables only.
func plainWord(w *syntax.Word) bool {
	if w == nil {
		return true
	}
	plain := !strings.HasPrefix(w.Lit(), "~")
	syntax.Walk(w, func(n syntax.Node) bool {
		switch n := n.(type) {
		case nil, *syntax.Word, *syntax.Lit, *syntax.SglQuoted, *syntax.DblQuoted:
		case *syntax.ParamExp:
			plain = plain && n.Short && n.Exp == nil && n.Param != nil && validName(n.Param.Value)
		default:
			plain = false
		}
		return plain
	})
	return plain
}

func validName(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") == ""
}

// endpoint is one place where dockerd listens.
type endpoint struct {
	Network string // tcp, unix
	Address string // host:port as given, or an absolute path on the machine
}

// daemonFlags is what the machine's dockerd takes from its command line.
type daemonFlags struct {
	Endpoints []endpoint
	Labels    []string
	Debug     bool
}

// Flags of dockerd as of Docker 1.11 and later, with and without a value. They
// are accepted; those about storage and networks have nothing to act on.
const (
	boolFlags = "debug D daemon d tls tlsverify icc ip-forward ip-masq iptables ip6tables ipv6 userland-proxy live-restore experimental init " +
		"selinux-enabled raw-logs disable-legacy-registry rootless validate"
	valueFlags = "host H label log-level l storage-driver s storage-opt graph g data-root tlscacert tlscert tlskey insecure-registry registry-mirror dns dns-search dns-opt " +
		"ip bip mtu bridge b group G pidfile p log-driver log-opt exec-opt exec-root default-ulimit api-cors-header authorization-plugin cgroup-parent cluster-advertise " +
		"cluster-store cluster-store-opt config-file containerd default-gateway fixed-cidr fixed-cidr-v6 max-concurrent-downloads max-concurrent-uploads oom-score-adjust " +
		"add-runtime default-runtime default-address-pool default-shm-size node-generic-resource shutdown-timeout swarm-default-advertise-addr userns-remap " +
		"userland-proxy-path seccomp-profile default-cgroupns-mode feature metrics-addr"
)

// parseDaemon reads dockerd's command line. Errors are in dockerd's words.
func parseDaemon(opts string) (daemonFlags, error) {
	var f daemonFlags
	tls := false
	args := strings.Fields(opts)
	for len(args) > 0 {
		name, value, given, err := splitFlag(args[0])
		if err != nil {
			return f, err
		}
		args = args[1:]
		switch {
		case slices.Contains(strings.Fields(boolFlags), name):
			on := true
			if given {
				if on, err = strconv.ParseBool(value); err != nil {
					return f, fmt.Errorf("invalid boolean value %q for --%s: %w", value, name, err)
				}
			}
			tls = (tls || strings.HasPrefix(name, "tls")) && (on || !strings.HasPrefix(name, "tls"))
			f.Debug = f.Debug || on && (name == "debug" || name == "D")
			continue
		case !slices.Contains(strings.Fields(valueFlags), name):
			return f, fmt.Errorf("unknown flag: --%s\nSee 'dockerd --help'", name)
		case !given && len(args) == 0:
			return f, fmt.Errorf("flag needs an argument: --%s\nSee 'dockerd --help'", name)
		case !given:
			value, args = args[0], args[1:]
		}
		switch name {
		case "H", "host":
			e, err := parseHost(value)
			if err != nil {
				return f, err
			}
			f.Endpoints = append(f.Endpoints, e)
		case "label":
			f.Labels = append(f.Labels, value)
		}
	}
	if tls {
		return f, fmt.Errorf("could not read CA certificate %q: open /root/.docker/ca.pem: no such file or directory (this engine speaks no TLS: use --tls=false)", "/root/.docker/ca.pem")
	}
	if len(f.Endpoints) == 0 {
		f.Endpoints = []endpoint{{"unix", "/var/run/docker.sock"}}
	}
	return f, nil
}

// splitFlag takes -H=x, -Hx, --host=x, --host and -H apart.
func splitFlag(arg string) (name, value string, given bool, err error) {
	long, isLong := strings.CutPrefix(arg, "--")
	if isLong {
		name, value, given = strings.Cut(long, "=")
		return name, value, given, nil
	}
	if len(arg) < 2 || arg[0] != '-' {
		return "", "", false, fmt.Errorf("unknown command or argument: %q\nSee 'dockerd --help'", arg)
	}
	name, value, given = strings.Cut(arg[1:], "=")
	if len(name) > 1 && len(strings.Fields(name)) == 1 && slices.Contains(strings.Fields(valueFlags), name[:1]) {
		return arg[1:2], strings.TrimPrefix(arg[2:], "="), true, nil
	}
	return name, value, given, nil
}

// parseHost reads the value of -H.
func parseHost(value string) (endpoint, error) {
	proto, rest, ok := strings.Cut(value, "://")
	if !ok {
		proto, rest = "tcp", value
	}
	switch proto {
	case "fd":
		return endpoint{"unix", "/var/run/docker.sock"}, nil
	case "unix":
		if rest == "" {
			rest = "/var/run/docker.sock"
		}
		if rest[0] != '/' {
			return endpoint{}, fmt.Errorf("invalid bind address (%s): a unix socket needs an absolute path", value)
		}
		return endpoint{"unix", rest}, nil
	case "tcp":
		host, port, err := net.SplitHostPort(rest)
		if err != nil {
			host, port = rest, "2375"
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || strings.ContainsAny(host, " /") {
			return endpoint{}, fmt.Errorf("invalid bind address format: %s", value)
		}
		return endpoint{"tcp", net.JoinHostPort(host, port)}, nil
	}
	return endpoint{}, fmt.Errorf("invalid bind address format: %s", value)
}
