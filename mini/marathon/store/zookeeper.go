package store

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
)

// Config says how to reach ZooKeeper.
type Config struct {
	URL     URL
	Session time.Duration // --zk_session_timeout
	Timeout time.Duration // --zk_timeout, of one call
	// MaxNode is how many bytes one znode may hold; 0 is no bound of ours.
	MaxNode int
	Dial    func(ctx context.Context, network, address string) (net.Conn, error)
	// Address is what this candidate advertises: host:port.
	Address string
	// Log gets one line for each change of the connection; may be nil.
	Log func(format string, args ...any)
}

// ZooKeeper is the Store and the Election in a ZooKeeper ensemble.
type ZooKeeper struct {
	cfg  Config
	conn *zk.Conn

	mu      sync.Mutex
	leader  string
	depose  context.CancelFunc
	changed chan struct{} // closed and replaced at every session event
	expired int           // sessions lost so far
}

var (
	_ Store    = (*ZooKeeper)(nil)
	_ Election = (*ZooKeeper)(nil)
)

// compressAbove is 1.1.1's --zk_compression_threshold.
const compressAbove = 64 << 10

// NewZooKeeper starts connecting; it does not wait for the session. Close
// ends it.
func NewZooKeeper(cfg Config) (*ZooKeeper, error) {
	if cfg.Log == nil {
		cfg.Log = func(string, ...any) {}
	}
	z := &ZooKeeper{cfg: cfg, changed: make(chan struct{})}
	conn, err := Connect(cfg.URL.Servers, cfg.Session, cfg.Dial, z.onEvent)
	if err != nil {
		return nil, fmt.Errorf("connect to zookeeper %s: %w", strings.Join(cfg.URL.Servers, ","), err)
	}
	z.conn = conn
	return z, nil
}

// Connect opens a ZooKeeper session that dials through dial and logs
// nothing. onEvent may be nil; it must not block.
func Connect(servers []string, session time.Duration, dial func(context.Context, string, string) (net.Conn, error), onEvent func(zk.Event)) (*zk.Conn, error) {
	dialer := func(network, address string, timeout time.Duration) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		return dial(ctx, network, address)
	}
	if onEvent == nil {
		onEvent = func(zk.Event) {}
	}
	conn, events, err := zk.Connect(servers, session, zk.WithDialer(dialer), zk.WithHostProvider(&hosts{}),
		zk.WithLogger(silent{}), zk.WithLogInfo(false), zk.WithEventCallback(onEvent))
	if err != nil {
		return nil, err
	}
	go func() {
		for range events { // the callback has seen them
		}
	}()
	return conn, nil
}

type silent struct{}

func (silent) Printf(string, ...any) {}

// hosts cycles through the servers without looking names up: the dialer
// does.
type hosts struct {
	mu      sync.Mutex
	servers []string
	next    int
}

func (h *hosts) Init(servers []string) error { h.servers = servers; return nil }
func (h *hosts) Len() int                    { return len(h.servers) }
func (h *hosts) Connected()                  {}

func (h *hosts) Next() (string, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.servers[h.next%len(h.servers)]
	h.next++
	return s, h.next > 1 && h.next%len(h.servers) == 1%len(h.servers)
}

// Close ends the session; the ephemeral nodes go with it.
func (z *ZooKeeper) Close() { z.conn.Close() }

