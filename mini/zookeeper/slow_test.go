package zookeeper

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
	"github.com/mesoslab/lab/mini/zookeeper/jute"
	"github.com/mesoslab/lab/mini/zookeeper/store"
	"github.com/mesoslab/lab/mini/zookeeper/tree"
)

// onSlowDisk is bubble with a server on a disk.
func onSlowDisk(t *testing.T, fn func(t *testing.T, n *labtest.Network, r *running, d *labtest.SlowDisk)) {
	t.Helper()
	bubble.Test(t, func(t *testing.T) {
		n, d := labtest.NewNetwork(), &labtest.SlowDisk{}
		fn(t, n, startOn(t, d.Before, t.TempDir(), n.Host(serverIP).Listen), d)
	})
}

// rawFrom is a session of its own that a test speaks for.
func rawFrom(t *testing.T, n *labtest.Network, ip string) *raw {
	t.Helper()
	nc, err := n.Host(ip).Dial(t.Context(), "tcp", serverAddr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	r := &raw{t, nc}
	r.connect(newSession())
	return r
}

func node(path string) jute.CreateRequest {
	return jute.CreateRequest{Path: path, ACL: tree.OpenACL()}
}

// TestRepliesWaitForTheDisk: those to a write, and all that is sent after it,
// also to other sessions, as ZooKeeper's SyncRequestProcessor has it; what was
// sent before does not.
func TestRepliesWaitForTheDisk(t *testing.T) {
	onSlowDisk(t, func(t *testing.T, n *labtest.Network, r *running, d *labtest.SlowDisk) {
		a, b, c := rawFrom(t, n, "10.0.0.2"), rawFrom(t, n, "10.0.0.3"), rawFrom(t, n, "10.0.0.4")
		if h, _ := b.call(1, jute.ExistsRequest{Path: "/x", Watch: true}); h.Err != jute.NoNode {
			t.Fatalf("exists: %+v", h)
		}
		d.Set(labtest.Steady(5*time.Second), nil)
		from := time.Now()
		took := func() time.Duration { return time.Since(from) }
		a.send(header(1, jute.OpCreate), node("/x"))
		a.send(header(2, jute.OpGetData), jute.GetDataRequest{Path: "/x"})
		synctest.Wait()
		c.send(header(1, jute.OpExists), jute.ExistsRequest{Path: "/x"})
		c.send(header(jute.XidPing, jute.OpPing))
		synctest.Wait()
		if !strings.Contains(r.out.String(), "opened") || d.Count().Writes != 1 {
			t.Fatalf("%d flushes", d.Count().Writes)
		}
		time.Sleep(4 * time.Second)
		if img := recovered(t, r); img["/x"] {
			t.Error("it is in the log already")
		}
		for _, want := range []int32{1, 2} {
			if h, _ := a.reply(); h.Xid != want || h.Err != jute.OK || took() != 5*time.Second {
				t.Errorf("its writer got %+v after %v", h, took())
			}
		}
		if img := recovered(t, r); !img["/x"] {
			t.Error("it is not in the log")
		}
		if e, _ := b.reply(); e.Xid != jute.XidEvent || took() != 5*time.Second {
			t.Errorf("who watches got %+v after %v", e, took())
		}
		for _, want := range []int32{1, jute.XidPing} {
			if h, _ := c.reply(); h.Xid != want || h.Err != jute.OK || took() != 5*time.Second {
				t.Errorf("who reads got %+v after %v", h, took())
			}
		}
	})
}

// recovered is what a server finds that is killed now.
func recovered(t *testing.T, r *running) map[string]bool {
	t.Helper()
	img := r.image(t)
	var dir string
	err := filepath.WalkDir(img, func(path string, e os.DirEntry, err error) error {
		if err == nil && e.IsDir() && e.Name() == dataFolder {
			dir = path
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	st, state, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	paths := map[string]bool{}
	for n := range state.Tree.All() {
		paths[n.Path] = true
	}
	return paths
}

// TestWritersShareAFlush: what comes during a flush goes with the next one.
func TestWritersShareAFlush(t *testing.T) {
	onSlowDisk(t, func(t *testing.T, n *labtest.Network, _ *running, d *labtest.SlowDisk) {
		var writers []*raw
		for i := range 20 {
			writers = append(writers, rawFrom(t, n, fmt.Sprintf("10.0.1.%d", i)))
		}
		d.Set(labtest.Steady(time.Second), nil)
		from := time.Now()
		for i, w := range writers {
			w.send(header(1, jute.OpCreate), node(fmt.Sprintf("/n%d", i)))
			synctest.Wait()
		}
		zxids := map[int64]bool{}
		for i, w := range writers {
			h, _ := w.reply()
			if h.Err != jute.OK || zxids[h.Zxid] {
				t.Errorf("writer %d got %+v", i, h)
			}
			zxids[h.Zxid] = true
		}
		if took := time.Since(from); took != 2*time.Second || d.Count().Writes != 2 {
			t.Errorf("%d flushes in %v, want the first one's and that of all others", d.Count().Writes, took)
		}
	})
}

// TestDiskThatHangsBoundsWhatWaits: a client that goes on writing is
// not read when 1,000 of its writes wait, besides those on their way.
func TestDiskThatHangsBoundsWhatWaits(t *testing.T) {
	onSlowDisk(t, func(t *testing.T, n *labtest.Network, _ *running, d *labtest.SlowDisk) {
		w := rawFrom(t, n, "10.0.0.2")
		d.Set(labtest.Steady(2*time.Second), nil)
		const all = 5 * maxOutstanding
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for i := range all {
				w.send(header(int32(i+1), jute.OpCreate), node(fmt.Sprintf("/n%d", i)))
			}
		}()
		synctest.Wait()
		_, rest, _ := strings.Cut(word(t, n, "srvr"), "Outstanding: ")
		var waiting int
		if _, err := fmt.Sscan(rest, &waiting); err != nil || waiting < maxOutstanding || waiting > 2*maxOutstanding {
			t.Errorf("while the disk hangs %d wait, %v", waiting, err)
		}
		for i := range all {
			if h, _ := w.reply(); h.Xid != int32(i+1) || h.Err != jute.OK {
				t.Fatalf("reply %d is %+v", i, h)
			}
		}
		<-sent
	})
}

// word asks for a word over a network in memory.
func word(t *testing.T, n *labtest.Network, word string) string {
	t.Helper()
	nc, err := n.Host("10.0.0.99").Dial(t.Context(), "tcp", serverAddr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := nc.Write([]byte(word)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4096)
	got, err := nc.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:got])
}

// TestGoodbyeWaitsForTheDisk: the reply to the end of a session leaves however
// long the disk takes.
func TestGoodbyeWaitsForTheDisk(t *testing.T) {
	onSlowDisk(t, func(t *testing.T, n *labtest.Network, _ *running, d *labtest.SlowDisk) {
		w := rawFrom(t, n, "10.0.0.2")
		d.Set(labtest.Steady(5*time.Second), nil)
		w.send(header(1, jute.OpCloseSession))
		if h, _ := w.reply(); h.Xid != 1 || h.Err != jute.OK {
			t.Errorf("got %+v", h)
		}
		w.ended()
	})
}

// TestModelOnASlowDisk lets clients write to a server whose disk takes up to
// six seconds for a flush, and whose room ends now and then, which ends the
// server; it is also killed. What was acknowledged is there afterwards, once,
// and in order; of those who would lead one leads.
func TestModelOnASlowDisk(t *testing.T) {
	seeds := 5
	if testing.Short() {
		seeds = 1
	}
	var acknowledged, ends int
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
				m := &model{t: t, n: labtest.NewNetwork(), d: &labtest.SlowDisk{}, root: t.TempDir(), made: map[string]int64{},
					rng: rand.New(rand.NewPCG(uint64(seed), 3))}
				m.play()
				acknowledged, ends = acknowledged+len(m.made), ends+m.ends
			})
		})
	}
	t.Logf("%d writes were acknowledged, the server ended %d times", acknowledged, ends)
	if acknowledged < 100*seeds || ends < 3*seeds {
		t.Error("nothing happened")
	}
}

