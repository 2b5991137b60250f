package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"time"
)

// Network is what a Proxy may do on the network; the signatures are those of
// mini.Env.
type Network struct {
	Listen func(ctx context.Context, network, address string) (net.Listener, error)
	Dial   func(ctx context.Context, network, address string) (net.Conn, error)
}

// Proxy serves the Config in force.
type Proxy struct {
	ctx       context.Context
	cancel    context.CancelFunc
	listen    func(ctx context.Context, network, address string) (net.Listener, error)
	dial      func(ctx context.Context, network, address string) (net.Conn, error)
	limits    Limits
	log       func(format string, args ...any)
	silent    *log.Logger
	reverse   *httputil.ReverseProxy
	transport *http.Transport
	buffers   sync.Pool
	vacancies vacancies
	tasks     sync.WaitGroup
	started   time.Time

	gate sync.Mutex
	shut bool

	mu        sync.Mutex
	conf      Config
	ports     map[string]*port     // by bind
	frontends map[string]*frontend // by name
	backends  map[string]*backend  // by name
	leaving   map[*frontend]bool   // left the configuration, not yet idle
}

// New returns a Proxy that serves nothing yet. Logf gets a line whenever a
// server goes up or down.
func New(n Network, l Limits, logf func(format string, args ...any)) *Proxy {
	ctx, cancel := context.WithCancel(context.Background())
	p := &Proxy{
		ctx: ctx, cancel: cancel, listen: n.Listen, limits: l, log: logf,
		silent: log.New(io.Discard, "", 0), started: time.Now(),
		ports: map[string]*port{}, frontends: map[string]*frontend{},
		backends: map[string]*backend{}, leaving: map[*frontend]bool{},
	}
	p.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := n.Dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return p.vacancies.hold(c), nil
	}
	p.buffers.New = func() any { b := make([]byte, 16<<10); return &b } // HAProxy's bufsize
	p.transport = &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return ctx.Value(exchangeKey{}).(net.Conn), nil
		},
		DisableCompression:    true,
		ResponseHeaderTimeout: l.Server,
	}
	p.reverse = &httputil.ReverseProxy{
		Rewrite: rewrite, Transport: p, BufferPool: pool{&p.buffers},
		ErrorLog: p.silent, ErrorHandler: p.refuse,
	}
	return p
}

// pool hands a sync.Pool's buffers to httputil.
type pool struct{ *sync.Pool }

func (p pool) Get() []byte  { return *p.Pool.Get().(*[]byte) }
func (p pool) Put(b []byte) { p.Pool.Put(&b) }

// Apply brings c into force, or returns why it cannot and leaves the old
// configuration in force.
func (p *Proxy) Apply(ctx context.Context, c Config) error {
	if err := c.Validate(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		return errors.New("proxy is closed")
	}
	opened, err := p.open(ctx, c)
	if err != nil {
		return err
	}
	p.applyBackends(c)
	p.applyFrontends(c)
	for _, port := range opened {
		p.tasks.Go(func() { port.accept(p.ctx, &p.vacancies) })
	}
	p.conf = c
	return nil
}

// BindError is a frontend whose port cannot be bound.
type BindError struct {
	Frontend, Bind string
	Err            error
}

func (e *BindError) Error() string {
	return fmt.Sprintf("frontend %s: cannot bind %s: %v", e.Frontend, e.Bind, e.Err)
}

// Unwrap returns why.
func (e *BindError) Unwrap() error { return e.Err }

// open binds the ports that c needs and p does not have, all or none.
func (p *Proxy) open(ctx context.Context, c Config) (map[string]*port, error) {
	opened := map[string]*port{}
	for _, f := range c.Frontends {
		if p.ports[f.Bind] != nil {
			continue
		}
		l, err := p.listen(ctx, "tcp", strings.TrimPrefix(f.Bind, "*"))
		if err != nil {
			for _, port := range opened {
				port.listener.Close()
			}
			return nil, &BindError{Frontend: f.Name, Bind: f.Bind, Err: err}
		}
		opened[f.Bind] = &port{listener: l}
	}
	maps.Copy(p.ports, opened)
	return opened, nil
}

// applyBackends makes the backends and servers those of c and starts and
// stops checks.
func (p *Proxy) applyBackends(c Config) {
	now := time.Now()
	checked, position := 0, 0
	for _, conf := range c.Backends {
		if conf.Check != nil {
			checked += len(conf.Servers)
		}
	}
	backends := map[string]*backend{}
	for _, conf := range c.Backends {
		b := p.backends[conf.Name]
		if b == nil {
			b = &backend{name: conf.Name, limits: p.limits, dial: p.dial}
		}
		backends[conf.Name] = b
		b.apply(conf, now)
		for _, s := range b.servers {
			if conf.Check == nil {
				s.setCheck(nil, nil)
				continue
			}
			p.startCheck(b, s, *conf.Check, conf.Check.Interval*time.Duration(position)/time.Duration(checked))
			position++
		}
		b.settle(now)
	}
	for name, b := range p.backends {
		if backends[name] == nil {
			b.apply(Backend{Name: name, Mode: b.conf.Mode}, now)
		}
	}
	p.backends = backends
}

// startCheck has s probed by c, unless it already is.
func (p *Proxy) startCheck(b *backend, s *server, c Check, delay time.Duration) {
	ctx, cancel := context.WithCancel(p.ctx)
	if !s.setCheck(&c, cancel) {
		cancel()
		return
	}
	p.tasks.Go(func() { p.watch(ctx, b, s, c, delay) })
}

// applyFrontends makes the frontends those of c and closes the ports that are
// no longer needed.
func (p *Proxy) applyFrontends(c Config) {
	frontends, binds := map[string]*frontend{}, map[string]bool{}
	for _, conf := range c.Frontends {
		f := p.frontends[conf.Name]
		if f == nil || f.mode != conf.Mode {
			f = p.newFrontend(conf.Name, conf.Mode)
		}
		r := &routes{bind: conf.Bind, rules: conf.Rules, fallback: p.backends[conf.Backend]}
		for _, rule := range conf.Rules {
			r.targets = append(r.targets, p.backends[rule.Backend])
		}
		f.conf.Store(r)
		frontends[conf.Name], binds[conf.Bind] = f, true
		p.ports[conf.Bind].front.Store(f)
	}
	for bind, port := range p.ports {
		if !binds[bind] {
			port.listener.Close()
			delete(p.ports, bind)
		}
	}
	for name, f := range p.frontends {
		if frontends[name] != f {
			p.leaving[f] = true
			f.drain()
		}
	}
	maps.DeleteFunc(p.leaving, func(f *frontend, _ bool) bool { return f.finished() })
	p.frontends = frontends
}

// Close closes all ports and connections and returns when everything has
// ended.
func (p *Proxy) Close() {
	p.mu.Lock()
	p.cancel()
	for _, port := range p.ports {
		port.listener.Close()
	}
	for _, f := range p.frontends {
		f.kill()
	}
	for f := range p.leaving {
		f.kill()
	}
	p.mu.Unlock()
	p.gate.Lock()
	p.shut = true
	p.gate.Unlock()
	p.tasks.Wait()
}

// enter counts a request among the tasks that Close waits for; false means
// that the proxy is closed. The request leaves with tasks.Done.
func (p *Proxy) enter() bool {
	p.gate.Lock()
	defer p.gate.Unlock()
	if !p.shut {
		p.tasks.Add(1)
	}
	return !p.shut
}
