package tree

import (
	"fmt"

	"github.com/mesoslab/lab/mini/zookeeper/jute"
)

// Kind says what a Change does.
type Kind int32

// The kinds of changes. Their numbers are written to logs.
const (
	Create  Kind = 1
	Delete  Kind = 2
	SetData Kind = 3
	SetACL  Kind = 4
	// Check changes nothing; it is never logged.
	Check Kind = 5
)

// Change is one planned modification of the node at Path, free of conditions:
// it can be applied without asking who wanted it.
type Change struct {
	Kind  Kind
	Path  string
	Data  []byte     // Create, SetData
	ACL   []jute.ACL // Create, SetACL
	Owner int64      // Create: the session that owns an ephemeral node, else 0
}

// Result is what a client learns of an applied change.
type Result struct {
	Path string
	Stat jute.Stat // not for Delete
}

// Apply does a change under the transaction number zxid at the time ms,
// milliseconds since 1970. It keeps the slices of c. An error means that c
// does not fit the tree, which is then untouched.
func (t *Tree) Apply(zxid, ms int64, c Change) (Result, []Event, error) {
	switch c.Kind {
	case Create:
		return t.applyCreate(zxid, ms, c)
	case Delete:
		return t.applyDelete(zxid, c)
	case SetData, SetACL, Check:
	default:
		return Result{}, nil, fmt.Errorf("change of unknown kind %d", c.Kind)
	}
	n := t.nodes[c.Path]
	if n == nil {
		return Result{}, nil, fmt.Errorf("change %q: %w", c.Path, jute.NoNode)
	}
	old := *n
	t.record(func() {
		t.size += int64(len(old.data) - len(n.data))
		n.data, n.acl, n.mzxid, n.mtime = old.data, old.acl, old.mzxid, old.mtime
		n.version, n.aversion = old.version, old.aversion
	})
	var events []Event
	switch c.Kind {
	case SetData:
		t.size += int64(len(c.Data) - len(n.data))
		n.data, n.mzxid, n.mtime = c.Data, zxid, ms
		n.version++
		events = []Event{{jute.NodeDataChanged, c.Path}}
	case SetACL:
		n.acl = c.ACL
		n.aversion++
	}
	return Result{Path: c.Path, Stat: n.stat()}, events, nil
}

func (t *Tree) applyCreate(zxid, ms int64, c Change) (Result, []Event, error) {
	if !ValidPath(c.Path) || c.Path == "/" {
		return Result{}, nil, fmt.Errorf("create %q: %w", c.Path, ErrPath)
	}
	above, _ := split(c.Path)
	parent := t.nodes[above]
	switch {
	case t.nodes[c.Path] != nil:
		return Result{}, nil, fmt.Errorf("create %q: %w", c.Path, jute.NodeExists)
	case parent == nil:
		return Result{}, nil, fmt.Errorf("create %q: parent: %w", c.Path, jute.NoNode)
	case parent.owner != 0:
		return Result{}, nil, fmt.Errorf("create %q: %w", c.Path, jute.NoChildrenForEphemerals)
	case len(c.ACL) == 0:
		return Result{}, nil, fmt.Errorf("create %q: %w", c.Path, jute.InvalidACL)
	}
	n := &node{
		data: c.Data, acl: c.ACL, owner: c.Owner,
		czxid: zxid, mzxid: zxid, pzxid: zxid, ctime: ms, mtime: ms,
	}
	t.insert(c.Path, n)
	pzxid := parent.pzxid
	parent.creates++
	parent.pzxid = zxid
	t.record(func() {
		t.remove(c.Path)
		parent.creates--
		parent.pzxid = pzxid
	})
	return Result{Path: c.Path, Stat: n.stat()},
		[]Event{{jute.NodeCreated, c.Path}, {jute.NodeChildrenChanged, above}}, nil
}

func (t *Tree) applyDelete(zxid int64, c Change) (Result, []Event, error) {
	n := t.nodes[c.Path]
	switch {
	case n == nil:
		return Result{}, nil, fmt.Errorf("delete %q: %w", c.Path, jute.NoNode)
	case len(n.children) > 0:
		return Result{}, nil, fmt.Errorf("delete %q: %w", c.Path, jute.NotEmpty)
	case special(c.Path):
		return Result{}, nil, fmt.Errorf("delete %q: %w", c.Path, jute.BadArguments)
	}
	above, _ := split(c.Path)
	parent := t.nodes[above]
	t.remove(c.Path)
	pzxid := parent.pzxid
	parent.pzxid = zxid
	t.record(func() {
		t.insert(c.Path, n)
		parent.pzxid = pzxid
	})
	return Result{Path: c.Path}, []Event{{jute.NodeDeleted, c.Path}, {jute.NodeChildrenChanged, above}}, nil
}

// CloseSession removes the ephemeral nodes of a session under the
// transaction number zxid.
func (t *Tree) CloseSession(zxid, session int64) []Event {
	var events []Event
	for _, path := range t.Ephemerals(session) {
		// An ephemeral node never has children, so this cannot fail.
		if _, ev, err := t.applyDelete(zxid, Change{Path: path}); err == nil {
			events = append(events, ev...)
		}
	}
	return events
}
