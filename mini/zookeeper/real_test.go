package zookeeper

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab/internal/labtest/realzk"
	"github.com/mesoslab/lab/mini/zookeeper/jute"
	"github.com/mesoslab/lab/mini/zookeeper/tree"
)

// TestLikeTheRealServer sends the same random requests to this server and to
// a real one, and compares every reply and every event. The real one is of
// Debian's package, or at the address that LAB_ZOOKEEPER gives (3.4 to 3.8): the
// test makes nodes /lab-compare-* there and removes those that it can, and
// nobody else may write to that server meanwhile.
func TestLikeTheRealServer(t *testing.T) {
	addr := os.Getenv("LAB_ZOOKEEPER")
	if addr == "" {
		addr = realzk.Start(t, "127.0.0.1:0").Addr
	}
	ours := start(t, t.TempDir(), loopback).addr
	for seed := range uint64(10) {
		rng := dice{rand.New(rand.NewPCG(seed, 3)), fmt.Sprintf("/lab-compare-%d-%d", time.Now().UnixNano(), seed)}
		pairs := [2][2]*transcript{}
		for who := range 2 {
			pairs[who] = [2]*transcript{newTranscript(t, ours), newTranscript(t, addr)}
		}
		both := func(who int, req jute.Request) {
			t.Helper()
			var said [2]string
			for i := range said {
				// The other one's events come before its pong.
				said[i] = pairs[who][i].call(req) + pairs[1-who][i].call(nil)
			}
			if said[0] != said[1] {
				t.Fatalf("seed %d: %d: %#v:\nours: %s\nreal: %s", seed, who, req, said[0], said[1])
			}
		}
		both(0, jute.CreateRequest{Path: rng.base, ACL: tree.OpenACL()})
		top := rng.base
		rng.base += "/n" // the root's counter of children is not ours alone
		for i := range 400 {
			if i == 200 {
				both(0, jute.AuthRequest{Scheme: "digest", Auth: []byte("me:secret")})
			}
			both(rng.IntN(2), rng.request())
		}
		for who := range 2 {
			for i := range 2 {
				pairs[who][i].r.send(header(9, jute.OpCloseSession))
				pairs[who][i].reply(9, nil)
			}
		}
		for _, addr := range []string{ours, addr} {
			c := newTranscript(t, addr)
			c.call(jute.AuthRequest{Scheme: "digest", Auth: []byte("me:secret")})
			c.removeAll(top)
			c.r.send(header(9, jute.OpCloseSession))
			c.reply(9, nil)
		}
	}
}

// dice makes random requests about nodes below base.
type dice struct {
	*rand.Rand
	base string
}

func (rng dice) path() string {
	p := rng.base
	for range rng.IntN(3) {
		p += "/" + string(rune('a'+rng.IntN(3)))
	}
	if rng.IntN(40) == 0 {
		p += []string{"/", "//x", "/.", "/..", "/\x00", "/\x01", "/\ufff1", "/ä€"}[rng.IntN(8)]
	}
	return p
}

func (rng dice) acl() []jute.ACL {
	if rng.IntN(8) > 0 {
		return tree.OpenACL()
	}
	perms := int32(1 + rng.IntN(31))
	// All may read: servers since 3.8.4 keep the events of other nodes to
	// themselves (CVE-2024-23944), 3.4 does not. All may delete: newer ones
	// look at the permission before the node, 3.4 does it the other way round.
	all := jute.ACL{Perms: jute.PermRead | jute.PermDelete, Scheme: "world", ID: "anyone"}
	return append([]jute.ACL{
		{Perms: perms, Scheme: "digest", ID: tree.Digest("me:secret").ID},
		{Perms: perms, Scheme: "world", ID: "anyone"},
		{Perms: perms, Scheme: "auth"},
		{Perms: perms, Scheme: "ip", ID: "127.0.0.0/8"},
		{Perms: perms, Scheme: "ip", ID: "10.0.0.1"},
		{Perms: perms, Scheme: "ip", ID: "10.0.0.1/77"},
		{Perms: perms, Scheme: "digest", ID: "x"},
		{Perms: perms, Scheme: "nobody", ID: "x"},
		{Perms: perms, Scheme: "world", ID: "me"},
	}[rng.IntN(9):][:1], all)
}

func (rng dice) change() jute.Request {
	version := int32(rng.IntN(4) - 1)
	data := []byte(strings.Repeat("x", rng.IntN(4)))
	if rng.IntN(8) == 0 {
		data = nil
	}
	switch rng.IntN(6) {
	case 0:
		return jute.SetDataRequest{Path: rng.path(), Data: data, Version: version}
	case 1:
		return jute.DeleteRequest{Path: rng.path(), Version: version}
	case 2:
		return jute.CheckRequest{Path: rng.path(), Version: version}
	}
	return jute.CreateRequest{Path: rng.path(), Data: data, ACL: rng.acl(), Flags: int32(rng.IntN(4))}
}

