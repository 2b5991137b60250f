package proxy

import (
	"net/http"
	"testing"
	"time"

	"github.com/mesoslab/lab/internal/labtest/bubble"
)

const (
	a = "10.0.0.2:31001"
	b = "10.0.0.3:31002"
)

func TestRoundRobinPerRequest(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLab(t)
		x, y := l.serve(a, nil), l.serve(b, nil)
		l.apply(web(a, b))
		for range 10 {
			if status, body := l.get(); status != 200 {
				t.Fatalf("got %d %s", status, body)
			}
		}
		if x.requests.Load() != 5 || y.requests.Load() != 5 {
			t.Errorf("requests: %d and %d, want 5 each", x.requests.Load(), y.requests.Load())
		}
	})
}

// A refusing server costs nothing while there is another one (measured on
// HAProxy 2.6: 1 to 2 ms).
func TestRefusedIsRedispatchedAtOnce(t *testing.T) {
	for _, balance := range []Balance{RoundRobin, "static-rr", LeastConn, First} {
		bubble.Test(t, func(t *testing.T) {
			l := newLab(t)
			l.serve(b, nil)
			c := web(a, b) // nobody listens at a
			c.Backends[0].Balance = balance
			l.apply(c)
			for range 2 { // the redispatch took the other server's turn
				took(t, 0, func() {
					if status, body := l.get(); status != 200 || body != b {
						t.Errorf("%s: got %d %s", balance, status, body)
					}
				})
			}
			l.wantStat("web_10000", "10_0_0_2_31001", Stat{"wretr": "0", "wredis": "2", "econ": "0", "stot": "2", "status": "no check"})
			l.wantStat("web_10000", "10_0_0_3_31002", Stat{"wretr": "0", "wredis": "0", "hrsp_2xx": "2", "stot": "2"})
			l.wantStat("web_10000", "BACKEND", Stat{"wretr": "0", "wredis": "2", "hrsp_2xx": "2", "stot": "2", "lbtot": "4"})
		})
	}
}

// A silent server costs one connection time-out (measured: 3.00 s).
func TestSilentIsRedispatchedAfterThreeSeconds(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.serve(a, nil)
		l.serve(b, nil)
		l.apply(web(a, b))
		l.net.Cut("10.0.0.2")
		for range 3 {
			took(t, 3*time.Second, func() {
				if status, body := l.get(); status != 200 || body != b {
					t.Errorf("got %d %s", status, body)
				}
			})
		}
	})
}

// Two refusing servers are tried in turn, without a pause.
func TestBothRefuse(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.apply(web(a, b))
		took(t, 0, func() {
			if status, _ := l.get(); status != http.StatusServiceUnavailable {
				t.Errorf("got %d", status)
			}
		})
		l.wantStat("web_10000", "10_0_0_2_31001", Stat{"stot": "2", "wredis": "2", "econ": "0"})
		l.wantStat("web_10000", "10_0_0_3_31002", Stat{"stot": "2", "wredis": "1", "econ": "1"})
	})
}

// stuck is a backend whose cookie "sid=aaa" means the server a.
func stuck() Config {
	c := web(a, b)
	c.Backends[0].Cookie = "sid"
	c.Backends[0].Servers[0].Cookie, c.Backends[0].Servers[1].Cookie = "aaa", "bbb"
	return c
}

// A server that a cookie names is tried three times, a second apart; only the
// last retry goes elsewhere.
func TestCookieHoldsToItsServer(t *testing.T) {
	for _, c := range []struct {
		cut  bool
		want time.Duration
	}{{false, 2 * time.Second}, {true, 9 * time.Second}} {
		bubble.Test(t, func(t *testing.T) {
			l := newLab(t)
			l.serve(b, nil)
			if c.cut {
				l.net.Cut("10.0.0.2")
			}
			l.apply(stuck())
			took(t, c.want, func() {
				if status, body := l.get("Cookie", "sid=aaa"); status != 200 || body != b {
					t.Errorf("got %d %s", status, body)
				}
			})
			l.wantStat("web_10000", "10_0_0_2_31001", Stat{"wretr": "2", "wredis": "1", "econ": "0"})
			took(t, 0, func() { l.get("Cookie", "sid=bbb") })
		})
	}
}

