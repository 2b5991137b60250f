package config

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/mini"
)

// StartScript is the seed image's start script; as the first word it stands
// for the flags it passes (contracts: seed.md, section 2).
const StartScript = "start-mesos-slave.sh"

// ErrHelp and ErrVersion: --help or --version was asked for.
var (
	ErrHelp    = errors.New("help wanted")
	ErrVersion = errors.New("version wanted")
)

// Config is what an agent runs with.
type Config struct {
	Master   string // zk://host:port,…/path or host:port
	IP       string // to bind and advertise; "" is all, and what the listener says
	Port     int
	Hostname string // "" if neither --hostname nor a name to look up was given
	WorkDir  string // absolute, as the container sees it

	Resources  []mesos.Resource // with defaults for what --resources leaves out
	Attributes []mesos.Attribute

	Containerizers      []string
	DockerSocket        string
	DockerStopTimeout   time.Duration
	DockerRemoveDelay   time.Duration
	DockerKillOrphans   bool
	RegistrationTimeout time.Duration // of executors: bounds a launch, image pull included
	RegistrationBackoff time.Duration // first wait before (re-)registering, doubled
	SandboxDirectory    string
	LogDir              string // "" keeps no log file

	GCDelay           time.Duration // how old sandboxes get while the disk is empty
	DiskHeadroom      float64       // the share of the disk that is to stay free
	DiskWatchInterval time.Duration

	FetcherCacheDir  string
	FetcherCacheSize int64 // bytes
	FrameworksHome   string
	// MemoryLimits: a command that uses more memory than its task has is killed.
	MemoryLimits bool

	SwitchUser      bool   // run commands as the user that the task or its framework names
	CommandsRefused string // why no commands are run here, "" if they are
	MaxCompleted    int    // completed executors remembered for each framework
	Cleanup         bool   // --recover=cleanup: end what runs, then exit
	Strict          bool
	Quiet           bool

	// Flags is what /flags shows: every flag that has a value, by name.
	Flags map[string]string
}

// Load reads env.Args and env's MESOS_* variables. The errors are sentences
// for the user; --help and --version are ErrHelp and ErrVersion.
func Load(env mini.Env) (*Config, error) {
	flags, err := load(env)
	if err != nil {
		return nil, err
	}
	p := &parser{flags: flags}
	c := &Config{
		Master:              flags["master"],
		IP:                  flags["ip"],
		Port:                p.integer("port", 65535),
		WorkDir:             path.Clean(flags["work_dir"]),
		Containerizers:      strings.Split(flags["containerizers"], ","),
		DockerSocket:        strings.TrimPrefix(flags["docker_socket"], "unix://"),
		DockerStopTimeout:   p.duration("docker_stop_timeout"),
		DockerRemoveDelay:   p.duration("docker_remove_delay"),
		DockerKillOrphans:   p.boolean("docker_kill_orphans"),
		RegistrationTimeout: p.duration("executor_registration_timeout"),
		RegistrationBackoff: p.duration("registration_backoff_factor"),
		SandboxDirectory:    flags["sandbox_directory"],
		LogDir:              flags["log_dir"],
		GCDelay:             p.duration("gc_delay"),
		DiskHeadroom:        p.share("gc_disk_headroom"),
		DiskWatchInterval:   p.duration("disk_watch_interval"),
		FetcherCacheDir:     path.Clean(flags["fetcher_cache_dir"]),
		FetcherCacheSize:    p.bytes("fetcher_cache_size"),
		FrameworksHome:      flags["frameworks_home"],
		MemoryLimits:        slices.Contains(strings.Split(flags["isolation"], ","), "cgroups/mem"),
		SwitchUser:          p.boolean("switch_user"),
		CommandsRefused:     refused(os.Geteuid(), env.Getenv("LAB_ALLOW_ROOT_CMD")),
		MaxCompleted:        p.integer("max_completed_executors_per_framework", 1<<20),
		Cleanup:             flags["recover"] == "cleanup",
		Strict:              p.boolean("strict"),
		Quiet:               p.boolean("quiet"),
		Flags:               flags,
	}
	if p.boolean("hostname_lookup") {
		c.Hostname = env.Hostname
	}
	if h := flags["hostname"]; h != "" {
		c.Hostname = h
	}
	if c.Hostname == "" {
		c.Hostname = c.IP
	}
	p.checkAll(c)
	c.Attributes, err = ParseAttributes(flags["attributes"])
	p.fail(err)
	given, err := ParseResources(flags["resources"], flags["default_role"])
	p.fail(err)
	if p.err != nil {
		return nil, p.err
	}
	c.Resources, err = withDefaults(given, flags["default_role"], machine{env: env, workDir: c.WorkDir})
	return c, err
}