type model struct {
	t    *testing.T
	n    *labtest.Network
	d    *labtest.SlowDisk
	root string
	r    *running
	ends int

	mu   sync.Mutex
	rng  *rand.Rand
	over bool
	made map[string]int64 // acknowledged nodes, with their czxid once it is known
}

func (m *model) random(n int) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.rng.IntN(n)
}

func (m *model) boot() {
	zooCfg(m.t, m.root, "snapCount=40\n")
	m.r = startOn(m.t, m.d.Before, m.root, m.n.Host(serverIP).Listen, "/conf/zoo.cfg")
}

func (m *model) play() {
	m.boot()
	first := dial(m.t, serverAddr, 10*time.Second, m.n.Host("10.0.0.2"))
	first.create(m.t, "/q", 0)
	first.create(m.t, "/lead", 0)
	m.d.Set(func() time.Duration { return max(0, time.Duration(m.random(12000)-6000)*time.Millisecond) },
		func() bool { return m.random(60) == 0 })
	var clients sync.WaitGroup
	for i := range 4 {
		c := dial(m.t, serverAddr, 10*time.Second, m.n.Host(fmt.Sprintf("10.0.1.%d", i)))
		clients.Go(func() { m.write(c) })
		clients.Go(func() { m.lead(c) })
	}
	for range 80 {
		time.Sleep(time.Duration(m.random(8000)) * time.Millisecond)
		synctest.Wait()
		switch down := m.down(); {
		case down, m.random(12) == 0:
			m.n.Crash(serverIP)
			m.r.end()
			m.r.addr = "" // it may well have failed
			m.ends++
			time.Sleep(time.Duration(m.random(5000)) * time.Millisecond)
			m.boot()
		}
	}
	m.mu.Lock()
	m.over = true
	m.mu.Unlock()
	m.d.Set(nil, nil)
	time.Sleep(10 * time.Second) // a write under way, of up to 6 s, may fail yet
	synctest.Wait()
	if m.down() {
		m.r.end()
		m.r.addr = ""
		m.boot()
	}
	clients.Wait()
	m.answered(first)
	m.check(first)
}

