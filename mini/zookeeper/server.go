package zookeeper

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/mesoslab/lab/mini/zookeeper/jute"
	"github.com/mesoslab/lab/mini/zookeeper/store"
	"github.com/mesoslab/lab/mini/zookeeper/tree"
)

// server is the one owner of everything clients share.
type server struct {
	cfg      config
	log      *logger
	hostname string
	// wake has a place for one signal to the expirer: look again.
	wake chan struct{}
	// stop ends what serve does. It is set by serve.
	stop context.CancelFunc

	// store belongs to flush.
	store *store.Store

	mu       sync.Mutex // guards all below, and the fields of sessions and conns that say so
	state    *store.State
	disk     disk
	sessions map[int64]*session
	conns    map[*conn]struct{}
	perHost  map[string]int
	watches  watches
	stats    stats
	// nextExpiry is what the expirer waits for; zero is nothing.
	nextExpiry time.Time
	closing    bool
	failure    error // why the server had to stop by itself
}

func newServer(cfg config, log *logger, st *store.Store, state *store.State) *server {
	s := &server{
		cfg: cfg, log: log, wake: make(chan struct{}, 1), store: st, state: state, disk: newDisk(),
		sessions: make(map[int64]*session), conns: make(map[*conn]struct{}),
		perHost: make(map[string]int), watches: newWatches(),
	}
	s.disk.room.L = &s.mu
	now := time.Now()
	for id, v := range state.Sessions {
		s.sessions[id] = &session{id: id, timeout: v.Timeout, password: v.Password, deadline: now.Add(v.Timeout)}
	}
	return s
}

// serve answers clients until ctx ends, which is no error. It closes ln, and
// has ended all its goroutines when it returns.
func (s *server) serve(ctx context.Context, ln net.Listener) error {
	ctx, s.stop = context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { s.expire(ctx) })
	wg.Go(func() { s.flush(ctx) })
	wg.Go(func() {
		<-ctx.Done()
		ln.Close()
		s.hangUp()
	})
	err := s.accept(ctx, ln, &wg)
	s.stop()
	wg.Wait()
	return errors.Join(err, s.failure)
}

// accept takes connections until ctx ends or the listener is gone.
func (s *server) accept(ctx context.Context, ln net.Listener, wg *sync.WaitGroup) error {
	for {
		nc, err := ln.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				nc.Close()
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept connections: %w", err)
		case err != nil:
			// Out of descriptors, or the like: it will pass.
			s.log.note("accept connections: %v", err)
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		if c := s.admit(nc); c != nil {
			wg.Go(c.serve)
		}
	}
}

// admit makes a conn of a connection, unless its host has too many.
func (s *server) admit(nc net.Conn) *conn {
	c := newConn(s, nc)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		nc.Close()
		return nil
	}
	if s.cfg.perHost > 0 && s.perHost[c.host] >= s.cfg.perHost {
		s.log.note("refused a connection from %s: it has %d, maxClientCnxns is %d", c.host, s.perHost[c.host], s.cfg.perHost)
		nc.Close()
		return nil
	}
	s.perHost[c.host]++
	s.conns[c] = struct{}{}
	return c
}

// dismiss forgets a conn whose connection is over. Its session lives on.
func (s *server) dismiss(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	delete(s.disk.held, c)
	if s.perHost[c.host]--; s.perHost[c.host] == 0 {
		delete(s.perHost, c.host)
	}
	s.watches.drop(c)
	if c.session != nil && c.session.conn == c {
		c.session.conn = nil
	}
	c.gone = true
}

// hangUp closes all connections and lets no new ones in.
func (s *server) hangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing = true
	s.disk.room.Broadcast()
	for c := range s.conns {
		c.kick()
	}
}

// commit has a transaction logged that the state has already gone through, and
// tells the watches. s.mu is held. Nobody learns of it before the disk has it.
func (s *server) commit(txn store.Txn, events []tree.Event) {
	s.disk.ask(txn)
	for _, ev := range events {
		packet := jute.Event(ev.Type, ev.Path)
		s.watches.fire(ev, func(c *conn) { s.send(c, packet) })
	}
}

// send queues a packet for a client; it leaves when the disk has all that has
// happened so far. s.mu is held.
func (s *server) send(c *conn, packet []byte) {
	s.stats.sent++
	c.stats.sent++
	if s.disk.asked == s.disk.stored {
		c.out.push(packet, 0)
		return
	}
	s.disk.held[c] = struct{}{}
	c.out.push(packet, s.disk.asked)
}
