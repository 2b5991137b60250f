package zookeeper

import (
	"encoding/hex"
	"net"
	"strings"
	"testing"

	"github.com/mesoslab/lab/mini"
	"github.com/mesoslab/lab/mini/zookeeper/jute"
	"github.com/mesoslab/lab/mini/zookeeper/store"
	"github.com/mesoslab/lab/mini/zookeeper/tree"
)

func env0() mini.Env { return mini.Env{} }

func newSession() jute.ConnectRequest {
	return jute.ConnectRequest{Timeout: 10000, Password: make([]byte, 16)}
}

// brokenStore is a store that cannot write.
func brokenStore(t *testing.T) (*store.Store, *store.State) {
	t.Helper()
	st, state, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	return st, state
}

func header(xid int32, op jute.Op) jute.RequestHeader { return jute.RequestHeader{Xid: xid, Op: op} }

// call sends a request and returns its reply.
func (r *raw) call(xid int32, req jute.Request) (jute.ReplyHeader, *jute.Decoder) {
	r.t.Helper()
	r.send(header(xid, jute.OpOf(req)), req)
	return r.reply()
}

func TestHandshake(t *testing.T) {
	addr := start(t, t.TempDir(), loopback).addr
	r := rawDial(t, addr)
	req := newSession()
	first := r.connect(req)
	if first.timeout != 10000 || first.session == 0 || len(first.password) != 16 || first.rest != 0 {
		t.Errorf("new session: %+v", first)
	}

	// Taken over: the old connection ends, the new one has the session.
	req = jute.ConnectRequest{Timeout: 100_000, SessionID: first.session, Password: first.password, HasReadOnly: true}
	r2 := rawDial(t, addr)
	again := r2.connect(req)
	if again.session != first.session || string(again.password) != string(first.password) || again.timeout != 40_000 || again.rest != 1 {
		t.Errorf("taken over: %+v, was %+v", again, first)
	}
	r.ended()

	wrong := req
	wrong.Password = make([]byte, 16)
	r3 := rawDial(t, addr)
	if got := r3.connect(wrong); got.session != 0 || got.timeout != 0 || string(got.password) != string(make([]byte, 16)) {
		t.Errorf("wrong password: %+v", got)
	}
	r3.ended()

	req.SessionID = 12345
	r4 := rawDial(t, addr)
	if got := r4.connect(req); got.session != 0 || got.timeout != 0 {
		t.Errorf("unknown session: %+v", got)
	}
	r4.ended()

	// The rightful owner has not been disturbed.
	if h, _ := r2.call(1, jute.ExistsRequest{Path: "/"}); h.Xid != 1 || h.Err != 0 {
		t.Errorf("reply %+v", h)
	}

	// After a close the session is gone.
	r2.send(header(2, jute.OpCloseSession))
	if h, _ := r2.reply(); h.Xid != 2 || h.Err != 0 {
		t.Errorf("close: %+v", h)
	}
	r2.ended()
	req.SessionID = first.session
	if got := rawDial(t, addr).connect(req); got.session != 0 {
		t.Errorf("closed session: %+v", got)
	}
}

func TestClientFromTheFutureIsRefused(t *testing.T) {
	r := start(t, t.TempDir(), loopback)
	c := rawDial(t, r.addr)
	c.send(jute.ConnectRequest{LastZxidSeen: 99, Timeout: 10000, Password: make([]byte, 16)})
	c.ended()
	if !strings.Contains(r.out.String(), "0x63") {
		t.Errorf("log: %s", r.out)
	}
}

