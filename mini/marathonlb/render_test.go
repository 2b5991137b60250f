package marathonlb

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab/mini/marathonlb/proxy"
)

var update = flag.Bool("update", false, "write the golden files")

// appsOf turns the doubles' apps into what is read of them.
func appsOf(t *testing.T, apps ...map[string]any) []app {
	t.Helper()
	b, err := json.Marshal(map[string]any{"apps": apps})
	if err != nil {
		t.Fatal(err)
	}
	out, err := decodeApps(strings.NewReader(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func build(t *testing.T, apps []app) []service {
	t.Helper()
	b := builder{groups: map[string]bool{"external": true}, strict: true}
	services, _, err := b.build(apps, nil)
	if err != nil {
		t.Fatal(err)
	}
	return services
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test -update writes it); got\n%s", name, got)
	}
}

func text1(services []service, open shared) string {
	return render(services, open, proxy.DefaultLimits(), "9090")
}

// The article's nginx gives what the real 1.3.0 gives (contracts 11.3).
func TestRenderNginx(t *testing.T) {
	got := text1(build(t, appsOf(t, nginx("192.168.59.3:31777", "192.168.59.2:31005"))), shared{})
	for _, want := range []string{`
frontend nginx_10000
  bind *:10000
  mode http
  use_backend nginx_10000
`, `
backend nginx_10000
  balance roundrobin
  mode http
  option forwardfor
  http-request set-header X-Forwarded-Port %[dst_port]
  http-request add-header X-Forwarded-Proto https if { ssl_fc }
  option  httpchk GET /
  timeout check 20s
  server 192_168_59_2_31005 192.168.59.2:31005 check inter 60s fall 4
  server 192_168_59_3_31777 192.168.59.3:31777 check inter 60s fall 4
`} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %s\ngot %s", want, got)
		}
	}
	golden(t, "nginx.cfg", got)
}

// zoo is an app for each thing that labels and checks can say.
func zoo(t *testing.T) []map[string]any {
	t.Helper()
	var apps []map[string]any
	add := func(id string, port int, change func(a map[string]any)) {
		a := nginx("10.0.0.2:31001", "node-3.example:31002")
		a["id"], a["ports"], a["portDefinitions"] = id, nil, []any{map[string]any{"port": port}}
		change(a)
		apps = append(apps, a)
	}
	add("/tcp", 10001, func(a map[string]any) { a["healthChecks"] = []any{} })
	add("/group/tcp-check", 10002, func(a map[string]any) {
		a["healthChecks"] = []any{map[string]any{"protocol": "TCP", "portIndex": 0, "intervalSeconds": 5, "timeoutSeconds": 2, "maxConsecutiveFailures": 0}}
	})
	add("/sticky", 10003, func(a map[string]any) { label(label(a, "HAPROXY_0_STICKY", "Yes"), "HAPROXY_0_BALANCE", "leastconn") })
	add("/vhost", 10004, func(a map[string]any) { label(a, "HAPROXY_0_VHOST", "a.example,b.example") })
	add("/vhost-path", 10005, func(a map[string]any) {
		label(label(a, "HAPROXY_0_VHOST", "a.example"), "HAPROXY_0_PATH", "/api")
		a["healthChecks"] = nil
	})
	add("/heavy", 10006, func(a map[string]any) {
		label(label(a, "HAPROXY_0_VHOST", "a.example"), "HAPROXY_0_BACKEND_WEIGHT", "5")
	})
	add("/moved", 10007, func(a map[string]any) {
		label(label(label(a, "HAPROXY_0_PORT", "20007"), "HAPROXY_0_BIND_ADDR", "127.0.0.1"), "HAPROXY_0_MODE", "tcp")
	})
	add("/second-port-only", 10008, func(a map[string]any) {
		a["labels"] = map[string]any{"HAPROXY_GROUP": "internal", "HAPROXY_1_GROUP": "other,external"}
		a["portDefinitions"] = []any{map[string]any{"port": 10008}, map[string]any{"port": 10009}}
		a["tasks"] = []any{
			map[string]any{"id": "x.1", "host": "10.0.0.2", "ports": []int{31001, 31002}},
			map[string]any{"id": "x.2", "host": "10.0.0.2", "ports": []int{31003}},
			map[string]any{"id": "x.3", "host": "", "ports": []int{1, 2}},
		}
	})
	add("/internal", 10010, func(a map[string]any) { label(a, "HAPROXY_GROUP", "internal") })
	add("/empty", 10011, func(a map[string]any) { a["tasks"] = nil })
	add("/command-check", 10012, func(a map[string]any) {
		a["healthChecks"] = []any{map[string]any{"protocol": "COMMAND", "portIndex": 0}}
	})
	return apps
}

