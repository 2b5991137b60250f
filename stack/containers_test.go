package stack

import (
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mesoslab/lab"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func nodesAt(prefix string, slaves int) []lab.Node {
	var out []lab.Node
	spec := lab.Spec{Subnet: prefix, Slaves: slaves}.WithDefaults()
	out, err := spec.Nodes()
	if err != nil {
		panic(err)
	}
	return out
}

var (
	localFeatures   = lab.Features{Name: "local", PingTimeout: 2 * time.Second, PingTimeouts: 3}
	vagrantFeatures = lab.Features{Name: "vagrant", Real: true, OwnKernel: true, PingTimeout: 3 * time.Second, PingTimeouts: 5}
)

func mustPlatform(t testing.TB, spec lab.Spec, f lab.Features, nodes []lab.Node) Platform {
	t.Helper()
	p, err := New(spec, "0123abcd", f, nodes)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// golden compares with testdata/<name>, or writes it with -update.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", file, diff)
	}
}

func TestContainers(t *testing.T) {
	odd := lab.Spec{
		Mesos: lab.MesosSpec{SlavePingTimeout: 1500 * time.Millisecond, MaxSlavePingTimeouts: 2, Resources: "cpus:4", Attributes: "rack:a",
			Env: map[string]string{"MESOS_QUIET": "true", "MESOS_AUTHENTICATE": "false"}},
		Marathon: lab.MarathonSpec{Args: []string{"--task_launch_timeout", "600000"}},
		Ports:    lab.PortsSpec{ZooKeeper: 12181, Mesos: 15050, Marathon: 18080, LBStats: 19090, App: 11000},
		Images:   lab.ImagesSpec{Mesos: "mine/mesos:1"},
		Local:    lab.LocalSpec{AllowOtherUsers: true, AllowRootCmd: true},
	}
	for _, tt := range []struct {
		file     string
		spec     lab.Spec
		features lab.Features
		subnet   string
	}{
		{"containers-seed.json", lab.Spec{Stack: "seed"}, vagrantFeatures, "192.168.59.0/24"},
		{"containers-mini.json", lab.Spec{}, localFeatures, "127.168.59.0/24"},
		{"containers-mini-real.json", lab.Spec{Stack: "mini"}, lab.Features{Name: "docker", Real: true, PingTimeout: 3 * time.Second, PingTimeouts: 5}, "192.168.60.0/24"},
		{"containers-odd.json", odd, localFeatures, "127.168.60.0/24"},
	} {
		t.Run(tt.file, func(t *testing.T) {
			p := mustPlatform(t, tt.spec, tt.features, nodesAt(tt.subnet, 2))
			data, err := json.MarshalIndent(p.Containers(), "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, tt.file, append(data, '\n'))
		})
	}
}

// TestSeedWords compares with what the article's script starts (seed.md 2).
func TestSeedWords(t *testing.T) {
	p := mustPlatform(t, lab.Spec{Stack: "seed"}, vagrantFeatures, nodesAt("192.168.59.0/24", 2))
	for _, c := range p.Containers() {
		if c.Network != "host" || c.Restart != "always" || c.Labels[LabelName] != "lab/0123abcd" || len(c.Labels[LabelSpec]) != 12 {
			t.Errorf("%s: %+v", c.Name, c)
		}
		for _, e := range c.Env {
			if strings.HasPrefix(e, "LAB_") || strings.HasPrefix(e, "ZOO_") {
				t.Errorf("%s: the seed's images know nothing of %s", c.Name, e)
			}
		}
		wantPrivileged := strings.HasPrefix(c.Name, "mesos_slave") || c.Name == "marathon-lb"
		if c.Privileged != wantPrivileged || c.PidHost != strings.HasPrefix(c.Name, "mesos_slave") {
			t.Errorf("%s: privileged %v, pid host %v", c.Name, c.Privileged, c.PidHost)
		}
	}
}

func TestHashFollowsDefinition(t *testing.T) {
	nodes := nodesAt("127.168.59.0/24", 2)
	hashes := func(spec lab.Spec) map[string]string {
		out := map[string]string{}
		for _, c := range mustPlatform(t, spec, localFeatures, nodes).Containers() {
			out[c.Name] = c.Labels[LabelSpec]
		}
		return out
	}
	base := hashes(lab.Spec{})
	if diff := cmp.Diff(base, hashes(lab.Spec{})); diff != "" {
		t.Errorf("the same spec gives other hashes: %s", diff)
	}
	for _, c := range mustPlatform(t, lab.Spec{}, localFeatures, nodesAt("127.168.59.0/24", 3)).Containers() {
		if h, ok := base[c.Name]; ok && h != c.Labels[LabelSpec] {
			t.Errorf("one more slave changes %s", c.Name)
		}
	}
	for _, tt := range []struct {
		name    string
		spec    lab.Spec
		changed []string
	}{
		{"pings", lab.Spec{Mesos: lab.MesosSpec{SlavePingTimeout: time.Second}}, []string{"mesos_master"}},
		{"attributes", lab.Spec{Mesos: lab.MesosSpec{Attributes: "rack:a"}}, []string{"mesos_slave1", "mesos_slave2"}},
		{"commands as root", lab.Spec{Local: lab.LocalSpec{AllowRootCmd: true}}, []string{"mesos_slave1", "mesos_slave2"}},
		{"marathon", lab.Spec{Marathon: lab.MarathonSpec{Args: []string{"--x"}}}, []string{"marathon"}},
		{"marathon-lb", lab.Spec{LB: lab.MarathonLBSpec{Args: []string{"--health-check"}}}, []string{"marathon-lb"}},
		{"app port", lab.Spec{Ports: lab.PortsSpec{App: 10001}}, nil},
	} {
		var changed []string
		for name, h := range hashes(tt.spec) {
			if h != base[name] {
				changed = append(changed, name)
			}
		}
		slices.Sort(changed)
		if !slices.Equal(changed, tt.changed) {
			t.Errorf("%s changes %q, want %q", tt.name, changed, tt.changed)
		}
	}
}

func TestMesosDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		2 * time.Second: "2secs", time.Minute: "1mins", 90 * time.Second: "90secs", 1500 * time.Millisecond: "1500ms",
		15 * time.Minute: "15mins", 1500 * time.Microsecond: "1500us", 1: "1ns",
	} {
		if got := mesosDuration(d); got != want {
			t.Errorf("%s is written %s, want %s", d, got, want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	nodes := nodesAt("127.168.59.0/24", 2)
	if _, err := New(lab.Spec{}, "x", lab.Features{}, nodes); err == nil {
		t.Error("no ping time-outs were accepted")
	}
	if _, err := New(lab.Spec{}, "x", localFeatures, nodes[1:]); err == nil {
		t.Error("no master was accepted")
	}
	_, err := New(lab.Spec{Stack: "seed", Ports: lab.PortsSpec{ZooKeeper: 2182}}, "x", vagrantFeatures, nodes)
	if lab.ErrorID(err) != "port-fixed" {
		t.Errorf("another ZooKeeper port for the seed's images: %v", err)
	}
}

func TestLostAfter(t *testing.T) {
	from, to := mustPlatform(t, lab.Spec{}, localFeatures, nodesAt("127.168.59.0/24", 2)).LostAfter()
	if from != 6*time.Second || to != 8*time.Second {
		t.Errorf("lost after %s to %s, want 6 s to 8 s", from, to)
	}
}

func TestEndpoints(t *testing.T) {
	urls := func(spec lab.Spec, subnet string) string {
		var out []string
		for _, e := range mustPlatform(t, spec, localFeatures, nodesAt(subnet, 1)).Endpoints() {
			out = append(out, e.Name+" "+e.URL+" "+e.Article)
		}
		return strings.Join(out, "\n")
	}
	want := "nginx http://127.168.60.1:10000/ http://192.168.59.1:10000/\nMarathon http://127.168.60.1:8080/ http://192.168.59.1:8080/\n" +
		"Mesos http://127.168.60.1:5050/ http://192.168.59.1:5050/\nload balancer http://127.168.60.1:9090/haproxy?stats http://192.168.59.1:9090/haproxy?stats"
	if got := urls(lab.Spec{}, "127.168.60.0/24"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := urls(lab.Spec{App: "none"}, "192.168.59.0/24"); strings.Contains(got, "nginx") || strings.Contains(got, "  http") {
		t.Errorf("without an app, on the article's addresses: %s", got)
	}
}

func TestSampleApp(t *testing.T) {
	p := mustPlatform(t, lab.Spec{}, localFeatures, nodesAt("127.168.59.0/24", 2))
	golden(t, "nginx.json", append(p.SampleApp(false).JSON, '\n'))
	golden(t, "nginx-article.json", append(p.SampleApp(true).JSON, '\n'))
	// What the article deploys, value for value (seed.md 3).
	article := `{"id":"nginx","labels":{"HAPROXY_GROUP":"external"},"cpus":0.2,"mem":20.0,"instances":2,"healthChecks":[{"path":"/"}],
		"container":{"type":"DOCKER","docker":{"image":"nginx:1.10","network":"BRIDGE",
		"portMappings":[{"containerPort":80,"hostPort":0,"servicePort":10000,"protocol":"tcp"}]}}}`
	var got, want any
	if json.Unmarshal(p.SampleApp(true).JSON, &got) != nil || json.Unmarshal([]byte(article), &want) != nil {
		t.Fatal("no JSON")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestLoadDefinition(t *testing.T) {
	d, err := LoadDefinition("web.json", []byte(`{"id":"/team/web/","cmd":"x"}`))
	if err != nil || d.ID != "/team/web" {
		t.Errorf("%+v, %v", d, err)
	}
	for _, bad := range []string{"", "[]", "{}", `{"id":""}`, "{\n\"id\": \"a\",\n}"} {
		_, err := LoadDefinition("web.json", []byte(bad))
		if lab.ErrorID(err) != "app-invalid" || !strings.Contains(err.Error(), "web.json") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := LoadDefinition("web.json", []byte("{\n\"id\": \"a\",\n}")); !strings.Contains(err.Error(), "line 3") {
		t.Errorf("the error names no line: %v", err)
	}
}

func TestNodeAt(t *testing.T) {
	p := mustPlatform(t, lab.Spec{}, localFeatures, nodesAt("127.168.59.0/24", 2))
	if p.NodeAt("127.168.59.3") != "node3" || p.NodeAt("10.0.0.1") != "" || p.Master().IP != netip.MustParseAddr("127.168.59.1") || len(p.Slaves()) != 2 {
		t.Error("addresses do not lead to nodes")
	}
}
