package scenarios

import (
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesoslab/lab/internal/labtest"
)

// TestProbeOmitsNothing asks a service that answers nobody for a second: every
// request that was due meanwhile is late by what was left of that second. A
// client that waits for its answer before it asks again would count one.
func TestProbeOmitsNothing(t *testing.T) {
	for _, how := range []Connections{ConnectionsNew, ConnectionsKept} {
		synctest.Test(t, func(t *testing.T) {
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
