package tree

import (
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/mesoslab/lab/mini/zookeeper/jute"
)

const alice, bob = 0xa, 0xb // sessions

func create(path string, flags int32) jute.CreateRequest {
	return jute.CreateRequest{Path: path, Data: []byte("d"), ACL: OpenACL(), Flags: flags}
}

// must does requests for alice and fails the test if they do not pass.
func must(t *testing.T, tr *Tree, zxid int64, reqs ...jute.Request) Outcome {
	t.Helper()
	out, i, err := tr.Do(Tx{Zxid: zxid, Time: zxid * 1000, Session: alice}, reqs...)
	if err != nil {
		t.Fatalf("request %d of %v: %v", i, reqs, err)
	}
	return out
}

func TestFreshTreeIsZooKeepers(t *testing.T) {
	tr := New()
	st, ok := tr.Stat("/")
	if !ok || st.Cversion != -1 || st.NumChildren != 1 || st.Pzxid != 0 {
		t.Errorf("root: %+v", st)
	}
	kids, _, err := tr.Children("/zookeeper", nil)
	if err != nil || !slices.Equal(kids, []string{"quota"}) {
		t.Errorf("children of /zookeeper: %v, %v", kids, err)
	}
	if again, ok := tr.Stat(""); !ok || again != st {
		t.Errorf("the nameless root: %+v", again)
	}
	if acl, _, err := tr.ACL("/", nil); err != nil || !slices.Equal(acl, OpenACL()) {
		t.Errorf("ACL of the root: %v, %v", acl, err)
	}
}

func TestStatFollowsChanges(t *testing.T) {
	tr := New()
	must(t, tr, 1, create("/a", 0))
	must(t, tr, 2, create("/a/b", 0))
	must(t, tr, 3, create("/a/c", jute.FlagEphemeral))
	must(t, tr, 4, jute.SetDataRequest{Path: "/a", Data: []byte("four"), Version: 0})
	must(t, tr, 5, jute.SetACLRequest{Path: "/a", ACL: OpenACL(), Version: 0})
	must(t, tr, 6, jute.DeleteRequest{Path: "/a/b", Version: 0})
	want := jute.Stat{
		Czxid: 1, Mzxid: 4, Pzxid: 6, Ctime: 1000, Mtime: 4000,
		Version: 1, Cversion: 3, Aversion: 1, DataLength: 4, NumChildren: 1,
	}
	if got, _ := tr.Stat("/a"); got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got, _ := tr.Stat("/a/c"); got.EphemeralOwner != alice || got.Czxid != 3 || got.Pzxid != 3 {
		t.Errorf("ephemeral: %+v", got)
	}
}

