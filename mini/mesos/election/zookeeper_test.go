package election

import (
	"context"
	"errors"
	"io"
	"os"
	"path"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
	"github.com/mesoslab/lab/mini"
	"github.com/mesoslab/lab/mini/zookeeper"
)

const zkIP, zkURL = "10.0.0.9", "zk://10.0.0.9:2181/lab/mesos"

// rig is a mini ZooKeeper on an in-memory network, in a bubble.
type rig struct {
	t    *testing.T
	net  *labtest.Network
	root string
	stop func() // ends ZooKeeper
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, net: labtest.NewNetwork(), root: t.TempDir()}
	r.startZooKeeper()
	return r
}

func (r *rig) startZooKeeper() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	h := r.net.Host(zkIP)
	if err := os.MkdirAll(path.Join(r.root, "tmp"), 0o755); err != nil {
		r.t.Fatal(err)
	}
	go func() {
		defer close(done)
		code := zookeeper.Run(ctx, mini.Env{Root: r.root, Hostname: "zk", Listen: h.Listen, Dial: h.Dial, Stdout: io.Discard, Stderr: io.Discard})
		if code != 0 && ctx.Err() == nil {
			r.t.Errorf("zookeeper ended with %d", code)
		}
	}()
	r.stop = func() { cancel(); <-done }
	r.t.Cleanup(func() { r.stop() })
	synctest.Wait()
}

// group opens the election for one host. leave ends all it does.
func (r *rig) group(ip string) (g *ZooKeeper, ctx context.Context, leave func()) {
	ctx, cancel := context.WithCancel(context.Background())
	g, err := Open(ctx, zkURL, Options{Dial: r.net.Host(ip).Dial, Logf: func(f string, a ...any) { r.t.Logf(ip+": "+f, a...) }})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { cancel(); g.Wait() })
	return g, ctx, cancel
}

func (r *rig) enter(ip, id string) (m Master, lost <-chan struct{}, leave func()) {
	g, ctx, leave := r.group(ip)
	m = candidate(id, ip)
	lost, err := g.Contend(ctx, m)
	if err != nil {
		r.t.Fatal(err)
	}
	return m, lost, leave
}

func over(c <-chan struct{}) bool {
	synctest.Wait()
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestElection(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		one, lost1, leave1 := r.enter("10.0.0.1", "one")
		two, lost2, _ := r.enter("10.0.0.2", "two")
		g, ctx, _ := r.group("10.0.0.3")
		leader, err := g.Detect(ctx, Master{})
		if err != nil || leader != one {
			t.Fatalf("leader %+v, %v", leader, err)
		}
		leave1()
		if leader, _ = g.Detect(ctx, leader); leader != two {
			t.Errorf("leader after the first left: %+v", leader)
		}
		if !over(lost1) || over(lost2) {
			t.Error("the first candidacy must be over, the second not")
		}
	})
}

// TestSilence: ZooKeeper unreachable for less than a session changes nothing;
// for longer, every candidacy is lost and nobody is known to lead.
func TestSilence(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		one, lost, _ := r.enter("10.0.0.1", "one")
		g, ctx, _ := r.group("10.0.0.3")
		leader, _ := g.Detect(ctx, Master{})
		r.net.Cut(zkIP)
		time.Sleep(5 * time.Second)
		r.net.Mend(zkIP)
		time.Sleep(30 * time.Second)
		if over(lost) {
			t.Fatal("candidacy lost by a silence of 5 s")
		}
		r.net.Cut(zkIP)
		cut := time.Now()
		<-lost
		// Silence is noticed after 2/3 of a session at most, then counts.
		if d := time.Since(cut); d < 9*time.Second || d > 18*time.Second {
			t.Errorf("candidacy lost %v after the cut", d)
		}
		if leader, _ = g.Detect(ctx, leader); leader != (Master{}) {
			t.Errorf("leader without ZooKeeper: %+v", leader)
		}
		r.net.Mend(zkIP)
		time.Sleep(30 * time.Second)
		g1, ctx1, _ := r.group("10.0.0.1")
		if _, err := g1.Contend(ctx1, one); err != nil {
			t.Fatal(err)
		}
		if leader, _ = g.Detect(ctx, leader); leader != one {
			t.Errorf("leader after the silence: %+v", leader)
		}
	})
}

// TestServerGone: a killed ZooKeeper ends a candidacy after one session
// time-out (measured on the real one: 10.05 to 10.19 s).
func TestServerGone(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		_, lost, _ := r.enter("10.0.0.1", "one")
		r.stop()
		r.net.Crash(zkIP)
		gone := time.Now()
		<-lost
		if d := time.Since(gone); d < 9*time.Second || d > 12*time.Second {
			t.Errorf("candidacy lost after %v", d)
		}
	})
}

func TestServerRestarts(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		one, lost, _ := r.enter("10.0.0.1", "one")
		g, ctx, _ := r.group("10.0.0.3")
		r.stop()
		time.Sleep(2 * time.Second)
		r.startZooKeeper()
		time.Sleep(time.Minute)
		if over(lost) {
			t.Error("candidacy lost by a restart of 2 s")
		}
		if leader, _ := g.Detect(ctx, Master{}); leader != one {
			t.Errorf("leader %+v", leader)
		}
	})
}

func TestNodeDeleted(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		_, lost, _ := r.enter("10.0.0.1", "one")
		h := r.net.Host("10.0.0.8")
		g := &ZooKeeper{timeout: 10 * time.Second, dial: h.Dial}
		conn, _, err := zk.Connect([]string{zkIP + ":2181"}, 10*time.Second, zk.WithDialer(g.dialer(t.Context())),
			zk.WithHostProvider(&servers{}), zk.WithLogInfo(false))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		children, _, err := conn.Children("/lab/mesos")
		if err != nil || len(children) != 1 {
			t.Fatalf("candidates: %v, %v", children, err)
		}
		if err := conn.Delete("/lab/mesos/"+children[0], -1); err != nil {
			t.Fatal(err)
		}
		if !over(lost) {
			t.Error("candidacy without its node")
		}
	})
}

// TestLateServer: candidates may start before ZooKeeper does.
func TestLateServer(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.stop()
		g, ctx, _ := r.group("10.0.0.1")
		found := make(chan Master, 1)
		go func() {
			m, _ := g.Detect(ctx, Master{})
			found <- m
		}()
		go g.Contend(ctx, candidate("one", "10.0.0.1"))
		time.Sleep(25 * time.Second)
		r.startZooKeeper()
		if m := <-found; m.ID != "one" {
			t.Errorf("leader %+v", m)
		}
	})
}

// TestNothingStartsAfterTheEnd: what is asked while everything ends neither
// runs on nor meets Wait half way.
func TestNothingStartsAfterTheEnd(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		g, _, leave := r.group("10.0.0.1")
		synctest.Wait()
		g.mu.Lock()
		s := g.live
		g.mu.Unlock()
		leave()
		g.Wait()
		if g.start(func() { t.Error("started after the end") }) {
			t.Error("start took it")
		}
		// A Detect or Contend that has found the session just before.
		g.mu.Lock()
		g.live = s
		g.mu.Unlock()
		if _, err := g.Detect(context.Background(), Master{}); !errors.Is(err, errEnded) {
			t.Errorf("detect: %v", err)
		}
		g.Wait()
	})
}
