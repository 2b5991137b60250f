package zookeeper

import (
	"strings"

	"github.com/mesoslab/lab/mini/zookeeper/jute"
)

// query does a request that changes no nodes. s.mu is held.
func (s *server) query(c *conn, req jute.Request) (encodeFunc, error) {
	t := s.state.Tree
	switch r := req.(type) {
	case jute.ExistsRequest:
		if strings.Contains(r.Path, "\x00") {
			return nil, jute.BadArguments
		}
		st, ok := t.Stat(r.Path)
		if r.Watch {
			s.watches.data.add(r.Path, c)
		}
		if !ok {
			return nil, jute.NoNode
		}
		return st.Encode, nil
	case jute.GetDataRequest:
		data, st, err := t.Data(r.Path, c.ids)
		if r.Watch && err == nil {
			s.watches.data.add(r.Path, c)
		}
		return func(e *jute.Encoder) { e.Buffer(data); st.Encode(e) }, err
	case jute.GetChildrenRequest:
		names, st, err := t.Children(r.Path, c.ids)
		if r.Watch && err == nil {
			s.watches.child.add(r.Path, c)
		}
		return func(e *jute.Encoder) {
			e.Strings(names)
			if r.WithStat {
				st.Encode(e)
			}
		}, err
	case jute.GetACLRequest:
		acl, st, err := t.ACL(r.Path, c.ids)
		return func(e *jute.Encoder) { e.ACLs(acl); st.Encode(e) }, err
	case jute.SyncRequest:
		return func(e *jute.Encoder) { e.String(r.Path) }, nil
	case jute.SetWatchesRequest:
		s.setWatches(c, r)
		return nil, nil
	}
	return nil, jute.Unimplemented
}

// setWatches sets the watches of a client that came back again, and tells at
// once what it has missed since r.RelativeZxid. s.mu is held.
func (s *server) setWatches(c *conn, r jute.SetWatchesRequest) {
	missed := func(t jute.EventType, path string) { s.send(c, jute.Event(t, path)) }
	for _, path := range r.Data {
		switch st, ok := s.state.Tree.Stat(path); {
		case !ok:
			missed(jute.NodeDeleted, path)
		case st.Mzxid > r.RelativeZxid:
			missed(jute.NodeDataChanged, path)
		default:
			s.watches.data.add(path, c)
		}
	}
	for _, path := range r.Exist {
		if _, ok := s.state.Tree.Stat(path); ok {
			missed(jute.NodeCreated, path)
		} else {
			s.watches.data.add(path, c)
		}
	}
	for _, path := range r.Child {
		switch st, ok := s.state.Tree.Stat(path); {
		case !ok:
			missed(jute.NodeDeleted, path)
		case st.Pzxid > r.RelativeZxid:
			missed(jute.NodeChildrenChanged, path)
		default:
			s.watches.child.add(path, c)
		}
	}
}
