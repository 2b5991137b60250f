package zookeeper

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
)

const serverIP, serverAddr = "10.0.0.1", "10.0.0.1:2181"

// inBubble runs a test in fake time over a network with a server.
func inBubble(t *testing.T, fn func(t *testing.T, n *labtest.Network, r *running)) {
	t.Helper()
	bubble.Test(t, func(t *testing.T) {
		n := labtest.NewNetwork()
		fn(t, n, start(t, t.TempDir(), n.Host(serverIP).Listen))
	})
}

func TestSessionOfASilentClientExpires(t *testing.T) {
	inBubble(t, func(t *testing.T, n *labtest.Network, _ *running) {
		a := dial(t, serverAddr, 10*time.Second, n.Host("10.0.0.2"))
		b := dial(t, serverAddr, 10*time.Second, n.Host("10.0.0.3"))
		a.create(t, "/eph", zk.FlagEphemeral)
		_, _, gone, err := b.ExistsW("/eph")
		if err != nil {
			t.Fatal(err)
		}
		// Just after a packet of a, its session has the whole 10 s.
		if _, _, err := a.Get("/eph"); err != nil {
			t.Fatal(err)
		}
		from := time.Now()
		n.Cut("10.0.0.2")
		event(t, gone, zk.EventNodeDeleted, "/eph")
		if took := time.Since(from); took != 10*time.Second {
			t.Errorf("expired after %v", took)
		}
		n.Mend("10.0.0.2")
		a.await(t, zk.StateExpired)
		a.await(t, zk.StateHasSession) // a new one
		if a.there(t, "/eph") {
			t.Error("it is back")
		}
	})
}

func TestSessionSurvivesAShortCut(t *testing.T) {
	inBubble(t, func(t *testing.T, n *labtest.Network, _ *running) {
		a := dial(t, serverAddr, 10*time.Second, n.Host("10.0.0.2"))
		b := dial(t, serverAddr, 10*time.Second, n.Host("10.0.0.3"))
		id := a.SessionID()
		a.create(t, "/eph", zk.FlagEphemeral)
		_, _, watch, err := a.GetW("/eph")
		if err != nil {
			t.Fatal(err)
		}
		n.Cut("10.0.0.2")
		time.Sleep(8 * time.Second) // longer than the client waits before it tries again
		n.Mend("10.0.0.2")
		a.await(t, zk.StateHasSession)
		if a.SessionID() != id {
			t.Errorf("session 0x%x became 0x%x", id, a.SessionID())
		}
		time.Sleep(time.Minute)
		if !b.there(t, "/eph") {
			t.Fatal("the node is gone")
		}
		// The watch was set again by the client's setWatches.
		if _, err := b.Set("/eph", nil, -1); err != nil {
			t.Fatal(err)
		}
		event(t, watch, zk.EventNodeDataChanged, "/eph")
	})
}

