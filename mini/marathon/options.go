package marathon

import (
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mesoslab/lab/mini"
	"github.com/mesoslab/lab/mini/marathon/api"
	"github.com/mesoslab/lab/mini/marathon/core"
	"github.com/mesoslab/lab/mini/marathon/group"
	"github.com/mesoslab/lab/mini/marathon/match"
)

// options are 1.1.1's flags, as far as they have an effect here.
type options struct {
	values map[string]string
	core   core.Config

	master, zk            string
	httpAddress, hostname string
	httpPort              int
	frameworkName, user   string
	role, webUI           string
	failover              time.Duration
	checkpoint            bool
	zkTimeout, zkSession  time.Duration
	zkMaxNode             int // bytes of one znode
	memoryStore           bool
	proxyConnect, proxyIO time.Duration
	credentials           *api.Credentials
	endpoints             []string // of event callbacks
	callbackTimeout       time.Duration
	outstanding           int // events that may wait for one listener
}

// defaults of the flags that take a value; "" is unset. A flag that is not
// here is refused. Times are milliseconds unless the flag's name in 1.1.1
// means seconds (failover_timeout).
func flagDefaults() map[string]string {
	m := map[string]string{
		"master": "", "zk": "zk://localhost:2181/marathon", "http_port": "8080", "http_address": "", "hostname": "",
		"framework_name": "marathon", "failover_timeout": "604800", "mesos_user": "", "mesos_role": "", "webui_url": "",
		"task_launch_timeout": "300000", "task_launch_confirm_timeout": "300000",
		"local_port_min": "10000", "local_port_max": "20000",
		"decline_offer_duration": "120000", "min_revive_offers_interval": "5000", "revive_offers_repetitions": "3",
		"max_tasks_per_offer": "5", "launch_tokens": "100", "launch_token_refresh_interval": "30000",
		"reconciliation_initial_delay": "15000", "reconciliation_interval": "600000",
		"scale_apps_initial_delay": "15000", "scale_apps_interval": "300000",
		"zk_timeout": "10000", "zk_session_timeout": "10000", "zk_max_versions": "25", "max_apps": "0", "zk_max_node_size": "1024000", "internal_store_backend": "zk",
		"leader_proxy_connection_timeout": "5000", "leader_proxy_read_timeout": "10000",
		"event_subscriber": "", "http_event_callback_slow_consumer_timeout": "10000", "mesos_leader_ui_url": "", "http_realm": "Mesosphere",
		"event_stream_max_outstanding_messages": "50", "executor": "//cmd", "https_port": "8443",
	}
	for _, name := range []string{"access_control_allow_origin", "artifact_store", "assets_path", "default_accepted_resource_roles",
		"enable_features", "env_vars_prefix", "http_credentials", "http_endpoints",
		"http_max_concurrent_requests", "https_address",
		"leader_proxy_ssl_ignore_hostname", "logging_level", "logstash", "marathon_store_timeout",
		"max_tasks_per_offer_cycle", "mesos_authentication_principal", "mesos_authentication_secret",
		"mesos_authentication_secret_file", "offer_matching_timeout", "on_elected_prepare_timeout", "plugin_conf", "plugin_dir",
		"reporter_datadog", "reporter_graphite", "save_tasks_to_launch_timeout", "ssl_keystore_password", "ssl_keystore_path",
		"store_cache", "task_lost_expunge_gc", "task_lost_expunge_initial_delay", "task_lost_expunge_interval",
		"task_reservation_timeout", "zk_compression_threshold", "zk_hosts", "zk_state"} {
		m[name] = ""
	}
	return m
}

// switches are flags without a value; each can be turned off by disable_.
var switches = []string{"checkpoint", "ha", "http", "http_compression", "metrics", "mesos_authentication",
	"revive_offers_for_new_apps", "store_cache", "tracing", "zk_compression"}

// parseOptions reads MARATHON_* variables as bin/start does, then the
// arguments, which win.
func parseOptions(env mini.Env) (options, error) {
	o := options{values: flagDefaults(), core: core.Defaults(), checkpoint: true}
	known := flagDefaults()
	args := slices.Concat(fromEnviron(env.Environ), env.Args)
	for i := 0; i < len(args); i++ {
		name, isFlag := strings.CutPrefix(args[i], "--")
		if !isFlag {
			return o, fmt.Errorf("excess argument %q", args[i])
		}
		name, value, inline := strings.Cut(name, "=")
		off, _ := strings.CutPrefix(name, "disable_")
		_, valued := known[name]
		switch {
		case slices.Contains(switches, off) && (off != name || !valued):
			on := off == name
			if !inline && i+1 < len(args) && (args[i+1] == "true" || args[i+1] == "false") {
				i++
				value = args[i]
			}
			o.toggle(off, on == (value != "false"))
			continue
		case !valued:
			return o, fmt.Errorf("unknown option --%s", name)
		case !inline:
			i++
			if i >= len(args) {
				return o, fmt.Errorf("--%s needs a value", name)
			}
			value = args[i]
		}
		o.values[name] = value
	}
	return o, o.read(env)
}

