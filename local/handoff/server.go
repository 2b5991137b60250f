//go:build unix

package handoff

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
)

// ListenFunc opens a listening socket. What it returns must be a
// *net.TCPListener or *net.UnixListener, or lead to such by a method
// Unwrap() net.Listener or Unwrap() []net.Listener.
type ListenFunc func(ctx context.Context, network, address string) (net.Listener, error)

// Host is what a machine does for its children. Programs may be nil.
type Host struct {
	Listen   ListenFunc
	Programs Programs
}

// Serve answers one child until its end of the socketpair closes or ctx ends.
// Then every listener it still had is closed, and so is conn. Supervisors that
// it had started go on.
func (h Host) Serve(ctx context.Context, conn *net.UnixConn) error {
	s := &server{wire: newWire(conn), listen: h.Listen, programs: h.Programs, open: map[uint64]net.Listener{}}
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	err := s.loop(ctx)
	cancel()
	stop()
	conn.Close()
	s.work.Wait()
	s.closeAll()
	s.wire.drop()
	return err
}

type server struct {
	wire     *wire
	listen   ListenFunc
	programs Programs
	work     sync.WaitGroup

	mu   sync.Mutex
	open map[uint64]net.Listener
	done bool
}

func (s *server) loop(ctx context.Context) error {
	for {
		var r request
		if err := s.wire.receive(&r); err != nil {
			return err
		}
		switch r.Op {
		case "listen":
			s.work.Go(func() { s.answerListen(ctx, r) })
		case "close":
			s.forget(r.ID)
			if err := s.wire.write(answer{Op: r.Op, ID: r.ID}); err != nil {
				return err
			}
		case "start", "wait", "stop":
			s.work.Go(func() { s.answerProgram(ctx, r) })
		default:
			if err := s.wire.write(answer{Op: r.Op, ID: r.ID, Error: fmt.Sprintf("unknown operation %q", r.Op)}); err != nil {
				return err
			}
		}
	}
}

func (s *server) answerListen(ctx context.Context, r request) {
	a := answer{Op: r.Op, ID: r.ID}
	l, err := s.listen(ctx, r.Network, r.Address)
	if err == nil {
		err = s.remember(r.ID, l)
	}
	if err == nil {
		err = withDescriptors(sockets(l), nil, func(fds []int) error {
			if len(fds) == 0 || len(fds) > maxFDs {
				return fmt.Errorf("listener %T has %d descriptors", l, len(fds))
			}
			a.FDs = len(fds)
			return s.wire.write(a, fds...)
		})
		if err == nil {
			return
		}
		s.forget(r.ID)
	}
	a.FDs, a.Error = 0, err.Error()
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		a.Errno = errno
	}
	// An answer that cannot be written meets a dead child: the loop ends too.
	_ = s.wire.write(a)
}

func (s *server) remember(id uint64, l net.Listener) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done || s.open[id] != nil {
		l.Close()
		return net.ErrClosed
	}
	s.open[id] = l
	return nil
}

func (s *server) forget(id uint64) {
	s.mu.Lock()
	l := s.open[id]
	delete(s.open, id)
	s.mu.Unlock()
	if l != nil {
		l.Close()
	}
}

func (s *server) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = true
	for id, l := range s.open {
		l.Close()
		delete(s.open, id)
	}
}

// sockets finds the listeners of the kernel behind l.
func sockets(l net.Listener) []syscall.Conn {
	switch l := l.(type) {
	case interface{ Unwrap() []net.Listener }:
		var out []syscall.Conn
		for _, inner := range l.Unwrap() {
			out = append(out, sockets(inner)...)
		}
		return out
	case interface{ Unwrap() net.Listener }:
		return sockets(l.Unwrap())
	case syscall.Conn:
		return []syscall.Conn{l}
	}
	return nil
}

// withDescriptors calls fn while all the sockets' descriptors are held open.
func withDescriptors(conns []syscall.Conn, fds []int, fn func([]int) error) error {
	if len(conns) == 0 {
		return fn(fds)
	}
	raw, err := conns[0].SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = withDescriptors(conns[1:], append(fds, int(fd)), fn) }); err != nil {
		return err
	}
	return inner
}
