package marathonlb

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/proctab"
	"github.com/mesoslab/lab/mini"
	"github.com/mesoslab/lab/mini/marathonlb/haproxy"
	"github.com/mesoslab/lab/mini/supervise"
)

// TestMain makes this test binary the supervisor of HAProxy.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "mini" {
		os.Exit(supervise.Run(os.Args[3:], os.Environ(), os.Stderr))
	}
	os.Exit(m.Run())
}

// realLab is a marathon-lb with a real HAProxy on a loopback subnet: it is .1,
// Marathon .5.
type realLab struct {
	t      *testing.T
	prefix string
	log    logText
	change chan struct{} // an event for marathon-lb

	mu   sync.Mutex
	apps []map[string]any
}

func (l *realLab) env() mini.Env {
	self, err := os.Executable()
	if err != nil {
		l.t.Fatal(err)
	}
	root, err := os.MkdirTemp("", "mlb") // paths of sockets are short
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { os.RemoveAll(root) })
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(l.prefix + "1")}}
	return mini.Env{
		Args: []string{"start-marathonlb.sh", "--dont-bind-http-https"}, Environ: append(os.Environ(), "MARATHON_URL=http://"+l.prefix+"5:8080"),
		Root: root, Hostname: "node1", Stdout: io.Discard, Stderr: &l.log, Children: supervise.NewPlain(self),
		Listen: func(ctx context.Context, network, address string) (net.Listener, error) {
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			return (&net.ListenConfig{}).Listen(ctx, network, net.JoinHostPort(l.prefix+"1", port))
		},
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			if network == "unix" {
				return (&net.Dialer{}).DialContext(ctx, network, filepath.Join(root, address))
			}
			return d.DialContext(ctx, network, address)
		},
	}
}

// newReal has nothing running but Marathon.
func newReal(t *testing.T) *realLab {
	t.Helper()
	l := &realLab{t: t, prefix: strings.TrimSuffix(labtest.Subnet(t), "0/24"), change: make(chan struct{}, 10)}
	l.marathon()
	return l
}

// startReal has marathon-lb running, and a web server at .2:31000.
func startReal(t *testing.T, args ...string) *realLab {
	t.Helper()
	l := newReal(t)
	l.web()
	env := l.env()
	env.Args = append(env.Args, args...)
	ctx, cancel := context.WithCancel(t.Context())
	code := make(chan int, 1)
	go func() { code <- Run(ctx, env) }()
	t.Cleanup(func() {
		cancel()
		if c := <-code; c != 0 {
			t.Errorf("exit %d\n%s", c, l.log.String())
		}
	})
	return l
}

// web serves at .2:31000.
func (l *realLab) web() {
	l.listen("2:31000", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "from %s for %s", r.RemoteAddr[:strings.LastIndex(r.RemoteAddr, ":")], r.Header.Get("X-Forwarded-For"))
	}))
}

// until waits for a condition.
func (l *realLab) until(what string, holds func() bool) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), 30*time.Second)
	defer cancel()
	for !holds() {
		select {
		case <-ctx.Done():
			l.t.Fatalf("%s: not until now\n%s", what, l.log.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// marathon serves what marathon-lb asks for.
func (l *realLab) marathon() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v2/apps", func(w http.ResponseWriter, _ *http.Request) {
		l.mu.Lock()
		defer l.mu.Unlock()
		json.NewEncoder(w).Encode(map[string]any{"apps": l.apps})
	})
	mux.HandleFunc("GET /v2/events", func(w http.ResponseWriter, r *http.Request) {
		for {
			fmt.Fprint(w, "event: status_update_event\r\ndata: {\"eventType\":\"status_update_event\"}\r\n\r\n")
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-l.change:
			}
		}
	})
	l.listen("5:8080", mux)
}

// listen serves at an address of the subnet.
func (l *realLab) listen(address string, h http.Handler) {
	l.t.Helper()
	s := &http.Server{Handler: h}
	ln, err := net.Listen("tcp", l.prefix+address)
	if err != nil {
		l.t.Fatal(err)
	}
	go s.Serve(ln)
	l.t.Cleanup(func() { s.Close() })
}

