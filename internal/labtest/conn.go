package labtest

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// bufferSize is how much one direction of a connection holds before the
// writer has to wait, as a kernel's socket buffer does.
const bufferSize = 256 << 10

// conn is one end of an in-memory connection.
type conn struct {
	net           *Network
	local, remote addr
	in, out       *half
	once          sync.Once
}

func newConnPair(n *Network, client, server addr) (*conn, *conn) {
	up, down := newHalf(client.ip, server.ip), newHalf(server.ip, client.ip)
	return &conn{net: n, local: client, remote: server, in: down, out: up},
		&conn{net: n, local: server, remote: client, in: up, out: down}
}

func (c *conn) Read(p []byte) (int, error)  { n, err := c.in.read(p); return n, c.wrap("read", err) }
func (c *conn) Write(p []byte) (int, error) { n, err := c.out.write(p); return n, c.wrap("write", err) }

func (c *conn) wrap(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: err}
}

// Close sends what is buffered and then end of file, and refuses to read on.
func (c *conn) Close() error {
	c.once.Do(func() {
		c.net.mu.Lock()
		delete(c.net.conns, c)
		c.net.mu.Unlock()
		c.out.closeWrite()
		c.in.closeRead()
	})
	return nil
}

// CloseWrite ends one direction, as (*net.TCPConn).CloseWrite does.
func (c *conn) CloseWrite() error {
	c.out.closeWrite()
	return nil
}

// reset ends both directions with ECONNRESET at the other end.
func (c *conn) reset() {
	c.once.Do(func() {
		c.net.mu.Lock()
		delete(c.net.conns, c)
		c.net.mu.Unlock()
		c.out.fail(syscall.ECONNRESET)
		c.in.fail(syscall.ECONNRESET)
		c.in.closeRead() // also where the host is cut and hears nothing of itself
	})
}

func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

func (c *conn) SetDeadline(t time.Time) error {
	c.in.readDeadline.set(c.in, t)
	c.out.writeDeadline.set(c.out, t)
	return nil
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.in.readDeadline.set(c.in, t)
	return nil
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.out.writeDeadline.set(c.out, t)
	return nil
}

// half is one direction of a connection: bytes from one host to another.
type half struct {
	from, to string

	mu                          sync.Mutex
	cond                        *sync.Cond
	buf                         []byte
	silent                      bool  // cut: the reader sees nothing new
	eof                         bool  // the writer has closed
	readClosed                  bool  // the reader has closed
	err                         error // reset
	readDeadline, writeDeadline deadline
}

func newHalf(from, to string) *half {
	h := &half{from: from, to: to}
	h.cond = sync.NewCond(&h.mu)
	return h
}

func (h *half) read(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.readClosed:
			return 0, net.ErrClosed
		case h.readDeadline.expired:
			return 0, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, nil
		case !h.silent && len(h.buf) > 0:
			n := copy(p, h.buf)
			h.buf = h.buf[n:]
			h.cond.Broadcast()
			return n, nil
		case !h.silent && h.err != nil:
			return 0, h.err
		case !h.silent && h.eof:
			return 0, io.EOF
		}
		h.cond.Wait()
	}
}

func (h *half) write(p []byte) (written int, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.eof:
			return written, net.ErrClosed
		case h.err != nil:
			return written, h.err
		case h.writeDeadline.expired:
			return written, os.ErrDeadlineExceeded
		case h.readClosed && len(h.buf) == 0:
			return written, syscall.EPIPE
		}
		if room := bufferSize - len(h.buf); room > 0 || len(p) == 0 {
			n := min(room, len(p))
			h.buf = append(h.buf, p[:n]...)
			p, written = p[n:], written+n
			h.cond.Broadcast()
			if len(p) == 0 {
				return written, nil
			}
		}
		h.cond.Wait()
	}
}

func (h *half) closeWrite() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.eof = true
	h.cond.Broadcast()
}

func (h *half) closeRead() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.readClosed = true
	h.buf = nil
	h.cond.Broadcast()
}

func (h *half) fail(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err = err
	h.buf = nil
	h.cond.Broadcast()
}

// setSilent holds back or lets through what the reader has not seen yet.
func (h *half) setSilent(silent bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.silent = silent
	h.cond.Broadcast()
}

// deadline turns a point in time into a flag that waiters see.
type deadline struct {
	timer   *time.Timer
	expired bool
}

func (d *deadline) set(h *half, t time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.expired = !t.IsZero() && !time.Now().Before(t)
	if !t.IsZero() && !d.expired {
		var timer *time.Timer
		timer = time.AfterFunc(time.Until(t), func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			if d.timer == timer {
				d.expired = true
				h.cond.Broadcast()
			}
		})
		d.timer = timer
	}
	h.cond.Broadcast()
}
