package marathonlb

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mesoslab/lab/mini/marathonlb/proxy"
)

func TestLabelValues(t *testing.T) {
	for _, c := range []struct {
		label, value string
		ok           bool
	}{
		{"PORT", "80", true}, {"PORT", " 80 ", true}, {"PORT", "eighty", false}, {"PORT", "0", false}, {"PORT", "65536", false}, {"PORT", "", false},
		{"MODE", "tcp", true}, {"MODE", "http", true}, {"MODE", "HTTP", false}, {"MODE", "", false},
		{"BALANCE", "source", true}, {"BALANCE", "fair", false},
		{"BIND_ADDR", "*", true}, {"BIND_ADDR", "::1", true}, {"BIND_ADDR", "127.0.0.1", true}, {"BIND_ADDR", "127.0.0.1:80", false}, {"BIND_ADDR", "host", false},
		{"STICKY", "true", true}, {"STICKY", "perhaps", true},
		{"VHOST", "a.example", true}, {"VHOST", "a.example, b.example", true}, {"VHOST", "a b", false}, {"VHOST", "a,,b", false}, {"VHOST", "", false}, {"VHOST", "a\n  bind *:1", false},
		{"PATH", "/x", true}, {"PATH", "x", false}, {"PATH", "/x y", false}, {"PATH", "/x#", false},
		{"BACKEND_WEIGHT", "-1", true}, {"BACKEND_WEIGHT", "much", false},
	} {
		a := app{ID: "/x", Labels: map[string]string{"HAPROXY_0_" + c.label: c.value}}
		err := (&service{}).labelled(a, 0)
		if (err == nil) != c.ok {
			t.Errorf("%s=%q: %v", c.label, c.value, err)
		}
		if err != nil && (!strings.Contains(err.Error(), "/x") || !strings.Contains(err.Error(), "HAPROXY_0_"+c.label)) {
			t.Errorf("%s=%q: the error does not say where: %v", c.label, c.value, err)
		}
	}
}

// All bad labels are named at once, and those of other ports do not count.
func TestAllErrorsAtOnce(t *testing.T) {
	a := label(label(nginx(one), "HAPROXY_0_MODE", "x"), "HAPROXY_0_PORT", "y")
	b := label(nginx(one), "HAPROXY_0_BALANCE", "z")
	b["id"] = "/other"
	builder := builder{groups: map[string]bool{"external": true}, strict: true}
	_, _, err := builder.build(appsOf(t, a, b), nil)
	for _, want := range []string{"HAPROXY_0_MODE", "HAPROXY_0_PORT", "HAPROXY_0_BALANCE"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("lacks %s: %v", want, err)
		}
	}
	if _, _, err := builder.build(appsOf(t, label(nginx(one), "HAPROXY_1_MODE", "x")), nil); err != nil {
		t.Errorf("a label of a port that is not there: %v", err)
	}
	if _, _, err := builder.build(appsOf(t, label(label(nginx(one), "HAPROXY_0_MODE", "x"), "HAPROXY_GROUP", "internal")), nil); err != nil {
		t.Errorf("a label of another group: %v", err)
	}
}

func TestIgnoredLabels(t *testing.T) {
	a := app{Labels: map[string]string{"HAPROXY_GROUP": "", "HAPROXY_0_VHOST": "", "HAPROXY_0_SSL_CERT": "", "HAPROXY_12_AUTH": "", "HAPROXY_DEPLOYMENT_GROUP": "", "OTHER": ""}}
	if got := ignored(a); !slices.Equal(got, []string{"HAPROXY_0_SSL_CERT", "HAPROXY_12_AUTH"}) {
		t.Errorf("got %v", got)
	}
}

