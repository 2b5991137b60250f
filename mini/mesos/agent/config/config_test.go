package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/mini"
	"github.com/mesoslab/lab/mini/mesos/mjson"
)

func TestStartScript(t *testing.T) {
	env := mini.Env{
		Args: []string{"start-mesos-slave.sh", "--attributes=rack:r1;level:3"},
		Environ: []string{"MASTER_IP=192.168.59.1", "LOCAL_IP=192.168.59.2", "LAB_ZK_PORT=2182", "MESOS_PORT=5151",
			"LAB_MACHINE_CPUS=1", "LAB_MACHINE_MEMORY_MIB=1024", "LAB_MACHINE_DISK_MIB=20480", "MESOS_SLAVE_PING_TIMEOUT=2secs"},
		Root: t.TempDir(), Hostname: "node2",
	}
	c, err := Load(env)
	if err != nil {
		t.Fatal(err)
	}
	if c.Master != "zk://192.168.59.1:2182/mesos" || c.IP != "192.168.59.2" || c.Port != 5151 {
		t.Errorf("master %s, ip %s, port %d", c.Master, c.IP, c.Port)
	}
	if c.Hostname != "192.168.59.2" {
		t.Errorf("hostname %q: --hostname_lookup=false means the address", c.Hostname)
	}
	if c.RegistrationTimeout != 10*time.Minute || c.WorkDir != "/tmp/mesos" || c.DockerStopTimeout != 0 {
		t.Errorf("timeout %v, work dir %s, stop timeout %v", c.RegistrationTimeout, c.WorkDir, c.DockerStopTimeout)
	}
	got := map[string]float64{}
	for _, r := range c.Resources {
		got[r.Name] = r.GetScalar().GetValue()
	}
	if d := cmp.Diff(map[string]float64{"cpus": 1, "mem": 512, "disk": 15360, "ports": 0}, got); d != "" {
		t.Errorf("default resources (-want +got):\n%s", d)
	}
	if len(c.Attributes) != 2 || c.Attributes[0].GetText().GetValue() != "r1" || c.Attributes[1].GetScalar().GetValue() != 3 {
		t.Errorf("attributes %v", c.Attributes)
	}
	if c.Flags["executor_registration_timeout"] != "10mins" || c.Flags["log_dir"] != "/log/mesos" || c.Flags["containerizers"] != "docker,mesos" {
		t.Errorf("flags %v", c.Flags)
	}
}

func TestCommandLineWinsOverEnvironment(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "attrs"), []byte("zone:b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(mini.Env{
		Args: []string{"mesos-slave", "--master", "10.0.0.1:5050", "--no-strict", "--docker_stop_timeout=90secs",
			"--resources=cpus:2;gpus:1;ports:[1-2,5-9]", "--attributes=file:///attrs", "--gc_delay=14days", "--quiet"},
		Environ: []string{"MESOS_MASTER=10.0.0.9:5050", "MESOS_HOSTNAME=box", "MESOS_STRICT=true"},
		Root:    root,
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.Master != "10.0.0.1:5050" || c.Hostname != "box" || c.Strict || !c.Quiet || c.DockerStopTimeout != 90*time.Second {
		t.Errorf("%+v", c)
	}
	if c.Flags["gc_delay"] != "2weeks" || c.Flags["docker_stop_timeout"] != "90secs" || c.Flags["strict"] != "false" {
		t.Errorf("flags %v", c.Flags)
	}
	if c.Attributes[0].GetText().GetValue() != "b" {
		t.Errorf("attributes %v", c.Attributes)
	}
	var names []string
	for _, r := range c.Resources {
		names = append(names, r.Name)
	}
	if d := cmp.Diff([]string{"cpus", "mem", "disk", "ports", "gpus"}, names); d != "" {
		t.Error(d)
	}
}

