package tree

import (
	"fmt"
	"strings"

	"github.com/mesoslab/lab/mini/zookeeper/jute"
)

// Tx says who asks, when, and under which number.
type Tx struct {
	Zxid    int64
	Time    int64 // milliseconds since 1970
	Session int64 // owner of ephemeral nodes
	IDs     []Identity
}

// Outcome is what Do did.
type Outcome struct {
	Results []Result // one for each request
	Changes []Change // to be logged; fewer than requests where some only check
	Events  []Event  // in the order in which they happened
}

// Do checks and applies requests in order, each seeing what those before it
// did. If one fails, none has happened; its index and its Code are returned.
// Requests are Create, Delete, SetData, SetACL and Check requests; the tree
// keeps their slices.
func (t *Tree) Do(tx Tx, reqs ...jute.Request) (out Outcome, failed int, err error) {
	t.recording = true
	defer func() { t.recording, t.undo = false, nil }()
	for i, req := range reqs {
		change, err := t.plan(tx, req)
		if err == nil {
			var res Result
			var events []Event
			if res, events, err = t.Apply(tx.Zxid, tx.Time, change); err == nil {
				out.Results = append(out.Results, res)
				out.Events = append(out.Events, events...)
				if change.Kind != Check {
					out.Changes = append(out.Changes, change)
				}
				continue
			}
		}
		for j := len(t.undo) - 1; j >= 0; j-- {
			t.undo[j]()
		}
		return Outcome{}, i, err
	}
	return out, -1, nil
}

// plan turns a request into a change. Errors are Codes, found in the order
// in which ZooKeeper's PrepRequestProcessor looks for them.
func (t *Tree) plan(tx Tx, req jute.Request) (Change, error) {
	switch r := req.(type) {
	case jute.CreateRequest:
		return t.planCreate(tx, r)
	case jute.DeleteRequest:
		return t.planDelete(tx, r)
	case jute.SetDataRequest:
		_, err := t.versioned(r.Path, r.Version, jute.PermWrite, tx.IDs)
		return Change{Kind: SetData, Path: r.Path, Data: r.Data}, err
	case jute.CheckRequest:
		_, err := t.versioned(r.Path, r.Version, jute.PermRead, tx.IDs)
		return Change{Kind: Check, Path: r.Path}, err
	case jute.SetACLRequest:
		return t.planSetACL(tx, r)
	}
	return Change{}, jute.Unimplemented
}

func (t *Tree) planCreate(tx Tx, r jute.CreateRequest) (Change, error) {
	slash := strings.LastIndexByte(r.Path, '/')
	if slash == -1 || strings.Contains(r.Path, "\x00") {
		return Change{}, jute.BadArguments
	}
	acl, err := fixACL(r.ACL, tx.IDs)
	if err != nil {
		return Change{}, err
	}
	parent := t.nodes[r.Path[:max(slash, 1)]]
	if parent == nil {
		return Change{}, jute.NoNode
	}
	if !allowed(parent.acl, jute.PermCreate, tx.IDs) {
		return Change{}, jute.NoAuth
	}
	if r.Flags&^(jute.FlagEphemeral|jute.FlagSequence) != 0 {
		return Change{}, jute.BadArguments
	}
	c := Change{Kind: Create, Path: r.Path, Data: r.Data, ACL: acl}
	if r.Flags&jute.FlagSequence != 0 {
		c.Path = fmt.Sprintf("%s%010d", r.Path, parent.creates)
	}
	if r.Flags&jute.FlagEphemeral != 0 {
		c.Owner = tx.Session
	}
	switch {
	case !ValidPath(c.Path):
		return Change{}, jute.BadArguments
	case t.nodes[c.Path] != nil:
		return Change{}, jute.NodeExists
	case parent.owner != 0:
		return Change{}, jute.NoChildrenForEphemerals
	}
	return c, nil
}

func (t *Tree) planDelete(tx Tx, r jute.DeleteRequest) (Change, error) {
	if !strings.Contains(r.Path, "/") || strings.Contains(r.Path, "\x00") || special(r.Path) {
		return Change{}, jute.BadArguments
	}
	n := t.nodes[r.Path]
	if n == nil {
		return Change{}, jute.NoNode
	}
	above, _ := split(r.Path)
	switch {
	case !allowed(t.nodes[above].acl, jute.PermDelete, tx.IDs):
		return Change{}, jute.NoAuth
	case r.Version != -1 && r.Version != n.version:
		return Change{}, jute.BadVersion
	case len(n.children) > 0:
		return Change{}, jute.NotEmpty
	}
	return Change{Kind: Delete, Path: r.Path}, nil
}

func (t *Tree) planSetACL(tx Tx, r jute.SetACLRequest) (Change, error) {
	if !ValidPath(r.Path) {
		return Change{}, jute.BadArguments
	}
	acl, err := fixACL(r.ACL, tx.IDs)
	if err != nil {
		return Change{}, err
	}
	n := t.nodes[r.Path]
	switch {
	case n == nil:
		return Change{}, jute.NoNode
	case !allowed(n.acl, jute.PermAdmin, tx.IDs):
		return Change{}, jute.NoAuth
	case r.Version != -1 && r.Version != n.aversion:
		return Change{}, jute.BadVersion
	}
	return Change{Kind: SetACL, Path: r.Path, ACL: acl}, nil
}

// versioned finds a node on which ids have perm and whose version is the
// wanted one, -1 being any.
func (t *Tree) versioned(path string, version, perm int32, ids []Identity) (*node, error) {
	n := t.nodes[path]
	switch {
	case !ValidPath(path):
		return nil, jute.BadArguments
	case n == nil:
		return nil, jute.NoNode
	case !allowed(n.acl, perm, ids):
		return nil, jute.NoAuth
	case version != -1 && version != n.version:
		return nil, jute.BadVersion
	}
	return n, nil
}