func (z *ZooKeeper) onEvent(e zk.Event) {
	if e.Type != zk.EventSession {
		return
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	switch e.State {
	case zk.StateHasSession, zk.StateDisconnected:
		z.cfg.Log("zookeeper: %v", e.State)
	case zk.StateExpired:
		z.expired++
		z.cfg.Log("zookeeper: session expired")
	default:
		return
	}
	close(z.changed)
	z.changed = make(chan struct{})
}

// do runs one call with the time-out of the configuration. After an error the
// call may go on: what it writes must not be looked at then.
func (z *ZooKeeper) do(ctx context.Context, what string, fn func() error) error {
	if err := ctx.Err(); err != nil { // a term that is over writes nothing more
		return fmt.Errorf("%s: %w: %w", what, ErrUnavailable, err)
	}
	if z.conn.State() != zk.StateHasSession {
		return fmt.Errorf("%s: %w", what, ErrUnavailable)
	}
	ctx, cancel := context.WithTimeout(ctx, z.cfg.Timeout)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- fn() }()
	select {
	case err := <-done:
		switch {
		case err == nil:
			return nil
		case errors.Is(err, zk.ErrNoNode):
			return fmt.Errorf("%s: %w", what, ErrNotFound)
		case errors.Is(err, zk.ErrConnectionClosed), errors.Is(err, zk.ErrNoServer),
			errors.Is(err, zk.ErrSessionExpired), errors.Is(err, zk.ErrClosing), errors.Is(err, zk.ErrSessionMoved):
			return fmt.Errorf("%s: %w (%w)", what, ErrUnavailable, err)
		}
		return fmt.Errorf("%s: %w", what, err)
	case <-ctx.Done():
		return fmt.Errorf("%s: %w: %w", what, ErrUnavailable, ctx.Err())
	}
}

func (z *ZooKeeper) state(key string) string { return path.Join(z.cfg.URL.Path, "state", key) }

// Keys lists the keys.
func (z *ZooKeeper) Keys(ctx context.Context) ([]string, error) {
	var keys []string
	err := z.do(ctx, "list "+z.state(""), func() (err error) {
		keys, _, err = z.conn.Children(z.state(""))
		return err
	})
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err // the call may still be under way and write keys
	}
	return keys, nil
}

// Get reads one value.
func (z *ZooKeeper) Get(ctx context.Context, key string) ([]byte, error) {
	var data []byte
	err := z.do(ctx, "read "+z.state(key), func() (err error) {
		data, _, err = z.conn.Get(z.state(key))
		return err
	})
	if err != nil {
		return nil, err
	}
	return unpack(data)
}

// Put writes one value.
func (z *ZooKeeper) Put(ctx context.Context, key string, value []byte) error {
	data, err := pack(value)
	if err != nil {
		return fmt.Errorf("compress %s: %w", key, err)
	}
	p := z.state(key)
	if z.cfg.MaxNode > 0 && len(data) > z.cfg.MaxNode {
		return fmt.Errorf("write %s: %w", p, &TooLargeError{len(data), z.cfg.MaxNode})
	}
	return z.do(ctx, "write "+p, func() error {
		_, err := z.conn.Set(p, data, -1)
		if errors.Is(err, zk.ErrNoNode) {
			err = z.create(p, data)
		}
		return err
	})
}

// create makes a node and its parents.
func (z *ZooKeeper) create(p string, data []byte) error {
	_, err := z.conn.Create(p, data, 0, zk.WorldACL(zk.PermAll))
	if errors.Is(err, zk.ErrNodeExists) {
		_, err = z.conn.Set(p, data, -1)
	}
	if errors.Is(err, zk.ErrNoNode) {
		if err := z.ensure(path.Dir(p)); err != nil {
			return err
		}
		_, err = z.conn.Create(p, data, 0, zk.WorldACL(zk.PermAll))
	}
	return err
}

// ensure makes an empty node and its parents.
func (z *ZooKeeper) ensure(p string) error {
	_, err := z.conn.Create(p, nil, 0, zk.WorldACL(zk.PermAll))
	if errors.Is(err, zk.ErrNoNode) {
		if err := z.ensure(path.Dir(p)); err != nil {
			return err
		}
		_, err = z.conn.Create(p, nil, 0, zk.WorldACL(zk.PermAll))
	}
	if errors.Is(err, zk.ErrNodeExists) {
		return nil
	}
	return err
}

// Delete removes one value.
func (z *ZooKeeper) Delete(ctx context.Context, key string) error {
	err := z.do(ctx, "delete "+z.state(key), func() error { return z.conn.Delete(z.state(key), -1) })
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

func pack(value []byte) ([]byte, error) {
	if len(value) <= compressAbove {
		return value, nil
	}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(value); err != nil {
		return nil, err
	}
	err := w.Close()
	return b.Bytes(), err
}

func unpack(data []byte) ([]byte, error) {
	if !bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
		return data, nil
	}
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("decompress: %w", err)
	}
	return io.ReadAll(r)
}
