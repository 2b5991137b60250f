package election

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
)

// session is one ZooKeeper session. The client library makes a new session
// by itself when one expires; here a session and its client end together, so
// that whatever hangs on a session can wait for one channel.
type session struct {
	conn *zk.Conn
	lost chan struct{}
}

// sessions keeps one session alive until ctx ends, and hands it out.
func (z *ZooKeeper) sessions(ctx context.Context) {
	for ctx.Err() == nil {
		z.oneSession(ctx)
	}
}

func (z *ZooKeeper) oneSession(ctx context.Context) {
	conn, events, err := zk.Connect(z.url.Servers, z.timeout,
		zk.WithDialer(z.dialer(ctx)), zk.WithHostProvider(&servers{}),
		zk.WithLogger(logger(z.logf)), zk.WithLogInfo(false))
	if err != nil { // only an empty list of servers, which ParseURL excludes
		z.logf("zookeeper: %v", err)
		<-ctx.Done()
		return
	}
	defer conn.Close()
	if z.url.Auth != "" {
		// Answered when a connection stands; resent by the library then.
		z.running.Go(func() { conn.AddAuth("digest", []byte(z.url.Auth)) })
	}
	s := &session{conn: conn, lost: make(chan struct{})}
	defer close(s.lost)
	defer z.publish(nil)
	patience := time.NewTimer(z.timeout)
	defer patience.Stop()
	had := false // a session since the last disconnection
	for {
		select {
		case e := <-events:
			switch e.State {
			case zk.StateHasSession:
				had = true
				patience.Stop()
				z.publish(s)
			case zk.StateDisconnected:
				if had {
					had = false
					patience.Reset(z.timeout)
				}
			case zk.StateExpired, zk.StateAuthFailed:
				z.logf("zookeeper: session ended: %v", e.State)
				return
			}
		case <-patience.C:
			z.logf("zookeeper: no server reachable for %v: session given up", z.timeout)
			return
		case <-z.drop(s):
			return
		case <-ctx.Done():
			return
		}
	}
}

// publish makes s the session that current returns; nil means none.
func (z *ZooKeeper) publish(s *session) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.live == s {
		return
	}
	z.live, z.dropped = s, make(chan struct{})
	close(z.changed)
	z.changed = make(chan struct{})
}

// drop is closed when somebody gave up on s.
func (z *ZooKeeper) drop(s *session) <-chan struct{} {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.live != s {
		return nil
	}
	return z.dropped
}

// giveUp ends s, because what was asked of it may or may not have happened.
// Its ephemeral nodes go with it.
func (z *ZooKeeper) giveUp(s *session, err error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.live != s {
		return
	}
	select {
	case <-z.dropped:
	default:
		z.logf("zookeeper: %v", err)
		close(z.dropped)
	}
}

// current waits for a session.
func (z *ZooKeeper) current(ctx context.Context) (*session, error) {
	for {
		z.mu.Lock()
		s, changed := z.live, z.changed
		z.mu.Unlock()
		if s != nil {
			return s, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (z *ZooKeeper) dialer(ctx context.Context) zk.Dialer {
	return func(network, address string, timeout time.Duration) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		c, err := z.dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return impatient{c, z.timeout}, nil
	}
}

// impatient shortens the library's ten-fold time-out of the handshake, in
// which a frozen server would hold us for a minute.
type impatient struct {
	net.Conn
	most time.Duration
}

func (c impatient) SetReadDeadline(t time.Time) error {
	if limit := time.Now().Add(c.most); !t.IsZero() && t.After(limit) {
		t = limit
	}
	return c.Conn.SetReadDeadline(t)
}

// servers goes round the list as given; names are resolved by the dialer.
type servers struct {
	mu   sync.Mutex
	list []string
	next int
	last int
}

func (s *servers) Init(list []string) error {
	s.list, s.last = list, -1
	return nil
}

func (s *servers) Len() int { return len(s.list) }

func (s *servers) Next() (server string, retryStart bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.next
	s.next = (s.next + 1) % len(s.list)
	retryStart = s.last == i
	if s.last < 0 {
		s.last = 0
	}
	return s.list[i], retryStart
}

func (s *servers) Connected() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = (s.next + len(s.list) - 1) % len(s.list)
}

type logger func(format string, args ...any)

func (l logger) Printf(format string, args ...any) {
	l("zookeeper: %s", strings.TrimSpace(fmt.Sprintf(format, args...)))
}