func TestZxidCountsEveryTransaction(t *testing.T) {
	addr := start(t, t.TempDir(), loopback).addr
	r := rawDial(t, addr)
	r.connect(newSession()) // 1
	for i, tt := range []struct {
		req  jute.Request
		zxid int64
		err  jute.Code
	}{
		{jute.CreateRequest{Path: "/a", ACL: tree.OpenACL()}, 2, jute.OK},
		{jute.CreateRequest{Path: "/a", ACL: tree.OpenACL()}, 3, jute.NodeExists},
		{jute.ExistsRequest{Path: "/a"}, 3, jute.OK},
		{jute.ExistsRequest{Path: "/b"}, 3, jute.NoNode},
		{jute.ExistsRequest{Path: "/b\x00"}, 3, jute.BadArguments},
		{jute.DeleteRequest{Path: "/b", Version: -1}, 4, jute.NoNode},
		{jute.MultiRequest{Ops: []jute.Request{jute.CheckRequest{Path: "/b"}}}, 5, jute.OK},
		{jute.CheckRequest{Path: "/a"}, 6, jute.OK},
		{jute.SyncRequest{Path: "/a"}, 6, jute.OK},
		{jute.AuthRequest{Scheme: "digest", Auth: []byte("u:p")}, 0, jute.OK},
		{jute.SetWatchesRequest{}, 6, jute.OK},
	} {
		h, _ := r.call(int32(i), tt.req)
		if h.Xid != int32(i) || h.Zxid != tt.zxid || h.Err != tt.err {
			t.Errorf("%#v: got %+v", tt.req, h)
		}
	}
	r.send(header(77, jute.OpPing))
	if h, d := r.reply(); h.Xid != jute.XidPing || h.Zxid != 6 || h.Err != 0 || d.Len() != 0 {
		t.Errorf("ping: %+v, %d bytes", h, d.Len())
	}
}

func TestCreate2TellsTheStat(t *testing.T) {
	r := rawDial(t, start(t, t.TempDir(), loopback).addr)
	r.connect(newSession())
	h, d := r.call(1, jute.CreateRequest{Path: "/a", Data: []byte("abc"), ACL: tree.OpenACL(), WithStat: true})
	if path := d.String(); h.Err != 0 || path != "/a" || d.Len() != 68 {
		t.Fatalf("%+v, path %q, %d bytes", h, path, d.Len())
	}
	if czxid := d.Int64(); czxid != h.Zxid {
		t.Errorf("czxid %d, want %d", czxid, h.Zxid)
	}
}

// The event of a change leaves before the reply to any request that could see
// the change, its own included.
func TestEventPrecedesTheReplies(t *testing.T) {
	addr := start(t, t.TempDir(), loopback).addr
	watcher, writer := rawDial(t, addr), rawDial(t, addr)
	watcher.connect(newSession())
	writer.connect(newSession())
	for i := range int32(50) {
		path := "/" + hex.EncodeToString([]byte{byte(i)})
		watcher.call(1, jute.ExistsRequest{Path: path, Watch: true})
		watcher.call(2, jute.GetChildrenRequest{Path: "/", Watch: true})
		if h, _ := writer.call(3, jute.CreateRequest{Path: path, ACL: tree.OpenACL()}); h.Err != 0 {
			t.Fatal(h)
		}
		watcher.send(header(4, jute.OpExists), jute.ExistsRequest{Path: path})
		for _, want := range []jute.EventType{jute.NodeCreated, jute.NodeChildrenChanged} {
			h, d := watcher.reply()
			if typ, state := jute.EventType(d.Int32()), d.Int32(); h.Xid != jute.XidEvent || h.Zxid != -1 || typ != want || state != 3 {
				t.Fatalf("got %+v, event %d, state %d", h, typ, state)
			}
		}
		if h, _ := watcher.reply(); h.Xid != 4 || h.Err != 0 {
			t.Fatalf("got %+v", h)
		}
	}
	// Its own change, and a watch fires once.
	watcher.call(5, jute.GetDataRequest{Path: "/00", Watch: true})
	watcher.call(6, jute.GetChildrenRequest{Path: "/00", Watch: true})
	watcher.send(header(7, jute.OpDelete), jute.DeleteRequest{Path: "/00", Version: -1})
	if h, d := watcher.reply(); h.Xid != jute.XidEvent || jute.EventType(d.Int32()) != jute.NodeDeleted {
		t.Fatalf("got %+v", h)
	}
	if h, _ := watcher.reply(); h.Xid != 7 {
		t.Errorf("a node watched in two ways is told of twice: %+v", h)
	}
}

