//go:build linux

package bench

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/mesoslab/lab/e2e/rig"
	"github.com/mesoslab/lab/scenarios"
)

// What BenchmarkTraffic sends.
const (
	trafficRate   = 200 // requests a second
	trafficLength = 5 * time.Second
)

// BenchmarkTraffic takes the share of one core that a scenario's requests cost
// lab, at 200 a second: with a new connection for each, as is the default, and
// with kept ones. Who answers is another process.
func BenchmarkTraffic(b *testing.B) {
	b.Log(machineSize())
	l := rig.New(b)
	l.Create("--fast")
	l.AwaitWhole()
	url := l.URL(1, 10000, "/")
	fresh, kept, none := in("%"), in("%"), in("%")
	for b.Loop() {
		for range rounds {
			none.add(share(b, func(ctx context.Context, stop <-chan struct{}) { <-stop }))
			for _, c := range []struct {
				how scenarios.Connections
				to  *figures
			}{{scenarios.ConnectionsNew, fresh}, {scenarios.ConnectionsKept, kept}} {
				probe, err := scenarios.NewProbe(url, trafficRate, c.how, nil)
				if err != nil {
					b.Fatal(err)
				}
				c.to.add(share(b, probe.Run))
				if t := probe.Traffic(); t.Failed > 0 || t.Done < trafficRate*4 {
					b.Fatalf("%s connections: %+v", c.how, t)
				}
			}
		}
	}
	none.report(b, "nothing")
	fresh.report(b, "new")
	kept.report(b, "kept")
	l.Must("destroy")
}

// share runs something for a while and returns how much of one core this
// process has used meanwhile, in percent.
func share(b *testing.B, run func(context.Context, <-chan struct{})) float64 {
	b.Helper()
	before, start := processorTime(b), time.Now()
	stop := make(chan struct{})
	time.AfterFunc(trafficLength, func() { close(stop) })
	run(b.Context(), stop)
	return 100 * float64(processorTime(b)-before) / float64(time.Since(start))
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
