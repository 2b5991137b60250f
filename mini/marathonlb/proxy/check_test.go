package proxy

import (
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesoslab/lab/internal/labtest/bubble"
)

// The life of a checked server, second by second: HAProxy's rise and fall.
func TestHTTPCheckRiseAndFall(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLab(t)
		var status atomic.Int64
		status.Store(200)
		x := l.serve(a, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Proto != "HTTP/1.0" || r.URL.Path != "/health" {
				t.Errorf("check asks %s %s", r.Proto, r.URL)
			}
			w.WriteHeader(int(status.Load()))
		}))
		l.apply(checked(web(a), Check{Path: "/health", Interval: 10 * time.Second, Timeout: 5 * time.Second, Fall: 3}))
		at := func(word string) {
			t.Helper()
			synctest.Wait()
			l.wantStat("web_10000", "10_0_0_2_31001", Stat{"status": word})
		}
		step := func(answer int64, word string) {
			t.Helper()
			status.Store(answer)
			time.Sleep(10 * time.Second)
			at(word)
		}
		at("UP") // the first check comes at once
		step(503, "UP 2/3")
		step(302, "UP")
		step(404, "UP 2/3")
		step(500, "UP 1/3")
		step(500, "DOWN")
		l.wantStat("web_10000", "10_0_0_2_31001", Stat{"chkfail": "4", "chkdown": "1", "check_status": "L7STS", "check_code": "500"})
		if code, _ := l.get(); code != http.StatusServiceUnavailable {
			t.Errorf("down, yet got %d", code)
		}
		step(200, "DOWN 1/2")
		step(500, "DOWN")
		step(200, "DOWN 1/2")
		step(200, "UP")
		l.wantStat("web_10000", "10_0_0_2_31001", Stat{"downtime": "40"})
		l.wantStat("web_10000", "BACKEND", Stat{"downtime": "40", "chkdown": "1", "status": "UP"})
		if n := x.requests.Load(); n != 10 {
			t.Errorf("%d requests, want 10 checks", n)
		}
		if want := []string{"DOWN", "UP"}; len(l.lines) != 2 || !strings.Contains(l.lines[0], want[0]) || !strings.Contains(l.lines[1], want[1]) {
			t.Errorf("log: %q", l.lines)
		}
	})
}

// A new server is up and falls at its first failure.
func TestNewServerFallsAtOnce(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.serve(b, nil)
		c := checked(web(b, a), Check{Interval: 10 * time.Second, Fall: 4})
		l.apply(c)
		synctest.Wait()
		l.wantStat("web_10000", "10_0_0_3_31002", Stat{"status": "UP", "check_status": "L4OK"})
		l.wantStat("web_10000", "10_0_0_2_31001", Stat{"status": "UP 1/4", "check_status": "INI"})
		time.Sleep(5*time.Second + time.Millisecond) // half an interval: the second of two
		l.wantStat("web_10000", "10_0_0_2_31001", Stat{"status": "DOWN", "check_status": "L4CON"})
		took(t, 0, func() {
			for range 4 {
				if _, body := l.get(); body != b {
					t.Errorf("answered by %s", body)
				}
			}
		})
	})
}

func TestCheckTimeouts(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.serve(a, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
		l.apply(checked(web(a), Check{Path: "/", Interval: 60 * time.Second, Timeout: 20 * time.Second, Fall: 1}))
		time.Sleep(20*time.Second + time.Millisecond)
		l.wantStat("web_10000", "10_0_0_2_31001", Stat{"check_status": "L7TOUT", "check_duration": "20000", "status": "DOWN"})
		l.net.Cut("10.0.0.2")
		time.Sleep(63 * time.Second) // an interval after the end, then 3 s to connect
		l.wantStat("web_10000", "10_0_0_2_31001", Stat{"check_status": "L4TOUT", "check_duration": "3000"})
	})
}

