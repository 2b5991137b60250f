package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
	"github.com/mesoslab/lab/mini"
	"github.com/mesoslab/lab/mini/zookeeper"
)

const zkHost = "10.0.0.1"

// ensemble is a mini ZooKeeper on a network in memory.
type ensemble struct {
	t   *testing.T
	net *labtest.Network
}

func inBubble(t *testing.T, fn func(t *testing.T, e *ensemble)) {
	t.Helper()
	root := t.TempDir()
	bubble.Test(t, func(t *testing.T) {
		e := &ensemble{t: t, net: labtest.NewNetwork()}
		ctx, cancel := context.WithCancel(t.Context())
		h := e.net.Host(zkHost)
		done := make(chan struct{})
		go func() {
			defer close(done)
			zookeeper.Run(ctx, mini.Env{Root: root, Listen: h.Listen, Dial: h.Dial, Stdout: io.Discard, Stderr: io.Discard})
		}()
		defer func() { cancel(); <-done; synctest.Wait() }()
		fn(t, e)
	})
}

// client opens a session from a host.
func (e *ensemble) client(host string) *ZooKeeper {
	e.t.Helper()
	z, err := NewZooKeeper(Config{URL: URL{[]string{zkHost + ":2181"}, "/lab/marathon"}, Session: 10 * time.Second, Timeout: 5 * time.Second,
		Dial: e.net.Host(host).Dial, Address: host + ":8080"})
	if err != nil {
		e.t.Fatal(err)
	}
	if err := z.awaitSession(e.t.Context()); err != nil {
		e.t.Fatal(err)
	}
	return z
}

// conformance is what every Store does.
func conformance(t *testing.T, s Store) {
	ctx := t.Context()
	if keys, err := s.Keys(ctx); err != nil || len(keys) != 0 {
		t.Errorf("an empty store has %v, %v", keys, err)
	}
	if _, err := s.Get(ctx, "no"); !errors.Is(err, ErrNotFound) {
		t.Errorf("missing key: %v", err)
	}
	if err := s.Delete(ctx, "no"); err != nil {
		t.Errorf("delete of a missing key: %v", err)
	}
	large := bytes.Repeat([]byte("0123456789"), 300_000) // more than a znode holds
	for k, v := range map[string][]byte{"framework:id": []byte("x-0000"), "task:a.b": nil, "group:root": large, "app:a:2016-07-06T13:18:47.123Z": []byte("{}")} {
		if err := s.Put(ctx, k, []byte("before")); err != nil {
			t.Fatal(err)
		}
		if err := s.Put(ctx, k, v); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Get(ctx, k); err != nil || !bytes.Equal(got, v) {
			t.Errorf("%s: %d bytes, %v", k, len(got), err)
		}
	}
	if err := s.Delete(ctx, "task:a.b"); err != nil {
		t.Error(err)
	}
	keys, err := s.Keys(ctx)
	slices.Sort(keys)
	if want := []string{"app:a:2016-07-06T13:18:47.123Z", "framework:id", "group:root"}; err != nil || !slices.Equal(keys, want) {
		t.Errorf("keys %v, %v", keys, err)
	}
}

func TestStoresConform(t *testing.T) {
	t.Run("memory", func(t *testing.T) { conformance(t, NewMemory("x")) })
	t.Run("zookeeper", func(t *testing.T) {
		inBubble(t, func(t *testing.T, e *ensemble) {
			z := e.client("10.0.0.2")
			defer z.Close()
			conformance(t, z)
		})
	})
}

func TestUnreachableStoreSaysSo(t *testing.T) {
	inBubble(t, func(t *testing.T, e *ensemble) {
		z := e.client("10.0.0.2")
		defer z.Close()
		e.net.Cut(zkHost)
		start := time.Now()
		if err := z.Put(t.Context(), "k", nil); !errors.Is(err, ErrUnavailable) || time.Since(start) > 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		time.Sleep(10 * time.Second)
		start = time.Now()
		if _, err := z.Keys(t.Context()); !errors.Is(err, ErrUnavailable) || time.Since(start) != 0 {
			t.Errorf("%v after %v, with the connection known to be lost", err, time.Since(start))
		}
		e.net.Mend(zkHost)
		time.Sleep(5 * time.Second)
		if err := z.Put(t.Context(), "k", nil); err != nil {
			t.Error(err)
		}
	})
}

