package proxy

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"time"
)

// backend is one backend while any configuration lists it.
type backend struct {
	name     string
	limits   Limits
	dial     func(ctx context.Context, network, address string) (net.Conn, error)
	counters counters

	mu      sync.Mutex
	conf    Backend
	servers []*server
	turn    int // round robin: how many picks there were
	state   upDown
}

// settle notes whether any server is usable; the first time is not a change.
func (b *backend) settle(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	usable, _ := b.usable()
	if b.state.changed.IsZero() {
		b.state = upDown{down: len(usable) == 0, changed: now}
	}
	b.state.set(len(usable) == 0, now)
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
		s = usable[sourceHash(client)%uint32(len(usable))]
	case First:
		if s = usable[0]; s == avoid && len(usable) > 1 {
			s = usable[1]
		}
	default:
		s = b.next(usable, avoid)
	}
	if s != avoid {
		s.counters.balanced.Add(1)
		b.counters.balanced.Add(1)
	}
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

// sourceHash is HAProxy's: the words of the address, exclusive or.
func sourceHash(client string) (sum uint32) {
	ip, err := netip.ParseAddr(client)
	if err != nil {
		return 0
	}
	for b := ip.Unmap().AsSlice(); len(b) >= 4; b = b[4:] {
		sum ^= binary.BigEndian.Uint32(b)
	}
	return sum
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