func (l *realLab) set(apps ...map[string]any) {
	l.mu.Lock()
	l.apps = apps
	l.mu.Unlock()
	l.change <- struct{}{}
}

// get asks .1; status 0 means no answer.
func (l *realLab) get(target, host string) (int, string) {
	req, err := http.NewRequestWithContext(l.t.Context(), "GET", "http://"+l.prefix+"1"+target, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	req.Host = host
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}

// await waits until a port gives an answer.
func (l *realLab) await(target string, status int, body string) {
	l.t.Helper()
	l.awaitAnswer(target, fmt.Sprintf("%d %s", status, body), func(code int, text string) bool {
		return code == status && strings.Contains(text, body)
	})
}

// awaitAnswer asks until the answer is right.
func (l *realLab) awaitAnswer(target, want string, right func(status int, body string) bool) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), 30*time.Second)
	defer cancel()
	for {
		code, text := l.get(target, "")
		if right(code, text) {
			return
		}
		select {
		case <-ctx.Done():
			l.t.Fatalf("%s answers %d %s, want %s\n%s", target, code, text, want, l.log.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// TestHAProxyBalances: with a real HAProxy everything is where it is with the
// proxy in Go, and a mistake costs one app only.
func TestHAProxyBalances(t *testing.T) {
	labtest.NeedProgram(t, "haproxy")
	l := newReal(t)
	l.web()
	good := webApp("/nginx", 10000, l.prefix+"2:31000")
	l.set(good)
	ctx, cancel := context.WithCancel(t.Context())
	code := make(chan int, 1)
	go func() { code <- Run(ctx, l.env()) }()
	t.Cleanup(cancel)

	l.await(":10000/", 200, "from "+l.prefix+"1 for 127.") // the machine's own address, the client's
	l.await(":9090/_haproxy_health_check", 200, "Service ready")
	for target, want := range map[string]string{
		"/haproxy?stats":        "nginx_10000",
		"/haproxy?stats;csv":    "\nnginx_10000," + strings.ReplaceAll(l.prefix, ".", "_") + "2_31000,",
		"/_haproxy_getconfig":   "\nfrontend nginx_10000\n  bind *:10000\n",
		"/_haproxy_getvhostmap": "",
	} {
		if status, body := l.get(":9090"+target, ""); status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", target, status, body)
		}
		if status, _ := l.get(":9090"+target, "evil.example"); status != 403 {
			t.Errorf("%s for a foreign page: %d", target, status)
		}
	}
	below := proctab.Descendants(os.Getpid())
	_, pids := l.get(":9090/_haproxy_getpids", "")
	for _, pid := range strings.Fields(pids) { // an older worker may be ending
		if !slices.ContainsFunc(below, func(id proctab.ID) bool { return fmt.Sprint(id.PID) == pid }) {
			t.Errorf("pids %q, processes %v", pids, below)
		}
	}
	if len(strings.Fields(pids)) == 0 {
		t.Error("no pids")
	}

	taken, err := net.Listen("tcp", l.prefix+"1:10001")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	bad := webApp("/bad", 10003, l.prefix+"2:31000", "HAPROXY_0_BALANCE", "roundrobbin")
	l.set(good, bad, webApp("/taken", 10001, l.prefix+"2:31000"), webApp("/more", 10002, l.prefix+"2:31000"))
	l.await(":10002/", 200, "from ")
	l.await(":9090/haproxy?stats", 200, "app /taken: frontend taken_10001: cannot bind *:10001")
	l.await(":9090/haproxy?stats", 200, "app /bad: label HAPROXY_0_BALANCE=")
	taken.Close()
	l.set(good, bad, webApp("/taken", 10001, l.prefix+"2:31000"))
	l.await(":10001/", 200, "from ")
	l.await(":10000/", 200, "from ")

	cancel()
	if c := <-code; c != 0 {
		t.Errorf("exit %d\n%s", c, l.log.String())
	}
	for _, id := range below {
		if id.State() != proctab.Gone {
			t.Errorf("process %d is still there", id.PID)
		}
	}
}

// TestHAProxyRefusesOneApp: what only HAProxy knows to be wrong costs the app
// that brings it, and no other; what was served before goes on as it was.
func TestHAProxyRefusesOneApp(t *testing.T) {
	labtest.NeedProgram(t, "haproxy")
	l := startReal(t)
	server := l.prefix + "2:31000"
	every := func(a map[string]any, seconds int) map[string]any {
		a["healthChecks"] = []any{map[string]any{"protocol": "TCP", "portIndex": 0, "intervalSeconds": seconds}}
		return a
	}
	const never = 9999999 // seconds are more than HAProxy's clock holds
	l.set(webApp("/good", 10000, server), every(webApp("/changed", 10001, server), 5))
	l.await(":10001/", 200, "from ")
	l.set(webApp("/good", 10000, server), every(webApp("/changed", 10001, server), never), every(webApp("/new", 10002, server), never), webApp("/more", 10003, server))
	l.await(":10003/", 200, "from ")
	for _, port := range []string{":10000/", ":10001/"} {
		l.await(port, 200, "from ")
	}
	l.await(":9090/haproxy?stats", 200, "it is left out")
	if status, body := l.get(":10002/", ""); status != 0 {
		t.Errorf("the app that cannot be served: %d %s", status, body)
	}
	_, page := l.get(":9090/haproxy?stats", "")
	for _, text := range []string{l.log.String(), html.UnescapeString(page)} {
		for _, want := range []string{"app /changed: HAProxy refuses it: ", "it is served by its earlier health checks", "app /new: HAProxy refuses it: ", "timer overflow", "it is left out, all other apps are served"} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is not in\n%s", want, text)
			}
		}
	}
	l.set(webApp("/good", 10000, server), every(webApp("/new", 10002, server), 5))
	l.await(":10002/", 200, "from ")
	l.awaitAnswer(":9090/haproxy?stats", "no word of what is mended", func(status int, page string) bool {
		return status == 200 && !strings.Contains(page, "refuses")
	})
}