func TestMember(t *testing.T) {
	for _, c := range []struct {
		ours, labels string
		want         bool
	}{
		{"external", `{"HAPROXY_GROUP":"external"}`, true},
		{"external", `{"HAPROXY_GROUP":"internal,external"}`, true},
		{"external", `{"HAPROXY_GROUP":"internal"}`, false},
		{"external", `{}`, false},
		{"external", `{"HAPROXY_GROUP":"external","HAPROXY_0_GROUP":"internal"}`, false},
		{"external", `{"HAPROXY_0_GROUP":"external"}`, true},
		{"*", `{}`, true},
	} {
		var a app
		if err := json.Unmarshal([]byte(`{"labels":`+c.labels+`}`), &a); err != nil {
			t.Fatal(err)
		}
		b := builder{groups: map[string]bool{c.ours: true}}
		if got := b.member(a, 0); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func results(alive ...bool) []any {
	out := []any{}
	for _, a := range alive {
		out = append(out, map[string]any{"alive": a})
	}
	return out
}

// --health-check: all results alive, or none now and alive before.
func TestHealthCheckFlag(t *testing.T) {
	a := nginx("10.0.0.2:1", "10.0.0.2:2", "10.0.0.2:3", "10.0.0.2:4")
	tasks := a["tasks"].([]any)
	set := func(i int, alive ...bool) { tasks[i].(map[string]any)["healthCheckResults"] = results(alive...) }
	set(0, true)
	set(1, true, false)
	set(2, true, true)
	b := builder{groups: map[string]bool{"external": true}, healthy: true}
	ports := func() (got []int) {
		services, _, err := b.build(appsOf(t, a), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range services {
			for _, srv := range s.servers {
				got = append(got, srv.port)
			}
		}
		return got
	}
	if got := ports(); !slices.Equal(got, []int{1, 3}) {
		t.Errorf("first: %v", got)
	}
	delete(tasks[0].(map[string]any), "healthCheckResults") // a new leader knows nothing
	set(2, false)
	if got := ports(); !slices.Equal(got, []int{1}) {
		t.Errorf("after a change of leader: %v", got)
	}
	delete(tasks[2].(map[string]any), "healthCheckResults")
	if got := ports(); !slices.Equal(got, []int{1}) {
		t.Errorf("unhealthy, then unknown: %v", got)
	}
	if len(b.alive) != 1 {
		t.Errorf("remembers %v", b.alive)
	}
	b.healthy = false
	if got := ports(); len(got) != 4 {
		t.Errorf("without the flag: %v", got)
	}
}

// A zero-downtime deployment: one backend, old tasks drained as new ones
// become healthy (contracts 11.5).
func TestZeroDowntimeDeployment(t *testing.T) {
	colour := func(id, startedAt string, target string, addrs ...string) map[string]any {
		a := nginx(addrs...)
		a["id"] = id
		for i, task := range a["tasks"].([]any) {
			task.(map[string]any)["id"] = fmt.Sprintf("%s.%d", id[1:], i)
		}
		label(label(a, "HAPROXY_DEPLOYMENT_GROUP", "nginx"), "HAPROXY_DEPLOYMENT_ALT_PORT", "10001")
		return label(label(label(a, "HAPROXY_0_PORT", "10000"), "HAPROXY_DEPLOYMENT_STARTED_AT", startedAt), "HAPROXY_DEPLOYMENT_TARGET_INSTANCES", target)
	}
	blue := colour("/nginx-blue", "2016-02-01T10:00:00", "3", "10.0.0.2:1", "10.0.0.2:2", "10.0.0.2:3")
	green := colour("/nginx-green", "2016-02-01T11:00:00", "3", "10.0.0.3:1", "10.0.0.3:2")
	green["portDefinitions"] = []any{map[string]any{"port": 10001}}
	drained := func() (got []string) {
		services := build(t, appsOf(t, green, blue))
		if len(services) != 1 || services[0].name() != "nginx_10000" || len(services[0].servers) != 5 {
			t.Fatalf("services: %+v", services)
		}
		for _, s := range services[0].servers {
			if s.disabled {
				got = append(got, s.task)
			}
		}
		return got
	}
	if got := drained(); got != nil {
		t.Errorf("nothing healthy, yet drained: %v", got)
	}
	green["tasks"].([]any)[1].(map[string]any)["healthCheckResults"] = results(true)
	if got := drained(); !slices.Equal(got, []string{"nginx-blue.0"}) {
		t.Errorf("one healthy: %v", got)
	}
	green["tasks"].([]any)[0].(map[string]any)["healthCheckResults"] = results(true)
	if got := drained(); !slices.Equal(got, []string{"nginx-blue.0", "nginx-blue.1"}) {
		t.Errorf("two healthy: %v", got)
	}
	if text := text1(build(t, appsOf(t, green, blue)), shared{}); strings.Count(text, " disabled\n") != 2 {
		t.Errorf("text:\n%s", text)
	}
}

// Whatever labels say, the outcome is an error or a configuration in which
// every line is one that render can mean.
func FuzzLabels(f *testing.F) {
	f.Add("VHOST", "a.example,b", "PATH", "/x")
	f.Add("MODE", "tcp\n  bind *:22", "BALANCE", "hdr(x)")
	f.Add("PORT", "10001", "STICKY", "true")
	f.Fuzz(func(t *testing.T, k1, v1, k2, v2 string) {
		a := app{ID: "/x", PortDefinitions: []servicePort{{10000}}, Tasks: []task{{ID: "x", Host: "10.0.0.2", Ports: []int{31000}}},
			Labels: map[string]string{"HAPROXY_GROUP": "external", "HAPROXY_0_" + k1: v1, "HAPROXY_0_" + k2: v2}}
		checkBuild(t, []app{a})
	})
}

func FuzzApps(f *testing.F) {
	f.Add([]byte(`{"apps":[{"id":"/nginx","labels":{"HAPROXY_GROUP":"external"},"ports":[10000],"tasks":[{"id":"a","host":"h","ports":[1]}]}]}`))
	f.Add([]byte(`{"apps":[{"id":"/x","labels":{"HAPROXY_GROUP":"external","HAPROXY_DEPLOYMENT_GROUP":"y z"},"container":{"docker":{"portMappings":[{"servicePort":10000}]}},"healthChecks":[{"protocol":"HTTP","path":"/ x","portIndex":0}],"tasks":[{"id":"a","host":"h\nx","ports":[70000]}]}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if apps, err := decodeApps(strings.NewReader(string(b))); err == nil {
			checkBuild(t, apps)
		}
	})
}

func checkBuild(t *testing.T, apps []app) {
	t.Helper()
	b := builder{groups: map[string]bool{"external": true}}
	b.reserve(shared{vhosts: true, appIDs: true}, "9090")
	services, _, err := b.build(apps, nil)
	if err == nil {
		err = model(services, shared{vhosts: true, appIDs: true}).Validate()
	}
	if err != nil { // what is left is valid
		t.Fatal(err)
	}
	checkServices(t, services)
	b.strict = true
	if services, _, err = b.build(apps, nil); err == nil {
		checkServices(t, services)
	}
}

func checkServices(t *testing.T, services []service) {
	t.Helper()
	open := shared{vhosts: true, appIDs: true}
	text := text1(services, open)
	frontends, backends := 2, 0
	for line := range strings.Lines(text) {
		word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "frontend":
			frontends--
		case "backend":
			backends++
		case "acl", "use_backend", "bind", "mode", "balance", "option", "http-request", "cookie", "timeout", "server",
			"", "global", "daemon", "maxconn", "stats", "server-state-file", "server-state-base", "defaults",
			"load-server-state-from-file", "retries", "listen", "monitor-uri":
		default:
			t.Fatalf("line %q in\n%s", line, text)
		}
	}
	if -frontends != len(services) || backends != len(services) || strings.Count(text, "\n  bind ") != len(services)+3 {
		t.Fatalf("%d services, but\n%s", len(services), text)
	}
	c := model(services, open)
	if len(c.Backends) != len(services) {
		t.Fatalf("%d services, %d backends", len(services), len(c.Backends))
	}
	for _, b := range c.Backends {
		if _, err := proxy.ParseMode(string(b.Mode)); err != nil {
			t.Fatal(err)
		}
	}
}
