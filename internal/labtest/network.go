package labtest

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
)

// Network is an in-memory TCP network of hosts that can be cut, mended and
// crashed. Connections are buffered (net.Pipe is not: pipelining and event
// streams deadlock on it) and use only channels and condition variables, so
// they work inside a testing/synctest bubble.
type Network struct {
	mu        sync.Mutex
	listeners map[string]*listener // by "ip:port"
	conns     map[*conn]struct{}
	cut       map[string]bool    // hosts nobody reaches
	between   map[[2]string]bool // ordered pairs that do not reach each other
	nextPort  int
	changed   chan struct{} // closed and replaced whenever reachability changes
}

// NewNetwork returns an empty network.
func NewNetwork() *Network {
	return &Network{
		listeners: map[string]*listener{},
		conns:     map[*conn]struct{}{},
		cut:       map[string]bool{},
		between:   map[[2]string]bool{},
		nextPort:  40000,
		changed:   make(chan struct{}),
	}
}

// Host returns the view of one host. Hosts exist as soon as they are named.
func (n *Network) Host(ip string) *Host { return &Host{net: n, ip: ip} }

// Cut makes a host silent: what it sends and what is sent to it is held back
// until Mend, new connections hang. Nobody is told.
func (n *Network) Cut(ip string) { n.change(func() { n.cut[ip] = true }) }

// Mend ends a Cut; what was held back arrives.
func (n *Network) Mend(ip string) { n.change(func() { delete(n.cut, ip) }) }

// CutBetween makes two hosts silent to each other only.
func (n *Network) CutBetween(a, b string) { n.change(func() { n.between[pair(a, b)] = true }) }

// MendBetween ends a CutBetween.
func (n *Network) MendBetween(a, b string) { n.change(func() { delete(n.between, pair(a, b)) }) }

// Crash ends everything on a host the way a kernel does for dead processes:
// listeners close, open connections are reset, later dials are refused.
func (n *Network) Crash(ip string) {
	n.mu.Lock()
	var ls []*listener
	var cs []*conn
	for _, l := range n.listeners {
		if l.addr.ip == ip {
			ls = append(ls, l)
		}
	}
	for c := range n.conns {
		if c.local.ip == ip {
			cs = append(cs, c)
		}
	}
	n.mu.Unlock()
	for _, l := range ls {
		l.Close()
	}
	for _, c := range cs {
		c.reset()
	}
}

func (n *Network) change(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
	close(n.changed)
	n.changed = make(chan struct{})
	for c := range n.conns {
		c.in.setSilent(!n.hear(c.in.from, c.in.to))
	}
}

// hear reports whether a and b hear each other. The caller holds the lock.
func (n *Network) hear(a, b string) bool {
	return !n.cut[a] && !n.cut[b] && !n.between[pair(a, b)]
}

// reachable reports whether a and b hear each other, and a channel that is
// closed when that may have changed.
func (n *Network) reachable(a, b string) (bool, <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.hear(a, b), n.changed
}

func pair(a, b string) [2]string {
	if a > b {
		a, b = b, a
	}
	return [2]string{a, b}
}

// Host is one address of a Network; its methods have the signatures of
// mini.Env's Listen and Dial.
type Host struct {
	net *Network
	ip  string
}

// Listen opens a listener. A wildcard or empty host means this host, port 0
// picks a free one.
func (h *Host) Listen(_ context.Context, network, address string) (net.Listener, error) {
	if network != "tcp" && network != "tcp4" {
		return nil, fmt.Errorf("listen %s %s: network not supported in memory", network, address)
	}
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if a, err := netip.ParseAddr(host); host == "" || (err == nil && a.IsUnspecified()) {
		host = h.ip
	}
	if host != h.ip {
		return nil, &net.OpError{Op: "listen", Net: network, Err: syscall.EADDRNOTAVAIL}
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return nil, fmt.Errorf("listen %s: %w", address, err)
	}
	n := h.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if port == 0 {
		port = n.freePort()
	}
	l := &listener{net: n, addr: addr{host, port}, queue: make(chan *conn, 128), done: make(chan struct{})}
	if _, taken := n.listeners[l.addr.String()]; taken {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: l.addr, Err: syscall.EADDRINUSE}
	}
	n.listeners[l.addr.String()] = l
	return l, nil
}

// freePort hands out ports that no other part of the network has.
func (n *Network) freePort() int {
	n.nextPort++
	return n.nextPort
}

// Dial opens a connection from this host. It hangs while the other host is
// cut and is refused where nobody listens.
func (h *Host) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if host == "localhost" || host == "" {
		host = h.ip
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	remote := addr{host, port}
	fail := func(err error) error { return &net.OpError{Op: "dial", Net: network, Addr: remote, Err: err} }
	for {
		ok, changed := h.net.reachable(h.ip, host)
		if ok {
			break
		}
		select {
		case <-ctx.Done():
			return nil, fail(ctx.Err())
		case <-changed:
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, fail(err)
	}
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	l := h.net.listeners[remote.String()]
	if l == nil {
		return nil, fail(syscall.ECONNREFUSED)
	}
	client, server := newConnPair(h.net, addr{h.ip, h.net.freePort()}, remote)
	select {
	case l.queue <- server:
	default:
		return nil, fail(syscall.ECONNREFUSED)
	}
	h.net.conns[client] = struct{}{}
	h.net.conns[server] = struct{}{}
	return client, nil
}

type addr struct {
	ip   string
	port int
}

func (addr) Network() string  { return "tcp" }
func (a addr) String() string { return net.JoinHostPort(a.ip, strconv.Itoa(a.port)) }

type listener struct {
	net   *Network
	addr  addr
	queue chan *conn
	once  sync.Once
	done  chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case <-l.done:
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.addr, Err: net.ErrClosed}
	case c := <-l.queue:
		return c, nil
	}
}

func (l *listener) Close() error {
	l.once.Do(func() {
		l.net.mu.Lock()
		delete(l.net.listeners, l.addr.String())
		l.net.mu.Unlock()
		close(l.done)
		for {
			select {
			case c := <-l.queue:
				c.reset()
			default:
				return
			}
		}
	})
	return nil
}

func (l *listener) Addr() net.Addr { return l.addr }
