package lab

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

var nameRule = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z][a-z0-9-]{0,19}$`) })

// ValidName reports whether a lab may be called so.
func ValidName(name string) bool { return nameRule().MatchString(name) }

// Validate returns everything that is wrong with the set fields of a spec.
// What depends on the provider (whether its addresses exist) is checked by
// Pool and the provider itself.
func (s Spec) Validate() []Problem {
	v := &validator{}
	v.check(s.Name == "" || ValidName(s.Name), "name", s.Name, "must start with a small letter and have at most 20 of a-z, 0-9 and -")
	v.oneOf("provider", s.Provider, "auto", "local", "docker", "vagrant")
	v.oneOf("stack", s.Stack, "auto", "seed", "mini")
	v.oneOf("docker.tcp", s.Docker.TCP, "open", "local", "off")
	v.oneOf("local.network", s.Local.Network, "loopback", "netns")
	v.check(s.Slaves >= 0 && s.Slaves <= MaxSlaves, "slaves", fmt.Sprint(s.Slaves), fmt.Sprintf("must be 1 to %d", MaxSlaves))
	v.check(s.Machine.CPUs >= 0 && s.Machine.CPUs <= 256, "machine.cpus", fmt.Sprint(s.Machine.CPUs), "must be 1 to 256")
	v.check(s.Machine.Memory == 0 || s.Machine.Memory >= 128*MiB, "machine.memory", s.Machine.Memory.String(), "must be at least 128MiB")
	v.check(s.Machine.Disk == 0 || s.Machine.Disk >= GiB, "machine.disk", s.Machine.Disk.String(), "must be at least 1GiB")
	v.addresses(s)
	v.mesos(s.Mesos)
	for i, a := range s.LB.Args {
		v.check(a != "" && (i > 0 || strings.HasPrefix(a, "-")), fmt.Sprintf("marathon-lb.args[%d]", i), a, "must be a flag of marathon-lb, like --health-check")
		v.check(s.Stack != "seed", fmt.Sprintf("marathon-lb.args[%d]", i), a, "does not go with stack: seed: the article's image passes no flags on")
	}
	v.ports(s)
	v.check(s.App == "" || slices.Contains([]string{"nginx", "article", "none"}, s.App) || strings.HasSuffix(s.App, ".json"),
		"app", s.App, "must be nginx, article, none, or a Marathon JSON file (*.json)")
	return v.problems
}

type validator struct{ problems []Problem }

func (v *validator) check(ok bool, path, value, message string) {
	if !ok {
		v.problems = append(v.problems, Problem{Path: path, Value: value, Message: message})
	}
}

func (v *validator) oneOf(path, value string, allowed ...string) {
	v.check(value == "" || slices.Contains(allowed, value), path, value,
		"must be one of "+strings.Join(allowed, ", ")+DidYouMean(value, allowed))
}

func (v *validator) mesos(m MesosSpec) {
	// Mesos 0.26 allows 1 s to 15 min for --slave_ping_timeout (contracts 8.1).
	v.check(m.SlavePingTimeout == 0 || (m.SlavePingTimeout >= time.Second && m.SlavePingTimeout <= 15*time.Minute),
		"mesos.slave_ping_timeout", m.SlavePingTimeout.String(), "must be 1s to 15m (Mesos' own limits)")
	v.check(m.MaxSlavePingTimeouts >= 0, "mesos.max_slave_ping_timeouts", fmt.Sprint(m.MaxSlavePingTimeouts), "must be at least 1")
	for k := range m.Env {
		v.check(strings.HasPrefix(k, "MESOS_"), "mesos.env."+k, k, "must start with MESOS_")
	}
}

func (v *validator) addresses(s Spec) {
	if s.Subnet != "" && len(s.IPs) > 0 {
		v.check(false, "ips", "", "and subnet exclude each other: give one of them")
	}
	if s.Subnet != "" {
		if msg := subnetProblem(s.Subnet, s.Slaves); msg != "" {
			v.check(false, "subnet", s.Subnet, msg)
		}
	}
	if len(s.IPs) == 1 {
		v.check(false, "ips", s.IPs[0], "needs at least two addresses: the master's and one slave's")
	}
	if s.Slaves > 0 && len(s.IPs) > 1 {
		v.check(s.Slaves == len(s.IPs)-1, "slaves", fmt.Sprint(s.Slaves), fmt.Sprintf("does not fit the %d addresses in ips (one master, the rest slaves)", len(s.IPs)))
	}
	seen := map[string]int{}
	for i, text := range s.IPs {
		path := fmt.Sprintf("ips[%d]", i)
		a, err := netip.ParseAddr(text)
		if err != nil || !a.Is4() {
			v.check(false, path, text, "must be an IPv4 address like 192.168.59.2")
			continue
		}
		if j, twice := seen[text]; twice {
			v.check(false, path, text, fmt.Sprintf("stands in ips[%d] already", j))
		}
		seen[text] = i
		v.check(a.IsPrivate() || a.IsLoopback(), path, text, "is public: only private (192.168.x, 10.x, 172.16–31.x) or loopback (127.x) addresses are used")
	}
}

// subnetProblem says what is wrong with a subnet for this many slaves, or "".
func subnetProblem(text string, slaves int) string {
	p, err := netip.ParsePrefix(text)
	switch {
	case err != nil || !p.Addr().Is4():
		return "must be an IPv4 network like " + ArticleSubnet
	case p.Bits() != 24:
		return fmt.Sprintf("must be a /24, like %s", netip.PrefixFrom(p.Addr(), 24).Masked())
	case p != p.Masked():
		return fmt.Sprintf("names a host; the network is %s", p.Masked())
	case !p.Addr().IsPrivate() && !p.Addr().IsLoopback():
		return "is public: only private networks (192.168.x, 10.x, 172.16–31.x) or loopback (127.x) are used"
	case slaves > MaxSlaves:
		return fmt.Sprintf("is too small for %d slaves", slaves)
	}
	return ""
}

func (v *validator) ports(s Spec) {
	byPort := map[int]string{}
	for _, p := range s.Ports.All() {
		if p.Port == 0 {
			continue
		}
		v.check(p.Port >= 1 && p.Port <= 65535, p.Path, fmt.Sprint(p.Port), "must be 1 to 65535")
		if other, twice := byPort[p.Port]; twice {
			v.check(false, p.Path, fmt.Sprint(p.Port), "is the port of "+other+" already")
		}
		byPort[p.Port] = p.Path
	}
	if s.Ports.Docker != 0 || s.Docker.Opts != "" {
		full := s.WithDefaults()
		if got, ok := TCPPort(full.Docker.Opts); ok && got != full.Ports.Docker {
			v.check(false, "ports.docker", fmt.Sprint(full.Ports.Docker), fmt.Sprintf("does not fit docker.opts, which opens tcp port %d", got))
		}
	}
}

// Port is one configured port and its place in the spec.
type Port struct {
	Path string
	Port int
}

// All lists the ports with their places in the spec.
func (p PortsSpec) All() []Port {
	return []Port{
		{"ports.ssh", p.SSH}, {"ports.docker", p.Docker}, {"ports.zookeeper", p.ZooKeeper}, {"ports.mesos", p.Mesos},
		{"ports.marathon", p.Marathon}, {"ports.lb_stats", p.LBStats}, {"ports.app", p.App},
	}
}

var tcpHost = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?:-H|--host)[= ]?\s*tcp://[^\s:]*:(\d+)`) })

// TCPPort returns the port of the first tcp:// host in DOCKER_OPTS.
func TCPPort(opts string) (int, bool) {
	m := tcpHost().FindStringSubmatch(opts)
	if m == nil {
		return 0, false
	}
	var port int
	fmt.Sscan(m[1], &port)
	return port, true
}
