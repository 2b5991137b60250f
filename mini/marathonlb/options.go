package marathonlb

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/mesoslab/lab/mini"
)

// options is what the command line and the environment ask for.
type options struct {
	marathon   []string // base URLs, without a slash at the end
	groups     map[string]bool
	follow     following
	poll       time.Duration // between two reads
	config     string        // path in the container
	healthy    bool          // --health-check
	haproxy    string        // what balances: never (the proxy in Go), auto, or a program's path
	strict     bool          // --strict: one invalid label freezes everything
	vhostMap   bool
	bindShared bool // ports 80 and 9091's neighbours: not --dont-bind-http-https
	dry        bool
	statsPort  string
	user, pass string
}

type following int

const (
	once following = iota
	events
	polling
)

// list is a flag that may be given several times, and whose value may hold
// several words.
type list []string

func (l *list) String() string     { return strings.Join(*l, " ") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

// parse reads the words after the program's name.
func parse(env mini.Env) (options, error) {
	o := options{
		groups: map[string]bool{}, poll: 300 * time.Second, bindShared: true,
		config: "/etc/haproxy/haproxy.cfg", statsPort: "9090",
	}
	args := env.Args
	if len(args) == 0 {
		args = []string{"start-marathonlb.sh"}
	}
	switch args[0] {
	case "start-marathonlb.sh", "/usr/local/bin/start-marathonlb.sh":
		host := "localhost"
		if ip := env.Getenv("LOCAL_IP"); ip != "" {
			host = ip
		}
		args = append([]string{"--marathon", "http://" + host + ":8080", "--group", "external", "--sse"}, args[1:]...)
	case "run":
		var err error
		if args, err = o.upstream(env, args[1:]); err != nil {
			return o, err
		}
	case "marathon_lb.py", "/marathon-lb/marathon_lb.py":
		args = args[1:]
	}
	if err := o.flags(spread(args)); err != nil {
		return o, err
	}
	return o, o.environment(env)
}

// upstream reads "run MODE FLAGS…" of upstream's image.
func (o *options) upstream(env mini.Env, args []string) ([]string, error) {
	if len(args) == 0 {
		return nil, errors.New("run: mode required: sse or poll")
	}
	switch args[0] {
	case "sse":
		o.follow = events
	case "poll":
		o.follow, o.poll = polling, 60*time.Second
		if s := env.Getenv("POLL_INTERVAL"); s != "" {
			d, err := time.ParseDuration(s + "s")
			if err != nil || d <= 0 {
				return nil, fmt.Errorf("POLL_INTERVAL %q is not a number of seconds", s)
			}
			o.poll = d
		}
	default:
		return nil, fmt.Errorf("run: mode %q is not sse or poll", args[0])
	}
	return args[1:], nil
}

// spread gives each further word behind --marathon and --group a flag of its
// own: argparse takes "--marathon URL URL".
func spread(args []string) []string {
	var out []string
	var many string
	for _, a := range args {
		switch {
		case a == "-m" || a == "--marathon" || a == "--group":
			many = a
			out = append(out, a)
			continue
		case strings.HasPrefix(a, "-"):
			many = ""
		case many != "" && len(out) > 0 && out[len(out)-1] != many:
			out = append(out, many)
		}
		out = append(out, a)
	}
	return out
}

func (o *options) flags(args []string) error {
	var marathon, groups list
	var sse, listening bool
	var credentials, ignored string
	set := flag.NewFlagSet("marathon_lb.py", flag.ContinueOnError)
	var said bytes.Buffer
	set.SetOutput(&said)
	both := func(short, long string, f func(name string)) { f(short); f(long) }
	both("m", "marathon", func(n string) { set.Var(&marathon, n, "") })
	set.Var(&groups, "group", "")
	both("s", "sse", func(n string) { set.BoolVar(&sse, n, false, "") })
	both("l", "listening", func(n string) { set.BoolVar(&listening, n, false, "") })
	both("H", "health-check", func(n string) { set.BoolVar(&o.healthy, n, false, "") })
	both("d", "dry", func(n string) { set.BoolVar(&o.dry, n, false, "") })
	set.StringVar(&o.haproxy, "haproxy", "auto", "")
	set.BoolVar(&o.strict, "strict", false, "")
	set.BoolVar(&o.vhostMap, "haproxy-map", false, "")
	dontBind := set.Bool("dont-bind-http-https", false, "")
	set.StringVar(&o.config, "haproxy-config", o.config, "")
	set.StringVar(&credentials, "auth-credentials", "", "")
	for _, n := range []string{"c", "command", "u", "callback-url", "lru-cache-capacity", "ssl-certs", "log-format", "log-level",
		"syslog-socket", "marathon-auth-credential-file", "min-serv-port-ip-per-task", "max-serv-port-ip-per-task",
		"marathon-ca-cert", "dcos-auth-credentials"} {
		set.StringVar(&ignored, n, "", "")
	}
	var skip bool
	set.BoolVar(&skip, "skip-validation", false, "")
	set.BoolVar(&skip, "longhelp", false, "")
	if err := set.Parse(args); err != nil {
		return err
	}
	switch {
	case set.NArg() > 0:
		return fmt.Errorf("unrecognized arguments: %s", strings.Join(set.Args(), " "))
	case o.haproxy != "never" && o.haproxy != "auto" && !strings.HasPrefix(o.haproxy, "/"):
		return fmt.Errorf("--haproxy %q is not never, auto or an absolute path", o.haproxy)
	case listening:
		return errors.New("--listening: HTTP callbacks are not served here, use --sse")
	case len(marathon) == 0:
		return errors.New("the following arguments are required: --marathon/-m")
	case len(groups) == 0:
		return errors.New("the following arguments are required: --group")
	}
	if sse {
		o.follow = events
	}
	o.bindShared = o.bindShared && !*dontBind
	o.user, o.pass, _ = strings.Cut(credentials, ":")
	o.marathon = marathon
	for _, g := range groups {
		o.groups[g] = true
	}
	return nil
}

// environment lets variables override what the words said.
func (o *options) environment(env mini.Env) error {
	if u := env.Getenv("MARATHON_URL"); u != "" {
		o.marathon = strings.Split(u, ",")
	}
	for i, u := range o.marathon {
		parsed, err := url.Parse(strings.TrimSpace(u))
		if err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" {
			return fmt.Errorf("marathon URL %q is not http://host:port", u)
		}
		o.marathon[i] = strings.TrimRight(parsed.String(), "/")
	}
	if env.Getenv("LAB_DONT_BIND_HTTP_HTTPS") == "1" {
		o.bindShared = false
	}
	if p := env.Getenv("LAB_LB_STATS_PORT"); p != "" {
		if _, err := net.LookupPort("tcp", p); err != nil {
			return fmt.Errorf("LAB_LB_STATS_PORT %q is not a port", p)
		}
		o.statsPort = p
	}
	return nil
}