// fromEnviron turns MARATHON_FOO=bar into --foo bar, except MARATHON_APP*.
func fromEnviron(environ []string) []string {
	var args []string
	for _, kv := range environ {
		k, v, _ := strings.Cut(kv, "=")
		name, ours := strings.CutPrefix(k, "MARATHON_")
		if !ours || name == "" || strings.HasPrefix(name, "APP") {
			continue
		}
		args = append(args, "--"+strings.ToLower(name))
		if v != "" {
			args = append(args, v)
		}
	}
	return args
}

func (o *options) toggle(name string, on bool) {
	if name == "checkpoint" {
		o.checkpoint = on
	}
}

// read turns the texts into what they mean, and reports all that is wrong.
func (o *options) read(env mini.Env) error {
	var bad []string
	number := func(name string) int {
		n, err := strconv.Atoi(o.values[name])
		if err != nil || n < 0 {
			bad = append(bad, fmt.Sprintf("--%s %s is no number from 0 on", name, o.values[name]))
		}
		return n
	}
	millis := func(name string) time.Duration { return time.Duration(number(name)) * time.Millisecond }
	o.master, o.zk, o.hostname = o.values["master"], o.values["zk"], o.values["hostname"]
	o.httpPort, o.httpAddress = number("http_port"), o.values["http_address"]
	o.frameworkName, o.role = o.values["framework_name"], o.values["mesos_role"]
	o.user, o.webUI = o.values["mesos_user"], o.values["webui_url"]
	o.failover = time.Duration(min(number("failover_timeout"), math.MaxInt32)) * time.Second
	o.zkTimeout, o.zkSession, o.zkMaxNode = millis("zk_timeout"), millis("zk_session_timeout"), number("zk_max_node_size")
	o.proxyConnect, o.proxyIO = millis("leader_proxy_connection_timeout"), millis("leader_proxy_read_timeout")
	o.core = core.Config{
		Ports:         group.PortRange{Min: number("local_port_min"), Max: number("local_port_max")},
		LaunchTimeout: millis("task_launch_timeout"), ConfirmTimeout: millis("task_launch_confirm_timeout"),
		ReconcileDelay: millis("reconciliation_initial_delay"), ReconcileInterval: millis("reconciliation_interval"),
		ScaleDelay: millis("scale_apps_initial_delay"), ScaleInterval: millis("scale_apps_interval"),
		MaxTasksPerOffer: number("max_tasks_per_offer"), DeclineFor: millis("decline_offer_duration"),
		MinRevive: millis("min_revive_offers_interval"), Revives: number("revive_offers_repetitions"),
		LaunchTokens: number("launch_tokens"), TokenRefresh: max(millis("launch_token_refresh_interval"), time.Second),
		MaxApps:     number("max_apps"),
		MaxVersions: max(number("zk_max_versions"), 1),
	}
	o.outstanding = max(number("event_stream_max_outstanding_messages"), 1)
	o.callbackTimeout = millis("http_event_callback_slow_consumer_timeout")
	o.endpoints = words(o.values["http_endpoints"])
	o.core.Rules = match.Rules{Roles: o.acceptedRoles(&bad), EnvPrefix: o.values["env_vars_prefix"]}
	if s := o.values["http_credentials"]; s != "" {
		var err error
		if o.credentials, err = api.ParseCredentials(s, o.values["http_realm"]); err != nil {
			bad = append(bad, "--http_credentials: "+err.Error())
		}
	}
	if o.master == "" {
		bad = append(bad, "--master is missing: zk://host:port/mesos or host:port")
	}
	if s := o.values["event_subscriber"]; s != "" && s != "http_callback" {
		bad = append(bad, "--event_subscriber can only be http_callback")
	}
	switch s := o.values["internal_store_backend"]; s {
	case "zk", "mesos_zk":
	case "mem":
		o.memoryStore = true
	default:
		bad = append(bad, "--internal_store_backend can only be zk or mem")
	}
	o.fill(env)
	if len(bad) > 0 {
		return fmt.Errorf("%s", strings.Join(bad, "\n"))
	}
	return nil
}

// words splits a list at its commas.
func words(s string) (out []string) {
	for w := range strings.SplitSeq(s, ",") {
		if w = strings.TrimSpace(w); w != "" {
			out = append(out, w)
		}
	}
	return out
}

// acceptedRoles are the roles whose resources tasks may use unless their app
// says otherwise: all that this framework is offered, or fewer.
func (o *options) acceptedRoles(bad *[]string) []string {
	offered := []string{"*"}
	if o.role != "" && o.role != "*" {
		offered = append(offered, o.role)
	}
	want := words(o.values["default_accepted_resource_roles"])
	if want == nil {
		return offered
	}
	for _, r := range want {
		if !slices.Contains(offered, r) {
			*bad = append(*bad, fmt.Sprintf("--default_accepted_resource_roles contains roles for which we will not receive offers: %s (offered are %s)",
				r, strings.Join(offered, ", ")))
		}
	}
	return want
}

// fill puts in what 1.1.1 asks the system for.
func (o *options) fill(env mini.Env) {
	if o.hostname == "" {
		o.hostname = env.Hostname
	}
	if o.hostname == "" {
		o.hostname = "localhost"
	}
	if o.user == "" {
		o.user = env.Getenv("USER")
	}
	if o.user == "" {
		o.user = "root"
	}
}

// address is what this process is known as.
func (o *options) address() string { return net.JoinHostPort(o.hostname, strconv.Itoa(o.httpPort)) }
