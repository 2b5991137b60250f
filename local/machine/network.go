//go:build unix

package machine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/mesoslab/lab/local/engine"
	"github.com/mesoslab/lab/local/folder"
	"github.com/mesoslab/lab/local/handoff"
	"github.com/mesoslab/lab/local/silence"
)

// network is everything the machine listens on, and the way out.
type network struct {
	ip    string
	hosts handoff.Hosts
	dial  func(ctx context.Context, network, address string) (net.Conn, error)

	mu        sync.Mutex
	change    *sync.Cond
	open      map[*socket]struct{}
	hushed    bool
	accepting int // calls of Accept that are inside the kernel
	quiet     silence.List
}

func newNetwork(ip string, hosts handoff.Hosts) *network {
	n := &network{ip: ip, hosts: hosts, dial: handoff.Dialer(ip, hosts), open: map[*socket]struct{}{}}
	n.change = sync.NewCond(&n.mu)
	return n
}

// listener is one of the kernel's.
type listener interface {
	net.Listener
	syscall.Conn
	SetDeadline(time.Time) error
}

// socket is one listener of the machine. It keeps its handle while a child
// accepts on it.
type socket struct {
	inner listener
	net   *network

	// guarded by net.mu
	program  string
	pid      int
	deadline time.Time
	fillers  []net.Conn
	quiet    bool // it refuses connections
}

// listen opens a listener. TCP listens on the machine's own address, which the
// wildcard and loopback also mean; unix takes a path of this process.
func (n *network) listen(ctx context.Context, network, address string) (*socket, error) {
	switch network {
	case "tcp", "tcp4":
		own, err := n.own(address)
		if err != nil {
			return nil, err
		}
		address, network = own, "tcp4"
	case "unix":
	default:
		return nil, fmt.Errorf("listen %s %s: a machine has tcp and unix", network, address)
	}
	return n.add(false, func() (listener, error) {
		var lc net.ListenConfig
		lc.SetMultipathTCP(false) // its sockets could not be cut off
		l, err := lc.Listen(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return l.(listener), nil // TCP's and unix' both are
	})
}

// bind opens a TCP listener that refuses connections until SetQuiet(false).
func (n *network) bind(address string) (*socket, error) {
	own, err := n.own(address)
	if err != nil {
		return nil, err
	}
	port, err := netip.ParseAddrPort(own)
	if err != nil {
		return nil, fmt.Errorf("listen %s: %w", address, err)
	}
	return n.add(true, func() (listener, error) {
		l, err := engine.Bind(port)
		if err != nil {
			return nil, err // and no listener, which a nil *net.TCPListener would be
		}
		return l, nil
	})
}

// add takes in a listener that is opened when the machine has power, and quiet
// or not.
func (n *network) add(quiet bool, open func() (listener, error)) (*socket, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for n.hushed { // a machine without power opens nothing new
		n.change.Wait()
	}
	l, err := open()
	if err != nil {
		return nil, err
	}
	if len(n.quiet) > 0 {
		if err := n.quiet.Socket(l); err != nil {
			return nil, errors.Join(err, l.Close())
		}
	}
	s := &socket{net: n, program: "lab", pid: os.Getpid(), inner: l, quiet: quiet}
	n.open[s] = struct{}{}
	return s, nil
}

// own returns the address that a program of this machine means by address.
func (n *network) own(address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", fmt.Errorf("listen %s: %w", address, err)
	}
	a, err := n.hosts.Resolve(n.ip, host)
	if err != nil {
		return "", fmt.Errorf("listen %s: %w", address, err)
	}
	if a.String() != n.ip {
		return "", &net.OpError{Op: "listen", Net: "tcp", Addr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(a, 0)), Err: os.NewSyscallError("bind", syscall.EADDRNOTAVAIL)}
	}
	return net.JoinHostPort(n.ip, port), nil
}

