package proxy

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

const (
	a = "10.0.0.2:31001"
	b = "10.0.0.3:31002"
)

func TestRoundRobinPerRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
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

// A refusing server costs two pauses of 1 s (attempts at 0, 1 and 2 s), then
// the last retry goes to the other one at once.
func TestRefusedIsRedispatchedAfterTwoSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.serve(b, nil)
		l.apply(web(a, b)) // nobody listens at a
		took(t, 2*time.Second, func() {
			if status, body := l.get(); status != 200 || body != b {
				t.Errorf("got %d %s", status, body)
			}
		})
		l.wantStat("web_10000", "10_0_0_2_31001", Stat{"wretr": "2", "wredis": "1", "econ": "0", "status": "no check"})
		l.wantStat("web_10000", "10_0_0_3_31002", Stat{"wretr": "0", "wredis": "0", "hrsp_2xx": "1", "stot": "1"})
		l.wantStat("web_10000", "BACKEND", Stat{"wretr": "2", "wredis": "1", "hrsp_2xx": "1", "stot": "1"})
		// The redispatch took the other server's turn, so the next begins at
		// the refusing one again: unchecked, it delays every lonely client.
		took(t, 2*time.Second, func() { l.get() })
	})
}

// A silent server costs three connection time-outs of 3 s and no pause.
func TestSilentIsRedispatchedAfterNineSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.serve(a, nil)
		l.serve(b, nil)
		l.apply(web(a, b))
		l.net.Cut("10.0.0.2")
		took(t, 9*time.Second, func() {
			if status, body := l.get(); status != 200 || body != b {
				t.Errorf("got %d %s", status, body)
			}
		})
	})
}

// The only server refuses: three pauses, then 503.
func TestOnlyServerRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
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
	synctest.Test(t, func(t *testing.T) {
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
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.serve(b, nil)
		l.apply(web(a, b))
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
	synctest.Test(t, func(t *testing.T) {
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
	synctest.Test(t, func(t *testing.T) {
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
	synctest.Test(t, func(t *testing.T) {
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
