package store

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/mesoslab/lab/mini/zookeeper/jute"
	"github.com/mesoslab/lab/mini/zookeeper/tree"
)

var errTrailing = errors.New("bytes after the end")

func encodeTxn(e *jute.Encoder, t Txn) {
	e.Int32(int32(t.Kind))
	e.Int64(t.Zxid)
	e.Int64(t.Time)
	e.Int64(t.Session)
	switch t.Kind {
	case OpenSession:
		e.Int64(t.Timeout.Milliseconds())
		e.Buffer(t.Password)
	case Changes:
		e.Int32(int32(len(t.Changes)))
		for _, c := range t.Changes {
			e.Int32(int32(c.Kind))
			e.String(c.Path)
			e.Buffer(c.Data)
			e.ACLs(c.ACL)
			e.Int64(c.Owner)
		}
	}
}

func decodeTxn(payload []byte) (Txn, error) {
	d := jute.NewDecoder(payload)
	t := Txn{Kind: TxnKind(d.Int32()), Zxid: d.Int64(), Time: d.Int64(), Session: d.Int64()}
	switch t.Kind {
	case OpenSession:
		t.Timeout = millis(d.Int64())
		t.Password = d.Buffer()
	case Changes:
		for range d.Count(24) {
			t.Changes = append(t.Changes, tree.Change{
				Kind: tree.Kind(d.Int32()), Path: d.String(), Data: d.Buffer(), ACL: d.ACLs(), Owner: d.Int64(),
			})
		}
	case CloseSession, Failed:
	default:
		return Txn{}, fmt.Errorf("%w: kind %d", ErrInconsistent, t.Kind)
	}
	if d.Err() != nil {
		return Txn{}, d.Err()
	}
	if d.Len() > 0 {
		return Txn{}, errTrailing
	}
	return t, nil
}

// millis keeps absurd values from overflowing.
func millis(ms int64) time.Duration {
	const day = int64(24 * time.Hour / time.Millisecond)
	return time.Duration(min(max(ms, 0), day)) * time.Millisecond
}

func encodeState(e *jute.Encoder, s *State) {
	e.Int64(s.Zxid)
	e.Int64(s.LastSession)
	e.Int32(int32(len(s.Sessions)))
	for _, id := range slices.Sorted(maps.Keys(s.Sessions)) {
		e.Int64(id)
		e.Int64(s.Sessions[id].Timeout.Milliseconds())
		e.Buffer(s.Sessions[id].Password)
	}
	e.Int32(int32(s.Tree.Len()))
	for n := range s.Tree.All() {
		e.String(n.Path)
		e.Buffer(n.Data)
		e.ACLs(n.ACL)
		e.Int64(n.Czxid)
		e.Int64(n.Mzxid)
		e.Int64(n.Pzxid)
		e.Int64(n.Ctime)
		e.Int64(n.Mtime)
		e.Int32(n.Version)
		e.Int32(n.Aversion)
		e.Int32(n.Creates)
		e.Int64(n.Owner)
	}
}

func decodeState(payload []byte) (*State, error) {
	d := jute.NewDecoder(payload)
	s := &State{Zxid: d.Int64(), LastSession: d.Int64(), Sessions: make(map[int64]Session)}
	for range d.Count(20) {
		v := Session{ID: d.Int64(), Timeout: millis(d.Int64()), Password: d.Buffer()}
		s.Sessions[v.ID] = v
	}
	var nodes []tree.Node
	for range d.Count(72) {
		nodes = append(nodes, tree.Node{
			Path: d.String(), Data: d.Buffer(), ACL: d.ACLs(),
			Czxid: d.Int64(), Mzxid: d.Int64(), Pzxid: d.Int64(), Ctime: d.Int64(), Mtime: d.Int64(),
			Version: d.Int32(), Aversion: d.Int32(), Creates: d.Int32(), Owner: d.Int64(),
		})
	}
	if d.Err() != nil {
		return nil, d.Err()
	}
	if d.Len() > 0 {
		return nil, errTrailing
	}
	var err error
	if s.Tree, err = tree.Restore(nodes); err != nil {
		return nil, err
	}
	for _, owner := range s.Tree.Owners() {
		if _, ok := s.Sessions[owner]; !ok {
			return nil, fmt.Errorf("%w: nodes of session 0x%x, which is not there", ErrInconsistent, owner)
		}
	}
	return s, nil
}
