package zookeeper

import (
	"bytes"
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
)

func TestClientOnLoopback(t *testing.T) {
	r := start(t, t.TempDir(), loopback, "start-foreground")
	c := dial(t, r.addr, 10*time.Second, nil)
	before := time.Now().UnixMilli()
	c.create(t, "/app", 0)
	if got := c.create(t, "/app/n-", zk.FlagSequence|zk.FlagEphemeral); got != "/app/n-0000000000" {
		t.Errorf("sequential: %s", got)
	}
	if got := c.create(t, "/app/n-", zk.FlagSequence); got != "/app/n-0000000001" {
		t.Errorf("sequential: %s", got)
	}
	kids, st, err := c.Children("/app")
	if err != nil || !slices.Equal(kids, []string{"n-0000000000", "n-0000000001"}) {
		t.Errorf("children: %v, %v", kids, err)
	}
	if st.NumChildren != 2 || st.Cversion != 2 || st.Version != 0 || st.Czxid != st.Mzxid || st.Pzxid != st.Czxid+2 {
		t.Errorf("stat: %+v", st)
	}
	if st.Ctime < before || st.Ctime > time.Now().UnixMilli() {
		t.Errorf("ctime %d is not now (%d)", st.Ctime, before)
	}
	if st, err = c.Set("/app", []byte("new"), 0); err != nil || st.Version != 1 || st.DataLength != 3 {
		t.Errorf("set: %+v, %v", st, err)
	}
	data, st2, err := c.Get("/app")
	if err != nil || string(data) != "new" || *st2 != *st {
		t.Errorf("get: %q, %+v, %v", data, st2, err)
	}
	if _, err := c.Set("/app", nil, 0); !errors.Is(err, zk.ErrBadVersion) {
		t.Errorf("set of an old version: %v", err)
	}
	if err := c.Delete("/app", -1); !errors.Is(err, zk.ErrNotEmpty) {
		t.Errorf("delete: %v", err)
	}
	if _, err := c.Create("/app/n-0000000000/x", nil, 0, zk.WorldACL(zk.PermAll)); !errors.Is(err, zk.ErrNoChildrenForEphemerals) {
		t.Errorf("child of an ephemeral: %v", err)
	}
	if _, err := c.Create("/no/where", nil, 0, zk.WorldACL(zk.PermAll)); !errors.Is(err, zk.ErrNoNode) {
		t.Errorf("no parent: %v", err)
	}
	if _, err := c.Create("/app", nil, 0, zk.WorldACL(zk.PermAll)); !errors.Is(err, zk.ErrNodeExists) {
		t.Errorf("again: %v", err)
	}
	if got, err := c.Sync("/app"); err != nil || got != "/app" {
		t.Errorf("sync: %q, %v", got, err)
	}
	if _, st, err := c.Get("/app/n-0000000000"); err != nil || st.EphemeralOwner != c.SessionID() {
		t.Errorf("owner: %+v, %v; session 0x%x", st, err, c.SessionID())
	}
	if _, err := c.CreateContainer("/container", nil, zk.FlagContainer, zk.WorldACL(zk.PermAll)); err == nil {
		t.Error("containers came after 3.4")
	}
}

func TestLargestData(t *testing.T) {
	r := start(t, t.TempDir(), loopback)
	c := dial(t, r.addr, 10*time.Second, nil)
	big := bytes.Repeat([]byte("x"), 1<<20-200)
	if _, err := c.Create("/big", big, 0, zk.WorldACL(zk.PermAll)); err != nil {
		t.Fatal(err)
	}
	if got, _, err := c.Get("/big"); err != nil || !bytes.Equal(got, big) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	if _, err := c.Set("/big", append(big, big...)[:1<<20], -1); err == nil {
		t.Error("more than a packet may hold was taken")
	}
	c.await(t, zk.StateHasSession) // it came back
	if got, _, err := c.Get("/big"); err != nil || !bytes.Equal(got, big) {
		t.Errorf("afterwards %d bytes, %v", len(got), err)
	}
}