// A server that falls silent is down seven to eight seconds later with the
// check of a lesson's app, and no request took longer than one connection
// time-out by then (measured on HAProxy 2.6).
func TestSilentServerGoesDown(t *testing.T) {
	for after, want := range map[time.Duration]time.Duration{
		time.Millisecond: 8*time.Second - time.Millisecond, 999 * time.Millisecond: 7*time.Second + time.Millisecond,
	} {
		bubble.Test(t, func(t *testing.T) {
			l := newLab(t)
			l.serve(a, nil)
			l.serve(b, nil)
			l.apply(checked(web(a, b), Check{Path: "/", Interval: time.Second, Timeout: time.Second, Fall: 4}))
			time.Sleep(5*time.Second + after) // the checks of a are at whole seconds
			l.net.Cut("10.0.0.2")
			cut := time.Now()
			for i := 0; l.stat("web_10000", "10_0_0_2_31001")["status"] != "DOWN"; i++ {
				if asked := time.Now(); i%50 == 0 {
					go func() {
						if status, body := l.get(); status != 200 || body != b || time.Since(asked) > 3*time.Second {
							t.Errorf("got %d %s after %v", status, body, time.Since(asked))
						}
					}()
				}
				time.Sleep(time.Millisecond)
				synctest.Wait()
			}
			if got := time.Since(cut); got != want {
				t.Errorf("down after %v, want %v", got, want)
			}
			time.Sleep(5 * time.Second)
		})
	}
}

// Health and check timer survive a reload that lists the server again; a
// server that has left is not probed any more.
func TestReloadKeepsHealth(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLab(t)
		x := l.serve(a, nil)
		check := Check{Path: "/", Interval: 10 * time.Second, Timeout: time.Second, Fall: 4}
		l.apply(checked(web(b, a), check))
		time.Sleep(6 * time.Second)
		l.wantStat("web_10000", "10_0_0_3_31002", Stat{"status": "DOWN"})
		l.apply(checked(web(a, b), check))
		l.wantStat("web_10000", "10_0_0_3_31002", Stat{"status": "DOWN", "chkdown": "1"})
		l.wantStat("web_10000", "10_0_0_2_31001", Stat{"status": "UP"})
		time.Sleep(10 * time.Second)
		if n := x.requests.Load(); n != 2 {
			t.Errorf("%d checks, want 2: one interval apart", n)
		}
		l.apply(checked(web(b), check))
		time.Sleep(time.Minute)
		if n := x.requests.Load(); n != 2 {
			t.Errorf("%d checks: a removed server is still probed", n)
		}
	})
}

func TestReadStatus(t *testing.T) {
	for line, want := range map[string]int{
		"HTTP/1.1 200 OK\r\n": 200, "HTTP/1.0 302\r\n": 302, "HTTP/1.1 404 ": 404,
		"": 0, "SSH-2.0-OpenSSH\r\n": 0, "HTTP/1.1 2000 x\r\n": 0, "HTTP/1.1 abc\r\n": 0, "HTTP/2 200\r\n": 0, "HTTP/1.1 -12 x\n": 0,
	} {
		code, err := readStatus(strings.NewReader(line))
		if code != want || (err == nil) != (want != 0) {
			t.Errorf("%q: %d, %v", line, code, err)
		}
	}
}

func FuzzReadStatus(f *testing.F) {
	f.Add("HTTP/1.1 200 OK\r\n")
	f.Add("HTTP/1.0 99")
	f.Fuzz(func(t *testing.T, s string) {
		if code, err := readStatus(strings.NewReader(s)); err == nil && (code < 100 || code > 999) {
			t.Errorf("%q: %d", s, code)
		}
	})
}

func TestParseBalance(t *testing.T) {
	good := []string{"roundrobin", "static-rr", "leastconn", "source", "first", "uri", "hdr(X-User)", "url_param id", "rdp-cookie", "rdp-cookie(x)"}
	bad := []string{"", "random order", "roundrobin x", "hdr", "hdr()", "url_param", "roundrobin\n  server x 1:1", "hdr(x)\n  server x 1:1 #)", "url_param x\n y", "RoundRobin"}
	for _, s := range slices.Concat(good, bad) {
		if _, err := ParseBalance(s); (err == nil) != slices.Contains(good, s) {
			t.Errorf("%q: %v", s, err)
		}
	}
}
