package proxy

import (
	"bufio"
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

	"github.com/mesoslab/lab/internal/labtest/bubble"
)

// A request under way ends with its server though the reload drops both the
// server and the port.
func TestReloadKeepsRequestsUnderWay(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.serve(a, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "begin,")
			time.Sleep(20 * time.Second)
			io.WriteString(w, "end")
		}))
		l.apply(web(a))
		var done sync.WaitGroup
		done.Go(func() {
			if status, body := l.get(); status != 200 || body != "begin,end" {
				t.Errorf("got %d %q", status, body)
			}
		})
		time.Sleep(time.Second)
		l.apply(Config{})
		if status, err := l.get(); status != 0 || !strings.Contains(err, "refused") {
			t.Errorf("the port is open: %d %s", status, err)
		}
		done.Wait()
		time.Sleep(time.Second) // http.Server notices by polling
		l.apply(Config{})
		if n := len(l.proxy.leaving); n != 0 {
			t.Errorf("%d frontends still leaving", n)
		}
	})
}

// A TCP connection outlives its server's place in the configuration, in both
// directions, and a half-close goes through.
func TestTCPConnectionsOutliveReloads(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.raw(a, func(c net.Conn, r *bufio.Reader) {
			rest, _ := io.ReadAll(r)
			fmt.Fprintf(c, "got %s", rest)
		})
		c := web(a)
		c.Frontends[0].Mode, c.Backends[0].Mode = TCP, TCP
		l.apply(c)
		conn := l.dial("10000")
		fmt.Fprint(conn, "one,")
		synctest.Wait()
		l.wantStat("web_10000", "10_0_0_2_31001", Stat{"scur": "1", "bin": "4"})
		l.apply(Config{})
		time.Sleep(59 * time.Minute) // within the tunnel time-out
		fmt.Fprint(conn, "two")
		conn.(interface{ CloseWrite() error }).CloseWrite()
		if answer, err := io.ReadAll(conn); string(answer) != "got one,two" {
			t.Errorf("got %q, %v", answer, err)
		}
	})
}

func TestTCPRoundRobinPerConnection(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLab(t)
		for _, addr := range []string{a, b} {
			l.raw(addr, func(c net.Conn, r *bufio.Reader) {
				for {
					if _, err := r.ReadString('\n'); err != nil {
						return
					}
					fmt.Fprintln(c, addr)
				}
			})
		}
		c := web(a, b)
		c.Frontends[0].Mode, c.Backends[0].Mode = TCP, TCP
		l.apply(c)
		ask := func(c net.Conn) string {
			fmt.Fprintln(c)
			line, _ := bufio.NewReader(c).ReadString('\n')
			return strings.TrimSpace(line)
		}
		one, two := l.dial("10000"), l.dial("10000")
		first, second := ask(one), ask(two)
		if first == second || ask(one) != first || ask(two) != second {
			t.Errorf("connections: %s and %s", first, second)
		}
		l.net.Crash("10.0.0.2")
		synctest.Wait()
		one.Close()
		two.Close()
	})
}

// An idle tunnel ends after its hour.
func TestTunnelTimeout(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.raw(a, func(_ net.Conn, r *bufio.Reader) { io.Copy(io.Discard, r) })
		c := web(a)
		c.Frontends[0].Mode, c.Backends[0].Mode = TCP, TCP
		l.apply(c)
		conn := l.dial("10000")
		took(t, time.Hour, func() {
			if _, err := conn.Read(make([]byte, 1)); err == nil {
				t.Error("read something")
			}
		})
	})
}

// What cannot be bound leaves everything as it was.
func TestApplyIsAllOrNothing(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.serve(a, nil)
		l.apply(web(a))
		taken, err := l.net.Host("10.0.0.1").Listen(t.Context(), "tcp", ":10002")
		if err != nil {
			t.Fatal(err)
		}
		next := web(b)
		next.Frontends[0].Bind = "*:10001"
		next.Frontends = append(next.Frontends, Frontend{Name: "x", Bind: "*:10002", Mode: HTTP})
		if err := l.proxy.Apply(t.Context(), next); err == nil || !strings.Contains(err.Error(), "10002") {
			t.Fatalf("apply: %v", err)
		}
		if _, body := l.get(); body != a {
			t.Errorf("answered by %q", body)
		}
		taken.Close()
		l.apply(next)
		if status, _ := l.get(); status != 0 {
			t.Errorf("old port answers %d", status)
		}
	})
}

// A port that changes its frontend's name and mode stays open.
func TestPortOutlivesFrontend(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.serve(a, nil)
		l.apply(web(a))
		l.get()
		c := web(a)
		c.Frontends[0].Name, c.Frontends[0].Mode, c.Backends[0].Mode = "other", TCP, TCP
		l.apply(c)
		if status, body := l.get(); status != 200 || body != a {
			t.Errorf("got %d %q", status, body)
		}
	})
}

// The invariant: under constant reloads no server gets a new connection that
// the configuration in force does not list, and no request fails.
func TestOnlyListedServersGetRequests(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLab(t)
		addrs := []string{"10.0.0.2:1", "10.0.0.2:2", "10.0.0.3:1", "10.0.0.3:2"}
		var listed sync.Map
		for _, addr := range addrs {
			l.serve(addr, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if ok, _ := listed.Load(addr); ok != true {
					t.Errorf("%s asked though not listed", addr)
				}
				fmt.Fprint(w, addr)
			}))
		}
		for _, addr := range addrs {
			listed.Store(addr, true)
		}
		l.apply(web(addrs...))
		var asked atomic.Int64
		var clients sync.WaitGroup
		for range 3 {
			clients.Go(func() {
				for range 200 {
					if status, body := l.get(); status != 200 {
						t.Errorf("got %d %s", status, body)
					}
					asked.Add(1)
					time.Sleep(3 * time.Millisecond)
				}
			})
		}
		for i := range 60 {
			time.Sleep(10*time.Millisecond + time.Microsecond)
			synctest.Wait() // nothing is between choice and connection
			out := addrs[i%len(addrs)]
			var rest []string
			for _, addr := range addrs {
				listed.Store(addr, addr != out)
				if addr != out {
					rest = append(rest, addr)
				}
			}
			l.apply(web(rest...))
		}
		clients.Wait()
		if asked.Load() != 600 {
			t.Errorf("%d requests", asked.Load())
		}
	})
}