func TestMultiOnLoopback(t *testing.T) {
	r := start(t, t.TempDir(), loopback)
	c := dial(t, r.addr, 10*time.Second, nil)
	world := zk.WorldACL(zk.PermAll)
	res, err := c.Multi(
		&zk.CreateRequest{Path: "/a", Data: []byte("1"), Acl: world},
		&zk.CreateRequest{Path: "/a/s-", Acl: world, Flags: zk.FlagSequence},
		&zk.SetDataRequest{Path: "/a", Data: []byte("22"), Version: 0},
		&zk.CheckVersionRequest{Path: "/a", Version: 1},
		&zk.DeleteRequest{Path: "/a/s-0000000000", Version: -1},
	)
	if err != nil {
		t.Fatal(err)
	}
	if res[1].String != "/a/s-0000000000" || res[2].Stat == nil || res[2].Stat.Version != 1 {
		t.Errorf("results: %+v", res)
	}
	res, err = c.Multi(
		&zk.CreateRequest{Path: "/b", Acl: world},
		&zk.CheckVersionRequest{Path: "/a", Version: 0},
		&zk.DeleteRequest{Path: "/a", Version: -1},
	)
	if !errors.Is(err, zk.ErrBadVersion) || len(res) != 3 {
		t.Fatalf("%+v, %v", res, err)
	}
	if res[0].Error != nil || !errors.Is(res[1].Error, zk.ErrBadVersion) || res[2].Error == nil {
		t.Errorf("results: %+v", res)
	}
	if c.there(t, "/b") || !c.there(t, "/a") {
		t.Error("a failed multi changed something")
	}
}

func TestAuth(t *testing.T) {
	r := start(t, t.TempDir(), loopback)
	owner, stranger := dial(t, r.addr, 10*time.Second, nil), dial(t, r.addr, 10*time.Second, nil)
	if err := owner.AddAuth("digest", []byte("me:secret")); err != nil {
		t.Fatal(err)
	}
	if _, err := owner.Create("/mine", nil, 0, zk.AuthACL(zk.PermAll)); err != nil {
		t.Fatal(err)
	}
	acl, _, err := owner.GetACL("/mine")
	if want := zk.DigestACL(zk.PermAll, "me", "secret"); err != nil || !slices.Equal(acl, want) {
		t.Errorf("ACL %v, %v; want %v", acl, err, want)
	}
	if _, _, err := stranger.Get("/mine"); !errors.Is(err, zk.ErrNoAuth) {
		t.Errorf("stranger reads: %v", err)
	}
	if _, err := stranger.Create("/x", nil, 0, zk.AuthACL(zk.PermAll)); !errors.Is(err, zk.ErrInvalidACL) {
		t.Errorf("auth without authentication: %v", err)
	}
	if err := stranger.AddAuth("digest", []byte("me:secret")); err != nil {
		t.Fatal(err)
	}
	if _, err := stranger.Set("/mine", []byte("x"), -1); err != nil {
		t.Errorf("no longer a stranger: %v", err)
	}
	if st, err := owner.SetACL("/mine", zk.WorldACL(zk.PermRead), 0); err != nil || st.Aversion != 1 {
		t.Errorf("set ACL: %+v, %v", st, err)
	}
	if _, err := owner.Set("/mine", nil, -1); !errors.Is(err, zk.ErrNoAuth) {
		t.Errorf("writes what all may only read: %v", err)
	}
	if err := stranger.AddAuth("kerberos", nil); !errors.Is(err, zk.ErrAuthFailed) {
		t.Errorf("unknown scheme: %v", err)
	}
}

func TestKilledServerLosesNothing(t *testing.T) {
	root := t.TempDir()
	zooCfg(t, root, "snapCount=25\n")
	r := start(t, root, loopback, "start-foreground", "/conf/zoo.cfg")
	c := dial(t, r.addr, 10*time.Second, nil)
	c.create(t, "/q", 0)
	c.create(t, "/eph", zk.FlagEphemeral)
	for range 60 {
		c.create(t, "/q/n-", zk.FlagSequence)
	}
	_, want, err := c.Get("/q")
	if err != nil {
		t.Fatal(err)
	}
	after := start(t, r.image(t), loopback, "/conf/zoo.cfg")
	c2 := dial(t, after.addr, 10*time.Second, nil)
	if _, got, err := c2.Get("/q"); err != nil || *got != *want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	if _, st, err := c2.Get("/eph"); err != nil || st.EphemeralOwner != c.SessionID() {
		t.Errorf("ephemeral: %+v, %v", st, err)
	}
	if c2.SessionID() <= c.SessionID() {
		t.Errorf("session ids 0x%x, then 0x%x", c.SessionID(), c2.SessionID())
	}
	if got := c2.create(t, "/q/n-", zk.FlagSequence); got != "/q/n-0000000060" {
		t.Errorf("sequence goes on with %s", got)
	}
}

func TestPortTaken(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	root := t.TempDir()
	r := start(t, root, func(context.Context, string, string) (net.Listener, error) {
		return net.Listen("tcp", ln.Addr().String())
	})
	if r.end() != 1 || !strings.Contains(r.err.String(), syscall.EADDRINUSE.Error()) || !strings.Contains(r.err.String(), "2181") {
		t.Errorf("exit %d, %s", r.end(), r.err)
	}
}