func TestRenderZoo(t *testing.T) {
	apps := zoo(t)
	got := text1(build(t, appsOf(t, apps...)), shared{vhosts: true, appIDs: true})
	golden(t, "zoo.cfg", got)
	for i, j := 0, len(apps)-1; i < j; i, j = i+1, j-1 { // the order of Marathon's answer does not matter
		apps[i], apps[j] = apps[j], apps[i]
	}
	if again := text1(build(t, appsOf(t, apps...)), shared{vhosts: true, appIDs: true}); again != got {
		t.Errorf("another order gives\n%s", again)
	}
}

// What is rendered is what is served.
func TestModelAgreesWithText(t *testing.T) {
	services := build(t, appsOf(t, zoo(t)...))
	open := shared{vhosts: true, appIDs: true}
	c, text := model(services, open), text1(services, open)
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, f := range c.Frontends {
		if !strings.Contains(text, "\nfrontend "+f.Name+"\n  bind "+f.Bind+"\n  mode "+string(f.Mode)+"\n") {
			t.Errorf("frontend %+v is not in the text", f)
		}
		for _, r := range f.Rules {
			if !strings.Contains(text, "  use_backend "+r.Backend+" if ") {
				t.Errorf("rule %+v is not in the text", r)
			}
		}
	}
	servers := 0
	for _, b := range c.Backends {
		for _, s := range b.Servers {
			servers++
			if !strings.Contains(text, "  server "+s.Name+" "+s.Addr) {
				t.Errorf("server %+v is not in the text", s)
			}
		}
	}
	if n := strings.Count(text, "\n  server "); n != servers {
		t.Errorf("%d servers in the text, %d in the model", n, servers)
	}
}

// contract reads one of the captured files.
func contract(t *testing.T, name string) []byte {
	t.Helper()
	dir := os.Getenv("LAB_CONTRACTS")
	if dir == "" {
		t.Skip("LAB_CONTRACTS is not set")
	}
	b, err := os.ReadFile(filepath.Join(dir, "marathon-lb", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestContractNginxJSON(t *testing.T) {
	var a map[string]any
	if err := json.Unmarshal(contract(t, "1-nginx.json"), &a); err != nil {
		t.Fatal(err)
	}
	a["id"] = "/nginx"
	a["tasks"] = []any{map[string]any{"id": "t.1", "host": "10.0.0.2", "ports": []int{31001}}}
	services := build(t, appsOf(t, a))
	if len(services) != 1 {
		t.Fatalf("%d services", len(services))
	}
	s := services[0]
	want := proxy.Check{Path: "/", Interval: 3 * time.Second, Timeout: 15 * time.Second, Fall: 11}
	if s.name() != "nginx_10000" || s.mode != proxy.HTTP || s.check == nil || *s.check != want {
		t.Errorf("%+v, check %+v", s, s.check)
	}
}

func TestContractZDD(t *testing.T) {
	apps, err := decodeApps(strings.NewReader(string(contract(t, "zdd_apps.json"))))
	if err != nil {
		t.Fatal(err)
	}
	services := build(t, apps)
	if len(services) != 1 || services[0].name() != "nginx_10000" || services[0].check == nil {
		t.Fatalf("services: %+v", services)
	}
	var drained []int
	for _, s := range services[0].servers {
		if s.disabled {
			drained = append(drained, s.port)
		}
	}
	// Three old tasks, one healthy new one, target 3: the old task with the
	// lowest id makes room.
	if n := len(services[0].servers); n != 4 || len(drained) != 1 || drained[0] != 31184 {
		t.Errorf("%d servers, drained %v", n, drained)
	}
}

// The statistics' columns are those of the captured CSV.
func TestContractCSVColumns(t *testing.T) {
	head, _, _ := strings.Cut(string(contract(t, "haproxy_stats.csv")), "\n")
	var w strings.Builder
	if err := proxy.WriteCSV(&w, nil); err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSuffix(w.String(), "\n"); got != strings.TrimSpace(head) {
		t.Errorf("columns\n%s\nwant\n%s", got, head)
	}
}
