package haproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/mini"
	"github.com/mesoslab/lab/mini/marathonlb/proxy"
)

// rig is a HAProxy on a loopback subnet of its own: it is .1, servers are .2
// and .3.
type rig struct {
	*HAProxy
	t      *testing.T
	env    mini.Env
	prefix string
	log    struct {
		sync.Mutex
		strings.Builder
	}
}

func newRig(t *testing.T) *rig {
	t.Helper()
	labtest.NeedProgram(t, "haproxy")
	r := &rig{t: t, prefix: strings.TrimSuffix(labtest.Subnet(t), "0/24")}
	root, err := os.MkdirTemp("", "hap") // paths of sockets are short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	r.env = envAt(root, r.prefix+"1")
	p, err := Find(t.Context(), r.env, "auto")
	if err != nil {
		t.Fatal(err)
	}
	r.HAProxy, err = Start(t.Context(), r.env, Options{Program: p, Folder: folder, Limits: proxy.DefaultLimits(), Log: func(format string, args ...any) {
		r.log.Lock()
		defer r.log.Unlock()
		fmt.Fprintf(&r.log, format+"\n", args...)
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.Close()
		if _, err := os.Stat(r.env.Path(folder)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the folder is still there: %v", err)
		}
		if t.Failed() {
			t.Logf("log:\n%s", r.said())
		}
	})
	return r
}

func (r *rig) said() string {
	r.log.Lock()
	defer r.log.Unlock()
	return r.log.String()
}

// web serves at an address of the subnet; the answer is its name.
func (r *rig) web(host string, handler http.HandlerFunc) string {
	r.t.Helper()
	l, err := net.Listen("tcp", r.prefix+host+":0")
	if err != nil {
		r.t.Fatal(err)
	}
	if handler == nil {
		handler = func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, host) }
	}
	s := &http.Server{Handler: handler}
	go s.Serve(l)
	r.t.Cleanup(func() { s.Close() })
	return l.Addr().String()
}

// give applies one service on a port.
func (r *rig) give(port int, servers ...string) error {
	return r.Apply(r.t.Context(), []proxy.Frontend{{Name: "web", Bind: fmt.Sprintf("*:%d", port), Mode: proxy.HTTP, Backend: "web"}}, sections(port, servers...))
}

func sections(port int, servers ...string) string {
	text := "  timeout connect 3s\n  timeout client 30s\n  timeout server 30s\n  option redispatch\n  option http-server-close\n" +
		fmt.Sprintf("\nfrontend web\n  bind *:%d\n  mode http\n  use_backend web\n\nbackend web\n  mode http\n  balance roundrobin\n", port)
	for i, s := range servers {
		text += fmt.Sprintf("  server s%d %s check inter 200ms fall 2\n", i, s)
	}
	return text
}

// get asks over a connection of its own.
func (r *rig) get(port int) (string, error) {
	tr := &http.Transport{DisableKeepAlives: true}
	req, err := http.NewRequestWithContext(r.t.Context(), "GET", fmt.Sprintf("http://%s1:%d/", r.prefix, port), nil)
	if err != nil {
		return "", err
	}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != 200 {
		err = errors.New(resp.Status)
	}
	return string(body), err
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// until waits for a condition.
func (r *rig) until(what string, holds func() bool) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 30*time.Second)
	defer cancel()
	for !holds() {
		select {
		case <-ctx.Done():
			r.t.Fatalf("%s: not until now\n%s", what, r.said())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// status is a server's in the statistics.
func (r *rig) status(server string) string {
	rows, err := r.Stats(r.t.Context())
	r.must(err)
	for _, row := range rows {
		if row["svname"] == server {
			return row["status"]
		}
	}
	return ""
}

// knocking is clients that ask without a pause.
type knocking struct {
	asked, failed atomic.Int64
	seen          sync.Map // bodies
	stop          chan struct{}
	clients       sync.WaitGroup
}

func (r *rig) knock(clients int) *knocking {
	k := &knocking{stop: make(chan struct{})}
	for range clients {
		k.clients.Go(func() {
			for {
				select {
				case <-k.stop:
					return
				default:
				}
				body, err := r.get(10000)
				k.asked.Add(1)
				if k.seen.Store(body, true); err != nil {
					k.failed.Add(1)
					r.t.Errorf("request %d: %v", k.asked.Load(), err)
				}
			}
		})
	}
	return k
}

func (k *knocking) end() {
	close(k.stop)
	k.clients.Wait()
}