func TestSequenceCountsCreatedChildren(t *testing.T) {
	tr := New()
	must(t, tr, 1, create("/q", 0))
	var got []string
	for i, flags := range []int32{jute.FlagSequence, jute.FlagSequence | jute.FlagEphemeral, 0, jute.FlagSequence} {
		out := must(t, tr, int64(2+i), create("/q/n-", flags))
		got = append(got, out.Results[0].Path)
		must(t, tr, int64(20+i), jute.DeleteRequest{Path: got[i], Version: -1})
	}
	want := []string{"/q/n-0000000000", "/q/n-0000000001", "/q/n-", "/q/n-0000000003"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if out := must(t, tr, 30, create("/q/", jute.FlagSequence)); out.Results[0].Path != "/q/0000000004" {
		t.Errorf("nameless: %q", out.Results[0].Path)
	}
}

func TestErrors(t *testing.T) {
	tr := New()
	must(t, tr, 1, create("/a", 0), create("/a/b", 0), create("/e", jute.FlagEphemeral))
	tests := []struct {
		req  jute.Request
		want jute.Code
	}{
		{create("a", 0), jute.BadArguments},
		{create("/a/", 0), jute.BadArguments},
		{create("/a/./b", 0), jute.NoNode}, // the parent is looked for first
		{create("/a/..", 0), jute.BadArguments},
		{create("/x\x00", 0), jute.BadArguments},
		{create("/x\u0001", 0), jute.BadArguments},
		{create("/x", 4), jute.BadArguments},
		{create("/", 0), jute.NodeExists},
		{create("/a", 0), jute.NodeExists},
		{create("/x/y", 0), jute.NoNode},
		{create("/e/f", 0), jute.NoChildrenForEphemerals},
		{create("/e/f", jute.FlagSequence), jute.NoChildrenForEphemerals},
		{jute.CreateRequest{Path: "/x"}, jute.InvalidACL},
		{jute.CreateRequest{Path: "/x", ACL: []jute.ACL{{Perms: 31, Scheme: "world", ID: "me"}}}, jute.InvalidACL},
		{jute.CreateRequest{Path: "/x", ACL: []jute.ACL{{Perms: 31, Scheme: "auth"}}}, jute.InvalidACL},
		{jute.CreateRequest{Path: "/x", ACL: []jute.ACL{{Perms: 31, Scheme: "digest", ID: "nocolon"}}}, jute.InvalidACL},
		{jute.CreateRequest{Path: "/x", ACL: []jute.ACL{{Perms: 31, Scheme: "ip", ID: "10.0.0.0/40"}}}, jute.InvalidACL},
		{jute.CreateRequest{Path: "/x", ACL: []jute.ACL{{Perms: 31, Scheme: "sasl", ID: "x"}}}, jute.InvalidACL},
		{jute.DeleteRequest{Path: "/x", Version: -1}, jute.NoNode},
		{jute.DeleteRequest{Path: "/a", Version: -1}, jute.NotEmpty},
		{jute.DeleteRequest{Path: "/a/b", Version: 1}, jute.BadVersion},
		{jute.DeleteRequest{Path: "/", Version: -1}, jute.BadArguments},
		{jute.DeleteRequest{Path: "/zookeeper/quota", Version: -1}, jute.BadArguments},
		{jute.DeleteRequest{Path: "", Version: -1}, jute.BadArguments},
		{jute.SetDataRequest{Path: "/x", Version: -1}, jute.NoNode},
		{jute.SetDataRequest{Path: "/a", Version: 7}, jute.BadVersion},
		{jute.CheckRequest{Path: "/a", Version: 7}, jute.BadVersion},
		{jute.CheckRequest{Path: "/x", Version: -1}, jute.NoNode},
		{jute.SetACLRequest{Path: "/x", ACL: OpenACL(), Version: -1}, jute.NoNode},
		{jute.SetACLRequest{Path: "/a", ACL: OpenACL(), Version: 1}, jute.BadVersion},
		{jute.SetACLRequest{Path: "/a", Version: -1}, jute.InvalidACL},
		{jute.SyncRequest{Path: "/a"}, jute.Unimplemented},
	}
	before := slices.Collect(tr.All())
	for _, tt := range tests {
		if _, _, err := tr.Do(Tx{Zxid: 2, Session: bob}, tt.req); !errors.Is(err, tt.want) {
			t.Errorf("%#v: got %v, want %v", tt.req, err, tt.want)
		}
	}
	if after := slices.Collect(tr.All()); !reflect.DeepEqual(before, after) {
		t.Errorf("failed requests changed the tree")
	}
}

func TestEvents(t *testing.T) {
	tr := New()
	tests := []struct {
		req  jute.Request
		want []Event
	}{
		{create("/a", 0), []Event{{jute.NodeCreated, "/a"}, {jute.NodeChildrenChanged, "/"}}},
		{jute.SetDataRequest{Path: "/a", Version: -1}, []Event{{jute.NodeDataChanged, "/a"}}},
		{jute.SetACLRequest{Path: "/a", ACL: OpenACL(), Version: -1}, nil},
		{jute.CheckRequest{Path: "/a", Version: -1}, nil},
		{jute.DeleteRequest{Path: "/a", Version: -1}, []Event{{jute.NodeDeleted, "/a"}, {jute.NodeChildrenChanged, "/"}}},
	}
	for i, tt := range tests {
		if out := must(t, tr, int64(i+1), tt.req); !slices.Equal(out.Events, tt.want) {
			t.Errorf("%#v: got %v, want %v", tt.req, out.Events, tt.want)
		}
	}
}

func TestMultiIsAllOrNothing(t *testing.T) {
	tr := New()
	must(t, tr, 1, create("/a", 0), create("/b", jute.FlagEphemeral))
	before, size := slices.Collect(tr.All()), tr.Size()
	_, failed, err := tr.Do(Tx{Zxid: 2, Session: bob},
		create("/a/x", 0),
		jute.SetDataRequest{Path: "/a/x", Data: []byte("longer"), Version: 0},
		jute.DeleteRequest{Path: "/b", Version: -1},
		create("/b", 0),
		create("/b/c", jute.FlagSequence),
		jute.DeleteRequest{Path: "/a", Version: -1}, // has a child by now
		create("/never", 0))
	if failed != 5 || !errors.Is(err, jute.NotEmpty) {
		t.Fatalf("failed at %d: %v", failed, err)
	}
	if after := slices.Collect(tr.All()); !reflect.DeepEqual(before, after) || tr.Size() != size {
		t.Errorf("not undone:\n got %+v\nwant %+v", after, before)
	}
	if got := tr.Ephemerals(alice); !slices.Equal(got, []string{"/b"}) {
		t.Errorf("ephemerals of alice: %v", got)
	}
}

func TestCloseSessionRemovesWhatItOwns(t *testing.T) {
	tr := New()
	must(t, tr, 1, create("/p", 0), create("/p/1", jute.FlagEphemeral), create("/p/2", jute.FlagEphemeral))
	if _, _, err := tr.Do(Tx{Zxid: 2, Session: bob}, create("/p/3", jute.FlagEphemeral)); err != nil {
		t.Fatal(err)
	}
	events := tr.CloseSession(3, alice)
	if want := []Event{
		{jute.NodeDeleted, "/p/1"}, {jute.NodeChildrenChanged, "/p"},
		{jute.NodeDeleted, "/p/2"}, {jute.NodeChildrenChanged, "/p"},
	}; !slices.Equal(events, want) {
		t.Errorf("events: %v", events)
	}
	if kids, st, _ := tr.Children("/p", nil); !slices.Equal(kids, []string{"3"}) || st.Pzxid != 3 || st.Cversion != 5 {
		t.Errorf("left: %v, %+v", kids, st)
	}
	if got := tr.Owners(); !slices.Equal(got, []int64{bob}) {
		t.Errorf("owners: %v", got)
	}
	if tr.CloseSession(4, alice) != nil {
		t.Error("closed twice")
	}
}

func TestValidPath(t *testing.T) {
	for _, p := range []string{"/", "/a", "/a/b", "/a.b", "/...", "/.a", "/a..", "/ä€", "/a b"} {
		if !ValidPath(p) {
			t.Errorf("%q is valid", p)
		}
	}
	for _, p := range []string{
		"", "a", "/a/", "//", "//a", "/a//b", "/.", "/..", "/a/.", "/a/../b", "/a/./b",
		"/\x00", "/a\x1f", "/\x7f", "/\u0085", "/\ue000", "/\U0001f600", "/\xff", "/\ufff0",
	} {
		if ValidPath(p) {
			t.Errorf("%q is not valid", p)
		}
	}
}
