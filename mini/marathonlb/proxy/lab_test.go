package proxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesoslab/lab/internal/labtest"
)

// lab is a proxy at 10.0.0.1 on an in-memory network.
type lab struct {
	t     *testing.T
	net   *labtest.Network
	proxy *Proxy
	mu    sync.Mutex
	lines []string
}

// newLab must be called in a bubble.
func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{t: t, net: labtest.NewNetwork()}
	h := l.net.Host("10.0.0.1")
	l.proxy = New(Network{Listen: h.Listen, Dial: h.Dial}, DefaultLimits(), func(format string, args ...any) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.lines = append(l.lines, fmt.Sprintf(format, args...))
	})
	t.Cleanup(l.proxy.Close)
	return l
}

func (l *lab) apply(c Config) {
	l.t.Helper()
	if err := l.proxy.Apply(l.t.Context(), c); err != nil {
		l.t.Fatalf("apply: %v", err)
	}
}

// site is an HTTP server that answers with its own name and counts.
type site struct {
	addr     string
	requests atomic.Int64
	stop     func()
}

// serve starts an HTTP server; a nil handler answers with the address.
func (l *lab) serve(addr string, h http.Handler) *site {
	l.t.Helper()
	host, _, _ := strings.Cut(addr, ":")
	ln, err := l.net.Host(host).Listen(l.t.Context(), "tcp", addr)
	if err != nil {
		l.t.Fatal(err)
	}
	s := &site{addr: addr}
	if h == nil {
		h = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, addr) })
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		h.ServeHTTP(w, r)
	})}
	go server.Serve(ln)
	s.stop = func() { server.Close() }
	l.t.Cleanup(s.stop)
	return s
}

// web is a configuration with one HTTP service on :10000.
func web(servers ...string) Config {
	b := Backend{Name: "web_10000", Mode: HTTP, Balance: RoundRobin}
	for _, addr := range servers {
		b.Servers = append(b.Servers, Server{Name: strings.NewReplacer(".", "_", ":", "_").Replace(addr), Addr: addr})
	}
	return Config{
		Frontends: []Frontend{{Name: "web_10000", Bind: "*:10000", Mode: HTTP, Backend: "web_10000"}},
		Backends:  []Backend{b},
	}
}

func checked(c Config, check Check) Config {
	c.Backends[0].Check = &check
	return c
}

// get asks :10000 over a connection of its own.
func (l *lab) get(header ...string) (status int, body string) {
	l.t.Helper()
	resp, err := l.do(header...)
	if err != nil {
		return 0, err.Error()
	}
	b, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(b)
}

func (l *lab) do(header ...string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(l.t.Context(), "GET", "http://10.0.0.1:10000/", nil)
	if err != nil {
		return nil, err
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	h := l.net.Host("10.0.0.9")
	return (&http.Transport{DialContext: h.Dial, DisableKeepAlives: true}).RoundTrip(req)
}

// stat returns one row of the statistics.
func (l *lab) stat(px, sv string) Stat {
	l.t.Helper()
	for _, row := range l.proxy.Stats() {
		if row["pxname"] == px && row["svname"] == sv {
			return row
		}
	}
	l.t.Fatalf("no row %s/%s", px, sv)
	return nil
}

func (l *lab) wantStat(px, sv string, want Stat) {
	l.t.Helper()
	synctest.Wait() // a request is counted after its client has the answer
	row := l.stat(px, sv)
	for k, v := range want {
		if row[k] != v {
			l.t.Errorf("%s/%s: %s = %q, want %q", px, sv, k, row[k], v)
		}
	}
}

// took runs f and checks how much (fake) time it took.
func took(t *testing.T, want time.Duration, f func()) {
	t.Helper()
	start := time.Now()
	f()
	if got := time.Since(start); got != want {
		t.Errorf("took %v, want %v", got, want)
	}
}

// raw starts a TCP server that runs f for each connection.
func (l *lab) raw(addr string, f func(c net.Conn, r *bufio.Reader)) {
	l.t.Helper()
	host, _, _ := strings.Cut(addr, ":")
	ln, err := l.net.Host(host).Listen(l.t.Context(), "tcp", addr)
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				f(c, bufio.NewReader(c))
			}()
		}
	}()
}

// dial opens a client's connection to a port of the proxy.
func (l *lab) dial(port string) net.Conn {
	l.t.Helper()
	c, err := l.net.Host("10.0.0.9").Dial(context.Background(), "tcp", "10.0.0.1:"+port)
	if err != nil {
		l.t.Fatal(err)
	}
	return c
}
