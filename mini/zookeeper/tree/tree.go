package tree

import (
	"maps"
	"slices"
	"strings"

	"github.com/mesoslab/lab/mini/zookeeper/jute"
)

// Tree is the tree of nodes. New makes one.
type Tree struct {
	nodes map[string]*node
	// owned holds the paths of each session's ephemeral nodes; it has no
	// empty sets.
	owned map[int64]map[string]struct{}
	// size is the sum of the lengths of all paths and data.
	size int64
	// undo takes back what was applied since recording began, last first.
	undo      []func()
	recording bool
}

// node is one node. Its maps and slices are never changed in place, except
// children.
type node struct {
	data     []byte // nil and empty are told apart, as clients can
	acl      []jute.ACL
	children map[string]struct{}

	czxid, mzxid, pzxid int64
	ctime, mtime        int64
	version, aversion   int32
	creates             int32 // children ever created
	owner               int64
}

// Event tells what happened to the node at Path.
type Event struct {
	Type jute.EventType
	Path string
}

// New returns a tree as a fresh server has it: the root, /zookeeper and
// /zookeeper/quota, all made by no transaction.
func New() *Tree {
	t := &Tree{nodes: make(map[string]*node), owned: make(map[int64]map[string]struct{})}
	t.insert("/", &node{data: []byte{}})
	t.insert("/zookeeper", &node{data: []byte{}})
	t.insert("/zookeeper/quota", &node{data: []byte{}})
	return t
}

// special tells whether a node is part of every tree and cannot be removed.
func special(path string) bool {
	return path == "/" || path == "/zookeeper" || path == "/zookeeper/quota"
}

// split returns the path of the parent and the last name of a valid path.
func split(path string) (parent, name string) {
	i := strings.LastIndexByte(path, '/')
	if i == 0 {
		return "/", path[1:]
	}
	return path[:i], path[i+1:]
}

// insert links a node that is not there yet below its parent, which is.
func (t *Tree) insert(path string, n *node) {
	n.children = make(map[string]struct{})
	t.nodes[path] = n
	t.size += int64(len(path) + len(n.data))
	if path != "/" {
		parent, name := split(path)
		t.nodes[parent].children[name] = struct{}{}
	}
	if n.owner != 0 {
		if t.owned[n.owner] == nil {
			t.owned[n.owner] = make(map[string]struct{})
		}
		t.owned[n.owner][path] = struct{}{}
	}
}

// remove unlinks a node without children.
func (t *Tree) remove(path string) {
	n := t.nodes[path]
	delete(t.nodes, path)
	t.size -= int64(len(path) + len(n.data))
	parent, name := split(path)
	delete(t.nodes[parent].children, name)
	if n.owner != 0 {
		delete(t.owned[n.owner], path)
		if len(t.owned[n.owner]) == 0 {
			delete(t.owned, n.owner)
		}
	}
}

// record keeps how to take a step back.
func (t *Tree) record(back func()) {
	if t.recording {
		t.undo = append(t.undo, back)
	}
}

func (n *node) stat() jute.Stat {
	return jute.Stat{
		Czxid: n.czxid, Mzxid: n.mzxid, Pzxid: n.pzxid,
		Ctime: n.ctime, Mtime: n.mtime,
		Version: n.version, Aversion: n.aversion,
		Cversion:       n.creates*2 - int32(len(n.children)),
		EphemeralOwner: n.owner,
		DataLength:     int32(len(n.data)),
		NumChildren:    int32(len(n.children)),
	}
}

// find returns the node that a reading request means: "" is the root, too.
func (t *Tree) find(path string) *node {
	if path == "" {
		path = "/"
	}
	return t.nodes[path]
}

// Stat returns the Stat of a node, or false.
func (t *Tree) Stat(path string) (jute.Stat, bool) {
	n := t.find(path)
	if n == nil {
		return jute.Stat{}, false
	}
	return n.stat(), true
}

// Data returns a node's data and Stat. Errors: NoNode, NoAuth.
func (t *Tree) Data(path string, ids []Identity) ([]byte, jute.Stat, error) {
	n, err := t.readable(path, ids)
	if err != nil {
		return nil, jute.Stat{}, err
	}
	return n.data, n.stat(), nil
}

// Children returns the sorted names of a node's children, and its Stat.
// Errors: NoNode, NoAuth.
func (t *Tree) Children(path string, ids []Identity) ([]string, jute.Stat, error) {
	n, err := t.readable(path, ids)
	if err != nil {
		return nil, jute.Stat{}, err
	}
	return slices.Sorted(maps.Keys(n.children)), n.stat(), nil
}

// ACL returns a node's ACL and Stat. Who may not administer the node sees the
// users of digest entries, not their digests (ZOOKEEPER-1392). Errors: NoNode,
// NoAuth.
func (t *Tree) ACL(path string, ids []Identity) ([]jute.ACL, jute.Stat, error) {
	n := t.find(path)
	if n == nil {
		return nil, jute.Stat{}, jute.NoNode
	}
	acl := n.acl
	switch {
	case acl == nil:
		acl = OpenACL()
	case !allowed(n.acl, jute.PermRead|jute.PermAdmin, ids):
		return nil, jute.Stat{}, jute.NoAuth
	case !allowed(n.acl, jute.PermAdmin, ids):
		acl = masked(acl)
	}
	return acl, n.stat(), nil
}

func (t *Tree) readable(path string, ids []Identity) (*node, error) {
	n := t.find(path)
	if n == nil {
		return nil, jute.NoNode
	}
	if !allowed(n.acl, jute.PermRead, ids) {
		return nil, jute.NoAuth
	}
	return n, nil
}

// Len returns the number of nodes.
func (t *Tree) Len() int { return len(t.nodes) }

// Size returns the sum of the lengths of all paths and data, in bytes.
func (t *Tree) Size() int64 { return t.size }

// Ephemerals returns the sorted paths of the nodes a session owns.
func (t *Tree) Ephemerals(session int64) []string {
	return slices.Sorted(maps.Keys(t.owned[session]))
}

// Owners returns the sorted ids of the sessions that own nodes.
func (t *Tree) Owners() []int64 { return slices.Sorted(maps.Keys(t.owned)) }
