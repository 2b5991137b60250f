package engine

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesoslab/lab/internal/labtest/bubble"
	"github.com/mesoslab/lab/local/engine/internal/api"
)

// make creates a container with a restart policy and starts it.
func (b *bench) make(t *testing.T, name, policy string, max int, cmd ...string) *container {
	t.Helper()
	c, _, err := b.create(name, api.CreateRequest{
		Config:     api.Config{Image: "lab/tool", Cmd: cmd},
		HostConfig: &api.HostConfig{RestartPolicy: api.RestartPolicy{Name: policy, MaximumRetryCount: max}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Engine.start(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	return c
}

// dies returns the times, from now, of the deaths of the next span of time.
func (b *bench) dies(t *testing.T, span time.Duration, do func()) []time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), span)
	defer cancel()
	begin := time.Now()
	_, live := b.bus.Subscribe(ctx, time.Time{})
	do()
	var at []time.Duration
	for e := range live {
		if e.Action == "die" {
			at = append(at, time.Unix(0, e.TimeNano).Sub(begin))
		}
	}
	return at
}

// delay is the container's present back-off.
func (c *container) delay() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.backoff
}

func TestRestartBackoff(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		b := newBench(t, "")
		const ms = time.Millisecond
		at := b.dies(t, 13*time.Second, func() { b.make(t, "flaky", "always", 0, "exit", "1") })
		// Each wait is twice the one before: 100, 200, 400 … ms.
		want := []time.Duration{0, 100 * ms, 300 * ms, 700 * ms, 1500 * ms, 3100 * ms, 6300 * ms, 12700 * ms}
		if !slices.Equal(at, want) {
			t.Errorf("deaths at %v, want %v", at, want)
		}
		c, err := b.find("flaky")
		if err != nil {
			t.Fatal(err)
		}
		if s := c.inspect(false); s.State.Status != restarting || !s.State.Running || s.RestartCount != 8 {
			t.Errorf("state %+v, count %d", s.State, s.RestartCount)
		}
		if err := b.stop(c, stopOrder{}); err != nil {
			t.Fatal(err)
		}
		if later := b.dies(t, time.Hour, func() {}); len(later) > 0 {
			t.Errorf("it came back after stop: %v", later)
		}
	})
}

func TestRestartBackoffEndsAtAMinuteAndBeginsAnew(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		b := newBench(t, "")
		c := b.make(t, "flaky", "always", 0, "exit", "1")
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if got := c.delay(); got != time.Minute {
			t.Errorf("back-off %v, want a minute", got)
		}
		c.mu.Lock()
		c.rec.Argv = []string{"wait"} // it behaves from its next start on
		c.mu.Unlock()
		time.Sleep(2 * time.Minute)
		if err := c.process(t).Signal(15); err != nil { // not by the engine's hand
			t.Fatal(err)
		}
		time.Sleep(firstBackoff + time.Millisecond)
		synctest.Wait()
		if s := c.snapshot(); s.Status != running || c.delay() != firstBackoff {
			t.Errorf("%s with back-off %v after a long life", s.Status, c.delay())
		}
	})
}

func TestRestartPolicies(t *testing.T) {
	for _, x := range []struct {
		name, policy string
		max          int
		cmd          []string
		starts       int
		status       string
	}{
		{"none", "", 0, []string{"exit", "1"}, 1, exited},
		{"no", "no", 0, []string{"exit", "1"}, 1, exited},
		{"always after success", "always", 0, []string{"exit", "0"}, 5, restarting},
		{"unless-stopped", "unless-stopped", 0, []string{"exit", "0"}, 5, restarting},
		{"on-failure after success", "on-failure", 0, []string{"exit", "0"}, 1, exited},
		{"on-failure", "on-failure", 0, []string{"exit", "2"}, 5, restarting},
		{"on-failure twice", "on-failure", 2, []string{"exit", "2"}, 3, exited},
	} {
		t.Run(x.name, func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
				b := newBench(t, "")
				c := b.make(t, "it", x.policy, x.max, x.cmd...)
				time.Sleep(2 * time.Second)
				synctest.Wait()
				if got := c.snapshot(); b.starts() != x.starts || got.Status != x.status {
					t.Errorf("%d starts, %s; want %d, %s", b.starts(), got.Status, x.starts, x.status)
				}
			})
		})
	}
}

