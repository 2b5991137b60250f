package flags

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"
)

func parse(env map[string]string, args ...string) (Config, error) {
	return Parse(args, Source{
		Getenv: func(k string) string { return env[k] },
		ReadFile: func(p string) ([]byte, error) {
			if p == "/etc/mesos/zk" {
				return []byte("zk://10.0.0.9:2181/mesos\n"), nil
			}
			return nil, fs.ErrNotExist
		},
	})
}

func TestSeed(t *testing.T) {
	c, err := parse(map[string]string{"MESOS_SLAVE_PING_TIMEOUT": "2secs", "MESOS_MAX_SLAVE_PING_TIMEOUTS": "3"},
		"--ip=192.168.59.1", "--zk=zk://192.168.59.1:2181/mesos", "--quorum=1", "--work_dir=/var/lib/mesos",
		"--log_dir=/log/mesos", "--hostname_lookup=false")
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case c.IP.String() != "192.168.59.1" || c.Port != 5050 || c.ZK != "zk://192.168.59.1:2181/mesos" || c.HostnameLookup:
		t.Errorf("%+v", c)
	case c.PingTimeout != 2*time.Second || c.MaxPings != 3 || c.ZKSessionTimeout != 10*time.Second:
		t.Errorf("%+v", c)
	case !c.Old || c.WorkDir != "/var/lib/mesos" || c.OfferTimeout != 0 || c.AllocationInterval != time.Second:
		t.Errorf("%+v", c)
	}
	for name, want := range map[string]string{"agent_ping_timeout": "2secs", "max_agent_ping_timeouts": "3", "quorum": "1",
		"log_dir": "/log/mesos", "registry": "replicated_log", "compat": "0.26"} {
		if c.Shown[name] != want {
			t.Errorf("shown %s = %q, want %q", name, c.Shown[name], want)
		}
	}
}

func TestWhoWins(t *testing.T) {
	env := map[string]string{"MESOS_PORT": "6000", "MESOS_WORK_DIR": "/w", "MESOS_AGENT_PING_TIMEOUT": "5secs"}
	c, err := parse(env, "--port=7000", "--no-hostname_lookup", "--zk=file:///etc/mesos/zk", "--quorum=1", "--compat=1.3", "--authenticate")
	if err != nil {
		t.Fatal(err)
	}
	if c.Port != 7000 || c.WorkDir != "/w" || c.PingTimeout != 5*time.Second || c.HostnameLookup || c.Old {
		t.Errorf("%+v", c)
	}
	if c.ZK != "zk://10.0.0.9:2181/mesos" || c.Shown["authenticate_frameworks"] != "true" {
		t.Errorf("zk %q, shown %v", c.ZK, c.Shown)
	}
}

func TestWrong(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"--agent_ping_timeout=2s", "Failed to load flag 'agent_ping_timeout': Failed to load value '2s': Unknown duration unit 's'"},
		{"--slave_ping_timeout=500ms", "Invalid value '500ms': Must be between 1secs and 15mins"},
		{"--slave_ping_timeout=20mins", "Must be between 1secs and 15mins"},
		{"--max_agent_ping_timeouts=0", "Must be between 1 and"},
		{"--frobnicate=1", "Failed to load unknown flag 'frobnicate'"},
		{"--port", "Failed to load non-boolean flag 'port': Missing value"},
		{"--port=http", "Failed to load flag 'port'"},
		{"--port=70000", "Must be between 0 and 65535"},
		{"--no-quiet=true", "Failed to load boolean flag 'quiet'"},
		{"--quiet=maybe", "Expecting a boolean"},
		{"5050", "Failed to parse argument '5050'"},
		{"--ip=node1", "not an IP address"},
		{"--weights=web", "Expecting role=weight"},
		{"--weights=web=-1", "Expecting role=weight"},
		{"--roles=db --weights=web=2", "Role 'web' is not in --roles"},
		{"--compat=0.28", "Must be 0.26 or 1.3"},
		{"--registry=oracle", "'oracle' is not a supported registry"},
		{"--zk=zk://a/m", "--quorum"},
		{"--zk=file:///nowhere --quorum=1", "Failed to load flag 'zk'"},
		{"--agent_reregister_timeout=1mins", "Must be between 10mins and no limit"},
		{"--offer_timeout=soon", "Invalid duration 'soon'"},
	} {
		_, err := parse(nil, append(strings.Fields(c.args), "--work_dir=/w")...)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v\nwant …%s…", c.args, err, c.want)
		}
	}
	if _, err := parse(nil); err == nil || !strings.Contains(err.Error(), "--work_dir needed") {
		t.Errorf("no work_dir: %v", err)
	}
	if _, err := parse(nil, "--zk=file:///nowhere"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if c, err := parse(nil, "--help"); err != nil || !c.Help {
		t.Errorf("--help: %v", err)
	}
}

func TestListed(t *testing.T) {
	c, err := parse(nil, "--registry=in_memory", "--roles=web,db", "--weights=web=2,db=0.5")
	if err != nil || len(c.Roles) != 2 || c.Weights["web"] != 2 || c.Weights["db"] != 0.5 {
		t.Errorf("%v %v %v", c.Roles, c.Weights, err)
	}
	if got := NoEffect([]string{"--port=1", "--credentials=/x", "--logging_level=INFO"}); len(got) != 2 {
		t.Errorf("without effect: %v", got)
	}
	if u := Usage(); !strings.Contains(u, "--agent_ping_timeout=15secs\n") {
		t.Errorf("usage:\n%s", u)
	}
}

func TestDurations(t *testing.T) {
	for s, want := range map[string]time.Duration{"2secs": 2 * time.Second, "500ms": 500 * time.Millisecond, "1.5mins": 90 * time.Second,
		"1weeks": 168 * time.Hour, "10ns": 10, "3us": 3000, "2days": 48 * time.Hour, "0secs": 0} {
		if got, err := ParseDuration(s); err != nil || got != want {
			t.Errorf("%s = %v, %v; want %v", s, got, err, want)
		}
	}
	for _, s := range []string{"", "2", "2s", "2 secs", "secs", "1e3secs", "--2secs", "1.2.3secs", "9999999999weeks"} {
		if got, err := ParseDuration(s); err == nil {
			t.Errorf("%q = %v, want an error", s, got)
		}
	}
	for want, d := range map[string]time.Duration{"15secs": 15 * time.Second, "10mins": 10 * time.Minute, "90secs": 90 * time.Second, "0ns": 0, "1500ms": 1500 * time.Millisecond} {
		if got := FormatDuration(d); got != want {
			t.Errorf("%v = %s, want %s", d, got, want)
		}
	}
}

func FuzzDuration(f *testing.F) {
	f.Add("15secs")
	f.Add("1.5mins")
	f.Add("-3us")
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDuration(s)
		if err != nil {
			return
		}
		if back, err := ParseDuration(FormatDuration(d)); err != nil || back != d {
			t.Errorf("%q is %v, printed %s, read again %v, %v", s, d, FormatDuration(d), back, err)
		}
	})
}