// A server that is found down between two attempts is left at the next
// failure, after a pause if only one server remains.
func TestCookieOfServerThatGoesDown(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.serve(b, nil)
		c := stuck()
		c.Backends[0].Servers[0], c.Backends[0].Servers[1] = c.Backends[0].Servers[1], c.Backends[0].Servers[0]
		l.apply(checked(c, Check{Interval: time.Second, Fall: 1})) // a is probed after 0.5 s
		took(t, 2*time.Second, func() {
			if status, body := l.get("Cookie", "sid=aaa"); status != 200 || body != b {
				t.Errorf("got %d %s", status, body)
			}
		})
		l.wantStat("web_10000", "10_0_0_2_31001", Stat{"wretr": "1", "wredis": "1", "status": "DOWN"})
	})
}

// An algorithm that hashes chooses the same server again.
func TestSourceStays(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.serve(a, nil)
		c := web(a, b) // the client is 10.0.0.9: the second of two
		c.Backends[0].Balance = Source
		l.apply(c)
		took(t, 2*time.Second, func() {
			if status, _ := l.get(); status != http.StatusServiceUnavailable {
				t.Errorf("got %d", status)
			}
		})
		l.wantStat("web_10000", "10_0_0_3_31002", Stat{"wretr": "3", "wredis": "0", "econ": "1", "lbtot": "1"})
	})
}

// The only server refuses: three pauses, then 503.
func TestOnlyServerRefuses(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.apply(web(a))
		took(t, 3*time.Second, func() {
			if status, _ := l.get(); status != http.StatusServiceUnavailable {
				t.Errorf("got %d", status)
			}
		})
		l.wantStat("web_10000", "10_0_0_2_31001", Stat{"wretr": "3", "wredis": "0", "econ": "1", "hrsp_5xx": "0"})
		l.wantStat("web_10000", "BACKEND", Stat{"econ": "1", "hrsp_5xx": "1"})
		l.wantStat("web_10000", "FRONTEND", Stat{"hrsp_5xx": "1", "req_tot": "1"})
	})
}

// A server that comes back within the pauses gets the request.
func TestServerReturnsDuringRetries(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.apply(web(a))
		time.AfterFunc(1500*time.Millisecond, func() { l.serve(a, nil) })
		took(t, 2*time.Second, func() {
			if status, body := l.get(); status != 200 || body != a {
				t.Errorf("got %d %s", status, body)
			}
		})
	})
}

// A request in its pause does not return to a server that has left.
func TestRemovedDuringRetries(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.serve(b, nil)
		l.apply(web(a))
		time.AfterFunc(500*time.Millisecond, func() { l.apply(web(b)) })
		took(t, time.Second, func() {
			if status, body := l.get(); status != 200 || body != b {
				t.Errorf("got %d %s", status, body)
			}
		})
	})
}

// A request that was sent is not sent again: the server's failure is a 502.
func TestSentOnce(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLab(t)
		x := l.serve(a, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
		y := l.serve(b, nil)
		l.apply(web(a, b))
		if status, _ := l.get(); status != http.StatusBadGateway {
			t.Errorf("got %d", status)
		}
		if x.requests.Load() != 1 || y.requests.Load() != 0 {
			t.Errorf("requests: %d and %d", x.requests.Load(), y.requests.Load())
		}
		l.wantStat("web_10000", "10_0_0_2_31001", Stat{"eresp": "1", "wretr": "0"})
	})
}

func TestSlowAnswerIs504(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.serve(a, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
		l.apply(web(a))
		took(t, 30*time.Second, func() {
			if status, _ := l.get(); status != http.StatusGatewayTimeout {
				t.Errorf("got %d", status)
			}
		})
	})
}

func TestNoUsableServerIs503AtOnce(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLab(t)
		c := web(a)
		c.Backends[0].Servers[0].Disabled = true
		l.apply(c)
		took(t, 0, func() {
			if status, _ := l.get(); status != http.StatusServiceUnavailable {
				t.Errorf("got %d", status)
			}
		})
		l.wantStat("web_10000", "10_0_0_2_31001", Stat{"status": "MAINT", "stot": "0"})
		l.wantStat("web_10000", "BACKEND", Stat{"status": "DOWN", "econ": "1"})
	})
}
