package zookeeper

import (
	"bufio"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/mesoslab/lab/mini"
)

// dataFolder is the part of dataDir that is ours. The real server uses
// version-2, with other formats.
const dataFolder = "lab-v1"

// config is what a zoo.cfg sets.
type config struct {
	port      int
	host      string // "" is all addresses
	dataDir   string // absolute path in the container
	tick      time.Duration
	min, max  time.Duration // of session timeouts
	perHost   int           // connections of one address, 0 is any number
	snapCount int           // transactions between snapshots
	sync      bool          // fsync what is logged
}

// ignored are keys of a real zoo.cfg that mean nothing to a single server, or
// that rule what it does not do.
var ignored = []string{
	"initLimit", "syncLimit", "electionAlg", "autopurge.", "4lw.commands.whitelist",
	"maxSessions", "preAllocSize", "globalOutstandingLimit", "admin.", "dataLogDir",
}

// zkServer.sh gives JVMFLAGS to Java, and some settings are system properties
// to a ZooKeeper. Of all that, one is heeded here: zookeeper.forceSync.
const (
	javaFlags      = "JVMFLAGS"
	systemProperty = "-Dzookeeper."
)

// configure reads the command line, the environment and the configuration
// file. Its error lists everything wrong, one line each; notes are for the log.
func configure(env mini.Env) (cfg config, notes []string, err error) {
	file, err := configFile(env.Args)
	if err != nil {
		return config{}, nil, err
	}
	p := parser{cfg: config{
		port: 2181, dataDir: "/tmp/zookeeper", tick: 2 * time.Second,
		min: -1, max: -1, perHost: 60, snapCount: 10_000, sync: true,
	}}
	for _, v := range []struct{ name, key string }{{"ZOO_PORT", "clientPort"}, {"LOCAL_IP", "clientPortAddress"}} {
		if value := env.Getenv(v.name); value != "" {
			p.set("environment: "+v.name, v.key, value)
		}
	}
	for _, flag := range strings.Fields(env.Getenv(javaFlags)) {
		if setting, ok := strings.CutPrefix(flag, systemProperty); ok && strings.HasPrefix(setting, "forceSync=") {
			p.set("environment: "+javaFlags, "forceSync", strings.TrimPrefix(setting, "forceSync="))
		}
	}
	if file != "" {
		p.file(env, file)
	}
	p.finish(file)
	return p.cfg, p.notes, errors.Join(p.errs...)
}

// configFile finds the path of the configuration file among the words of the
// command line.
func configFile(args []string) (string, error) {
	if len(args) > 0 && (args[0] == "start-foreground" || args[0] == "start") {
		args = args[1:]
	}
	switch {
	case len(args) == 0:
		return "", nil
	case len(args) == 1 && (strings.Contains(args[0], "/") || strings.HasSuffix(args[0], ".cfg")):
		return path.Join("/", args[0]), nil
	}
	return "", fmt.Errorf("unexpected arguments %q; usage: zkServer.sh [start-foreground] [/path/to/zoo.cfg]", args)
}

// parser collects settings and what is wrong with them.
type parser struct {
	cfg   config
	notes []string
	errs  []error
}

func (p *parser) fail(where, format string, args ...any) {
	p.errs = append(p.errs, fmt.Errorf(where+": "+format, args...))
}

func (p *parser) file(env mini.Env, name string) {
	f, err := os.Open(env.Path(name))
	if err != nil {
		var why *os.PathError
		if errors.As(err, &why) {
			err = why.Err // not the path outside of the container
		}
		p.fail(name, "open configuration: %w", err)
		return
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		where := fmt.Sprintf("%s:%d", name, n)
		i := strings.IndexAny(line, "=:")
		if i < 0 {
			p.fail(where, "%q is not key=value", line)
			continue
		}
		key := strings.TrimSpace(line[:i])
		p.set(where+": "+key, key, strings.TrimSpace(line[i+1:]))
	}
	if err := lines.Err(); err != nil {
		p.fail(name, "read configuration: %w", err)
	}
}

// set takes one setting; where names its origin and key for people.
func (p *parser) set(where, key, value string) {
	const hour = int(time.Hour / time.Millisecond)
	switch key {
	case "clientPort":
		p.number(where, value, 1, 65535, func(n int) { p.cfg.port = n })
	case "clientPortAddress":
		p.cfg.host = value
		if _, err := netip.ParseAddr(value); err != nil && !hostname(value) {
			p.fail(where, "%q is neither an address nor a host name", value)
		}
	case "dataDir":
		p.cfg.dataDir = value
		if !strings.HasPrefix(value, "/") {
			p.fail(where, "%q is not an absolute path", value)
		}
	case "tickTime":
		p.number(where, value, 1, hour, func(n int) { p.cfg.tick = millis(n) })
	case "minSessionTimeout":
		p.number(where, value, -1, 24*hour, func(n int) { p.cfg.min = millis(n) })
	case "maxSessionTimeout":
		p.number(where, value, -1, 24*hour, func(n int) { p.cfg.max = millis(n) })
	case "maxClientCnxns":
		p.number(where, value, 0, 1<<20, func(n int) { p.cfg.perHost = n })
	case "snapCount":
		p.number(where, value, 2, 1<<30, func(n int) { p.cfg.snapCount = n })
	case "forceSync":
		p.cfg.sync = value == "yes"
		if value != "yes" && value != "no" {
			p.fail(where, "%q is neither yes nor no", value)
		}
	default:
		p.other(where, key)
	}
}

func (p *parser) other(where, key string) {
	if strings.HasPrefix(key, "server.") || strings.HasPrefix(key, "group.") || key == "peerType" {
		p.fail(where, "this is a single server, it cannot be part of an ensemble")
		return
	}
	for _, k := range ignored {
		if key == k || strings.HasSuffix(k, ".") && strings.HasPrefix(key, k) {
			return
		}
	}
	p.notes = append(p.notes, where+": unknown key, ignored")
}

func (p *parser) number(where, value string, lo, hi int, set func(int)) {
	n, err := strconv.Atoi(value)
	if err != nil || n < lo || n > hi {
		p.fail(where, "%q is not a whole number from %d to %d", value, lo, hi)
		return
	}
	set(n)
}

// finish derives the session timeouts that were left open: 2 and 20 ticks.
func (p *parser) finish(file string) {
	if p.cfg.min < 0 {
		p.cfg.min = 2 * p.cfg.tick
	}
	if p.cfg.max < 0 {
		p.cfg.max = 20 * p.cfg.tick
	}
	if p.cfg.min > p.cfg.max {
		p.fail(file, "minSessionTimeout (%v) must not be larger than maxSessionTimeout (%v)", p.cfg.min, p.cfg.max)
	}
}

func millis(n int) time.Duration {
	if n < 0 {
		return -1
	}
	return time.Duration(n) * time.Millisecond
}

func hostname(s string) bool {
	return s != "" && strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789-.") == ""
}
