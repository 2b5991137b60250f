// Package ports holds the published ports of a container: sockets that are
// open for the container's whole life and answer on behalf of the program
// inside.
//
// While the program inside does not listen, connections are refused: so does
// the kernel inside of a real container, to which dockerd's rules lead them
// (a load balancer that is refused asks another server; one that is accepted
// and reset has lost a request). Where the system cannot do that, and for
// sockets that are none of the kernel's, they are accepted and reset, as
// docker-proxy does. Once the program accepts, it gets the connections; when it
// closes its listener, they are refused again. A claim can also hand out the
// sockets themselves (Unwrap), for programs that live in another process.
package ports

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Published is one container port. Safe for concurrent use.
type Published struct {
	raw []net.Listener
	wg  sync.WaitGroup

	mu     sync.Mutex
	user   *listener
	handed bool
	closed bool
	quiet  bool // the sockets refuse; nothing is accepted
}

// Publish starts to answer on the sockets, which it owns from now on.
func Publish(raw []net.Listener) *Published {
	p := &Published{raw: raw}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hush()
	return p
}

// hush makes the sockets refuse; mu is held. Those that cannot go on accepting.
func (p *Published) hush() {
	if p.closed {
		return
	}
	p.quiet = true
	for i, l := range p.raw {
		if quiet(l, true) == nil {
			continue
		}
		p.quiet = false
		for _, l := range p.raw[:i] {
			quiet(l, false) // it was silenced, so it can
		}
		p.serve()
		return
	}
}

// rouse takes hush back, for the program that has claimed the port; mu is held.
func (p *Published) rouse() error {
	if !p.quiet || p.closed {
		return nil
	}
	p.quiet = false
	for _, l := range p.raw {
		if err := quiet(l, false); err != nil {
			return err
		}
	}
	return nil
}

// serve starts to accept; mu is held.
func (p *Published) serve() {
	if p.closed {
		return
	}
	for _, l := range p.raw {
		p.wg.Go(func() { p.accept(l) })
	}
}

// accept passes connections to whoever listens now, until the socket is
// closed or handed out.
func (p *Published) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			p.mu.Lock()
			over := p.closed || p.handed || p.quiet
			p.mu.Unlock()
			if over || !temporary(err) {
				return
			}
			continue
		}
		p.mu.Lock()
		user := p.user
		p.mu.Unlock()
		if user == nil || !user.offer(c) {
			reset(c)
		}
	}
}

// quiet makes a listener refuse connections, or listen again. One that is more
// than the kernel's own has to do it itself.
func quiet(l net.Listener, on bool) error {
	switch l := l.(type) {
	case interface{ SetQuiet(bool) error }:
		return l.SetQuiet(on)
	case syscall.Conn:
		return Quiet(l, on)
	}
	return errors.ErrUnsupported
}

// temporary tells errors of one connection from the end of the socket.
func temporary(err error) bool {
	return errors.Is(err, syscall.ECONNABORTED) || errors.Is(err, syscall.EINTR)
}

func reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		t.SetLinger(0)
	}
	c.Close()
}

// Listen claims the port for the program inside. A port that is claimed
// already gives EADDRINUSE.
func (p *Published) Listen() (net.Listener, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed:
		return nil, fmt.Errorf("listen: %w", net.ErrClosed)
	case p.user != nil:
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: p.raw[0].Addr(), Err: os.NewSyscallError("bind", syscall.EADDRINUSE)}
	}
	waiting := p.quiet // until the first Accept connections wait in the kernel
	if err := p.rouse(); err != nil {
		p.hush()
		return nil, &net.OpError{Op: "listen", Net: "tcp", Addr: p.raw[0].Addr(), Err: err}
	}
	p.user = &listener{p: p, conns: make(chan net.Conn), done: make(chan struct{}), waiting: waiting}
	return p.user, nil
}

// Close closes the sockets and waits until nothing is accepted any more.
func (p *Published) Close() error {
	p.mu.Lock()
	user := p.user
	p.closed, p.user = true, nil
	p.mu.Unlock()
	if user != nil {
		user.end()
	}
	var errs error
	for _, l := range p.raw {
		errs = errors.Join(errs, l.Close())
	}
	p.wg.Wait()
	return errs
}

// release ends the claim of u.
func (p *Published) release(u *listener) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.user != u {
		return
	}
	p.user = nil
	handed := p.handed
	p.handed = false
	for _, l := range p.raw {
		if quiet(l, true) != nil {
			if handed {
				p.serve() // nobody accepts any more
			}
			return
		}
		p.quiet = true
	}
}

// listener is the program's end of a published port.
type listener struct {
	p     *Published
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once

	waiting bool // nobody accepts from the sockets yet; under p.mu
}

func (l *listener) offer(c net.Conn) bool {
	select {
	case l.conns <- c:
		return true
	case <-l.done:
		return false
	}
}

func (l *listener) end() { l.once.Do(func() { close(l.done) }) }

// Accept waits for the next connection to any of the host ports.
func (l *listener) Accept() (net.Conn, error) {
	l.p.mu.Lock()
	if l.waiting && l.p.user == l && !l.p.handed {
		l.waiting = false
		l.p.serve()
	}
	l.p.mu.Unlock()
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.Addr(), Err: net.ErrClosed}
	}
}

// Addr is the first host port's address.
func (l *listener) Addr() net.Addr { return l.p.raw[0].Addr() }

// Close gives the claim back: the sockets stay open and refuse connections
// again. After Unwrap it means that the other process has closed its copies.
func (l *listener) Close() error {
	l.end()
	l.p.release(l)
	return nil
}

// Unwrap hands out the sockets themselves: until Close this process accepts
// nothing on them, and Accept fails. The sockets must have SetDeadline, as a
// *net.TCPListener has; else they are not handed out (nil). They still belong
// to the Published: pass copies on, do not close them.
func (l *listener) Unwrap() []net.Listener {
	type deadliner interface{ SetDeadline(time.Time) error }
	p := l.p
	for _, raw := range p.raw {
		if _, ok := raw.(deadliner); !ok {
			return nil
		}
	}
	l.end() // a connection on its way to Accept is reset
	p.mu.Lock()
	again, mine := p.handed || l.waiting, p.user == l
	p.handed = p.handed || mine
	p.mu.Unlock()
	if !mine {
		return nil
	}
	if again { // this process accepts nothing anyway
		return p.raw
	}
	for _, raw := range p.raw {
		raw.(deadliner).SetDeadline(time.Unix(1, 0))
	}
	p.wg.Wait()
	for _, raw := range p.raw {
		raw.(deadliner).SetDeadline(time.Time{})
	}
	return p.raw
}
