package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
)

// errNoServer means that no server of the backend is usable.
var errNoServer = errors.New("no server is available")

// link is an established connection to a server. Its session counts until
// close.
type link struct {
	net.Conn
	server *server
	once   sync.Once
	end    func()
}

func (l *link) close() {
	l.once.Do(func() {
		l.Conn.Close()
		l.end()
	})
}

// connect establishes a connection to a server, the preferred one if it is
// given, by the rules of retries and redispatch in the package's doc.
func (b *backend) connect(ctx context.Context, client string, preferred *server) (*link, error) {
	s, bound := preferred, preferred != nil
	if s == nil {
		s = b.pick(client, nil)
	}
	for failures := 1; ; failures++ {
		if s == nil {
			b.counters.failedConns.Add(1)
			return nil, errNoServer
		}
		l, err := b.attempt(ctx, s)
		if err == nil {
			return l, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if failures > b.limits.Retries {
			s.counters.failedConns.Add(1)
			b.counters.failedConns.Add(1)
			return nil, fmt.Errorf("connect to server %s: %w", s.conf.Load().Name, err)
		}
		move, pause := b.redispatch(s, bound, failures)
		if pause && !timedOut(err) && !wait(ctx, min(b.limits.RetryPause, b.limits.Connect)) {
			return nil, context.Cause(ctx)
		}
		if move || s.gone.Load() || s.conf.Load().Disabled {
			s, bound = b.instead(s, client), false
			continue
		}
		s.counters.retries.Add(1)
		b.counters.retries.Add(1)
	}
}

// redispatch says, after so many failed attempts of an exchange, whether the
// next one may go to another server than s, and whether a refusal is followed
// by a pause. Bound means that a cookie named s.
func (b *backend) redispatch(s *server, bound bool, failures int) (move, pause bool) {
	b.mu.Lock()
	usable, balance := b.usable()
	b.mu.Unlock()
	several := len(usable) > 1
	move = !s.usable() || failures == b.limits.Retries || !bound && several && !balance.hashes()
	return move, !move || !several
}

// attempt opens one connection to s and counts its session.
func (b *backend) attempt(ctx context.Context, s *server) (*link, error) {
	s.counters.begin()
	ctx, cancel := context.WithTimeout(ctx, b.limits.Connect)
	defer cancel()
	c, err := b.dial(ctx, "tcp", s.conf.Load().Addr)
	if err != nil {
		s.counters.end()
		return nil, err
	}
	counted := &countedConn{Conn: c,
		read:    []*atomic.Int64{&s.counters.out, &b.counters.out},
		written: []*atomic.Int64{&s.counters.in, &b.counters.in}}
	return &link{Conn: counted, server: s, end: s.counters.end}, nil
}

func timedOut(err error) bool {
	var t interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}

// instead balances an exchange again that failed at s, and counts a
// redispatch, or a retry if s is chosen once more.
func (b *backend) instead(s *server, client string) *server {
	next := b.pick(client, s)
	switch next {
	case nil:
	case s:
		s.counters.retries.Add(1)
		b.counters.retries.Add(1)
	default:
		s.counters.redispatch.Add(1)
		b.counters.redispatch.Add(1)
	}
	return next
}