// answered waits until the server answers a client, which may still have to hear
// that there is a new one.
func (m *model) answered(c *client) {
	m.t.Helper()
	for range 60 {
		if _, _, err := c.Exists("/"); err == nil {
			return
		}
		time.Sleep(time.Second)
	}
	m.t.Fatal("the server that was started last answers nobody")
}

// down says whether the server has ended by itself.
func (m *model) down() bool { return strings.Contains(m.r.err.String(), "error") }

func (m *model) done() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.over
}

// write creates nodes until the end, and reads what it wrote.
func (m *model) write(c *client) {
	for !m.done() {
		p, err := c.Create("/q/n-", nil, zk.FlagSequence, zk.WorldACL(zk.PermAll))
		if err != nil {
			time.Sleep(time.Second)
			continue
		}
		m.mu.Lock()
		if _, twice := m.made[p]; twice {
			m.t.Errorf("%s was given twice", p)
		}
		m.made[p] = 0
		m.mu.Unlock()
		ok, st, err := c.Exists(p)
		if err != nil {
			continue
		}
		if !ok {
			m.t.Errorf("%s was acknowledged and is not there", p)
			continue
		}
		m.mu.Lock()
		m.made[p] = st.Czxid
		m.mu.Unlock()
	}
}

// lead tries to be the one that leads, for a while, again and again.
func (m *model) lead(c *client) {
	for !m.done() {
		id := c.SessionID()
		_, err := c.Create("/lead/it", nil, zk.FlagEphemeral, zk.WorldACL(zk.PermAll))
		if err == nil {
			_, st, err := c.Get("/lead/it")
			if err == nil && st.EphemeralOwner != id && c.SessionID() == id {
				m.t.Errorf("session 0x%x leads, the node is that of 0x%x", id, st.EphemeralOwner)
			}
			time.Sleep(time.Duration(m.random(3000)) * time.Millisecond)
			_ = c.Delete("/lead/it", -1) // else it goes with the session
		}
		time.Sleep(time.Second)
	}
}

// check looks for all that was acknowledged, at the server and in what a killed
// one would leave.
func (m *model) check(c *client) {
	m.t.Helper()
	left := recovered(m.t, m.r)
	for p, czxid := range m.made {
		ok, st, err := c.Exists(p)
		switch {
		case err != nil:
			m.t.Fatal(err)
		case !ok || !left[p]:
			m.t.Errorf("%s was acknowledged and is lost: here %v, on the disk %v", p, ok, left[p])
		case czxid != 0 && st.Czxid != czxid:
			m.t.Errorf("%s was made by 0x%x, now by 0x%x", p, czxid, st.Czxid)
		}
	}
}
