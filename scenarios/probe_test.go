package scenarios

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
)

// TestProbeOmitsNothing asks a service that answers nobody for a second: every
// request that was due meanwhile is late by what was left of that second. A
// client that waits for its answer before it asks again would count one.
func TestProbeOmitsNothing(t *testing.T) {
	for _, how := range []Connections{ConnectionsNew, ConnectionsKept} {
		bubble.Test(t, func(t *testing.T) {
			n := labtest.NewNetwork()
			l, err := n.Host("10.0.0.1").Listen(t.Context(), "tcp", ":80")
			if err != nil {
				t.Fatal(err)
			}
			start := time.Now()
			stalled, over := start.Add(time.Second), start.Add(2*time.Second)
			var mu sync.Mutex
			clients := map[string]int{}
			srv := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if now := time.Now(); !now.Before(stalled) && now.Before(over) {
					time.Sleep(over.Sub(now))
				}
				mu.Lock()
				defer mu.Unlock()
				clients[r.RemoteAddr]++
			})}
			go srv.Serve(l)
			p, err := NewProbe("http://10.0.0.1/", 10, how, n.Host("10.0.0.9").Dial)
			if err != nil {
				t.Fatal(err)
			}
			stop := make(chan struct{})
			time.AfterFunc(2950*time.Millisecond, func() { close(stop) })
			p.Run(t.Context(), stop)
			srv.Close()
			synctest.Wait()

			if got := p.Traffic(); got.Sent != 30 || got.Done != 30 || got.Failed != 0 || got.Worst != time.Second {
				t.Errorf("%s: %+v", how, got)
			}
			for _, a := range p.Answers() {
				want := time.Duration(0)
				if !a.Due.Before(stalled) && a.Due.Before(over) {
					want = over.Sub(a.Due)
				}
				if a.Latency != want {
					t.Errorf("%s: due after %v, answered after %v, want %v", how, a.Due.Sub(start), a.Latency, want)
				}
			}
			if few := len(clients) < 30; few != (how == ConnectionsKept) {
				t.Errorf("%s: %d connections for 30 requests", how, len(clients))
			}
		})
	}
}

// TestSilentFor looks for a second without an answer among requests that end
// late, and out of turn.
// TestLanded: only what was under way at the moment counts, whole answers for
// the task that gave them, failures for all.
func TestLanded(t *testing.T) {
	start := time.Unix(1000, 0)
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	p := &Probe{}
	asked := func(due int, took time.Duration, task, failure string) {
		p.dues = append(p.dues, at(due))
		if took > 0 {
			p.order = append(p.order, Answer{Due: at(due), Latency: took, Task: task, Err: failure})
		}
	}
	asked(0, 500*time.Millisecond, "", "502 Bad Gateway") // over before
	asked(100, time.Second, "a", "")
	asked(200, time.Second, "a", "")
	asked(300, 2*time.Second, "b", "")
	asked(1100, time.Second, "a", "") // after it
	if last, pending, failed := p.Landed(at(1000), "a"); !last.Equal(at(1200)) || pending != 0 || failed != 0 {
		t.Errorf("%v %d %d", last, pending, failed)
	}
	if last, _, _ := p.Landed(at(1000), "c"); !last.IsZero() {
		t.Errorf("one that had nothing: %v", last)
	}
	asked(900, time.Second, "", "connection broke off")
	asked(950, 0, "", "")
	if _, pending, failed := p.Landed(at(1000), "a"); pending != 1 || failed != 1 {
		t.Errorf("%d pending, %d failed", pending, failed)
	}
}

func TestSilentFor(t *testing.T) {
	began := time.Unix(1000, 0)
	at := func(ms int) time.Time { return began.Add(time.Duration(ms) * time.Millisecond) }
	good := func(ms int) Answer { return Answer{Due: at(ms), Latency: time.Millisecond} }
	bad := func(ms int) Answer {
		return Answer{Due: at(ms), Latency: 3 * time.Second, Err: "503 Service Unavailable"}
	}
	for name, c := range map[string]struct {
		answers []Answer
		flying  []int // when those were due that have no end yet
		now     int
		want    string // of the error
	}{
		"nothing was sent":                     {nil, nil, 2000, "0 of 0 requests"},
		"too soon":                             {[]Answer{bad(100)}, nil, 900, "no answer for 0.9 s so far"},
		"all failed":                           {[]Answer{bad(100), bad(999)}, nil, 1000, ""},
		"one has no end":                       {[]Answer{bad(100)}, []int{500}, 1500, "1 of 2 requests"},
		"one was answered":                     {[]Answer{bad(100), good(500), bad(900)}, nil, 1200, "no answer for 0.7 s so far"},
		"one was answered, then none":          {[]Answer{bad(100), good(500), bad(900)}, nil, 1501, ""},
		"a second between answers, ended late": {[]Answer{good(2200), good(100), bad(200), bad(1050)}, nil, 2500, ""},
		"less than that between answers":       {[]Answer{good(100), bad(200), good(1099)}, nil, 1900, "no answer for 0.8 s so far"},
		"a second, in which one has no end":    {[]Answer{good(100), bad(200), good(1200)}, []int{900}, 1900, "1 of 2 requests"},
	} {
		p := &Probe{order: c.answers}
		for _, a := range c.answers {
			p.dues = append(p.dues, a.Due)
		}
		for _, ms := range c.flying {
			p.dues = append(p.dues, at(ms))
		}
		traffic, err := (&run{probe: p}).silentFor(time.Second, began, at(c.now))
		if c.want == "" && (err != nil || traffic.Failed == 0 || traffic.Failed != traffic.Sent) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %+v, %v; want %q", name, traffic, err, c.want)
		}
	}
}
