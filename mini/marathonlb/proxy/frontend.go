package proxy

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
)

// port is one bound address. It outlives the frontends it feeds, so that a
// renamed frontend, or one of another mode, keeps the port open.
type port struct {
	listener net.Listener
	front    atomic.Pointer[frontend]
}

// accept hands connections to the frontend of the moment until the port is
// closed or ctx ends. An accept that fails (no descriptor is left) is tried
// again when a connection has closed; a full frontend accepts when one of its
// own has, and the kernel lets the others wait.
func (p *port) accept(ctx context.Context, v *vacancies) {
	var pause pause
	for {
		vacancy := v.next() // before the accept: no close is missed
		if p.front.Load().full() {
			select {
			case <-vacancy:
				continue
			case <-ctx.Done():
				return
			}
		}
		c, err := p.listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || !pause.wait(ctx, vacancy) {
				return
			}
			continue
		}
		pause.reset()
		c = v.hold(c)
		f := p.front.Load()
		for f != nil && !f.take(c) {
			next := p.front.Load() // f has just been replaced
			if next == f {
				next = nil
			}
			f = next
		}
		if f == nil {
			c.Close()
		}
	}
}

// frontend is one frontend while any configuration lists it.
type frontend struct {
	proxy    *Proxy
	name     string
	mode     Mode
	counters counters
	conf     atomic.Pointer[routes]
	http     *http.Server // nil in TCP mode
	queue    *handover

	mu     sync.Mutex
	closed bool                  // takes no new connections
	idle   bool                  // HTTP mode: closed, and the last request has ended
	conns  map[net.Conn]struct{} // TCP mode
}

// routes are a frontend's rules with their backends looked up.
type routes struct {
	bind     string
	rules    []Rule
	targets  []*backend
	fallback *backend
}

func (p *Proxy) newFrontend(name string, mode Mode) *frontend {
	f := &frontend{proxy: p, name: name, mode: mode, conns: map[net.Conn]struct{}{}}
	if mode == HTTP {
		f.queue = newHandover()
		f.http = &http.Server{
			Handler:           http.HandlerFunc(f.serveHTTP),
			ReadHeaderTimeout: p.limits.Request,
			IdleTimeout:       p.limits.KeepAlive,
			ErrorLog:          p.silent,
			ConnState:         f.connState,
			BaseContext:       func(net.Listener) context.Context { return p.ctx },
			ConnContext: func(ctx context.Context, c net.Conn) context.Context {
				return context.WithValue(ctx, clientKey{}, c)
			},
		}
		p.tasks.Go(func() { _ = f.http.Serve(f.queue) })
	}
	return f
}

// full says that it has as many connections as it takes ("maxconn").
func (f *frontend) full() bool {
	return f.counters.cur.Load() >= int64(f.proxy.limits.MaxConnection)
}

// gone counts a connection out, and tells a port that waits for that.
func (f *frontend) gone() {
	f.counters.end()
	f.proxy.vacancies.announce()
}

// take serves a connection and returns at once; false means that the
// frontend has closed.
func (f *frontend) take(c net.Conn) bool {
	counted := &countedConn{Conn: c,
		read:    []*atomic.Int64{&f.counters.in},
		written: []*atomic.Int64{&f.counters.out}}
	if f.mode == HTTP {
		f.counters.begin() // here, so that the port knows it when it accepts the next
		if !f.queue.give(newClientConn(counted, &f.counters)) {
			f.gone()
			return false
		}
		return true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return false
	}
	f.conns[counted] = struct{}{}
	f.counters.begin()
	f.proxy.tasks.Go(func() {
		f.serveTCP(counted)
		f.mu.Lock()
		delete(f.conns, counted)
		f.mu.Unlock()
		f.gone()
	})
	return true
}

func (f *frontend) connState(c net.Conn, s http.ConnState) {
	switch s {
	case http.StateActive:
		c.(*clientConn).busy()
	case http.StateIdle:
		c.(*clientConn).idle()
	case http.StateClosed, http.StateHijacked:
		f.gone()
	}
}

// drain takes nothing new and lets requests and connections under way end.
func (f *frontend) drain() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	if f.http == nil {
		return // TCP connections end by themselves
	}
	f.proxy.tasks.Go(func() {
		// Shutdown closes the queue and idle connections and waits for the
		// others; it gives up when the proxy closes.
		if err := f.http.Shutdown(f.proxy.ctx); err != nil {
			f.http.Close()
		}
		f.mu.Lock()
		f.idle = true
		f.mu.Unlock()
	})
}

// finished says that a drained frontend has nothing under way.
func (f *frontend) finished() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.closed && (f.idle || f.http == nil && len(f.conns) == 0)
}

// kill ends everything.
func (f *frontend) kill() {
	if f.http != nil {
		f.http.Close()
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for c := range f.conns {
		c.Close()
	}
}

// route finds the backend for a request; nil means that there is none.
func (f *frontend) route(r *http.Request) *backend {
	routes := f.conf.Load()
	for i, rule := range routes.rules {
		if rule.matches(r) {
			return routes.targets[i]
		}
	}
	return routes.fallback
}

func (rule Rule) matches(r *http.Request) bool {
	host := len(rule.Hosts) == 0
	for _, h := range rule.Hosts {
		host = host || strings.EqualFold(h, r.Host)
	}
	return host && strings.HasPrefix(r.URL.Path, rule.Path) &&
		(rule.AppID == "" || strings.EqualFold(rule.AppID, r.Header.Get("X-Marathon-App-Id")))
}

// handover is a listener that is fed with connections accepted elsewhere.
type handover struct {
	conns  chan net.Conn
	done   context.Context
	finish context.CancelFunc
}

func newHandover() *handover {
	done, finish := context.WithCancel(context.Background())
	return &handover{conns: make(chan net.Conn), done: done, finish: finish}
}

// give waits until c is accepted; false means that the listener is closed.
func (h *handover) give(c net.Conn) bool {
	select {
	case h.conns <- c:
		return true
	case <-h.done.Done():
		return false
	}
}

func (h *handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.done.Done():
		return nil, net.ErrClosed
	}
}

func (h *handover) Close() error   { h.finish(); return nil }
func (h *handover) Addr() net.Addr { return &net.TCPAddr{} }