// candidate is a Marathon that only stands for election.
type candidate struct {
	*ZooKeeper
	terms  chan string // "on" and "off"
	cancel context.CancelFunc
	done   chan struct{}
}

func (e *ensemble) candidate(host string) *candidate {
	ctx, cancel := context.WithCancel(e.t.Context())
	c := &candidate{e.client(host), make(chan string, 20), cancel, make(chan struct{})}
	go func() {
		defer close(c.done)
		_ = c.Run(ctx, func(ctx context.Context) {
			c.terms <- "on"
			<-ctx.Done()
			c.terms <- "off"
		})
	}()
	synctest.Wait()
	return c
}

func (c *candidate) end() {
	c.cancel()
	<-c.done
	c.Close()
	synctest.Wait()
}

func (c *candidate) next(t *testing.T, want string, within time.Duration) {
	t.Helper()
	select {
	case got := <-c.terms:
		if got != want {
			t.Errorf("%s is %s, want %s", c.cfg.Address, got, want)
		}
	case <-time.After(within):
		t.Errorf("%s is not %s within %v", c.cfg.Address, want, within)
	}
}

func TestElection(t *testing.T) {
	inBubble(t, func(t *testing.T, e *ensemble) {
		a := e.candidate("10.0.0.2")
		defer a.end()
		a.next(t, "on", time.Second)
		b := e.candidate("10.0.0.3")
		defer b.end()
		c := e.candidate("10.0.0.4")
		defer c.end()
		for _, x := range []*candidate{a, b, c} {
			if x.Leader() != "10.0.0.2:8080" {
				t.Errorf("%s sees %q", x.cfg.Address, x.Leader())
			}
		}
		a.Abdicate()
		a.next(t, "off", time.Second)
		b.next(t, "on", time.Second)
		synctest.Wait()
		if a.Leader() != "10.0.0.3:8080" || c.Leader() != "10.0.0.3:8080" {
			t.Errorf("after the abdication %q and %q", a.Leader(), c.Leader())
		}
		e.net.Cut("10.0.0.3")
		cut := time.Now()
		c.next(t, "on", 15*time.Second)
		if d := time.Since(cut); d > 11*time.Second {
			t.Errorf("the next leader came after %v", d)
		}
		b.next(t, "off", 10*time.Second)
		e.net.Mend("10.0.0.3")
		time.Sleep(20 * time.Second)
		if b.Leader() != "10.0.0.4:8080" {
			t.Errorf("back, it sees %q", b.Leader())
		}
		if len(a.terms)+len(b.terms)+len(c.terms) != 0 {
			t.Error("more changes than there should be")
		}
	})
}

func TestShortOutageKeepsTheLead(t *testing.T) {
	inBubble(t, func(t *testing.T, e *ensemble) {
		a := e.candidate("10.0.0.2")
		defer a.end()
		a.next(t, "on", time.Second)
		e.net.CutBetween("10.0.0.2", zkHost)
		time.Sleep(8 * time.Second)
		e.net.MendBetween("10.0.0.2", zkHost)
		time.Sleep(30 * time.Second)
		if len(a.terms) != 0 {
			t.Errorf("the lead was lost: %s", <-a.terms)
		}
		if a.Leader() != "10.0.0.2:8080" {
			t.Errorf("leader %q", a.Leader())
		}
	})
}

func TestURLs(t *testing.T) {
	for s, want := range map[string]string{
		"zk://a:1,b:2/x/y": "[a:1 b:2] /x/y", "zk://a/": "[a:2181] /", "zk://a": "[a:2181] /", "zk://10.0.0.1:2181/marathon": "[10.0.0.1:2181] /marathon",
		"a:1/x": "error", "zk://": "error", "zk://a,,b/x": "error", "zk://u:p@a/x": "error",
	} {
		u, err := ParseURL(s)
		got := fmt.Sprint(u.Servers) + " " + u.Path
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%s is %s, want %s", s, got, want)
		}
	}
}

func FuzzURL(f *testing.F) {
	f.Add("zk://a:1,b/x")
	f.Fuzz(func(t *testing.T, s string) {
		if u, err := ParseURL(s); err == nil && (len(u.Servers) == 0 || !strings.HasPrefix(u.Path, "/")) {
			t.Errorf("%q is %+v", s, u)
		}
	})
}
