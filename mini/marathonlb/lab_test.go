package marathonlb

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/mini"
)

// fakeMarathon is as much of Marathon as marathon-lb asks for.
type fakeMarathon struct {
	t      *testing.T
	server *http.Server
	mu     sync.Mutex
	apps   []map[string]any
	reads  int
	broken bool // /v2/apps answers 500
	stream map[chan string]bool
}

// startMarathon must be called in a bubble.
func startMarathon(t *testing.T, h *labtest.Host) *fakeMarathon {
	t.Helper()
	l, err := h.Listen(t.Context(), "tcp", ":8080")
	if err != nil {
		t.Fatal(err)
	}
	m := &fakeMarathon{t: t, stream: map[chan string]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v2/apps", m.serveApps)
	mux.HandleFunc("GET /v2/events", m.serveEvents)
	m.server = &http.Server{Handler: mux}
	go m.server.Serve(l)
	t.Cleanup(func() { m.server.Close() })
	return m
}

func (m *fakeMarathon) serveApps(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads++
	if m.broken || r.URL.Query().Get("embed") != "apps.tasks" {
		http.Error(w, "no", http.StatusInternalServerError)
		return
	}
	json.NewEncoder(w).Encode(map[string]any{"apps": m.apps})
}

func (m *fakeMarathon) serveEvents(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Accept") != "text/event-stream" {
		http.Error(w, "not acceptable", http.StatusNotAcceptable)
		return
	}
	lines := make(chan string, 100)
	m.mu.Lock()
	m.stream[lines] = true
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		delete(m.stream, lines)
		m.mu.Unlock()
	}()
	w.Header().Set("Content-Type", "text/event-stream;charset=utf-8")
	fmt.Fprint(w, "\r\n")
	w.(http.Flusher).Flush()
	alive := time.NewTicker(10 * time.Second)
	defer alive.Stop()
	for {
		select {
		case <-r.Context().Done():
			return
		case <-alive.C:
			fmt.Fprint(w, "\r\n")
		case s, ok := <-lines:
			if !ok {
				return
			}
			fmt.Fprint(w, s)
		}
		w.(http.Flusher).Flush()
	}
}

// send writes one event to every stream.
func (m *fakeMarathon) send(kind string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for s := range m.stream {
		s <- fmt.Sprintf("event: %s\r\ndata: {\"eventType\":%q,\"timestamp\":\"2016-02-01T22:57:48.784Z\"}\r\n\r\n", kind, kind)
	}
}

// hangUp ends every stream.
func (m *fakeMarathon) hangUp() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for s := range m.stream {
		close(s)
		delete(m.stream, s)
	}
}

// set replaces the apps and sends an event.
func (m *fakeMarathon) set(apps ...map[string]any) {
	m.mu.Lock()
	m.apps = apps
	m.mu.Unlock()
	m.send("status_update_event")
}

func (m *fakeMarathon) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reads
}

// nginx is the article's app with tasks at the given addresses.
func nginx(addrs ...string) map[string]any {
	tasks := []any{}
	for i, addr := range addrs {
		host, port, _ := strings.Cut(addr, ":")
		tasks = append(tasks, map[string]any{"id": fmt.Sprintf("nginx.%d", i), "host": host, "ports": []json.RawMessage{json.RawMessage(port)}})
	}
	return map[string]any{
		"id": "/nginx", "instances": len(addrs), "labels": map[string]any{"HAPROXY_GROUP": "external"},
		"ports": []int{10000}, "portDefinitions": []any{map[string]any{"port": 10000, "protocol": "tcp"}}, "ipAddress": nil,
		"healthChecks": []any{map[string]any{"protocol": "HTTP", "path": "/", "portIndex": 0, "intervalSeconds": 60,
			"timeoutSeconds": 20, "gracePeriodSeconds": 300, "maxConsecutiveFailures": 3, "ignoreHttp1xx": false}},
		"tasks": tasks,
	}
}

func label(a map[string]any, name, value string) map[string]any {
	a["labels"].(map[string]any)[name] = value
	return a
}

// lab is a marathon-lb at 10.0.0.1, run as the seed runs it.
type lab struct {
	t    *testing.T
	net  *labtest.Network
	root string
	log  logText
	stop func() int
}

type logText struct {
	mu sync.Mutex
	strings.Builder
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Builder.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Builder.String()
}

// start runs "start-marathonlb.sh"; it must be called in a bubble.
func start(t *testing.T, n *labtest.Network, args ...string) *lab {
	t.Helper()
	return run(t, n, mini.Env{Args: append([]string{"start-marathonlb.sh"}, args...)})
}

func startWith(t *testing.T, n *labtest.Network, environ ...string) *lab {
	t.Helper()
	return run(t, n, mini.Env{Args: []string{"start-marathonlb.sh"}, Environ: environ})
}

func run(t *testing.T, n *labtest.Network, env mini.Env) *lab {
	t.Helper()
	l := &lab{t: t, net: n, root: t.TempDir()}
	h := n.Host("10.0.0.1")
	env.Root, env.Hostname, env.Listen, env.Dial, env.Stdout, env.Stderr = l.root, "node1", h.Listen, h.Dial, io.Discard, &l.log
	ctx, cancel := context.WithCancel(context.Background())
	code := make(chan int, 1)
	go func() { code <- Run(ctx, env) }()
	l.stop = sync.OnceValue(func() int { cancel(); return <-code })
	t.Cleanup(func() {
		if c := l.stop(); c != 0 {
			t.Errorf("exit %d\n%s", c, l.log.String())
		}
	})
	return l
}

// serve starts an HTTP server that answers with its address.
func serve(t *testing.T, n *labtest.Network, addr string) {
	t.Helper()
	host, _, _ := strings.Cut(addr, ":")
	l, err := n.Host(host).Listen(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// An answer before the request's end lets net/http wait where synctest's
		// time stands still.
		_, _ = io.Copy(io.Discard, r.Body)
		io.WriteString(w, addr)
	})}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
}

// get asks a port of the load balancer; status 0 means no connection.
func (l *lab) get(target string, header ...string) (int, string) {
	l.t.Helper()
	req, err := http.NewRequestWithContext(l.t.Context(), "GET", "http://10.0.0.1"+target, nil)
	if err != nil {
		l.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
	}
	resp, err := (&http.Transport{DialContext: l.net.Host("10.0.0.9").Dial, DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		l.t.Error(err)
	}
	return resp.StatusCode, string(body)
}

// rows reads the statistics as CSV: "proxy/server" to column to value.
func (l *lab) rows() map[string]map[string]string {
	l.t.Helper()
	_, body := l.get(":9090/haproxy?stats;csv")
	records, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(body, "# "))).ReadAll()
	if err != nil {
		l.t.Fatal(err)
	}
	rows := map[string]map[string]string{}
	for _, r := range records[1:] {
		row := map[string]string{}
		for i, column := range records[0] {
			row[column] = r[i]
		}
		rows[row["pxname"]+"/"+row["svname"]] = row
	}
	return rows
}