// TestHAProxyStrictly: with --strict such a mistake makes every change wait, as
// in 1.3.0.
func TestHAProxyStrictly(t *testing.T) {
	labtest.NeedProgram(t, "haproxy")
	l := startReal(t, "--strict")
	server := l.prefix + "2:31000"
	l.set(webApp("/good", 10000, server))
	l.await(":10000/", 200, "from ")
	bad := webApp("/bad", 10001, server)
	bad["healthChecks"] = []any{map[string]any{"protocol": "TCP", "portIndex": 0, "intervalSeconds": 9999999}}
	l.set(webApp("/good", 10000, server), bad, webApp("/more", 10002, server))
	l.until("the log to name the mistake", func() bool {
		return strings.Contains(l.log.String(), "invalid configuration, skipping reload") && strings.Contains(l.log.String(), "timer overflow")
	})
	if status, body := l.get(":10002/", ""); status != 0 {
		t.Errorf("another app's change has come through: %d %s", status, body)
	}
	l.await(":10000/", 200, "from ")
}

// TestUselessHAProxies: what is called haproxy and cannot be used leaves the
// proxy in Go, and the log says why.
func TestUselessHAProxies(t *testing.T) {
	for name, c := range map[string]struct{ script, want string }{
		"too old":        {"echo HA-Proxy version 1.8.30 2021/04/12", "is version 1.8.30"},
		"does not start": {"[ \"$1\" = -v ] && echo HAProxy version 2.6.12 2026/10/17 || exit 3", "start HAProxy: it ended"},
	} {
		t.Run(name, func(t *testing.T) {
			program := filepath.Join(t.TempDir(), "haproxy")
			if err := os.WriteFile(program, []byte("#!/bin/sh\n"+c.script+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			l := newReal(t)
			env := l.env()
			lb := newBalance(env, options{haproxy: "auto", statsPort: "9090"})
			lb.find = func(ctx context.Context) (haproxy.Program, error) { return haproxy.Find(ctx, env, program) }
			b, err := lb.choose(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			if _, inGo := b.(goProxy); !inGo || !strings.Contains(l.log.String(), "the proxy in Go balances: ") || !strings.Contains(l.log.String(), c.want) {
				t.Errorf("%T balances; log:\n%s", b, l.log.String())
			}
		})
	}
}
