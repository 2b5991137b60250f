//go:build unix

package machine

import (
	"context"
	"errors"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesoslab/lab/internal/labtest/bubble"
)

// scarce is a listener of a computer with few descriptors: it gives what is
// put into it.
type scarce struct {
	net.Listener
	next   chan any // a net.Conn or an error
	closed chan struct{}
}

func (s *scarce) Accept() (net.Conn, error) {
	select {
	case x := <-s.next:
		if c, ok := x.(net.Conn); ok {
			return c, nil
		}
		return nil, x.(error)
	case <-s.closed:
		return nil, net.ErrClosed
	}
}

func TestAcceptGoesOnWhenAConnectionHasEnded(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := &scarce{next: make(chan any), closed: make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		end, served, failures := make(chan struct{}), 0, 0
		done := make(chan struct{})
		go func() {
			defer close(done)
			acceptEach(ctx, l, func(c net.Conn) { served++; <-end; c.Close() }, func(err error) {
				if !errors.Is(err, syscall.EMFILE) {
					t.Errorf("%v", err)
				}
				failures++
			})
		}()
		conn := func() net.Conn { c, _ := net.Pipe(); return c }
		start := time.Now()
		l.next <- conn()
		l.next <- syscall.EMFILE
		synctest.Wait()
		if served != 1 || failures != 1 {
			t.Fatalf("served %d, failed %d", served, failures)
		}
		end <- struct{}{} // the first connection ends: the next accept is at once
		l.next <- conn()
		synctest.Wait()
		if d := time.Since(start); d != 0 || served != 2 {
			t.Errorf("after %v %d served: a connection had ended", d, served)
		}
		// Nobody here ends: others may, so it is tried again.
		l.next <- syscall.EMFILE
		failed := time.Now()
		l.next <- conn()
		if d := time.Since(failed); d != firstPause {
			t.Errorf("tried again after %v, want %v", d, firstPause)
		}
		close(end)
		synctest.Wait()
		close(l.closed)
		<-done
	})
}

func TestAcceptPauseGrowsAndEndsWithTheContext(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := &scarce{next: make(chan any), closed: make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			acceptEach(ctx, l, func(net.Conn) {}, func(error) {})
		}()
		l.next <- syscall.EMFILE
		for want := firstPause; want < 4*lastPause; want *= 2 {
			start := time.Now()
			l.next <- syscall.EMFILE
			if d := time.Since(start); d != min(want, lastPause) {
				t.Errorf("a pause of %v, want %v", d, min(want, lastPause))
			}
		}
		cancel()
		synctest.Wait()
		close(l.closed)
		<-done
	})
}
