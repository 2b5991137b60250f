package marathonlb

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
)

const (
	one = "10.0.0.2:31005"
	two = "10.0.0.3:31777"
)

func (l *lab) wantAnswers(addrs ...string) {
	l.t.Helper()
	got := map[string]int{}
	for range 4 * len(addrs) {
		status, body := l.get(":10000/")
		if status != 200 {
			l.t.Fatalf("got %d %s\n%s", status, body, l.log.String())
		}
		got[body]++
	}
	for _, a := range addrs {
		if got[a] != 4 {
			l.t.Errorf("answers %v, want 4 of %s", got, a)
		}
	}
}

func (l *lab) wantClosed() {
	l.t.Helper()
	if status, err := l.get(":10000/"); status != 0 || !strings.Contains(err, "refused") {
		l.t.Errorf("port 10000: %d %s", status, err)
	}
}

func (l *lab) config() string {
	l.t.Helper()
	b, err := os.ReadFile(filepath.Join(l.root, "etc/haproxy/haproxy.cfg"))
	if err != nil {
		l.t.Fatal(err)
	}
	return string(b)
}

// Tasks come and go; each event is in force at once (no fake time passes).
func TestFollowsTasks(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		n := labtest.NewNetwork()
		m := startMarathon(t, n.Host("10.0.0.1"))
		l := start(t, n)
		serve(t, n, one)
		serve(t, n, two)
		synctest.Wait()
		l.wantClosed()
		begin := time.Now()
		m.set(nginx(one))
		synctest.Wait()
		l.wantAnswers(one)
		m.set(nginx(one, two))
		synctest.Wait()
		l.wantAnswers(one, two)
		m.set(nginx(two))
		synctest.Wait()
		l.wantAnswers(two)
		if cfg := l.config(); strings.Contains(cfg, "31005") || !strings.Contains(cfg, "server 10_0_0_3_31777 10.0.0.3:31777 check inter 60s fall 4\n") {
			t.Errorf("haproxy.cfg:\n%s", cfg)
		}
		m.set(nginx())
		synctest.Wait()
		l.wantClosed()
		if d := time.Since(begin); d != 0 {
			t.Errorf("took %v of fake time", d)
		}
	})
}

func TestTriggers(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		n := labtest.NewNetwork()
		m := startMarathon(t, n.Host("10.0.0.1"))
		l := start(t, n)
		synctest.Wait()
		reads := m.count()
		if reads != 1 {
			t.Fatalf("%d reads after the start, want 1", reads)
		}
		for _, c := range []struct {
			kind string
			more int
		}{
			{"status_update_event", 1}, {"health_status_changed_event", 1}, {"api_post_event", 1},
			{"deployment_success", 0}, {"group_change_success", 0}, {"failed_health_check_event", 0},
		} {
			m.send(c.kind)
			synctest.Wait()
			if got := m.count() - reads; got != c.more {
				t.Errorf("%s: %d reads, want %d", c.kind, got, c.more)
			}
			reads = m.count()
		}
		time.Sleep(299 * time.Second)
		if m.count() != reads {
			t.Error("read before 300 s")
		}
		time.Sleep(2 * time.Second)
		if m.count() != reads+1 {
			t.Error("not read after 300 s")
		}
		before := l.log.String()
		m.send("status_update_event")
		synctest.Wait()
		if l.log.String() != before {
			t.Error("an equal configuration is not silent")
		}
	})
}

// A broken stream is opened again, and the state read anew.
func TestReconnects(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		n := labtest.NewNetwork()
		serve(t, n, one)
		l := start(t, n)
		time.Sleep(10 * time.Second) // Marathon is not up
		m := startMarathon(t, n.Host("10.0.0.1"))
		m.set(nginx(one))
		time.Sleep(firstEvery)
		synctest.Wait()
		l.wantAnswers(one)
		m.hangUp()
		m.set(nginx()) // unheard
		synctest.Wait()
		l.wantAnswers(one)
		time.Sleep(backoffStart)
		synctest.Wait()
		l.wantClosed()
	})
}

// A stream that a cut has made silent is given up after a minute.
func TestSilentStream(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		n := labtest.NewNetwork()
		m := startMarathon(t, n.Host("10.0.0.5"))
		l := startWith(t, n, "MARATHON_URL=http://10.0.0.5:8080")
		serve(t, n, one)
		m.set(nginx(one))
		synctest.Wait()
		l.wantAnswers(one)
		n.Cut("10.0.0.5")
		m.set(nginx())
		time.Sleep(90 * time.Second)
		l.wantAnswers(one) // Marathon's absence changes nothing
		if !strings.Contains(l.log.String(), errSilent.Error()) {
			t.Errorf("log:\n%s", l.log.String())
		}
		n.Mend("10.0.0.5")
		time.Sleep(30 * time.Second)
		l.wantClosed()
	})
}