func TestBadPacketsEndTheConnection(t *testing.T) {
	addr := start(t, t.TempDir(), loopback).addr
	for name, b := range map[string]string{
		"negative length":       "ffffffff",
		"length over 1 MiB":     "00100000",
		"web page":              hex.EncodeToString([]byte("GET / HTTP/1.1\r\n\r\n")),
		"short connect request": "00000004" + "00000000",
	} {
		r := rawDial(t, addr)
		bytes, err := hex.DecodeString(b)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.nc.Write(bytes); err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) { r.t = t; r.ended() })
	}
	r := rawDial(t, addr)
	r.connect(newSession())
	if _, err := r.nc.Write([]byte{0, 0, 0, 2, 1, 2}); err != nil { // half a header
		t.Fatal(err)
	}
	r.ended()
}

func TestOddRequests(t *testing.T) {
	addr := start(t, t.TempDir(), loopback).addr
	r := rawDial(t, addr)
	r.connect(newSession())
	r.send(header(1, jute.OpCreate)) // no body
	if h, _ := r.reply(); h.Err != jute.MarshallingError {
		t.Errorf("malformed: %+v", h)
	}
	if h, _ := r.call(2, jute.ExistsRequest{Path: "/"}); h.Err != 0 {
		t.Errorf("and then: %+v", h)
	}
	r.send(header(3, 21)) // createTTL
	if h, _ := r.reply(); h.Xid != 3 || h.Err != jute.Unimplemented {
		t.Errorf("unknown: %+v", h)
	}
	r.ended()

	r = rawDial(t, addr)
	r.connect(newSession())
	if h, _ := r.call(1, jute.AuthRequest{Scheme: "kerberos"}); h.Err != jute.AuthFailed {
		t.Errorf("auth: %+v", h)
	}
	r.ended()
}

func TestTooManyConnectionsOfOneHost(t *testing.T) {
	root := t.TempDir()
	zooCfg(t, root, "maxClientCnxns=2\n")
	addr := start(t, root, loopback, "/conf/zoo.cfg").addr
	a, b := rawDial(t, addr), rawDial(t, addr)
	a.connect(newSession())
	b.connect(newSession())
	rawDial(t, addr).ended()
	a.send(header(1, jute.OpCloseSession))
	a.reply()
	a.ended()
	a.nc.Close()
	// The place is free as soon as the server has seen the end.
	for {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		b := make([]byte, 4)
		if _, err := nc.Write([]byte("ruok")); err != nil {
			continue
		}
		if n, _ := nc.Read(b); string(b[:n]) == "imok" {
			return
		}
		if t.Context().Err() != nil {
			t.Fatal("never free")
		}
	}
}

// A client that sends but does not read must not take the server's memory nor
// hold up the others.
func TestClientThatDoesNotRead(t *testing.T) {
	addr := start(t, t.TempDir(), loopback).addr
	r := rawDial(t, addr)
	r.connect(newSession())
	big := make([]byte, 1<<20-1000)
	if h, _ := r.call(1, jute.CreateRequest{Path: "/big", Data: big, ACL: tree.OpenACL()}); h.Err != 0 {
		t.Fatal(h)
	}
	const asked = 64
	go func() {
		for i := range int32(asked) {
			var e jute.Encoder
			e.Int32(17)
			header(i, jute.OpGetData).Encode(&e)
			jute.GetDataRequest{Path: "/big"}.Encode(&e)
			if _, err := r.nc.Write(e.Bytes()); err != nil {
				return
			}
		}
	}()
	other := rawDial(t, addr)
	other.connect(newSession())
	for i := range int32(10) {
		if h, _ := other.call(i, jute.GetDataRequest{Path: "/big"}); h.Err != 0 {
			t.Fatal(h)
		}
	}
	for i := range int32(asked) {
		if h, d := r.reply(); h.Xid != i || h.Err != 0 || len(d.Buffer()) != len(big) {
			t.Fatalf("reply %d: %+v", i, h)
		}
	}
}
