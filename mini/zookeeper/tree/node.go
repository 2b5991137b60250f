package tree

import (
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/mesoslab/lab/mini/zookeeper/jute"
)

// Node is a node laid open, all but its children, whose paths tell.
type Node struct {
	Path string
	Data []byte
	ACL  []jute.ACL // nil for the nodes every tree has, until it is set

	Czxid, Mzxid, Pzxid int64
	Ctime, Mtime        int64
	Version, Aversion   int32
	Creates             int32 // children ever created
	Owner               int64
}

// All yields all nodes, sorted by path, so parents come before children.
// Nothing may change the tree meanwhile.
func (t *Tree) All() iter.Seq[Node] {
	return func(yield func(Node) bool) {
		for _, path := range slices.Sorted(maps.Keys(t.nodes)) {
			n := t.nodes[path]
			if !yield(Node{
				Path: path, Data: n.data, ACL: n.acl,
				Czxid: n.czxid, Mzxid: n.mzxid, Pzxid: n.pzxid, Ctime: n.ctime, Mtime: n.mtime,
				Version: n.version, Aversion: n.aversion, Creates: n.creates, Owner: n.owner,
			}) {
				return
			}
		}
	}
}

// Restore makes a tree of nodes, parents first, as All yields them. It
// returns an error for a list that is no tree.
func Restore(nodes []Node) (*Tree, error) {
	t := &Tree{nodes: make(map[string]*node, len(nodes)), owned: make(map[int64]map[string]struct{})}
	for _, v := range nodes {
		if !ValidPath(v.Path) || t.nodes[v.Path] != nil {
			return nil, fmt.Errorf("restore %q: %w", v.Path, ErrPath)
		}
		if v.Path != "/" {
			above, _ := split(v.Path)
			parent := t.nodes[above]
			if parent == nil {
				return nil, fmt.Errorf("restore %q: parent: %w", v.Path, jute.NoNode)
			}
			if parent.owner != 0 {
				return nil, fmt.Errorf("restore %q: %w", v.Path, jute.NoChildrenForEphemerals)
			}
		}
		if v.Owner != 0 && special(v.Path) {
			return nil, fmt.Errorf("restore %q: %w", v.Path, jute.BadArguments)
		}
		t.insert(v.Path, &node{
			data: v.Data, acl: v.ACL,
			czxid: v.Czxid, mzxid: v.Mzxid, pzxid: v.Pzxid, ctime: v.Ctime, mtime: v.Mtime,
			version: v.Version, aversion: v.Aversion, creates: v.Creates, owner: v.Owner,
		})
	}
	for _, path := range []string{"/", "/zookeeper", "/zookeeper/quota"} {
		if t.nodes[path] == nil {
			return nil, fmt.Errorf("restore %q: %w", path, jute.NoNode)
		}
	}
	return t, nil
}
