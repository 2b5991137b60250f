package proxy

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// errNoServer means that no server of the backend is usable.
var errNoServer = errors.New("no server is available")

// backend is one backend while any configuration lists it.
type backend struct {
	name     string
	limits   Limits
	dial     func(ctx context.Context, network, address string) (net.Conn, error)
	counters counters
	changed  time.Time

	mu      sync.Mutex
	conf    Backend
	servers []*server
	turn    int // round robin: how many picks there were
}

// list returns the servers of the configuration in force.
func (b *backend) list() (Backend, []*server) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.conf, b.servers
}

// byCookie returns the usable server that a client's cookie names, or nil.
func (b *backend) byCookie(value string) *server {
	_, servers := b.list()
	for _, s := range servers {
		if value != "" && s.conf.Load().Cookie == value && s.usable() {
			return s
		}
	}
	return nil
}

// usable returns the servers that new connections may go to, and how the
// backend balances between them.
func (b *backend) usable() ([]*server, Balance) {
	usable := make([]*server, 0, len(b.servers))
	for _, s := range b.servers {
		if s.usable() {
			usable = append(usable, s)
		}
	}
	return usable, b.conf.Balance
}

// pick chooses a server for a client, another one than avoid if there is one.
func (b *backend) pick(client string, avoid *server) *server {
	b.mu.Lock()
	defer b.mu.Unlock()
	usable, balance := b.usable()
	if len(usable) == 0 {
		return nil
	}
	var s *server
	switch balance {
	case LeastConn:
		s = b.least(usable, avoid)
	case Source:
		s = usable[hash(client)%uint32(len(usable))]
	case First:
		s = usable[0]
	default:
		s = b.next(usable, avoid)
	}
	s.counters.balanced.Add(1)
	b.counters.balanced.Add(1)
	return s
}

func (b *backend) next(usable []*server, avoid *server) *server {
	s := usable[b.turn%len(usable)]
	b.turn++
	if s == avoid && len(usable) > 1 {
		s = usable[b.turn%len(usable)]
		b.turn++
	}
	return s
}

func (b *backend) least(usable []*server, avoid *server) *server {
	var best *server
	for i := range usable {
		s := usable[(b.turn+i)%len(usable)]
		if s == avoid && len(usable) > 1 {
			continue
		}
		if best == nil || s.counters.cur.Load() < best.counters.cur.Load() {
			best = s
		}
	}
	b.turn++
	return best
}

func hash(s string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(s))
	return h.Sum32()
}

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
	s := preferred
	if s == nil {
		s = b.pick(client, nil)
	}
	for retry := 0; ; retry++ {
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
		if retry == b.limits.Retries {
			s.counters.failedConns.Add(1)
			b.counters.failedConns.Add(1)
			return nil, fmt.Errorf("connect to server %s: %w", s.conf.Load().Name, err)
		}
		last := retry+1 == b.limits.Retries
		if err := b.pause(ctx, err, last); err != nil {
			return nil, err
		}
		s = b.again(s, client, last)
	}
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

// pause waits where HAProxy's turn-around timer does: after a refusal, unless
// the next attempt can go to another server.
func (b *backend) pause(ctx context.Context, failure error, redispatch bool) error {
	if timedOut(failure) {
		return nil
	}
	if redispatch {
		b.mu.Lock()
		usable, balance := b.usable()
		b.mu.Unlock()
		if len(usable) > 1 && balance != LeastConn && balance != Source && balance != First {
			return nil
		}
	}
	if !wait(ctx, min(b.limits.RetryPause, b.limits.Connect)) {
		return context.Cause(ctx)
	}
	return nil
}

func timedOut(err error) bool {
	var t interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}

// again returns the server of the next attempt and counts a retry or a
// redispatch.
func (b *backend) again(s *server, client string, redispatch bool) *server {
	next := s
	if redispatch || s.gone.Load() || s.conf.Load().Disabled {
		next = b.pick(client, s)
	}
	switch next {
	case s:
		s.counters.retries.Add(1)
		b.counters.retries.Add(1)
	case nil:
	default:
		s.counters.redispatch.Add(1)
		b.counters.redispatch.Add(1)
	}
	return next
}

// apply makes conf the configuration in force. Servers of the same name and
// address stay the same; the others are gone for new connections.
func (b *backend) apply(conf Backend, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	old := map[[2]string]*server{}
	for _, s := range b.servers {
		c := s.conf.Load()
		old[[2]string{c.Name, c.Addr}] = s
	}
	servers := make([]*server, 0, len(conf.Servers))
	for _, c := range conf.Servers {
		key := [2]string{c.Name, c.Addr}
		s := old[key]
		if s == nil {
			s = newServer(c, now)
		}
		delete(old, key)
		s.conf.Store(&c)
		servers = append(servers, s)
	}
	for _, s := range old {
		s.gone.Store(true)
		s.setCheck(nil, nil)
	}
	b.conf, b.servers = conf, servers
}
