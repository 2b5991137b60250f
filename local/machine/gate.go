//go:build unix

package machine

import (
	"net"
	"sync"
)

// apiGate stands between a server and its connections. While it is shut, nothing
// passes in either direction: to clients the server looks like a process that
// was stopped. The kernel still takes connections for it.
type apiGate struct {
	mu     sync.Mutex
	change *sync.Cond
	isShut bool
	conns  map[*gatedConn]struct{}
}

func newGate() *apiGate {
	g := &apiGate{conns: map[*gatedConn]struct{}{}}
	g.change = sync.NewCond(&g.mu)
	return g
}

// set shuts or opens the gate.
func (g *apiGate) set(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.isShut = shut
	g.change.Broadcast()
}

// drop closes all connections, also those that a server has given away.
func (g *apiGate) drop() {
	g.mu.Lock()
	var all []*gatedConn
	for c := range g.conns {
		all = append(all, c)
	}
	g.mu.Unlock()
	for _, c := range all {
		c.Close()
	}
}

// guard returns a listener whose connections pass the gate.
func (g *apiGate) guard(l net.Listener) net.Listener { return gatedListener{l, g} }

type gatedListener struct {
	net.Listener
	gate *apiGate
}

func (l gatedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	gated := &gatedConn{Conn: c, gate: l.gate}
	l.gate.mu.Lock()
	defer l.gate.mu.Unlock()
	l.gate.conns[gated] = struct{}{}
	return gated, nil
}

type gatedConn struct {
	net.Conn
	gate   *apiGate
	closed bool // guarded by gate.mu
}

// pass waits until the gate is open or the connection closed.
func (c *gatedConn) pass() {
	g := c.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.isShut && !c.closed {
		g.change.Wait()
	}
}

func (c *gatedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.pass()
	return n, err
}

func (c *gatedConn) Write(b []byte) (int, error) {
	c.pass()
	return c.Conn.Write(b)
}

// CloseWrite ends what is sent, where the connection can.
func (c *gatedConn) CloseWrite() error {
	c.pass()
	if half, ok := c.Conn.(closeWriter); ok {
		return half.CloseWrite()
	}
	return c.Close()
}

func (c *gatedConn) Close() error {
	g := c.gate
	g.mu.Lock()
	delete(g.conns, c)
	c.closed = true
	g.change.Broadcast()
	g.mu.Unlock()
	return c.Conn.Close()
}
