package marathonlb

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
	"github.com/mesoslab/lab/mini/marathonlb/proxy"
)

// TestManyConnections: thousands of connections that want nothing are held for
// a moment and then closed; others are served meanwhile. In TCP mode they may
// stay, as with HAProxy.
func TestManyConnections(t *testing.T) {
	n := 5000
	if testing.Short() {
		n = 500
	}
	limits := proxy.DefaultLimits()
	for name, c := range map[string]struct {
		port, send string
		within     time.Duration // 0: they stay
	}{
		"an app's port, half a head":                {"10000", "GET / HT", limits.Request},
		"an app's port, nothing":                    {"10000", "", limits.Request},
		"an app's port, garbage":                    {"10000", "\x16\x03\x01\x02\x00\x01\r\n\r\n", time.Second},
		"an app's port, half a body":                {"10000", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx", limits.Client + limits.KeepAlive},
		"an app's port of mode tcp, nothing":        {"10001", "", 0},
		"the statistics, half a head":               {"9090", "GET /haproxy?st", limits.Request},
		"the statistics, nothing":                   {"9090", "", limits.Request},
		"the statistics, nothing more":              {"9090", "GET /_haproxy_health_check HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n", limits.KeepAlive},
		"the statistics, half a body":               {"9090", "GET /_haproxy_health_check HTTP/1.1\r\nHost: 10.0.0.1\r\nContent-Length: 9\r\n\r\nx", limits.Request + limits.KeepAlive},
		"the statistics, a head that does not end":  {"9090", "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 3000), limits.Request},
		"an app's port, a head that does not end":   {"10000", "GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 3000), limits.Request},
		"an app's port, an answer that nobody asks": {"10000", "HTTP/1.1 200 OK\r\n\r\n", time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
				network := labtest.NewNetwork()
				m := startMarathon(t, network.Host("10.0.0.1"))
				l := start(t, network)
				serve(t, network, one)
				serve(t, network, two)
				m.set(nginx(one), webApp("/tcp", 10001, two, "HAPROXY_0_MODE", "tcp"))
				synctest.Wait()
				conns := crowd(t, network, "10.0.0.1:"+c.port, c.send, n)
				for target, want := range map[string]string{":10000/": one, ":10001/": two, ":9090/haproxy?stats": "nginx_10000"} {
					if status, body := l.get(target); status != 200 || !strings.Contains(body, want) {
						t.Errorf("others get from %s: %d %.80s", target, status, body)
					}
				}
				time.Sleep(c.within + 2*time.Second)
				synctest.Wait()
				for i, conn := range conns {
					if open := stands(conn); open != (c.within == 0) {
						t.Fatalf("connection %d: open %v after %v", i, open, c.within)
					}
					conn.Close()
				}
				if status, body := l.get(":10000/"); status != 200 || body != one {
					t.Errorf("afterwards: %d %s", status, body)
				}
				time.Sleep(time.Minute) // what they left ends
			})
		})
	}
}

// crowd opens n connections that send the same.
func crowd(t *testing.T, network *labtest.Network, addr, send string, n int) []net.Conn {
	t.Helper()
	var conns []net.Conn
	for i := range n {
		if i%64 == 0 {
			synctest.Wait() // the network's listeners have a short backlog
		}
		c, err := network.Host("10.0.6.6").Dial(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if _, err := io.WriteString(c, send); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	synctest.Wait()
	return conns
}

// stands says whether the other end still has the connection open.
func stands(c net.Conn) bool {
	_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err := io.Copy(io.Discard, c)
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
