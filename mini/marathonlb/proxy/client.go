package proxy

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"
)

type clientKey struct{}

// clientConn is a client's connection in HTTP mode. It does what http.Server
// does otherwise than HAProxy: a client that has ended its side still gets
// its answer, one that is late with its request is told so with 408, and both
// that and a malformed request (400) are counted.
type clientConn struct {
	*countedConn
	front *counters

	mu       sync.Mutex
	active   bool // a request has been read and its answer not yet ended
	serving  bool // so, and it is well-formed
	awaited  bool // the first request, or more of one that has begun; not after 408
	closed   bool
	deadline time.Time     // for reading
	changed  chan struct{} // closed when active, closed or deadline change
}

func newClientConn(c *countedConn, front *counters) *clientConn {
	return &clientConn{countedConn: c, front: front, awaited: true, changed: make(chan struct{})}
}

// change sets fields and wakes who waits for that.
func (c *clientConn) change(set func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	set()
	close(c.changed)
	c.changed = make(chan struct{})
}

// busy notes that a request has been read.
func (c *clientConn) busy() { c.change(func() { c.active = true }) }

// begin notes that it is being served.
func (c *clientConn) begin() { c.change(func() { c.serving, c.awaited = true, false }) }

// idle notes that its answer has ended.
func (c *clientConn) idle() { c.change(func() { c.active, c.serving = false, false }) }

func (c *clientConn) Close() error {
	c.change(func() { c.closed = true })
	return c.countedConn.Close()
}

func (c *clientConn) SetReadDeadline(t time.Time) error {
	c.change(func() { c.deadline = t })
	return c.countedConn.SetReadDeadline(t)
}

func (c *clientConn) SetDeadline(t time.Time) error {
	c.change(func() { c.deadline = t })
	return c.countedConn.SetDeadline(t)
}

// Read hides the end of the client's side while its request is served:
// http.Server would cancel the request. What looks for that end reads a
// single byte, everything else more.
func (c *clientConn) Read(p []byte) (int, error) {
	n, err := c.countedConn.Read(p)
	c.mu.Lock()
	active := c.active
	late := c.awaited && !active && errors.Is(err, os.ErrDeadlineExceeded)
	c.awaited = !late && (c.awaited || n > 0 && !active)
	c.mu.Unlock()
	if late {
		c.late()
	}
	if err == io.EOF && active && len(p) == 1 {
		err = c.hold()
	}
	return n, err
}

// hold returns io.EOF when the request has been served, or earlier what ends
// a read.
func (c *clientConn) hold() error {
	for {
		c.mu.Lock()
		closed, active, deadline, changed := c.closed, c.active, c.deadline, c.changed
		c.mu.Unlock()
		var due <-chan time.Time
		switch {
		case closed:
			return net.ErrClosed
		case !active:
			return io.EOF
		case !deadline.IsZero() && !time.Now().Before(deadline):
			return os.ErrDeadlineExceeded
		case !deadline.IsZero():
			timer := time.NewTimer(time.Until(deadline))
			defer timer.Stop()
			due = timer.C
		}
		select {
		case <-changed:
		case <-due:
		}
	}
}

// late answers a request whose headers have not come in time.
func (c *clientConn) late() {
	body := page(http.StatusRequestTimeout)
	_ = c.countedConn.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = io.WriteString(c, "HTTP/1.1 408 Request Time-out\r\nContent-length: "+strconv.Itoa(len(body))+
		"\r\nCache-Control: no-cache\r\nConnection: close\r\nContent-Type: text/html\r\n\r\n"+body)
}

// Write counts what http.Server answers by itself.
func (c *clientConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	own := !c.serving
	c.mu.Unlock()
	const before = len("HTTP/1.1 ")
	if own && len(p) > before+3 {
		if status, err := strconv.Atoi(string(p[before : before+3])); err == nil {
			c.front.requests.Add(1)
			c.front.failedRequests.Add(1)
			c.front.answered(status)
		}
	}
	return c.countedConn.Write(p)
}
