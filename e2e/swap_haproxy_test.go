//go:build linux

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/mesoslab/lab/e2e/rig"
	"github.com/mesoslab/lab/internal/labtest"
)

// TestRealHAProxy puts a real HAProxy in the place of the proxy in Go: the
// scenarios' traffic goes through it, reloads lose no request, and it never
// outlives its marathon-lb.
func TestRealHAProxy(t *testing.T) {
	labtest.NeedProgram(t, "haproxy")
	t.Parallel()
	l := rig.New(t)
	l.Write("lab.yaml", "marathon-lb: {args: [--haproxy, auto]}\n")
	l.Create("--fast")
	l.AwaitWhole()
	answering(t, l, 2)
	first := workers(l)
	for name, scenario := range map[string]string{"an agent dies": "failover", "the balancer itself": "lb-restart"} {
		t.Run(name, func(t *testing.T) {
			l := l.In(t)
			mustPass(t, l, scenario)
			l.AwaitWhole()
		})
	}
	if now := workers(l); slices.Equal(now, first) {
		t.Errorf("no reload made a new worker: %v", now)
	}
	t.Run("reloads lose nothing", func(t *testing.T) { reloadsLoseNothing(t, l.In(t)) })
	t.Run("kill -9", func(t *testing.T) { haproxyDiesWithItsOwner(t, l.In(t)) })
	l.Must("destroy")
	l.MustBeGone()
}

// haproxies are the processes of HAProxy on the master, masters included.
func haproxies(l *rig.Lab) (pids []int) {
	for _, p := range l.Commands("node1") {
		if filepath.Base(p.Args[0]) == "haproxy" {
			pids = append(pids, p.PID)
		}
	}
	return pids
}

// workers are those that the load balancer says serve; each must be a HAProxy.
func workers(l *rig.Lab) []string {
	var words []string
	l.Await("HAProxy to serve", func(context.Context) error {
		words = strings.Fields(l.Get(l.URL(1, 9090, "/_haproxy_getpids")).Body)
		real := haproxies(l)
		for _, w := range words {
			if pid, err := strconv.Atoi(w); err != nil || !slices.Contains(real, pid) {
				return fmt.Errorf("%q is none of the HAProxies %v", w, real)
			}
		}
		if len(words) == 0 {
			return errors.New("nobody serves")
		}
		return nil
	})
	return words
}

// reloadsLoseNothing asks without a pause while another app comes and goes.
func reloadsLoseNothing(t *testing.T, l *rig.Lab) {
	stop := make(chan struct{})
	var clients sync.WaitGroup
	var asked atomic.Int64
	for range 3 {
		clients.Go(func() {
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			for {
				select {
				case <-stop:
					return
				default:
				}
				resp, err := client.Get(l.URL(1, 10000, "/"))
				if err == nil {
					_, err = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
				if err != nil || resp.StatusCode != http.StatusOK {
					t.Errorf("request %d: %v, %v", asked.Load(), resp, err)
					return
				}
				asked.Add(1)
			}
		})
	}
	app := l.Write("more.json", `{"id":"/more","instances":1,"cpus":0.1,"mem":16,"container":{"type":"DOCKER","docker":
		{"image":"lab/web","network":"BRIDGE","portMappings":[{"containerPort":80,"servicePort":10005}]}},"labels":{"HAPROXY_GROUP":"external"}}`)
	for range 3 {
		l.Must("deploy", app)
		l.Await("the other app to be served", func(ctx context.Context) error {
			a, err := rig.Ask(ctx, http.MethodGet, l.URL(1, 10005, "/"), "", nil)
			if err == nil && a.Status != http.StatusOK {
				err = fmt.Errorf("status %d", a.Status)
			}
			return err
		})
		if _, err := rig.Ask(t.Context(), http.MethodDelete, l.URL(1, 8080, "/v2/apps//more?force=true"), "", nil); err != nil {
			t.Fatal(err)
		}
		l.Await("its port to be closed", func(ctx context.Context) error {
			if _, err := rig.Ask(ctx, http.MethodGet, l.URL(1, 10005, "/"), "", nil); !errors.Is(err, syscall.ECONNREFUSED) {
				return fmt.Errorf("not yet: %v", err)
			}
			return nil
		})
	}
	close(stop)
	clients.Wait()
	if asked.Load() < 100 {
		t.Errorf("only %d requests", asked.Load())
	}
}

// haproxyDiesWithItsOwner kills marathon-lb's process and nothing else.
func haproxyDiesWithItsOwner(t *testing.T, l *rig.Lab) {
	before := haproxies(l)
	if len(before) < 2 { // master and worker
		t.Fatalf("HAProxies %v", before)
	}
	if err := syscall.Kill(l.PIDOf(t.Context(), 1, "marathon-lb"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	l.Await("other HAProxies in their place", func(context.Context) error {
		now := haproxies(l)
		if slices.ContainsFunc(now, func(pid int) bool { return slices.Contains(before, pid) }) || len(now) < 2 {
			return fmt.Errorf("HAProxies %v, were %v", now, before)
		}
		return nil
	})
	l.AwaitWhole()
	answering(t, l, 2)
}
