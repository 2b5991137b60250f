package proxy

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesoslab/lab/internal/labtest/bubble"
)

// scarce is a computer with few descriptors: a listener's Accept fails while
// none is left, as accept(2) does, and a connection holds one until it closes.
type scarce struct {
	mu       sync.Mutex
	left     int
	failures int
}

func (s *scarce) take() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left == 0 {
		s.failures++
		return false
	}
	s.left--
	return true
}

func (s *scarce) give() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left++
}

func (s *scarce) failed() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failures
}

// listen makes the listeners of a network scarce. A connection waits in the
// backlog until there is a descriptor.
func (s *scarce) listen(from func(context.Context, string, string) (net.Listener, error)) func(context.Context, string, string) (net.Listener, error) {
	return func(ctx context.Context, network, address string) (net.Listener, error) {
		l, err := from(ctx, network, address)
		return &scarceListener{Listener: l, from: s}, err
	}
}

type scarceListener struct {
	net.Listener
	from    *scarce
	backlog net.Conn
}

func (l *scarceListener) Accept() (net.Conn, error) {
	if l.backlog == nil {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		l.backlog = c
	}
	if !l.from.take() {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	c := &scarceConn{Conn: l.backlog, from: l.from}
	l.backlog = nil
	return c, nil
}

type scarceConn struct {
	net.Conn
	from *scarce
	once sync.Once
}

func (c *scarceConn) Close() error {
	c.once.Do(c.from.give)
	return c.Conn.Close()
}

func (c *scarceConn) CloseWrite() error { return c.Conn.(interface{ CloseWrite() error }).CloseWrite() }

// scarceLab is a TCP service on :10000 whose port has n descriptors.
func scarceLab(t *testing.T, n int) (*lab, *scarce) {
	l := newLab(t)
	s := &scarce{left: n}
	l.proxy.listen = s.listen(l.net.Host("10.0.0.1").Listen)
	ln, err := l.net.Host("10.0.0.2").Listen(t.Context(), "tcp", "10.0.0.2:80")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { io.Copy(c, c); c.Close() }()
		}
	}()
	conf := web("10.0.0.2:80")
	conf.Frontends[0].Mode, conf.Backends[0].Mode = TCP, TCP
	l.apply(conf)
	return l, s
}

func echoed(t *testing.T, c net.Conn) {
	t.Helper()
	fmt.Fprint(c, "hello")
	b := make([]byte, 5)
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "hello" {
		t.Errorf("echo %q, %v", b, err)
	}
}

// TestAcceptGoesOnWhenAConnectionCloses: the one that waits is served at that
// instant, after one failed attempt.
func TestAcceptGoesOnWhenAConnectionCloses(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l, s := scarceLab(t, 1)
		first := l.dial("10000")
		echoed(t, first)
		second := l.dial("10000")
		defer second.Close()
		synctest.Wait()
		if s.failed() != 1 {
			t.Fatalf("%d attempts without a descriptor, want 1", s.failed())
		}
		took(t, 0, func() {
			first.Close()
			echoed(t, second)
		})
	})
}

// TestAcceptGoesOnByItself: the descriptors belong to others, who give one
// back without the proxy hearing of it.
func TestAcceptGoesOnByItself(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l, s := scarceLab(t, 0)
		c := l.dial("10000")
		defer c.Close()
		time.Sleep(time.Minute)
		if n := s.failed(); n < 60 || n > 70 {
			t.Errorf("%d attempts in a minute, want one each second after a quick beginning", n)
		}
		start := time.Now()
		s.give()
		echoed(t, c)
		if d := time.Since(start); d > lastPause {
			t.Errorf("served after %v, want at most %v", d, lastPause)
		}
	})
}

// TestCloseEndsAWaitingAccept: nothing is left behind, and nothing is waited
// for.
func TestCloseEndsAWaitingAccept(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l, s := scarceLab(t, 0)
		c := l.dial("10000")
		defer c.Close()
		time.Sleep(10 * time.Second)
		before := s.failed()
		took(t, 0, l.proxy.Close)
		time.Sleep(time.Minute)
		if s.failed() != before {
			t.Errorf("%d attempts after the end", s.failed()-before)
		}
	})
}