// UsesDocker says whether an engine is needed.
func (c *Config) UsesDocker() bool { return slices.Contains(c.Containerizers, "docker") }

// refused keeps whoever reaches a scheduler's port from running commands as
// root on the computer: lab's leave for that is a variable, which stack sets.
func refused(uid int, allow string) string {
	if uid != 0 || allow == "1" {
		return ""
	}
	return "root runs this lab, so the task's command would run as root on this computer: " +
		"set local: {allow_root_cmd: true} in lab.yaml (local.allow_root_cmd) and give lab create again, or run the lab as another user"
}

// load merges defaults, environment and command line.
func load(env mini.Env) (map[string]string, error) {
	known := map[string]flag{}
	flags := map[string]string{}
	for _, f := range knownFlags() {
		known[f.name] = f
		if !f.unset {
			flags[f.name] = f.value
		}
		if v := env.Getenv("MESOS_" + strings.ToUpper(f.name)); v != "" {
			flags[f.name] = v
		}
	}
	words, err := arguments(env)
	if err != nil {
		return nil, err
	}
	given, err := scanArgs(words, known)
	if err != nil {
		return nil, err
	}
	for name, value := range given {
		flags[name] = value
	}
	switch {
	case flags["help"] == "true":
		return nil, ErrHelp
	case flags["version"] == "true":
		return nil, ErrVersion
	}
	for name, value := range flags {
		if file, ok := strings.CutPrefix(value, "file://"); ok && path.IsAbs(file) {
			b, err := os.ReadFile(env.Path(file))
			if err != nil {
				return nil, fmt.Errorf("failed to load flag %q: %w", name, err)
			}
			flags[name] = strings.TrimSpace(string(b))
		}
	}
	return normalized(flags, known)
}

// normalized checks every value against its flag's kind and rewrites
// booleans and durations the way /flags shows them.
func normalized(flags map[string]string, known map[string]flag) (map[string]string, error) {
	p := &parser{flags: flags}
	for name := range flags {
		switch known[name].kind {
		case boolean:
			flags[name] = strconv.FormatBool(p.boolean(name))
		case duration:
			flags[name] = FormatDuration(p.duration(name))
		case integer:
			p.integer(name, 1<<31)
		}
	}
	return flags, p.err
}

// arguments are the flags to scan: those of the start script in its place.
func arguments(env mini.Env) ([]string, error) {
	if len(env.Args) == 0 {
		return nil, nil
	}
	switch path.Base(env.Args[0]) {
	case "mesos-slave", "mesos-agent":
		return env.Args[1:], nil
	case StartScript:
	default:
		return env.Args, nil
	}
	master, local := env.Getenv("MASTER_IP"), env.Getenv("LOCAL_IP")
	if master == "" || local == "" {
		return nil, fmt.Errorf("%s needs MASTER_IP and LOCAL_IP in its environment", StartScript)
	}
	port := env.Getenv("LAB_ZK_PORT")
	if port == "" {
		port = "2181"
	}
	return append([]string{
		"--ip=" + local,
		"--master=zk://" + master + ":" + port + "/mesos",
		"--log_dir=/log/mesos",
		"--containerizers=docker,mesos",
		"--executor_registration_timeout=10mins",
		"--hostname_lookup=false",
	}, env.Args[1:]...), nil
}