func TestWhatHappenedDuringACutIsTold(t *testing.T) {
	inBubble(t, func(t *testing.T, n *labtest.Network, _ *running) {
		a := dial(t, serverAddr, 20*time.Second, n.Host("10.0.0.2"))
		b := dial(t, serverAddr, 20*time.Second, n.Host("10.0.0.3"))
		for _, p := range []string{"/changed", "/deleted", "/parent", "/same"} {
			b.create(t, p, 0)
		}
		watch := make(map[string]<-chan zk.Event)
		var err error
		for _, p := range []string{"/changed", "/deleted", "/same"} {
			if _, _, watch[p], err = a.GetW(p); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, watch["/new"], err = a.ExistsW("/new"); err != nil {
			t.Fatal(err)
		}
		if _, _, watch["/parent"], err = a.ChildrenW("/parent"); err != nil {
			t.Fatal(err)
		}
		n.Cut("10.0.0.2")
		time.Sleep(14 * time.Second) // its connection is given up on both sides
		if _, err := b.Set("/changed", nil, -1); err != nil {
			t.Fatal(err)
		}
		if err := b.Delete("/deleted", -1); err != nil {
			t.Fatal(err)
		}
		b.create(t, "/new", 0)
		b.create(t, "/parent/child", 0)
		n.Mend("10.0.0.2")
		event(t, watch["/changed"], zk.EventNodeDataChanged, "/changed")
		event(t, watch["/deleted"], zk.EventNodeDeleted, "/deleted")
		event(t, watch["/new"], zk.EventNodeCreated, "/new")
		event(t, watch["/parent"], zk.EventNodeChildrenChanged, "/parent")
		synctest.Wait()
		select {
		case e := <-watch["/same"]:
			t.Errorf("nothing happened to /same: %+v", e)
		default:
		}
	})
}

func TestIdleClientsStay(t *testing.T) {
	inBubble(t, func(t *testing.T, n *labtest.Network, r *running) {
		a := dial(t, serverAddr, 4*time.Second, n.Host("10.0.0.2"))
		a.create(t, "/eph", zk.FlagEphemeral)
		time.Sleep(time.Hour)
		if !a.there(t, "/eph") || strings.Contains(r.out.String(), "expired") {
			t.Errorf("pings did not keep the session:\n%s", r.out)
		}
	})
}

func TestTimeoutIsKeptWithinTicks(t *testing.T) {
	inBubble(t, func(t *testing.T, n *labtest.Network, r *running) {
		// 1 s becomes 2 ticks, 4 s.
		a := dial(t, serverAddr, time.Second, n.Host("10.0.0.2"))
		a.create(t, "/eph", zk.FlagEphemeral)
		b := dial(t, serverAddr, time.Hour, n.Host("10.0.0.3"))
		if !strings.Contains(r.out.String(), "timeout 4s") || !strings.Contains(r.out.String(), "timeout 40s") {
			t.Errorf("timeouts:\n%s", r.out)
		}
		if _, _, err := a.Get("/eph"); err != nil {
			t.Fatal(err)
		}
		n.Cut("10.0.0.2")
		time.Sleep(3999 * time.Millisecond)
		if !b.there(t, "/eph") {
			t.Error("expired too early")
		}
		time.Sleep(2 * time.Millisecond)
		if b.there(t, "/eph") {
			t.Error("not expired")
		}
	})
}

func TestSessionsSurviveARestart(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		n := labtest.NewNetwork()
		root := t.TempDir()
		r := start(t, root, n.Host(serverIP).Listen)
		a := dial(t, serverAddr, 10*time.Second, n.Host("10.0.0.2"))
		b := dial(t, serverAddr, 10*time.Second, n.Host("10.0.0.3"))
		c := dial(t, serverAddr, 10*time.Second, n.Host("10.0.0.4"))
		id := a.SessionID()
		a.create(t, "/a", zk.FlagEphemeral)
		b.create(t, "/b", zk.FlagEphemeral)
		_, _, gone, err := c.ExistsW("/b")
		if err != nil {
			t.Fatal(err)
		}
		n.Cut("10.0.0.3") // b will not come back
		if code := r.end(); code != 0 {
			t.Fatalf("exit code %d", code)
		}
		time.Sleep(time.Hour) // nobody expires while the server is down
		back := time.Now()
		start(t, root, n.Host(serverIP).Listen)
		a.await(t, zk.StateHasSession)
		if a.SessionID() != id || !a.there(t, "/a") {
			t.Error("a lost its session")
		}
		event(t, gone, zk.EventNodeDeleted, "/b")
		if took := time.Since(back); took != 10*time.Second {
			t.Errorf("b expired after %v", took)
		}
		if !c.there(t, "/a") {
			t.Error("/a is gone, too")
		}
		n.Mend("10.0.0.3")
		b.await(t, zk.StateExpired)
	})
}

func TestClosedSessionTakesItsNodesAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, n *labtest.Network, _ *running) {
		a := dial(t, serverAddr, 10*time.Second, n.Host("10.0.0.2"))
		b := dial(t, serverAddr, 10*time.Second, n.Host("10.0.0.3"))
		b.create(t, "/group", 0)
		a.create(t, "/group/member-", zk.FlagEphemeral|zk.FlagSequence)
		_, _, change, err := b.ChildrenW("/group")
		if err != nil {
			t.Fatal(err)
		}
		from := time.Now()
		a.Close()
		event(t, change, zk.EventNodeChildrenChanged, "/group")
		if took := time.Since(from); took != 0 {
			t.Errorf("after %v", took)
		}
	})
}