// TestByHand: what docker kill, stop and an engine's restart mean to policies.
func TestByHand(t *testing.T) {
	for _, x := range []struct {
		name, policy string
		do           func(b *bench, c *container) error
		now, booted  string // status afterwards, and after the engine's restart
	}{
		{"always, stopped", "always", func(b *bench, c *container) error { return b.stop(c, stopOrder{}) }, exited, running},
		{"always, killed", "always", func(b *bench, c *container) error { return b.kill(c, "") }, exited, running},
		{"always, other signal without stop signal", "always", func(b *bench, c *container) error { return b.kill(c, "USR1") }, exited, running},
		{"unless-stopped, stopped", "unless-stopped", func(b *bench, c *container) error { return b.stop(c, stopOrder{}) }, exited, exited},
		{"unless-stopped, running", "unless-stopped", nil, running, running},
		{"on-failure, killed", "on-failure", func(b *bench, c *container) error { return b.kill(c, "") }, exited, running},
		{"no, running", "no", nil, running, exited},
		{"always, died", "always", func(_ *bench, c *container) error { return c.process(t).Signal(9) }, running, running},
		{"always, paused", "always", func(b *bench, c *container) error { return b.pause(c) }, paused, running},
	} {
		t.Run(x.name, func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
				b := newBench(t, "")
				c := b.make(t, "it", x.policy, 0, "wait")
				if x.do != nil {
					if err := x.do(b, c); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(time.Second)
				synctest.Wait()
				if got := c.snapshot().Status; got != x.now {
					t.Errorf("%s, want %s", got, x.now)
				}
				if err := b.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
				again := newBench(t, b.root)
				if err := again.Boot(t.Context()); err != nil {
					t.Fatal(err)
				}
				c, err := again.find("it")
				if err != nil {
					t.Fatal(err)
				}
				if got := c.snapshot().Status; got != x.booted {
					t.Errorf("%s after the engine's restart, want %s", got, x.booted)
				}
			})
		})
	}
}

// TestKillWithStopSignalOfItsOwn: another signal is no stop, the container
// comes back.
func TestKillWithStopSignalOfItsOwn(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		b := newBench(t, "")
		c, _, err := b.create("it", api.CreateRequest{Config: api.Config{Image: "lab/data:1"}, HostConfig: &api.HostConfig{RestartPolicy: api.RestartPolicy{Name: "always"}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Engine.start(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		for _, x := range []struct{ signal, status string }{{"TERM", running}, {"SIGINT", exited}} {
			if err := b.kill(c, x.signal); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			if got := c.snapshot().Status; got != x.status {
				t.Errorf("%s after %s, want %s", got, x.signal, x.status)
			}
		}
	})
}

// TestPowerCut: an engine that just vanishes finds its containers dead.
func TestPowerCut(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		b := newBench(t, "")
		b.make(t, "keep", "always", 0, "wait")
		b.make(t, "lose", "no", 0, "wait")
		if c, _, err := b.create("gone", api.CreateRequest{Config: api.Config{Image: "lab/tool", Cmd: []string{"wait"}}, HostConfig: &api.HostConfig{AutoRemove: true}}); err != nil {
			t.Fatal(err)
		} else if err := b.Engine.start(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		b.cancel() // the end of New's context
		synctest.Wait()
		again := newBench(t, b.root)
		for name, want := range map[string]record{"keep": {Status: exited, ExitCode: 137}, "lose": {Status: exited, ExitCode: 137}} {
			c, err := again.find(name)
			if err != nil {
				t.Fatal(err)
			}
			if got := c.snapshot(); got.Status != want.Status || got.ExitCode != want.ExitCode {
				t.Errorf("%s: %s %d", name, got.Status, got.ExitCode)
			}
		}
		if _, err := again.find("gone"); statusOf(err) != 404 {
			t.Errorf("a container with --rm survived: %v", err)
		}
		if err := again.Boot(t.Context()); err != nil {
			t.Fatal(err)
		}
		if again.starts() != 1 {
			t.Errorf("%d starts at boot, want 1", again.starts())
		}
	})
}

// TestFailedStarts: a start by hand reports, one by policy tries again.
func TestFailedStarts(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		b := newBench(t, "")
		c := b.make(t, "it", "always", 0, "wait")
		b.mu.Lock()
		b.fail = errNoStart
		b.mu.Unlock()
		if err := c.process(t).Signal(9); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := c.snapshot(); got.Status != restarting || b.starts() < 3 {
			t.Errorf("%s after %d starts", got.Status, b.starts())
		}
		if err := b.stop(c, stopOrder{}); err != nil {
			t.Fatal(err)
		}
		wantStatus(t, b.Engine.start(t.Context(), c), 500, errNoStart.Error())
		if got := c.snapshot(); got.Status != exited || got.ExitCode != 128 || got.Error == "" {
			t.Errorf("after a failed start: %s %d %q", got.Status, got.ExitCode, got.Error)
		}
	})
}
