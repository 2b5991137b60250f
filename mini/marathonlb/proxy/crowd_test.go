package proxy

import (
	"context"
	"io"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesoslab/lab/internal/labtest/bubble"
)

// A full frontend lets clients wait; who leaves makes room for one of them.
func TestFullFrontendLetsWait(t *testing.T) {
	for _, mode := range []Mode{HTTP, TCP} {
		t.Run(string(mode), func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
				l := newLab(t)
				l.proxy.limits.MaxConnection, l.proxy.limits.Request = 3, time.Hour
				l.serve(a, nil)
				c := web(a)
				c.Frontends[0].Mode, c.Backends[0].Mode = mode, mode
				l.apply(c)
				var silent []net.Conn
				for range 3 {
					silent = append(silent, l.dial("10000"))
					synctest.Wait()
				}
				late := l.dial("10000")
				io.WriteString(late, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
				answered := make(chan string, 1)
				go func() {
					b, _ := io.ReadAll(late)
					answered <- string(b)
				}()
				time.Sleep(time.Minute)
				select {
				case b := <-answered:
					t.Errorf("answered over the limit: %q", b)
				default:
				}
				l.wantStat("web_10000", "FRONTEND", Stat{"scur": "3", "smax": "3"})
				silent[1].Close()
				took(t, 0, func() {
					if b := <-answered; len(b) < 12 || b[9:12] != "200" {
						t.Errorf("got %q", b)
					}
				})
				// A full frontend that leaves the configuration, and one that is closed.
				l.dial("10000")
				synctest.Wait()
				l.apply(Config{})
			})
		})
	}
}

// TestMemoryOfACrowd measures what real connections cost that do nothing, and
// requests that stop in the middle; clients and servers are counted, too.
func TestMemoryOfACrowd(t *testing.T) {
	n := 2000
	if testing.Short() {
		n = 200
	}
	site, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })}
	go server.Serve(site)
	t.Cleanup(func() { server.Close() })
	for _, c := range []struct {
		mode Mode
		send string
		most int // bytes a connection
	}{
		{TCP, "", 40 << 10}, {TCP, "GET / HT", 40 << 10}, {HTTP, "GET / HT", 40 << 10},
		{HTTP, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx", 128 << 10},
	} {
		ports := make(chan string, 1)
		listen := func(ctx context.Context, _, _ string) (net.Listener, error) {
			l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
			if err == nil {
				ports <- l.Addr().String()
			}
			return l, err
		}
		p := New(Network{Listen: listen, Dial: (&net.Dialer{}).DialContext}, DefaultLimits(), t.Logf)
		conf := web(site.Addr().String())
		conf.Frontends[0].Mode, conf.Backends[0].Mode = c.mode, c.mode
		if err := p.Apply(t.Context(), conf); err != nil {
			t.Fatal(err)
		}
		addr, before := <-ports, memory()
		conns := make([]net.Conn, n)
		for i := range conns {
			if conns[i], err = net.Dial("tcp", addr); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(conns[i], c.send); err != nil {
				t.Fatal(err)
			}
		}
		for held(p) < n {
			select {
			case <-t.Context().Done():
				t.Fatal("they were not all accepted")
			case <-time.After(10 * time.Millisecond):
			}
		}
		each := (memory() - before) / n
		t.Logf("mode %s, %q: %d bytes each", c.mode, c.send, each)
		if each > c.most {
			t.Errorf("mode %s, %q: %d bytes each, at most %d are wanted", c.mode, c.send, each, c.most)
		}
		for _, conn := range conns {
			conn.Close()
		}
		p.Close()
	}
}

func held(p *Proxy) int {
	n, _ := strconv.Atoi(p.Stats()[0]["scur"])
	return n
}

// memory is what this process has of it.
func memory() int {
	for range 3 { // pools are empty after the second
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse)
}