// dialLab dials within the lab only; unix paths are paths on the machine.
func (n *network) dialLab(ctx context.Context, network, address string) (net.Conn, error) {
	if network == "unix" {
		return n.dial(ctx, network, "root/"+strings.TrimLeft(address, "/"))
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	hosts := n.known()
	to, err := hosts.Resolve(n.ip, host)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	if to.String() != n.ip && !slices.Contains(slices.Collect(maps.Values(hosts)), to.String()) {
		return nil, fmt.Errorf("dial %s: not an address of this lab: %w", address, syscall.ENETUNREACH)
	}
	return n.dial(ctx, network, net.JoinHostPort(to.String(), port))
}

// known are the lab's machines as of now: some may have been added since this
// one booted.
func (n *network) known() handoff.Hosts {
	s, err := folder.Folder(".").Settings()
	if err != nil {
		return n.hosts
	}
	return handoff.Hosts(s.Hosts)
}

// Addr implements net.Listener.
func (s *socket) Addr() net.Addr { return s.inner.Addr() }

// Unwrap gives the kernel's listener, for handing it over.
func (s *socket) Unwrap() net.Listener { return s.inner }

// Close closes the machine's handle.
func (s *socket) Close() error {
	s.net.mu.Lock()
	delete(s.net.open, s)
	for _, f := range s.fillers {
		f.Close()
	}
	s.fillers = nil
	s.net.mu.Unlock()
	return s.inner.Close()
}

// SetDeadline bounds Accept.
func (s *socket) SetDeadline(t time.Time) error {
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	s.deadline = t
	if s.net.hushed {
		return nil
	}
	return s.inner.SetDeadline(t)
}

// SetQuiet makes the socket refuse connections and keep its port, or listen
// again: a published port behind which nobody listens yet. A hushed machine
// refuses nobody; what is asked for then comes with its voice.
func (s *socket) SetQuiet(on bool) error {
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	if s.quiet == on {
		return nil
	}
	if s.net.hushed {
		if runtime.GOOS != "linux" {
			return errors.ErrUnsupported
		}
		s.quiet = on
		return nil
	}
	err := engine.Quiet(s.inner, on)
	if err == nil {
		s.quiet = on
	}
	return err
}

// Accept waits for a connection. While the machine is hushed nobody is inside
// the kernel's accept: it would take the connection that fills the backlog.
func (s *socket) Accept() (net.Conn, error) {
	n := s.net
	for {
		n.mu.Lock()
		for n.hushed {
			n.change.Wait()
		}
		n.accepting++
		n.mu.Unlock()

		c, err := s.inner.Accept()

		n.mu.Lock()
		n.accepting--
		again := n.hushed && errors.Is(err, os.ErrDeadlineExceeded)
		n.change.Broadcast()
		n.mu.Unlock()
		if !again {
			return c, err
		}
	}
}

// setOwner says whose socket it is, for ss.
func (s *socket) setOwner(program string, pid int) {
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	s.program, s.pid = program, pid
}

// sockets finds the machine's sockets behind a listener.
func sockets(l net.Listener) []*socket {
	switch l := l.(type) {
	case *socket:
		return []*socket{l}
	case interface{ Unwrap() []net.Listener }:
		var out []*socket
		for _, inner := range l.Unwrap() {
			out = append(out, sockets(inner)...)
		}
		return out
	}
	return nil
}

// list returns the sockets in the order of their addresses.
func (n *network) list() []*socket {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []*socket
	for s := range n.open {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b *socket) int { return strings.Compare(a.Addr().String(), b.Addr().String()) })
	return out
}

// hush makes every listener deaf until speak.
func (n *network) hush(ctx context.Context) error {
	n.mu.Lock()
	n.hushed = true
	var errs []error
	for s := range n.open {
		errs = append(errs, s.inner.SetDeadline(time.Unix(1, 0)))
	}
	for n.accepting > 0 {
		n.change.Wait()
	}
	n.mu.Unlock()
	var wg sync.WaitGroup
	results := make(chan error, len(n.list()))
	for _, s := range n.list() {
		wg.Go(func() { results <- s.plug(ctx) })
	}
	wg.Wait()
	close(results)
	for err := range results {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// plug shrinks the backlog to nothing and fills what is left of it.
func (s *socket) plug(ctx context.Context) error {
	s.net.mu.Lock()
	quiet := s.quiet
	s.net.mu.Unlock()
	if quiet { // without power nobody is refused, either
		if err := engine.Quiet(s.inner, false); err != nil {
			return fmt.Errorf("hush %s: %w", s.Addr(), err)
		}
	}
	if err := setBacklog(s.inner, hushedBacklog); err != nil {
		return fmt.Errorf("hush %s: %w", s.Addr(), err)
	}
	for range fillersWanted {
		// A dial that does not come through meets a backlog that is full.
		limited, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		c, err := s.net.dial(limited, s.Addr().Network(), s.Addr().String())
		cancel()
		if err != nil {
			return nil
		}
		s.net.mu.Lock()
		s.fillers = append(s.fillers, c)
		s.net.mu.Unlock()
	}
	return nil
}

// speak undoes hush.
func (n *network) speak() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	var errs []error
	for s := range n.open {
		errs = append(errs, setBacklog(s.inner, fullBacklog), s.inner.SetDeadline(s.deadline))
		for _, f := range s.fillers {
			f.Close()
		}
		s.fillers = nil
		if s.quiet {
			errs = append(errs, engine.Quiet(s.inner, true))
		}
	}
	n.hushed = false
	n.change.Broadcast()
	return errors.Join(errs...)
}

// unheard is what listeners to come shall not hear.
func (n *network) unheard() silence.List {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.quiet
}

// setBacklog calls listen(2) again on a live listener.
func setBacklog(l syscall.Conn, backlog int) error {
	raw, err := l.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = syscall.Listen(int(fd), backlog) }); err != nil {
		return err
	}
	return inner
}

// fullBacklog is what Go asks for; the kernel knows its own limit.
const fullBacklog = 65535
