// Package flags reads the command line and environment of a mini Mesos
// master.
//
// Nouns. A flag is one of the real mesos-master 1.3.2, by its name there or
// in 0.26, or our own --compat. Config is what the master acts on; its Shown
// is what /flags prints.
//
// The command line wins over MESOS_<FLAG> of the environment. Flags of the
// real program that have no effect here are accepted and shown; unknown ones
// are errors. Durations are written Mesos' way ("2secs"). A value "file:///…"
// is read from that file. Texts of errors follow Mesos'.
//
// The package does no I/O but reading such files through the function it is
// given.
package flags

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Config is what a master acts on.
type Config struct {
	// IP is where to listen, invalid for the machine's own address;
	// AdvertiseIP and AdvertisePort, if set, are what others are told.
	IP, AdvertiseIP     netip.Addr
	Port, AdvertisePort int
	Hostname            string // "" = the IP, or the machine's name with HostnameLookup
	HostnameLookup      bool
	ZK                  string // zk://…, or "" to lead alone
	ZKSessionTimeout    time.Duration
	WorkDir             string // "" with an in-memory registry
	LogDir, Cluster     string
	Quiet               bool

	PingTimeout, ReregisterTimeout   time.Duration
	MaxPings                         int
	StoreTimeout                     time.Duration // of the registry
	AllocationInterval, OfferTimeout time.Duration
	Roles                            []string
	Weights                          map[string]float64

	MaxCompletedFrameworks, MaxCompletedTasks, MaxUnreachableTasks int

	// Old is --compat=0.26: a removed agent that returns is shut down.
	Old bool

	Help, Version bool
	// Shown maps every flag that has a value to it.
	Shown map[string]string
}

// Source is where values come from besides the command line.
type Source struct {
	Getenv   func(string) string
	ReadFile func(path string) ([]byte, error)
}

// Parse reads the words after the program's name. Errors name the flag.
func Parse(args []string, src Source) (Config, error) {
	values, err := collect(args, src)
	if err != nil {
		return Config{}, err
	}
	r := reader{values: values}
	c := Config{
		IP: r.addr("ip"), AdvertiseIP: r.addr("advertise_ip"),
		Port: r.number("port", 0, 65535), AdvertisePort: r.number("advertise_port", 1, 65535),
		Hostname: values["hostname"], HostnameLookup: r.boolean("hostname_lookup"),
		ZK: values["zk"], ZKSessionTimeout: r.duration("zk_session_timeout", time.Second, 0),
		WorkDir: values["work_dir"], LogDir: values["log_dir"], Cluster: values["cluster"], Quiet: r.boolean("quiet"),
		PingTimeout:        r.duration("agent_ping_timeout", time.Second, 15*time.Minute),
		ReregisterTimeout:  r.duration("agent_reregister_timeout", 10*time.Minute, 0),
		MaxPings:           r.number("max_agent_ping_timeouts", 1, 1<<30),
		StoreTimeout:       r.duration("registry_store_timeout", time.Millisecond, 0),
		AllocationInterval: r.duration("allocation_interval", time.Millisecond, 0),
		Roles:              split(values["roles"]), Weights: r.weights(),
		MaxCompletedFrameworks: r.number("max_completed_frameworks", 0, 1<<30),
		MaxCompletedTasks:      r.number("max_completed_tasks_per_framework", 0, 1<<30),
		MaxUnreachableTasks:    r.number("max_unreachable_tasks_per_framework", 0, 1<<30),
		Old:                    r.compat(), Help: r.boolean("help"), Version: r.boolean("version"),
		Shown: values,
	}
	if _, ok := values["offer_timeout"]; ok {
		c.OfferTimeout = r.duration("offer_timeout", time.Millisecond, 0)
	}
	if len(r.errs) == 0 && !c.Help && !c.Version {
		r.together(&c)
	}
	return c, errors.Join(r.errs...)
}

// collect gathers raw values: defaults, then the environment, then args.
func collect(args []string, src Source) (map[string]string, error) {
	values := map[string]string{}
	byName := map[string]known{}
	for _, k := range table() {
		byName[k.name] = k
		if k.def != "" {
			values[k.name] = k.def
		}
	}
	old := aliases()
	for name, k := range byName {
		if v := src.Getenv("MESOS_" + strings.ToUpper(name)); v != "" {
			values[k.name] = v
		}
	}
	for name, to := range old {
		if v := src.Getenv("MESOS_" + strings.ToUpper(name)); v != "" {
			values[to] = v
		}
	}
	for _, arg := range args {
		word, ok := strings.CutPrefix(arg, "--")
		if !ok || word == "" {
			return nil, mesosError("Failed to parse argument '%s': expecting --name=value", arg)
		}
		name, value, given := strings.Cut(word, "=")
		name, no := negated(name, byName)
		if to, ok := old[name]; ok {
			name = to
		}
		k, ok := byName[name]
		switch {
		case !ok:
			return nil, mesosError("Failed to load unknown flag '%s'", name)
		case no && given:
			return nil, mesosError("Failed to load boolean flag '%s' via '--no-%s' with value '%s'", name, name, value)
		case no:
			value = "false"
		case !given && k.boolean:
			value = "true"
		case !given:
			return nil, mesosError("Failed to load non-boolean flag '%s': Missing value", name)
		}
		values[name] = value
	}
	for name, v := range values {
		if p, ok := strings.CutPrefix(v, "file://"); ok {
			b, err := src.ReadFile(p)
			if err != nil {
				return nil, mesosError("Failed to load flag '%s': %w", name, err)
			}
			values[name] = strings.TrimSpace(string(b))
		}
	}
	return values, nil
}

