//go:build linux

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mesoslab/lab/e2e/rig"
	"github.com/mesoslab/lab/internal/labtest"
)

// TestRealHAProxy: where HAProxy is installed, it balances. The scenarios'
// traffic goes through it, reloads lose no request, its machine without power
// takes nobody, and it never outlives its marathon-lb or its machine.
func TestRealHAProxy(t *testing.T) {
	labtest.NeedProgram(t, "haproxy")
	t.Parallel()
	l := rig.New(t)
	l.Create("--fast")
	l.AwaitWhole()
	answering(t, l, 2)
	first := workers(l)
	if r := l.Must("ssh", "master", "ss -ltnp"); !strings.Contains(r.Stdout, l.IP(1)+":10000 ") || !strings.Contains(r.Stdout, `("haproxy",pid=`) {
		t.Errorf("the machine does not list HAProxy's port: %s", r)
	}
	for _, scenario := range []string{"failover", "lb-restart", "upgrade-zero-downtime", "bad-label"} {
		t.Run(scenario, func(t *testing.T) {
			l := l.In(t)
			mustPass(t, l, scenario)
			l.AwaitWhole()
			answering(t, l, 2) // one with flags leaves a new marathon-lb, which has yet to hear of the tasks
		})
	}
	if now := workers(l); slices.Equal(now, first) {
		t.Errorf("no reload made a new worker: %v", now)
	}
	t.Run("reloads lose nothing", func(t *testing.T) { reloadsLoseNothing(t, l.In(t)) })
	t.Run("kill -9", func(t *testing.T) { haproxyDiesWithItsOwner(t, l.In(t)) })
	t.Run("power", func(t *testing.T) { haproxyHasItsMachinesPower(t, l.In(t)) })
	l.Must("destroy")
	l.MustBeGone()
}

// TestWithoutHAProxy: lab.yaml can have the proxy in Go, whatever is installed.
func TestWithoutHAProxy(t *testing.T) {
	t.Parallel()
	l := rig.New(t)
	l.Write("lab.yaml", withoutHAProxy)
	l.Create("--fast")
	l.AwaitWhole()
	answering(t, l, 2)
	if p := haproxies(l); len(p) > 0 {
		t.Errorf("HAProxies %v", p)
	}
	l.Must("destroy")
	l.MustBeGone()
}

// haproxies are the processes of HAProxy on the master, masters included.
func haproxies(l *rig.Lab) (pids []int) {
	for _, p := range l.HAProxies("node1") {
		pids = append(pids, p.PID)
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

// haproxyHasItsMachinesPower takes the master's power in every way. Its port
// then takes nobody, and HAProxy never lives longer than the machine.
func haproxyHasItsMachinesPower(t *testing.T, l *rig.Lab) {
	address := fmt.Sprintf("%s:10000", l.IP(1))
	before := haproxies(l)
	for _, c := range []struct {
		verb     string
		silent   bool // newcomers hang, else they are refused
		goesOn   bool // with the same processes
		survives bool // frozen meanwhile
	}{
		{"pause", true, true, true},
		{"kill", true, false, true},
		{"crash", false, false, false},
		{"stop", false, false, false},
	} {
		r := l.Start("break", c.verb, "master", "--for", "10m")
		r.AwaitEvent("⚡ node1 ")
		for range 3 {
			_, err := net.DialTimeout("tcp", address, 300*time.Millisecond)
			if timeout, ok := errors.AsType[net.Error](err); err == nil || c.silent != (ok && timeout.Timeout()) {
				t.Errorf("%s: a newcomer: %v", c.verb, err)
			}
		}
		if !c.survives {
			noneOf(l, before)
		}
		r.Signal(syscall.SIGINT)
		r.Wait(nil)
		l.Must("heal")
		l.AwaitWhole()
		answering(t, l, 2)
		now := haproxies(l)
		if slices.Equal(now, before) != c.goesOn || len(now) < 2 {
			t.Errorf("%s: HAProxies %v, were %v", c.verb, now, before)
		}
		before = now
	}
	if err := syscall.Kill(l.Machine("node1").PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	noneOf(l, before)
	l.Create("--fast")
	l.AwaitWhole()
	answering(t, l, 2)
}

// noneOf waits for the end of processes.
func noneOf(l *rig.Lab, pids []int) {
	l.Await("HAProxy to end with its machine", func(context.Context) error {
		if now := haproxies(l); slices.ContainsFunc(now, func(pid int) bool { return slices.Contains(pids, pid) }) {
			return fmt.Errorf("HAProxies %v", now)
		}
		return nil
	})
}
