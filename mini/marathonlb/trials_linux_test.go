package marathonlb

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab/mini/marathonlb/proxy"
)

type noter = func(format string, args ...any)

// times asks n times, each over a connection of its own.
func times(n int) func(w *twin, note noter) {
	return func(w *twin, note noter) {
		for range n {
			note("%s", w.ask("/"))
		}
	}
}

func tcp(s *service)       { s.mode = proxy.TCP }
func leastConn(s *service) { s.balance = proxy.LeastConn }
func sticky(s *service)    { s.sticky = true }

// stickyLongAfter leaves half a minute until the second server is probed.
func stickyLongAfter(s *service) {
	s.sticky = true
	s.check = &proxy.Check{Path: "/health", Interval: time.Minute, Timeout: time.Second, Fall: 3}
}

func checkHealth(s *service) {
	s.check = &proxy.Check{Path: "/health", Interval: 200 * time.Millisecond, Timeout: time.Second, Fall: 3}
}

// The proxy and a real HAProxy live through the same with the same
// haproxy.cfg.
func TestAsHAProxy(t *testing.T) {
	for _, c := range slices.Concat(attempts(), checks(), clients()) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t)
		})
	}
}

// attempts are trials of connecting, retrying and answering.
func attempts() []trial {
	return []trial{
		{name: "two healthy", servers: []string{"ok", "ok"}, run: times(4)},
		{name: "three, one refuses", servers: []string{"ok", "refuse", "ok"}, run: times(6)},
		{name: "one of two refuses", servers: []string{"refuse", "ok"}, run: times(4)},
		{name: "one of two is silent", servers: []string{"silent", "ok"}, run: times(3)},
		{name: "a lone one refuses", servers: []string{"refuse"}, run: times(1)},
		{name: "a lone one is silent", servers: []string{"silent"}, run: times(1)},
		{name: "both refuse", servers: []string{"refuse", "refuse"}, run: times(2)},
		{name: "silent and refusing", servers: []string{"silent", "refuse"}, run: times(1)},
		{name: "leastconn, one refuses", servers: []string{"refuse", "ok"}, change: leastConn, run: times(1)},
		{name: "leastconn, one silent", servers: []string{"silent", "ok"}, change: leastConn, run: times(1)},
		{name: "source", servers: []string{"refuse", "refuse"}, change: func(s *service) { s.balance = proxy.Source }, run: times(1)},
		{name: "first", servers: []string{"refuse", "ok"}, change: func(s *service) { s.balance = proxy.First }, run: times(1)},
		{name: "drained", servers: []string{"ok", "ok"}, change: func(s *service) { s.servers[0].disabled = true }, run: times(2)},
		{name: "all drained", servers: []string{"ok"}, change: func(s *service) { s.servers[0].disabled = true }, run: times(1)},
		{name: "answers 500 and 404", servers: []string{"500", "404"}, run: times(4)},
		{name: "closes before an answer", servers: []string{"close", "ok"}, run: times(4)},
		{name: "breaks off", servers: []string{"cut", "ok"}, run: times(2)},
		{name: "slow", servers: []string{"slow", "ok"}, run: times(2)},
		{name: "headers", servers: []string{"ok"}, run: func(w *twin, note noter) {
			note("%s", w.ask("/a%2Fb?x=1", "X-Forwarded-For", "1.2.3.4", "X-Forwarded-Port", "77", "X-Forwarded-Proto", "https"))
			note("%s", w.ask("/", "Accept-Encoding", "br", "User-Agent", "me"))
		}},
		{name: "hop-by-hop headers", servers: []string{"ok"}, run: func(w *twin, note noter) {
			note("%s", w.ask("/", "Connection", "X-Hop", "X-Hop", "1"))
		}, theirs: []string{
			"asked a GET / HTTP/1.1  Host=1:10000 X-Forwarded-For=9 X-Forwarded-Port=10000 User-Agent=Go-http-client/1.1 Accept-Encoding=gzip Connection=X-Hop+close X-Hop=1",
		}, ours: []string{
			"asked a GET / HTTP/1.1  Host=1:10000 X-Forwarded-For=9 X-Forwarded-Port=10000 User-Agent=Go-http-client/1.1 Accept-Encoding=gzip Connection=close",
		}},
		{name: "tcp", servers: []string{"ok", "ok"}, change: tcp, run: times(4)},
		{name: "tcp, one refuses", servers: []string{"refuse", "ok"}, change: tcp, run: times(4)},
		{name: "tcp, one silent", servers: []string{"silent", "ok"}, change: tcp, run: times(2)},
		{name: "tcp, a lone one refuses", servers: []string{"refuse"}, change: tcp, run: times(1)},
		{name: "tcp, half-close", servers: []string{"ok"}, change: tcp, run: halfClose},
		{name: "tcp, breaks off", servers: []string{"cut"}, change: tcp, run: times(1)},
	}
}

