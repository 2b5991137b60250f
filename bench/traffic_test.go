//go:build linux

package bench

import (
	"context"
	"errors"
	"io"
	"net"
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
// with kept ones. Who answers is another process. Beside each stands what the
// least costs that a Go program can do for it: one goroutine that sleeps until a
// request is due, writes the same bytes, and reads until the answer's last one.
func BenchmarkTraffic(b *testing.B) {
	b.Log(machineSize())
	l := rig.New(b)
	l.Create("--fast")
	l.AwaitWhole()
	url := l.URL(1, 10000, "/")
	fresh, kept, none := in("%"), in("%"), in("%")
	leastFresh, leastKept := in("%"), in("%")
	for b.Loop() {
		for range rounds {
			none.add(share(b, func(ctx context.Context, stop <-chan struct{}) { <-stop }))
			for _, c := range []struct {
				how       scenarios.Connections
				to, least *figures
			}{{scenarios.ConnectionsNew, fresh, leastFresh}, {scenarios.ConnectionsKept, kept, leastKept}} {
				probe, err := scenarios.NewProbe(url, trafficRate, c.how, nil)
				if err != nil {
					b.Fatal(err)
				}
				c.to.add(share(b, probe.Run))
				if t := probe.Traffic(); t.Failed > 0 || t.Done < trafficRate*4 {
					b.Fatalf("%s connections: %+v", c.how, t)
				}
				bare := bareLoop{address: l.IP(1) + ":10000", keep: c.how == scenarios.ConnectionsKept}
				c.least.add(share(b, bare.run))
				if bare.err != nil || bare.done < trafficRate*4 {
					b.Fatalf("%s connections, a bare loop: %d answers, %v", c.how, bare.done, bare.err)
				}
			}
		}
	}
	none.report(b, "nothing")
	fresh.report(b, "new")
	leastFresh.report(b, "new-least")
	kept.report(b, "kept")
	leastKept.report(b, "kept-least")
	l.Must("destroy")
}

// bareLoop asks the same of the same service, one request after the other. It
// judges nothing, and a late answer makes it late.
type bareLoop struct {
	address string
	keep    bool

	done int
	err  error
}

func (l *bareLoop) run(_ context.Context, stop <-chan struct{}) {
	request := "GET / HTTP/1.1\r\nHost: " + l.address + "\r\n"
	if !l.keep {
		request += "Connection: close\r\n"
	}
	request += "\r\n"
	var c net.Conn
	buf := make([]byte, 4<<10)
	start := time.Now()
	for n := 0; ; n++ {
		time.Sleep(time.Until(start.Add(time.Duration(n) * time.Second / trafficRate)))
		select {
		case <-stop:
			if c != nil {
				l.err = c.Close()
			}
			return
		default:
		}
		if c == nil {
			if c, l.err = net.Dial("tcp", l.address); l.err != nil {
				return
			}
		}
		if _, l.err = io.WriteString(c, request); l.err != nil {
			return
		}
		if l.keep {
			_, l.err = c.Read(buf) // the page comes in one piece
		} else {
			_, l.err = io.CopyBuffer(io.Discard, struct{ io.Reader }{c}, buf)
			l.err = errors.Join(l.err, c.Close())
			c = nil
		}
		if l.err != nil {
			return
		}
		l.done++
	}
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