func TestWrongFlags(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, `"master"`},
		{[]string{"--nope=1"}, `unknown flag "nope"`},
		{[]string{"--no-nope"}, `unknown flag "no-nope"`},
		{[]string{"--master=a", "--no-port"}, `unknown flag "no-port"`},
		{[]string{"nope"}, `unexpected argument "nope"`},
		{[]string{"--master"}, "missing value"},
		{[]string{"--master=a", "--port=70000"}, "65535"},
		{[]string{"--master=a", "--docker_stop_timeout=2s"}, "unit must be one of"},
		{[]string{"--master=a", "--gc_delay=-2secs"}, "negative"},
		{[]string{"--master=a", "--strict=perhaps"}, "boolean"},
		{[]string{"--master=a", "--recover=never"}, "recover mode"},
		{[]string{"--master=a", "--containerizers=docker,vm"}, `"vm"`},
		{[]string{"--master=a", "--work_dir=here"}, "absolute"},
		{[]string{"--master=a", "--resources=cpus:x"}, "want a number"},
		{[]string{"--master=a", "--attributes=file:///missing"}, "missing"},
		{[]string{"start-mesos-slave.sh"}, "MASTER_IP"},
	} {
		_, err := Load(mini.Env{Args: c.args, Root: t.TempDir()})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want something with %q", c.args, err, c.want)
		}
	}
	_, err := Load(mini.Env{Args: []string{"--master=a"}, Environ: []string{"LAB_MACHINE_CPUS=-1"}, Root: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "LAB_MACHINE_CPUS") {
		t.Errorf("got %v", err)
	}
	for arg, want := range map[string]error{"--help": ErrHelp, "--version": ErrVersion} {
		if _, err := Load(mini.Env{Args: []string{arg}}); !errors.Is(err, want) {
			t.Errorf("%s: %v", arg, err)
		}
	}
}