func (rng dice) request() jute.Request {
	switch rng.IntN(16) {
	case 0:
		return jute.ExistsRequest{Path: rng.path(), Watch: true}
	case 1:
		return jute.GetDataRequest{Path: rng.path(), Watch: rng.IntN(2) == 0}
	case 2, 3:
		return jute.GetChildrenRequest{Path: rng.path(), Watch: rng.IntN(2) == 0, WithStat: rng.IntN(2) == 0}
	case 4:
		return jute.GetACLRequest{Path: rng.path()}
	case 5:
		return jute.SetACLRequest{Path: rng.path(), ACL: rng.acl(), Version: int32(rng.IntN(4) - 1)}
	case 6:
		return jute.SyncRequest{Path: rng.path()}
	case 7, 8:
		var m jute.MultiRequest
		for range 1 + rng.IntN(4) {
			m.Ops = append(m.Ops, rng.change())
		}
		return m
	case 9:
		r := jute.SetWatchesRequest{RelativeZxid: int64(rng.IntN(2)) << 60}
		r.Data = append(r.Data, rng.path())
		r.Exist = append(r.Exist, rng.path())
		r.Child = append(r.Child, rng.path())
		return r
	}
	for {
		if r := rng.change(); jute.OpOf(r) != jute.OpCheck { // only in multi
			return r
		}
	}
}

// transcript is a connection that tells what it hears without what differs
// from server to server: absolute transaction numbers, times, session ids.
type transcript struct {
	r       *raw
	session int64
	zxid0   int64
	xid     int32
}

func newTranscript(t *testing.T, addr string) *transcript {
	c := &transcript{r: rawDial(t, addr)}
	c.r.t = t
	c.session = c.r.connect(newSession()).session
	c.r.send(header(0, jute.OpPing))
	h, _ := c.r.reply()
	c.zxid0 = h.Zxid
	return c
}

// call sends a request, or a ping for nil, and tells the events and the reply.
func (c *transcript) call(req jute.Request) string {
	c.r.t.Helper()
	if req == nil {
		c.r.send(header(jute.XidPing, jute.OpPing))
		return c.reply(jute.XidPing, nil)
	}
	c.xid++
	c.r.send(header(c.xid, jute.OpOf(req)), req)
	return c.reply(c.xid, req)
}

func (c *transcript) reply(xid int32, req jute.Request) string {
	c.r.t.Helper()
	var said strings.Builder
	for {
		h, d := c.r.reply()
		if h.Xid == jute.XidEvent {
			fmt.Fprintf(&said, "event %d %d %q; ", d.Int32(), d.Int32(), d.String())
			continue
		}
		if h.Xid != xid {
			c.r.t.Fatalf("reply %+v to request %d", h, xid)
		}
		if h.Zxid != 0 {
			h.Zxid -= c.zxid0
		}
		if xid == jute.XidPing {
			h.Zxid = 0
		}
		fmt.Fprintf(&said, "reply zxid %d err %d %s; ", h.Zxid, h.Err, c.body(d, req))
		return said.String()
	}
}

func (c *transcript) body(d *jute.Decoder, req jute.Request) string {
	if d.Len() == 0 {
		return "-"
	}
	switch r := req.(type) {
	case jute.CreateRequest, jute.SyncRequest:
		return d.String()
	case jute.SetDataRequest, jute.SetACLRequest, jute.ExistsRequest:
		return c.stat(d)
	case jute.GetDataRequest:
		b := d.Buffer()
		return fmt.Sprintf("%q %v %s", b, b == nil, c.stat(d))
	case jute.GetACLRequest:
		acl := fmt.Sprint(d.ACLs())
		if strings.Contains(acl, "digest") && strings.Contains(acl, "world") {
			acl = "own and world" // newer servers keep the order of "auth" entries
		}
		return acl + c.stat(d)
	case jute.GetChildrenRequest:
		names := d.Strings()
		slices.Sort(names)
		if !r.WithStat {
			return fmt.Sprint(names)
		}
		return fmt.Sprint(names) + c.stat(d)
	case jute.MultiRequest:
		var said strings.Builder
		for {
			op, done, err := jute.Op(d.Int32()), d.Bool(), d.Int32()
			fmt.Fprintf(&said, "%d %v %d ", op, done, err)
			switch {
			case done:
				return said.String()
			case op == jute.OpCreate:
				said.WriteString(d.String())
			case op == jute.OpSetData:
				said.WriteString(c.stat(d))
			case op == jute.OpError:
				fmt.Fprint(&said, d.Int32())
			}
		}
	}
	return fmt.Sprintf("%d bytes", d.Len())
}

func (c *transcript) stat(d *jute.Decoder) string {
	czxid, mzxid := d.Int64()-c.zxid0, d.Int64()-c.zxid0
	ctime, mtime := d.Int64(), d.Int64()
	v, cv, av, owner := d.Int32(), d.Int32(), d.Int32(), d.Int64()
	whose := "another's"
	switch owner {
	case 0:
		whose = "nobody's"
	case c.session:
		whose = "mine"
	}
	return fmt.Sprintf("{c %d m %d touched %v versions %d %d %d %s len %d kids %d p %d}",
		czxid, mzxid, ctime != mtime && czxid == mzxid, v, cv, av, whose, d.Int32(), d.Int32(), d.Int64()-c.zxid0)
}

// removeAll removes a node and what is below it, opening what is locked.
func (c *transcript) removeAll(path string) {
	c.call(jute.SetACLRequest{Path: path, ACL: tree.OpenACL(), Version: -1})
	c.xid++
	c.r.send(header(c.xid, jute.OpGetChildren), jute.GetChildrenRequest{Path: path})
	_, d := c.r.reply()
	for _, name := range d.Strings() {
		c.removeAll(path + "/" + name)
	}
	c.call(jute.DeleteRequest{Path: path, Version: -1})
}
