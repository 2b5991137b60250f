package store

import (
	"errors"
	"fmt"
	"time"

	"github.com/mesoslab/lab/mini/zookeeper/jute"
	"github.com/mesoslab/lab/mini/zookeeper/tree"
)

// Session is what survives of a session without its connection.
type Session struct {
	ID       int64
	Timeout  time.Duration
	Password []byte
}

// State is everything that survives a restart.
type State struct {
	Tree     *tree.Tree
	Sessions map[int64]Session
	// Zxid is the number of the last transaction. Each one counts, failed
	// ones too, without gaps.
	Zxid int64
	// LastSession is the largest session id ever given.
	LastSession int64
}

// NewState returns the state of a server that never ran.
func NewState() *State {
	return &State{Tree: tree.New(), Sessions: make(map[int64]Session)}
}

// TxnKind says what a transaction did. The numbers are written to logs.
type TxnKind int32

// The kinds of transactions.
const (
	OpenSession  TxnKind = 1
	CloseSession TxnKind = 2
	Changes      TxnKind = 3
	Failed       TxnKind = 4 // a refused request: it only took a number
)

// Txn is one transaction.
type Txn struct {
	Kind    TxnKind
	Zxid    int64
	Time    int64 // milliseconds since 1970
	Session int64
	// Timeout and Password belong to OpenSession.
	Timeout  time.Duration
	Password []byte
	// Changes belong to the kind of that name.
	Changes []tree.Change
}

// ErrInconsistent says that a transaction does not follow from the state.
var ErrInconsistent = errors.New("transaction does not fit the state")

// Apply does a transaction. After an error the state is not to be used.
func (s *State) Apply(t Txn) ([]tree.Event, error) {
	if t.Zxid != s.Zxid+1 {
		return nil, fmt.Errorf("%w: transaction 0x%x follows 0x%x", ErrInconsistent, t.Zxid, s.Zxid)
	}
	s.Zxid = t.Zxid
	_, open := s.Sessions[t.Session]
	switch t.Kind {
	case OpenSession:
		if open {
			return nil, fmt.Errorf("%w: session 0x%x is opened twice", ErrInconsistent, t.Session)
		}
		s.Sessions[t.Session] = Session{ID: t.Session, Timeout: t.Timeout, Password: t.Password}
		s.LastSession = max(s.LastSession, t.Session)
		return nil, nil
	case CloseSession:
		delete(s.Sessions, t.Session)
		return s.Tree.CloseSession(t.Zxid, t.Session), nil
	case Changes:
		var all []tree.Event
		for _, c := range t.Changes {
			if c.Kind == tree.Create && c.Owner != 0 && (!open || c.Owner != t.Session) {
				return nil, fmt.Errorf("%w: %s would belong to session 0x%x", ErrInconsistent, c.Path, c.Owner)
			}
			_, events, err := s.Tree.Apply(t.Zxid, t.Time, c)
			if err != nil {
				return nil, fmt.Errorf("%w: 0x%x: %w", ErrInconsistent, t.Zxid, err)
			}
			all = append(all, events...)
		}
		return all, nil
	case Failed:
		return nil, nil
	}
	return nil, fmt.Errorf("%w: kind %d", ErrInconsistent, t.Kind)
}

// Do tries requests of a session as the next transaction, all or none, and
// returns the Txn to be logged whether they passed or not, with what tree.Do
// returns otherwise.
func (s *State) Do(ms, session int64, ids []tree.Identity, reqs ...jute.Request) (Txn, tree.Outcome, int, error) {
	s.Zxid++
	out, failed, err := s.Tree.Do(tree.Tx{Zxid: s.Zxid, Time: ms, Session: session, IDs: ids}, reqs...)
	txn := Txn{Kind: Changes, Zxid: s.Zxid, Time: ms, Session: session, Changes: out.Changes}
	if err != nil {
		txn.Kind = Failed
	}
	return txn, out, failed, err
}