func TestResources(t *testing.T) {
	text := func(rs []mesos.Resource) (out []string) {
		for _, r := range rs {
			out = append(out, fmt.Sprintf("%s(%s):%v", r.Name, r.GetRole(), mjson.Proto(r).Get(strings.ToLower(r.GetType().String()))))
		}
		return out
	}
	for given, same := range map[string]string{
		`cpus:4;mem(web):1024`: `[{"name":"cpus","type":"SCALAR","scalar":{"value":4}},{"name":"mem","type":"SCALAR","scalar":{"value":1024.0},"role":"web"}]`,
		`ports:[1-2,7-9]`:      `[{"name":"ports","type":"RANGES","ranges":{"range":[{"begin":1,"end":2},{"begin":7,"end":9}]}}]`,
		`disks(a):{x,y}`:       `[{"name":"disks","type":"SET","set":{"item":["x","y"]},"role":"a"}]`,
	} {
		one, err := ParseResources(given, "ops")
		two, err2 := ParseResources(same, "ops")
		if err != nil || err2 != nil || !slices.Equal(text(one), text(two)) {
			t.Errorf("%s: %v, %v\n%s: %v, %v", given, text(one), err, same, text(two), err2)
		}
	}
	for given, want := range map[string]string{
		`[{"name":"cpus","type":"SCALAR"`:                                                                       "invalid resources: ",
		`{"name":"cpus"}`:                                                                                       "array",
		`[{"type":"SCALAR","scalar":{"value":1}}]`:                                                              "resource 0 of the array: Missing required fields: name",
		`[{"name":"cpus","type":"SCALAR","scalar":{"value":-1}}]`:                                               "negative",
		`[{"name":"cpus","type":"TEXT"}]`:                                                                       "SCALAR, RANGES or SET",
		`[{"name":"c;d","type":"SCALAR","scalar":{"value":1}}]`:                                                 `"c;d" has one of`,
		`[{"name":"disk","type":"SCALAR","scalar":{"value":1},"disk":{"persistence":{"id":"x"}}}]`:              "only name, type, role and a value",
		`[{"name":"a","type":"SCALAR","scalar":{"value":1}},{"name":"a","type":"SCALAR","scalar":{"value":1}}]`: "a is given twice",
		`cpus:1;cpus:2`: "given twice",
		`cpus(:1`:       "name(role):value",
	} {
		if _, err := ParseResources(given, "*"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", given, err, want)
		}
	}
	c, err := Load(mini.Env{Args: []string{"--master=a", "--default_role=ops", "--resources=cpus(web):1;mem:64"}, Root: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range c.Resources {
		if want := map[bool]string{true: "web", false: "ops"}[r.Name == "cpus"]; r.GetRole() != want {
			t.Errorf("%s is of role %s, want %s", r.Name, r.GetRole(), want)
		}
	}
}

// Every flag that recorded agents show can be given.
func TestEveryRecordedFlagIsKnown(t *testing.T) {
	names, err := filepath.Glob(filepath.Join(labtest.Contracts(t), "captures-mesos", "*", "*", "*-agent[12]-*flags.json"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no flags of agents: %v", err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var doc struct{ Flags map[string]string }
		if err := json.Unmarshal(b, &doc); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		args := []string{"mesos-slave"}
		for flag, value := range doc.Flags {
			args = append(args, "--"+flag+"="+value)
		}
		if strings.Contains(filepath.Base(name), "-master-") {
			continue
		}
		if _, err := Load(mini.Env{Args: args, Root: t.TempDir()}); err != nil {
			t.Errorf("%s: %v", filepath.Base(name), err)
		}
	}
}

func TestSizesAndShares(t *testing.T) {
	for given, want := range map[string]int64{"2GB": 2 << 30, "0B": 0, "10MB": 10 << 20, "512B": 512, "1TB": 1 << 40, "3KB": 3 << 10} {
		c, err := Load(mini.Env{Args: []string{"--master=a", "--fetcher_cache_size=" + given}, Root: t.TempDir()})
		if err != nil || c.FetcherCacheSize != want {
			t.Errorf("%s: %v, %v", given, c, err)
		}
	}
	for _, arg := range []string{"fetcher_cache_size=2", "fetcher_cache_size=-1MB", "fetcher_cache_size=9999999999TB", "fetcher_cache_size=1.5GB",
		"gc_disk_headroom=2", "gc_disk_headroom=x", "gc_disk_headroom=NaN", "log_dir=here", "fetcher_cache_dir=here", "default_role=", "disk_watch_interval=0ns"} {
		name, _, _ := strings.Cut(arg, "=")
		if _, err := Load(mini.Env{Args: []string{"--master=a", "--" + arg}, Root: t.TempDir()}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", arg, err)
		}
	}
}

func TestDurations(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"2secs": 2 * time.Second, "1.5mins": 90 * time.Second, "10hrs": 10 * time.Hour, "1weeks": 168 * time.Hour,
		"3days": 72 * time.Hour, "0ns": 0, "15ms": 15 * time.Millisecond, "7us": 7 * time.Microsecond,
	} {
		if got, err := ParseDuration(in); err != nil || got != want {
			t.Errorf("%s: %v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "2s", "secs", "2 secs", "1e3secs", "..2secs", "9999999999999weeks"} {
		if got, err := ParseDuration(in); err == nil {
			t.Errorf("%q was taken for %v", in, got)
		}
	}
}

func FuzzDuration(f *testing.F) {
	f.Add("2secs")
	f.Add("1.5mins")
	f.Add("-3ns")
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDuration(s)
		if err != nil {
			return
		}
		back, err := ParseDuration(FormatDuration(d))
		// A float64 holds whole nanoseconds up to 2^53.
		if err != nil || (d.Abs() < 1<<53 && back != d) {
			t.Errorf("%q is %v is %s is %v (%v)", s, d, FormatDuration(d), back, err)
		}
	})
}

func FuzzResources(f *testing.F) {
	f.Add("cpus:4;mem:1024;ports:[31000-32000]")
	f.Add("cpus(web):0.5; disks:{a,b} ;ports:[1-2, 7-9]")
	f.Add("cpus:NaN;mem:1e400")
	f.Add(`[{"name":"ports","type":"RANGES","ranges":{"range":[{"begin":2,"end":1}]}},{"name":"s","type":"SET","set":{"item":["x"]}}]`)
	f.Fuzz(func(t *testing.T, s string) {
		rs, err := ParseResources(s, "*")
		if err != nil {
			return
		}
		for _, r := range rs {
			if r.Name == "" || r.GetRole() == "" {
				t.Errorf("%q: %v has no name or role", s, r)
			}
			if r.GetType() == mesos.SCALAR && !(r.Scalar.Value >= 0) {
				t.Errorf("%q: %v", s, r)
			}
			for _, x := range r.GetRanges().GetRange() {
				if x.Begin > x.End {
					t.Errorf("%q: %v", s, x)
				}
			}
		}
	})
}

func FuzzAttributes(f *testing.F) {
	f.Add("rack:r1;zone:a")
	f.Add("level:10;ids:[1-2];set:{a,b};url:http://x/y")
	f.Fuzz(func(t *testing.T, s string) {
		as, err := ParseAttributes(s)
		if err != nil {
			return
		}
		for _, a := range as {
			if a.Name == "" || (a.Scalar == nil && a.Text == nil && a.Set == nil && a.Ranges == nil) {
				t.Errorf("%q: %v", s, a)
			}
		}
	})
}

func TestRootNeedsLeaveForCommands(t *testing.T) {
	for _, c := range []struct {
		uid     int
		allow   string
		refused bool
	}{{0, "", true}, {0, "0", true}, {0, "1", false}, {1000, "", false}} {
		if got := refused(c.uid, c.allow); (got != "") != c.refused || c.refused && !strings.Contains(got, "local.allow_root_cmd") {
			t.Errorf("uid %d with %q: %q", c.uid, c.allow, got)
		}
	}
}
