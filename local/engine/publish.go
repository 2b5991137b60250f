package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"github.com/mesoslab/lab/local/engine/internal/api"
	"github.com/mesoslab/lab/local/engine/internal/ports"
)

// The host ports that are given out where none is asked for: Linux' ephemeral
// range, as dockerd reads it.
const (
	firstRandomPort = 32768
	lastRandomPort  = 60999
)

// bridged tells whether ports are published and containers have private ones.
func (r record) bridged() bool {
	return r.HostConfig.NetworkMode != "host" && r.HostConfig.NetworkMode != "none"
}

// wantedPorts are the bindings of a container, PublishAllPorts included.
func (r record) wantedPorts() api.PortMap {
	want := maps.Clone(r.HostConfig.PortBindings)
	if want == nil {
		want = api.PortMap{}
	}
	if r.HostConfig.PublishAllPorts {
		for p := range r.Config.ExposedPorts {
			if len(want[p]) == 0 {
				want[p] = []api.PortBinding{{}}
			}
		}
	}
	return want
}

// publish opens the published ports of a container. udp is left out.
func (e *Engine) publish(ctx context.Context, r record) (open map[int]*ports.Published, bound api.PortMap, err error) {
	open, bound = map[int]*ports.Published{}, api.PortMap{}
	if !r.bridged() {
		return open, bound, nil
	}
	defer func() {
		if err != nil {
			for _, p := range open {
				p.Close()
			}
		}
	}()
	want := r.wantedPorts()
	for _, key := range slices.Sorted(maps.Keys(want)) {
		number, proto, err := api.ParsePort(key)
		if err != nil {
			return open, nil, err
		}
		if proto != "tcp" || len(want[key]) == 0 {
			continue
		}
		var raw []net.Listener
		for _, b := range want[key] {
			l, shown, err := e.bind(ctx, b)
			if err != nil {
				for _, l := range raw {
					l.Close()
				}
				return open, nil, api.Errorf(500, "failed to set up container networking: driver failed programming external connectivity on endpoint %s (%s): %v", r.Name, r.ID, err)
			}
			raw = append(raw, l)
			bound[key] = append(bound[key], shown)
		}
		open[number] = ports.Publish(raw)
	}
	return open, bound, nil
}

// Bind opens a TCP socket of IPv4 that keeps its port and refuses connections
// until Quiet takes that back; errors.ErrUnsupported but on Linux.
func Bind(address netip.AddrPort) (*net.TCPListener, error) { return ports.Bind(address) }

// Quiet makes the kernel refuse connections to a listening TCP socket that
// keeps its port, or listen again. A listener of Config.Listen that wraps one
// offers SetQuiet(bool) error, made of this; else a published port accepts and
// resets connections while nobody listens inside. Linux only.
func Quiet(conn syscall.Conn, quiet bool) error { return ports.Quiet(conn, quiet) }

// bind opens one host port. The address shown is the one that answers.
func (e *Engine) bind(ctx context.Context, b api.PortBinding) (net.Listener, api.PortBinding, error) {
	host := b.HostIP
	if host == "" {
		host = "0.0.0.0"
	}
	first, last, err := api.ParseHostPort(b.HostPort)
	if err != nil {
		return nil, b, err
	}
	if !e.ours(host) {
		return nil, b, fmt.Errorf("failed to bind port %s:%s: cannot assign requested address: the machine has %s", host, b.HostPort, e.cfg.IP)
	}
	try := func(port int) (net.Listener, error) {
		address := net.JoinHostPort(e.cfg.IP, strconv.Itoa(port))
		if e.cfg.Bind != nil {
			if l, err := e.cfg.Bind(ctx, address); !errors.Is(err, errors.ErrUnsupported) {
				return l, err
			}
		}
		return e.cfg.Listen(ctx, "tcp", address)
	}
	var l net.Listener
	port := first
	if first == 0 {
		l, port, err = e.randomPort(ctx, try)
	} else {
		for ; port <= last; port++ {
			if l, err = try(port); err == nil {
				break
			}
		}
		port = min(port, last)
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, b, api.Conflict("Bind for %s:%d failed: port is already allocated", host, port)
	}
	if err != nil {
		return nil, b, fmt.Errorf("failed to bind port %s:%d: %w", host, port, err)
	}
	return l, api.PortBinding{HostIP: e.cfg.IP, HostPort: strconv.Itoa(port)}, nil
}

// randomPort takes the next free port of the range, round and round.
func (e *Engine) randomPort(ctx context.Context, try func(int) (net.Listener, error)) (l net.Listener, port int, err error) {
	for range lastRandomPort - firstRandomPort + 1 {
		e.mu.Lock()
		port = e.nextPort
		if e.nextPort++; e.nextPort > lastRandomPort {
			e.nextPort = firstRandomPort
		}
		e.mu.Unlock()
		l, err = try(port)
		if err == nil || !errors.Is(err, syscall.EADDRINUSE) || ctx.Err() != nil {
			return l, port, err
		}
	}
	return nil, 0, fmt.Errorf("all ports are allocated: %w", err)
}

// ours tells whether a host means this machine: its address, the wildcard or
// its loopback, which is the same address here.
func (e *Engine) ours(host string) bool {
	if host == "" || host == "localhost" || host == e.cfg.IP {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && (ip.IsUnspecified() || ip.Equal(net.IPv4(127, 0, 0, 1)) || ip.Equal(net.IPv6loopback))
}

// listen is Command.Listen of one life.
func (c *container) listen(ctx context.Context, l *life, r record, network, address string) (net.Listener, error) {
	if l.ctx.Err() != nil {
		return nil, fmt.Errorf("listen %s %s: container %s has ended", network, address, r.Name)
	}
	if network == "unix" {
		address = filepath.Join(c.dir(), "rootfs", filepath.FromSlash(path.Clean("/"+address)))
		return c.own(ctx, l, network, address)
	}
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("listen %s: %w", network, err)
	}
	if c.e.ours(host) || r.bridged() {
		host = c.e.cfg.IP
	}
	number, err := strconv.Atoi(service)
	if err != nil || number < 0 || number > 65535 {
		return nil, fmt.Errorf("listen %s %s: the port is no number", network, address)
	}
	if r.bridged() {
		if p := l.ports[number]; p != nil {
			return p.Listen()
		}
		number = 0
	}
	return c.own(ctx, l, network, net.JoinHostPort(host, strconv.Itoa(number)))
}

// own opens a socket that ends with the life.
func (c *container) own(ctx context.Context, l *life, network, address string) (net.Listener, error) {
	sock, err := c.e.cfg.Listen(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.ctx.Err() != nil {
		return nil, errors.Join(fmt.Errorf("listen %s %s: container has ended", network, address), sock.Close())
	}
	l.private = append(l.private, sock)
	return sock, nil
}
