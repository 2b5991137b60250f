package zookeeper

import (
	"github.com/mesoslab/lab/mini/zookeeper/jute"
	"github.com/mesoslab/lab/mini/zookeeper/tree"
)

// watches holds who wants to be told of what. A data watch waits for a node to
// be made, changed or removed, a child watch for its children to change or
// for its removal.
type watches struct{ data, child watchTable }

func newWatches() watches {
	return watches{data: newWatchTable(), child: newWatchTable()}
}

// fire calls tell for each watch that an event meets and drops those watches;
// a conn that watches a removed node in both ways is told once.
func (w *watches) fire(ev tree.Event, tell func(*conn)) {
	switch ev.Type {
	case jute.NodeCreated, jute.NodeDataChanged:
		for c := range w.data.take(ev.Path) {
			tell(c)
		}
	case jute.NodeChildrenChanged:
		for c := range w.child.take(ev.Path) {
			tell(c)
		}
	case jute.NodeDeleted:
		told := w.data.take(ev.Path)
		for c := range told {
			tell(c)
		}
		for c := range w.child.take(ev.Path) {
			if _, ok := told[c]; !ok {
				tell(c)
			}
		}
	}
}

// drop forgets the watches of a conn.
func (w *watches) drop(c *conn) {
	w.data.drop(c)
	w.child.drop(c)
}

// len returns the number of watches.
func (w *watches) len() int { return w.data.n + w.child.n }

// watchTable holds watches of one kind, by path and by conn. It has no empty
// sets.
type watchTable struct {
	byPath map[string]map[*conn]struct{}
	byConn map[*conn]map[string]struct{}
	n      int
}

func newWatchTable() watchTable {
	return watchTable{byPath: make(map[string]map[*conn]struct{}), byConn: make(map[*conn]map[string]struct{})}
}

func (t *watchTable) add(path string, c *conn) {
	if _, ok := t.byPath[path][c]; ok {
		return
	}
	if t.byPath[path] == nil {
		t.byPath[path] = make(map[*conn]struct{})
	}
	if t.byConn[c] == nil {
		t.byConn[c] = make(map[string]struct{})
	}
	t.byPath[path][c] = struct{}{}
	t.byConn[c][path] = struct{}{}
	t.n++
}

// take removes and returns the watches of a path.
func (t *watchTable) take(path string) map[*conn]struct{} {
	conns := t.byPath[path]
	delete(t.byPath, path)
	for c := range conns {
		delete(t.byConn[c], path)
		if len(t.byConn[c]) == 0 {
			delete(t.byConn, c)
		}
	}
	t.n -= len(conns)
	return conns
}

func (t *watchTable) drop(c *conn) {
	for path := range t.byConn[c] {
		delete(t.byPath[path], c)
		if len(t.byPath[path]) == 0 {
			delete(t.byPath, path)
		}
		t.n--
	}
	delete(t.byConn, c)
}