// negated understands --no-<flag> of a boolean flag.
func negated(name string, byName map[string]known) (string, bool) {
	if rest, ok := strings.CutPrefix(name, "no-"); ok && byName[rest].boolean {
		return rest, true
	}
	return name, false
}

// NoEffect lists the flags given on the command line that do nothing here.
func NoEffect(args []string) []string {
	var list []string
	for _, k := range table() {
		given := slices.ContainsFunc(args, func(a string) bool {
			return a == "--"+k.name || strings.HasPrefix(a, "--"+k.name+"=")
		})
		if given && !k.acts {
			list = append(list, "--"+k.name)
		}
	}
	return list
}

// Usage lists all flags, for --help.
func Usage() string {
	var b strings.Builder
	b.WriteString("Usage: mesos-master [options]\n\n")
	for _, k := range table() {
		note := ""
		if !k.acts {
			note = " (accepted, without effect here)"
		}
		fmt.Fprintf(&b, "  --%s=%s%s\n", k.name, k.def, note)
	}
	return b.String()
}

func split(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

// reader turns values into types and gathers what is wrong with them.
type reader struct {
	values map[string]string
	errs   []error
}

func (r *reader) fail(name, format string, args ...any) {
	r.errs = append(r.errs, mesosError("Failed to load flag '%s': %s", name, fmt.Sprintf(format, args...)))
}

func (r *reader) duration(name string, least, most time.Duration) time.Duration {
	d, err := ParseDuration(r.values[name])
	switch {
	case err != nil:
		r.fail(name, "Failed to load value '%s': %v", r.values[name], err)
	case d < least || most > 0 && d > most:
		upper := "no limit"
		if most > 0 {
			upper = FormatDuration(most)
		}
		r.fail(name, "Invalid value '%s': Must be between %s and %s", r.values[name], FormatDuration(least), upper)
	default:
		r.values[name] = FormatDuration(d)
	}
	return d
}

func (r *reader) number(name string, least, most int) int {
	v, ok := r.values[name]
	if !ok {
		return 0
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		r.fail(name, "Failed to load value '%s': Failed to convert into required type", v)
	} else if n < least || n > most {
		r.fail(name, "Invalid value '%s': Must be between %d and %d", v, least, most)
	}
	return n
}

func (r *reader) boolean(name string) bool {
	switch v := r.values[name]; v {
	case "true", "1":
		r.values[name] = "true"
		return true
	case "false", "0", "":
		return false
	default:
		r.fail(name, "Failed to load value '%s': Expecting a boolean (e.g., true or false)", v)
		return false
	}
}

func (r *reader) addr(name string) netip.Addr {
	v, ok := r.values[name]
	if !ok {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(v)
	if err != nil {
		r.fail(name, "Failed to load value '%s': not an IP address", v)
	}
	return a
}

func (r *reader) weights() map[string]float64 {
	w := map[string]float64{}
	for _, p := range split(r.values["weights"]) {
		role, v, ok := strings.Cut(p, "=")
		f, err := strconv.ParseFloat(v, 64)
		if !ok || role == "" || err != nil || !(f > 0) || f > 1e9 {
			r.fail("weights", "Invalid value '%s': Expecting role=weight with a positive weight", p)
			continue
		}
		w[role] = f
	}
	return w
}

func (r *reader) compat() bool {
	switch v := r.values["compat"]; v {
	case "0.26":
		return true
	case "1.3":
		return false
	default:
		r.fail("compat", "Invalid value '%s': Must be 0.26 or 1.3", v)
		return false
	}
}

// together checks what flags mean for each other.
func (r *reader) together(c *Config) {
	switch registry := r.values["registry"]; registry {
	case "in_memory":
		c.WorkDir = ""
	case "replicated_log":
		if c.WorkDir == "" {
			r.errs = append(r.errs, mesosError("--work_dir needed for replicated log based registry"))
		}
		if _, ok := r.values["quorum"]; !ok && c.ZK != "" {
			r.errs = append(r.errs, mesosError("Need to specify --quorum for replicated log based registry when using ZooKeeper"))
		}
	default:
		r.fail("registry", "'%s' is not a supported registry", registry)
	}
	for role := range c.Weights {
		if len(c.Roles) > 0 && role != "*" && !slices.Contains(c.Roles, role) {
			r.fail("weights", "Role '%s' is not in --roles", role)
		}
	}
}