func TestBackoff(t *testing.T) {
	f := &follower{random: func() float64 { return 1 }}
	backoff := backoffStart
	var wait time.Duration
	for _, want := range []time.Duration{3000, 4500, 6750, 10125} {
		if wait, backoff = f.after(backoff, time.Minute); wait != want*time.Millisecond {
			t.Errorf("waits %v, want %v", wait, want*time.Millisecond)
		}
	}
	for range 20 {
		wait, backoff = f.after(backoff, 0)
	}
	if wait != backoffMost {
		t.Errorf("waits %v at most", wait)
	}
	if wait, _ = f.after(backoff, 601*time.Second); wait != backoffStart {
		t.Errorf("waits %v after a long stream", wait)
	}
}

// Strict, one bad label freezes everything, until it is mended.
func TestBadLabelFreezes(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		n := labtest.NewNetwork()
		m := startMarathon(t, n.Host("10.0.0.1"))
		l := start(t, n, "--strict")
		serve(t, n, one)
		serve(t, n, two)
		m.set(nginx(one))
		synctest.Wait()
		before := l.config()
		bad := label(nginx("10.0.0.4:1"), "HAPROXY_0_MODE", "htp")
		bad["id"], bad["portDefinitions"] = "/bad", []any{map[string]any{"port": 10001}}
		m.set(nginx(one, two), bad)
		synctest.Wait()
		l.wantAnswers(one)
		if l.config() != before {
			t.Error("the file has changed")
		}
		for _, want := range []string{"/bad", "HAPROXY_0_MODE", `"htp"`, "stays in force"} {
			if !strings.Contains(l.log.String(), want) {
				t.Errorf("log lacks %q:\n%s", want, l.log.String())
			}
		}
		m.set(nginx(one, two), label(bad, "HAPROXY_0_MODE", "tcp"))
		synctest.Wait()
		l.wantAnswers(one, two)
	})
}

// Strict, a service port that is taken freezes, too, and is tried again.
func TestTakenPortFreezes(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		n := labtest.NewNetwork()
		taken, err := n.Host("10.0.0.1").Listen(t.Context(), "tcp", ":10001")
		if err != nil {
			t.Fatal(err)
		}
		m := startMarathon(t, n.Host("10.0.0.1"))
		l := start(t, n, "--strict")
		serve(t, n, one)
		m.set(nginx(one), label(nginx(two), "HAPROXY_0_PORT", "10001"))
		synctest.Wait()
		if !strings.Contains(l.log.String(), "defined twice") && !strings.Contains(l.log.String(), "cannot bind") {
			t.Errorf("log:\n%s", l.log.String())
		}
		l.wantClosed()
		taken.Close()
		m.send("api_post_event")
		synctest.Wait()
		l.wantAnswers(one)
	})
}

// A task that crashed is still listed until Marathon says so: its requests
// are redispatched at once.
func TestCrashedTask(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		n := labtest.NewNetwork()
		m := startMarathon(t, n.Host("10.0.0.1"))
		l := start(t, n)
		serve(t, n, one)
		serve(t, n, two)
		m.set(nginx(one, two))
		time.Sleep(31 * time.Second) // both checked once
		l.wantAnswers(one, two)
		n.Crash("10.0.0.2")
		begin := time.Now()
		if status, body := l.get(":10000/"); status != 200 || body != two {
			t.Errorf("got %d %s", status, body)
		}
		if d := time.Since(begin); d != 0 {
			t.Errorf("took %v", d)
		}
		row := l.rows()["nginx_10000/10_0_0_2_31005"]
		if row["wretr"] != "0" || row["wredis"] != "1" || row["status"] != "UP" {
			t.Errorf("statistics: %v", row)
		}
		m.set(nginx(two))
		synctest.Wait()
		l.wantAnswers(two)
	})
}

func TestFailedReadIsRepeated(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		n := labtest.NewNetwork()
		m := startMarathon(t, n.Host("10.0.0.1"))
		l := start(t, n)
		serve(t, n, one)
		synctest.Wait()
		m.mu.Lock()
		m.broken = true
		m.mu.Unlock()
		m.set(nginx(one))
		synctest.Wait()
		l.wantClosed()
		m.mu.Lock()
		m.broken = false
		m.mu.Unlock()
		time.Sleep(readAgain)
		synctest.Wait()
		l.wantAnswers(one)
	})
}
