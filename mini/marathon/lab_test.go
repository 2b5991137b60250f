package marathon

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
	"github.com/mesoslab/lab/mini"
	"github.com/mesoslab/lab/mini/marathon/scheduler"
	"github.com/mesoslab/lab/mini/marathon/store"
	"github.com/mesoslab/lab/mini/zookeeper"
)

const (
	zkHost, mesosHost = "10.0.0.1", "10.0.0.2"
	firstHost         = "10.0.0.3"
	secondHost        = "10.0.0.4"
)

// world is ZooKeeper (the mini one), a Mesos twin behind the v1 API, and
// Marathons, on a network in memory.
type world struct {
	t    *testing.T
	net  *labtest.Network
	zk   *program
	twin *scheduler.TwinServer
	mute bool
	// stopMesos ends the twin's server; serveMesos starts it again.
	stopMesos func()
	mu        sync.Mutex
	root      string               // ZooKeeper's disk
	flush     func() time.Duration // what it takes, nil is nothing
	all       []*program
}

// program is a mini program that runs.
type program struct {
	stop context.CancelFunc
	done chan struct{}
	code int
	out  *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start runs a program on a host.
func (w *world) start(p mini.Program, host string, args ...string) *program {
	ctx, cancel := context.WithCancel(w.t.Context())
	out := &lockedBuffer{}
	r := &program{stop: cancel, done: make(chan struct{}), out: out}
	h := w.net.Host(host)
	env := mini.Env{Args: args, Root: w.root, Hostname: host, Listen: h.Listen, Stdout: out, Stderr: out,
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			if network == "unix" { // the engine's socket
				network, address = "tcp", host+":2375"
			}
			return h.Dial(ctx, network, address)
		}}
	go func() {
		defer close(r.done)
		r.code = p(ctx, env)
	}()
	w.all = append(w.all, r)
	return r
}

// endAll ends what runs, the last started first, even after a failure.
func (w *world) endAll() {
	for _, p := range slices.Backward(w.all) {
		p.end()
		if w.t.Failed() {
			w.t.Logf("log of a program:\n%s", p.out)
		}
	}
	synctest.Wait()
}

// end stops a program and waits for it.
func (p *program) end() int {
	p.stop()
	<-p.done
	return p.code
}

// inWorld plays fn in a bubble with ZooKeeper and Mesos there.
func inWorld(t *testing.T, fn func(t *testing.T, w *world)) {
	t.Helper()
	root := t.TempDir()
	bubble.Test(t, func(t *testing.T) {
		w := &world{t: t, net: labtest.NewNetwork(), root: root}
		w.zk = w.start(zookeeper.OnDisk(w.write), zkHost)
		twin := scheduler.NewTwin()
		twin.StartDelay, twin.StopDelay = 200*time.Millisecond, 100*time.Millisecond
		for i := range 2 {
			twin.AddAgent(fmt.Sprintf("S%d", i), fmt.Sprintf("10.0.1.%d", i+1), 4, 4096, nil)
		}
		w.twin = &scheduler.TwinServer{Twin: twin, Mute: func() bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.mute
		}}
		defer w.endAll()
		w.stopMesos = w.serveMesos(mesosHost)
		defer func() { w.stopMesos() }()
		w.announce(mesosHost)
		fn(t, w)
		for _, v := range twin.Violations() {
			t.Errorf("never to happen: %s", v)
		}
	})
}

// write is what ZooKeeper does before each write.
func (w *world) write() error {
	w.mu.Lock()
	takes := time.Duration(0)
	if w.flush != nil {
		takes = w.flush()
	}
	w.mu.Unlock()
	time.Sleep(takes)
	return nil
}

// slow says what ZooKeeper's disk takes from now on.
func (w *world) slow(flush func() time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flush = flush
}

// serveMesos puts the twin on a host's port 5050.
func (w *world) serveMesos(host string) (stop func()) {
	w.t.Helper()
	ln, err := w.net.Host(host).Listen(w.t.Context(), "tcp", ":5050")
	if err != nil {
		w.t.Fatal(err)
	}
	srv := &http.Server{Handler: w.twin}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(ln)
	}()
	return func() {
		srv.Close()
		<-done
		synctest.Wait()
	}
}

// announce writes a leading master into ZooKeeper, as masters do.
func (w *world) announce(host string) {
	w.t.Helper()
	conn, err := store.Connect([]string{zkHost + ":2181"}, 10*time.Second, w.net.Host(host).Dial, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	z, err := store.NewZooKeeper(store.Config{URL: store.URL{Servers: []string{zkHost + ":2181"}, Path: "/mesos"},
		Session: 10 * time.Second, Timeout: time.Second, Dial: w.net.Host(host).Dial})
	if err != nil {
		w.t.Fatal(err)
	}
	defer z.Close()
	w.await("the announcement", func() bool { return z.Put(w.t.Context(), "x", nil) == nil })
	info := fmt.Sprintf(`{"address":{"hostname":%q,"ip":%q,"port":5050},"id":"m","pid":"master@x"}`, host, host)
	if _, err := conn.Create("/mesos/json.info_0000000001", []byte(info), 0, openACL); err != nil {
		w.t.Fatal(err)
	}
}

// await lets time pass until fn holds, at most two minutes.
func (w *world) await(what string, fn func() bool) {
	w.t.Helper()
	for range 1200 {
		if fn() {
			return
		}
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
	}
	w.t.Fatalf("%s never came", what)
}

// marathon starts a Marathon on a host.
func (w *world) marathon(host string, args ...string) *program {
	return w.start(Run, host, append([]string{"--master", "zk://" + zkHost + ":2181/mesos", "--zk", "zk://" + zkHost + ":2181/marathon"}, args...)...)
}

// call asks a Marathon and decodes the answer; status 0 means no answer.
func (w *world) call(method, host, path, body string) (int, map[string]any, http.Header) {
	w.t.Helper()
	client := mini.Env{Dial: w.net.Host("10.0.0.99").Dial}.HTTPClient()
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+net.JoinHostPort(host, "8080")+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, nil, nil
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, nil, nil
	}
	var m map[string]any
	if json.Unmarshal(b, &m) != nil {
		m = map[string]any{"text": string(b)}
	}
	return res.StatusCode, m, res.Header
}

// tasks lists the ids in a Marathon's /v2/tasks that run.
func (w *world) tasks(host string) []string {
	_, m, _ := w.call("GET", host, "/v2/tasks?status=running", "")
	var ids []string
	list, _ := m["tasks"].([]any)
	for _, t := range list {
		ids = append(ids, t.(map[string]any)["id"].(string))
	}
	return ids
}
