package zookeeper

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"slices"
	"time"

	"github.com/mesoslab/lab/mini/zookeeper/jute"
	"github.com/mesoslab/lab/mini/zookeeper/store"
)

const passwordLen = 16

// session is a live session. Its fields are guarded by server.mu.
type session struct {
	id       int64
	timeout  time.Duration
	password []byte
	deadline time.Time // when it expires unless its client sends something
	conn     *conn     // nil while the client is away
}

// touch puts off the expiry, as every packet of the client does.
func (v *session) touch(now time.Time) { v.deadline = now.Add(v.timeout) }

// connect answers the first packet of a connection: a new session, an old one
// taken over, or one that has expired. false means that the connection is to
// be closed, after an answer if there is one.
func (s *server) connect(c *conn, req jute.ConnectRequest) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing || c.gone {
		return false
	}
	s.received(c)
	if req.LastZxidSeen > s.state.Zxid {
		// ZooKeeper gives no answer, so that the client tries another
		// server rather than going back in time.
		s.log.note("refused %s: it has seen transaction 0x%x, the last one here is 0x%x (data lost, or another server's client)",
			c.remote, req.LastZxidSeen, s.state.Zxid)
		return false
	}
	timeout := min(max(time.Duration(req.Timeout)*time.Millisecond, s.cfg.min), s.cfg.max)
	v := s.sessions[req.SessionID]
	switch {
	case req.SessionID == 0:
		var err error
		if v, err = s.openSession(timeout); err != nil {
			return false
		}
		s.log.note("session 0x%x of %s opened, timeout %v", v.id, c.remote, v.timeout)
	case v == nil || subtle.ConstantTimeCompare(v.password, req.Password) != 1:
		s.log.note("session 0x%x of %s has expired or is not its own", req.SessionID, c.remote)
		s.greet(c, req, jute.ConnectResponse{Password: make([]byte, passwordLen)})
		return false
	default:
		if v.conn != nil {
			v.conn.kick()
		}
		v.timeout = timeout
		s.log.note("session 0x%x is back from %s, timeout %v", v.id, c.remote, v.timeout)
	}
	v.conn, c.session = c, v
	v.touch(time.Now())
	s.expectExpiry(v.deadline)
	s.greet(c, req, jute.ConnectResponse{Timeout: int32(v.timeout.Milliseconds()), SessionID: v.id, Password: v.password})
	return true
}

func (s *server) greet(c *conn, req jute.ConnectRequest, resp jute.ConnectResponse) {
	resp.HasReadOnly = req.HasReadOnly
	var e jute.Encoder
	resp.Encode(&e)
	s.send(c, e.Bytes())
}

// openSession makes a new session and logs it. s.mu is held.
func (s *server) openSession(timeout time.Duration) (*session, error) {
	now := time.Now()
	// As SessionTrackerImpl forms its first id: the time, shifted so that ids
	// of a later start are larger, and a top byte for the server's number, 0.
	id := max(int64(uint64(now.UnixMilli())<<24>>8), s.state.LastSession+1)
	v := &session{id: id, timeout: timeout, password: make([]byte, passwordLen)}
	rand.Read(v.password) // never fails
	txn := store.Txn{
		Kind: store.OpenSession, Zxid: s.state.Zxid + 1, Time: now.UnixMilli(),
		Session: id, Timeout: timeout, Password: v.password,
	}
	events, err := s.state.Apply(txn)
	if err != nil {
		return nil, err
	}
	s.commit(txn, events)
	s.sessions[id] = v
	return v, nil
}

// closeSession ends a session, with its ephemeral nodes. s.mu is held.
func (s *server) closeSession(v *session) error {
	delete(s.sessions, v.id)
	txn := store.Txn{Kind: store.CloseSession, Zxid: s.state.Zxid + 1, Time: time.Now().UnixMilli(), Session: v.id}
	events, err := s.state.Apply(txn)
	if err != nil {
		return err
	}
	s.commit(txn, events)
	return nil
}

// expectExpiry makes the expirer look at t at the latest. s.mu is held.
func (s *server) expectExpiry(t time.Time) {
	if !s.nextExpiry.IsZero() && !t.Before(s.nextExpiry) {
		return
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// expire closes sessions whose time is over, until ctx ends. It wakes up only
// when the session that was next when it last looked could expire.
func (s *server) expire(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-s.wake:
		}
		if wait := s.expireDue(time.Now()); wait > 0 {
			timer.Reset(wait)
		}
	}
}

// expireDue closes what is due and returns how long to wait for the next, 0
// if there is none.
func (s *server) expireDue(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nextExpiry = time.Time{}
	var due []*session
	for _, v := range s.sessions {
		switch {
		case !v.deadline.After(now):
			due = append(due, v)
		case s.nextExpiry.IsZero() || v.deadline.Before(s.nextExpiry):
			s.nextExpiry = v.deadline
		}
	}
	slices.SortFunc(due, func(a, b *session) int {
		return cmp.Or(a.deadline.Compare(b.deadline), cmp.Compare(a.id, b.id))
	})
	for _, v := range due {
		if s.closing {
			return 0
		}
		s.log.note("session 0x%x expired after %v", v.id, v.timeout)
		if v.conn != nil {
			v.conn.kick()
		}
		if s.closeSession(v) != nil {
			return 0
		}
	}
	if s.nextExpiry.IsZero() {
		return 0
	}
	return s.nextExpiry.Sub(now)
}
