package tree

import (
	"errors"
	"slices"
	"testing"

	"github.com/mesoslab/lab/mini/zookeeper/jute"
)

func TestDigestIsZooKeepers(t *testing.T) {
	// From ZooKeeper's administration guide: super:test.
	if got := Digest("super:test").ID; got != "super:D/InIHSb7yEEbrWz8b9l71RjZJU=" {
		t.Errorf("got %s", got)
	}
}

func TestAllowed(t *testing.T) {
	entry := func(perms int32, scheme, id string) jute.ACL { return jute.ACL{Perms: perms, Scheme: scheme, ID: id} }
	u := Digest("u:p")
	tests := []struct {
		name string
		acl  []jute.ACL
		ids  []Identity
		want bool
	}{
		{"nil", nil, nil, true},
		{"world", OpenACL(), nil, true},
		{"world, other right", []jute.ACL{entry(jute.PermWrite, "world", "anyone")}, nil, false},
		{"digest", []jute.ACL{entry(jute.PermRead, "digest", u.ID)}, []Identity{IP("::1"), u}, true},
		{"wrong password", []jute.ACL{entry(jute.PermRead, "digest", u.ID)}, []Identity{Digest("u:q")}, false},
		{"other scheme", []jute.ACL{entry(jute.PermRead, "digest", "1.2.3.4")}, []Identity{IP("1.2.3.4")}, false},
		{"address", []jute.ACL{entry(jute.PermRead, "ip", "1.2.3.4")}, []Identity{IP("1.2.3.4")}, true},
		{"net", []jute.ACL{entry(jute.PermRead, "ip", "1.2.0.0/16")}, []Identity{IP("1.2.3.4")}, true},
		{"other net", []jute.ACL{entry(jute.PermRead, "ip", "1.2.0.0/16")}, []Identity{IP("1.3.3.4")}, false},
		{"mapped", []jute.ACL{entry(jute.PermRead, "ip", "1.2.3.4")}, []Identity{IP("::ffff:1.2.3.4")}, true},
	}
	for _, tt := range tests {
		if got := allowed(tt.acl, jute.PermRead, tt.ids); got != tt.want {
			t.Errorf("%s: got %v", tt.name, got)
		}
	}
}

func TestOnlyWhoMayDoes(t *testing.T) {
	tr := New()
	u := Digest("u:p")
	tx := Tx{Zxid: 1, Session: alice, IDs: []Identity{IP("10.0.0.1"), u}}
	private := []jute.ACL{{Perms: jute.PermAll, Scheme: "auth"}, {Perms: jute.PermRead, Scheme: "ip", ID: "10.0.0.2"}}
	if _, _, err := tr.Do(tx, jute.CreateRequest{Path: "/p", ACL: private}, create("/p/c", 0)); err != nil {
		t.Fatal(err)
	}
	stranger, reader := []Identity{IP("10.0.0.3")}, []Identity{IP("10.0.0.2")}
	for _, req := range []jute.Request{
		create("/p/d", 0),
		jute.SetDataRequest{Path: "/p", Version: -1},
		jute.DeleteRequest{Path: "/p/c", Version: -1},
		jute.SetACLRequest{Path: "/p", ACL: OpenACL(), Version: -1},
	} {
		if _, _, err := tr.Do(Tx{Zxid: 2, IDs: reader}, req); !errors.Is(err, jute.NoAuth) {
			t.Errorf("%#v: %v", req, err)
		}
	}
	if _, _, err := tr.Do(Tx{Zxid: 2, IDs: stranger}, jute.CheckRequest{Path: "/p", Version: -1}); !errors.Is(err, jute.NoAuth) {
		t.Errorf("check by a stranger: %v", err)
	}
	if _, _, err := tr.Data("/p", stranger); !errors.Is(err, jute.NoAuth) {
		t.Errorf("data for a stranger: %v", err)
	}
	if _, _, err := tr.Children("/p", stranger); !errors.Is(err, jute.NoAuth) {
		t.Errorf("children for a stranger: %v", err)
	}
	if _, _, err := tr.ACL("/p", stranger); !errors.Is(err, jute.NoAuth) {
		t.Errorf("ACL for a stranger: %v", err)
	}
	if _, _, err := tr.Data("/p", reader); err != nil {
		t.Errorf("data for the reader: %v", err)
	}
	ip := jute.ACL{Perms: jute.PermRead, Scheme: "ip", ID: "10.0.0.2"}
	for _, tt := range []struct {
		ids  []Identity
		want string
	}{{reader, "u:x"}, {tx.IDs, u.ID}} {
		want := []jute.ACL{ip, {Perms: jute.PermAll, Scheme: "digest", ID: tt.want}}
		if got, _, err := tr.ACL("/p", tt.ids); err != nil || !slices.Equal(got, want) {
			t.Errorf("ACL: %v, %v, want %v", got, err, want)
		}
	}
	if _, ok := tr.Stat("/p"); !ok {
		t.Error("exists asks for no permission")
	}
}