// The recipe by which Mesos masters and Marathons elect their leader.
func TestLeaderElection(t *testing.T) {
	inBubble(t, func(t *testing.T, n *labtest.Network, _ *running) {
		var members []*client
		var nodes []string
		for i := range 3 {
			c := dial(t, serverAddr, 10*time.Second, n.Host(fmt.Sprintf("10.0.0.%d", 10+i)))
			if i == 0 {
				c.create(t, "/mesos", 0)
			}
			nodes = append(nodes, c.create(t, "/mesos/json.info_", zk.FlagEphemeral|zk.FlagSequence))
			members = append(members, c)
		}
		if want := "/mesos/json.info_0000000002"; nodes[2] != want {
			t.Fatalf("got %s, want %s", nodes[2], want)
		}
		_, _, change, err := members[2].ChildrenW("/mesos")
		if err != nil {
			t.Fatal(err)
		}
		n.Cut("10.0.0.10")
		event(t, change, zk.EventNodeChildrenChanged, "/mesos")
		kids, _, err := members[2].Children("/mesos")
		if err != nil || len(kids) != 2 || "/mesos/"+kids[0] != nodes[1] {
			t.Errorf("after the leader's end: %v, %v", kids, err)
		}
	})
}

func TestServerCutFromItsClients(t *testing.T) {
	inBubble(t, func(t *testing.T, n *labtest.Network, _ *running) {
		a := dial(t, serverAddr, 10*time.Second, n.Host("10.0.0.2"))
		a.create(t, "/eph", zk.FlagEphemeral)
		n.Cut(serverIP)
		a.await(t, zk.StateDisconnected)
		time.Sleep(time.Minute)
		n.Mend(serverIP)
		a.await(t, zk.StateExpired)
		a.await(t, zk.StateHasSession)
		if a.there(t, "/eph") {
			t.Error("the node outlived its session")
		}
	})
}

func TestServerWhoseListenerIsGoneFails(t *testing.T) {
	inBubble(t, func(t *testing.T, n *labtest.Network, _ *running) {
		root := t.TempDir()
		r := start(t, root, n.Host("10.0.0.9").Listen)
		n.Crash("10.0.0.9")
		synctest.Wait()
		if code := r.end(); code != 1 {
			t.Errorf("exit code %d", code)
		}
		r.addr = "" // known to have failed
	})
}

func TestFullDiskEndsTheServer(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		n := labtest.NewNetwork()
		log := newLogger(nil, nil)
		cfg, _, err := configure(env0())
		if err != nil {
			t.Fatal(err)
		}
		st, state := brokenStore(t)
		s := newServer(cfg, log, st, state)
		ln, err := n.Host(serverIP).Listen(t.Context(), "tcp", ":2181")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- s.serve(context.Background(), ln) }()
		nc, err := n.Host("10.0.0.2").Dial(t.Context(), "tcp", serverAddr)
		if err != nil {
			t.Fatal(err)
		}
		r := &raw{t, nc}
		r.send(newSession())
		r.ended()
		nc.Close()
		if err := <-done; err == nil || !strings.Contains(err.Error(), "write transaction log") {
			t.Errorf("got %v", err)
		}
		if _, err := n.Host("10.0.0.2").Dial(t.Context(), "tcp", serverAddr); err == nil {
			t.Error("still listening")
		}
	})
}

func TestManyClientsAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, n *labtest.Network, _ *running) {
		const clients, each = 8, 25
		first := dial(t, serverAddr, 10*time.Second, n.Host("10.0.0.2"))
		first.create(t, "/counter", 0)
		first.create(t, "/log", 0)
		done := make(chan error, clients)
		for i := range clients {
			c := dial(t, serverAddr, 10*time.Second, n.Host(fmt.Sprintf("10.0.1.%d", i)))
			go func() { done <- increment(c, each) }()
		}
		for range clients {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		_, st, err := first.Get("/counter")
		if err != nil || st.Version != clients*each {
			t.Errorf("%+v, %v", st, err)
		}
		if _, st, err := first.Get("/log"); err != nil || st.NumChildren != clients*each {
			t.Errorf("%+v, %v", st, err)
		}
	})
}

// increment changes /counter n times by compare and set, with a note of each
// in /log.
func increment(c *client, n int) error {
	for done := 0; done < n; {
		_, st, err := c.Get("/counter")
		if err != nil {
			return err
		}
		_, err = c.Multi(
			&zk.SetDataRequest{Path: "/counter", Version: st.Version},
			&zk.CreateRequest{Path: fmt.Sprintf("/log/%d", st.Version), Acl: zk.WorldACL(zk.PermAll)})
		switch {
		case err == nil:
			done++
		case !errors.Is(err, zk.ErrBadVersion):
			return err
		}
	}
	return nil
}