// checks are trials with probed servers; a sticky service is always probed.
func checks() []trial {
	return []trial{
		{name: "sticky", servers: []string{"ok", "ok"}, change: sticky, run: func(w *twin, note noter) {
			w.status("a", "UP")
			w.status("b", "UP")
			for _, cookie := range []string{"", w.cookie("b"), "x=1; " + w.cookie("b") + "; y=2", cookieName + "=unknown"} {
				note("%s", w.ask("/", "Cookie", cookie))
			}
		}},
		{name: "sticky to one that refuses", servers: []string{"ok", "ok"}, change: stickyLongAfter, run: func(w *twin, note noter) {
			w.status("a", "UP")
			w.servers["b"].become("refuse")
			note("%s", w.ask("/", "Cookie", w.cookie("b")))
		}},
		{name: "sticky to one that is silent", servers: []string{"ok", "ok"}, change: stickyLongAfter, run: func(w *twin, note noter) {
			w.status("a", "UP")
			w.servers["b"].become("silent")
			note("%s", w.ask("/", "Cookie", w.cookie("b")))
		}},
		{name: "sticky to one that is down", servers: []string{"ok", "refuse"}, change: func(s *service) { sticky(s); checkHealth(s) }, rough: true, run: func(w *twin, note noter) {
			w.status("a", "UP")
			w.status("b", "DOWN")
			note("%s", w.ask("/", "Cookie", w.cookie("b")))
		}},
		{name: "rise and fall", servers: []string{"ok", "ok"}, change: checkHealth, rough: true, run: riseAndFall},
		{name: "down from the start", servers: []string{"refuse", "ok"}, change: checkHealth, rough: true, run: func(w *twin, note noter) {
			w.status("a", "DOWN")
			w.status("b", "UP")
			times(3)(w, note)
		}},
		{name: "falls silent", servers: []string{"ok", "ok"}, change: func(s *service) { checkHealth(s); s.check.Interval *= 2 }, rough: true, run: func(w *twin, note noter) {
			w.status("a", "UP")
			w.status("b", "UP")
			w.servers["a"].become("silent")
			note("%s", w.ask("/"))
			note("%s", w.ask("/"))
			w.status("a", "DOWN")
			times(2)(w, note)
		}},
		{name: "all down", servers: []string{"500"}, change: checkHealth, rough: true, run: func(w *twin, note noter) {
			w.status("a", "DOWN")
			note("%s", w.ask("/"))
		}},
	}
}

func riseAndFall(w *twin, note noter) {
	var words []string
	see := func(last string) {
		w.until("a is "+last, func() bool {
			word := w.rows()["web_10000/"+w.plain(w.servers["a"].task().name())]["status"]
			if len(words) == 0 || words[len(words)-1] != word {
				words = append(words, word)
			}
			return word == last
		})
	}
	see("UP")
	words = nil
	w.servers["a"].become("500")
	see("DOWN")
	w.servers["a"].become("ok")
	see("UP")
	note("%s", strings.Join(words, ", "))
}
