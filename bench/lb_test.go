//go:build linux

package bench

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/e2e/rig"
	"github.com/mesoslab/lab/internal/labtest"
)

// What BenchmarkBalancer sends: clients that ask again as soon as they have
// their answer, over connections that they keep.
const (
	balancerClients = 16
	balancerLength  = 3 * time.Second
	balancerPort    = 10900 // of the real one, on the master's address
)

// BenchmarkBalancer sends requests to nginx through the lab's proxy in Go and
// through a real HAProxy beside it, in turn: the same two servers behind both,
// which are lab's and the ceiling of both. Clients run in this process.
func BenchmarkBalancer(b *testing.B) {
	program := labtest.NeedProgram(b, "haproxy")
	b.Log(machineSize())
	l := rig.New(b)
	l.Write("lab.yaml", "marathon-lb: {args: [--haproxy, never]}\n")
	l.Create("--fast")
	l.AwaitWhole()
	ours, theirs := l.URL(1, 10000, "/"), l.URL(1, balancerPort, "/")
	startHAProxy(b, program, l)
	type pair struct{ rate, p99 *figures }
	both := map[string]pair{ours: {in("rps"), in("ms")}, theirs: {in("rps"), in("ms")}}
	for b.Loop() {
		for range rounds {
			for url, to := range both {
				rate, p99 := hammer(b, url)
				to.rate.add(rate)
				to.p99.addTime(p99)
			}
		}
	}
	both[ours].rate.report(b, "lab")
	both[theirs].rate.report(b, "haproxy")
	both[ours].p99.report(b, "lab-p99")
	both[theirs].p99.report(b, "haproxy-p99")
	l.Must("destroy")
}

// startHAProxy balances like the lab does, over the same servers.
func startHAProxy(b *testing.B, program string, l *rig.Lab) {
	b.Helper()
	var servers strings.Builder
	for i, t := range l.Status().Marathon.Tasks {
		fmt.Fprintf(&servers, "  server s%d %s:%d check\n", i, t.Host, t.Ports[0])
	}
	config := filepath.Join(b.TempDir(), "haproxy.cfg")
	text := fmt.Sprintf(`global
  maxconn 1000
defaults
  mode http
  balance roundrobin
  retries 3
  option redispatch
  option forwardfor
  timeout connect 3s
  timeout client 30s
  timeout server 30s
listen nginx
  bind %s:%d
%s`, l.IP(1), balancerPort, servers.String())
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(program, "-db", "-f", config)
	cmd.Stdout, cmd.Stderr = b.Output(), b.Output()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	ctx, cancel := context.WithTimeout(b.Context(), rig.Patience)
	defer cancel()
	if err := lab.Until(ctx, 20*time.Millisecond, "HAProxy", func(ctx context.Context) error {
		a, err := rig.Ask(ctx, http.MethodGet, l.URL(1, balancerPort, "/"), "", nil)
		if err == nil && a.Status != http.StatusOK {
			err = fmt.Errorf("status %d", a.Status)
		}
		return err
	}); err != nil {
		b.Fatal(err)
	}
}

// hammer returns the requests that were answered in a second, and the time
// within which 99 of 100 were.
func hammer(b *testing.B, url string) (rate float64, p99 time.Duration) {
	b.Helper()
	client := &http.Client{Transport: &http.Transport{DialContext: new(net.Dialer).DialContext, MaxIdleConnsPerHost: balancerClients}, Timeout: time.Minute}
	defer client.CloseIdleConnections()
	took := make([][]time.Duration, balancerClients)
	failed := make(chan error, balancerClients)
	start := time.Now()
	var all sync.WaitGroup
	for i := range took {
		all.Go(func() {
			for time.Since(start) < balancerLength {
				asked := time.Now()
				if err := fetch(client, url); err != nil {
					failed <- err
					return
				}
				took[i] = append(took[i], time.Since(asked))
			}
		})
	}
	all.Wait()
	if len(failed) > 0 {
		b.Fatal(<-failed)
	}
	times := slices.Sorted(slices.Values(slices.Concat(took...)))
	return float64(len(times)) / time.Since(start).Seconds(), times[len(times)*99/100]
}

func fetch(client *http.Client, url string) error {
	resp, err := client.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}
