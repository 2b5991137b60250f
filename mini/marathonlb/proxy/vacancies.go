package proxy

import (
	"context"
	"net"
	"sync"
	"time"
)

// vacancies says when a connection of the proxy has closed: a descriptor came
// back.
type vacancies struct {
	mu     sync.Mutex
	change chan struct{} // nil while nobody asks
}

// next is closed as soon as the next connection has closed.
func (v *vacancies) next() <-chan struct{} {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.change == nil {
		v.change = make(chan struct{})
	}
	return v.change
}

func (v *vacancies) announce() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.change != nil {
		close(v.change)
		v.change = nil
	}
}

// hold returns c with its Close announced.
func (v *vacancies) hold(c net.Conn) net.Conn { return &heldConn{Conn: c, from: v} }

type heldConn struct {
	net.Conn
	from *vacancies
	once sync.Once
}

func (c *heldConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.from.announce)
	return err
}

// CloseWrite passes a half-close on where the connection knows one.
func (c *heldConn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return c.Close()
}

// The pause between two attempts to accept, where no connection of the proxy
// closes meanwhile: it doubles.
const (
	firstPause = 10 * time.Millisecond
	lastPause  = time.Second
)

// pause waits after a failed accept until one of the proxy's connections has
// closed, or for a while: the descriptors may belong to others. false means
// that ctx ended.
type pause struct{ length time.Duration }

func (p *pause) wait(ctx context.Context, vacancy <-chan struct{}) bool {
	p.length = min(max(2*p.length, firstPause), lastPause)
	t := time.NewTimer(p.length)
	defer t.Stop()
	select {
	case <-vacancy:
	case <-t.C:
	case <-ctx.Done():
		return false
	}
	return true
}

func (p *pause) reset() { p.length = 0 }
