//go:build unix

package handoff

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
)

// Client is a child's side: it asks its machine for listeners.
type Client struct {
	wire *wire

	mu      sync.Mutex
	next    uint64
	waiting map[key]chan<- result
	err     error // why the machine no longer answers
}

type key struct {
	op string
	id uint64
}

type result struct {
	answer answer
	files  []*os.File
	err    error
}

// NewClient speaks over the socketpair's end that the machine left at fd. It
// owns fd from now on.
func NewClient(fd uintptr) (*Client, error) {
	syscall.CloseOnExec(int(fd))
	f := os.NewFile(fd, "handoff")
	if f == nil {
		return nil, fmt.Errorf("handoff: descriptor %d is none", fd)
	}
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("handoff: descriptor %d: %w", fd, err)
	}
	unix, ok := conn.(*net.UnixConn)
	if !ok {
		conn.Close()
		return nil, fmt.Errorf("handoff: descriptor %d is a %T, no unix socket", fd, conn)
	}
	c := &Client{wire: newWire(unix), waiting: map[key]chan<- result{}}
	go c.receive()
	return c, nil
}

// Close ends the conversation; the machine gives up its handles. Listeners
// that are still open keep working.
func (c *Client) Close() error { return c.wire.conn.Close() }

// Listen asks the machine for a listening socket.
func (c *Client) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	fail := func(err error) error { return fmt.Errorf("listen %s %s: %w", network, address, err) }
	c.mu.Lock()
	c.next++
	id := c.next
	c.mu.Unlock()
	r, err := c.ask(ctx, request{Op: "listen", ID: id, Network: network, Address: address})
	if err != nil {
		return nil, fail(err)
	}
	if r.answer.Error != "" {
		if r.answer.Errno != 0 {
			return nil, fail(os.NewSyscallError("machine", r.answer.Errno))
		}
		return nil, fail(errors.New(r.answer.Error))
	}
	l := &listener{client: c, id: id}
	for _, f := range r.files {
		inner, err := net.FileListener(f)
		f.Close()
		if err != nil {
			l.Close()
			return nil, fail(err)
		}
		l.inner = append(l.inner, inner)
	}
	if len(l.inner) > 1 {
		l.merge()
	}
	return l, nil
}

// ask sends r and waits for its answer. When ctx ends first, a listener that
// comes late is given back.
func (c *Client) ask(ctx context.Context, r request) (result, error) {
	ch := make(chan result, 1)
	k := key{r.Op, r.ID}
	c.mu.Lock()
	if c.err != nil {
		defer c.mu.Unlock()
		return result{}, c.err
	}
	c.waiting[k] = ch
	c.mu.Unlock()
	if err := c.wire.write(r); err != nil {
		c.mu.Lock()
		delete(c.waiting, k)
		c.mu.Unlock()
		return result{}, err
	}
	select {
	case res := <-ch:
		return res, res.err
	case <-ctx.Done():
		go c.giveBack(ch, r)
		return result{}, context.Cause(ctx)
	}
}

func (c *Client) giveBack(ch <-chan result, r request) {
	res := <-ch
	for _, f := range res.files {
		f.Close()
	}
	if r.Op == "listen" && res.err == nil && res.answer.Error == "" {
		// The machine may be gone by now; then so is its handle.
		_, _ = c.ask(context.Background(), request{Op: "close", ID: r.ID})
	}
}

func (c *Client) receive() {
	for {
		var a answer
		err := c.wire.receive(&a)
		var files []*os.File
		if err == nil {
			files, err = c.wire.claim(a.FDs)
		}
		if err != nil {
			c.fail(fmt.Errorf("the machine hung up: %w", err))
			return
		}
		k := key{a.Op, a.ID}
		c.mu.Lock()
		ch := c.waiting[k]
		delete(c.waiting, k)
		c.mu.Unlock()
		if ch == nil {
			for _, f := range files {
				f.Close()
			}
			continue
		}
		ch <- result{answer: a, files: files}
	}
}

func (c *Client) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
	for k, ch := range c.waiting {
		ch <- result{err: err}
		delete(c.waiting, k)
	}
	c.wire.drop()
}

// listener is one or more sockets that the machine opened for this process.
type listener struct {
	client *Client
	id     uint64
	inner  []net.Listener
	once   sync.Once

	conns chan accepted // when there are several
	done  chan struct{}
}

type accepted struct {
	conn net.Conn
	err  error
}

func (l *listener) Addr() net.Addr { return l.inner[0].Addr() }

func (l *listener) Accept() (net.Conn, error) {
	if l.conns == nil {
		return l.inner[0].Accept()
	}
	select {
	case a := <-l.conns:
		return a.conn, a.err
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *listener) merge() {
	l.conns, l.done = make(chan accepted), make(chan struct{})
	for _, inner := range l.inner {
		go func() {
			for {
				conn, err := inner.Accept()
				select {
				case l.conns <- accepted{conn, err}:
				case <-l.done:
					if conn != nil {
						conn.Close()
					}
					return
				}
				if errors.Is(err, net.ErrClosed) {
					return
				}
			}
		}()
	}
}

// Close closes the sockets here and, before it returns, at the machine: the
// port is free afterwards.
func (l *listener) Close() error {
	err := net.ErrClosed
	l.once.Do(func() {
		err = nil
		for _, inner := range l.inner {
			err = errors.Join(err, inner.Close())
		}
		if l.done != nil {
			close(l.done)
		}
		// A machine that is gone has no handle to give up.
		_, _ = l.client.ask(context.Background(), request{Op: "close", ID: l.id})
	})
	return err
}
