package proxy

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// counters are what HAProxy counts for a frontend, a server or a backend.
type counters struct {
	cur, max, total      atomic.Int64 // sessions
	in, out              atomic.Int64 // bytes from and to the client
	failedConns          atomic.Int64 // econ
	failedAnswers        atomic.Int64 // eresp
	failedRequests       atomic.Int64 // ereq
	retries, redispatch  atomic.Int64
	balanced             atomic.Int64 // lbtot
	requests             atomic.Int64
	clientAbort, srvAbrt atomic.Int64
	answers              [6]atomic.Int64 // by first digit; 0 is anything else
	last                 atomic.Int64    // unix nanoseconds of the last session
	rate, requestRate    rate
}

func (c *counters) begin() {
	c.total.Add(1)
	cur := c.cur.Add(1)
	for {
		max := c.max.Load()
		if cur <= max || c.max.CompareAndSwap(max, cur) {
			break
		}
	}
	now := time.Now()
	c.last.Store(now.UnixNano())
	c.rate.add(now)
}

func (c *counters) end() { c.cur.Add(-1) }

func (c *counters) answered(status int) {
	class := status / 100
	if class < 1 || class > 5 {
		class = 0
	}
	c.answers[class].Add(1)
}

// rate counts events of the running second and remembers the one before.
type rate struct {
	mu             sync.Mutex
	second         int64
	cur, prev, max int64
}

func (r *rate) add(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn(now.Unix())
	r.cur++
	r.max = max(r.max, r.cur)
}

func (r *rate) turn(second int64) {
	switch {
	case second == r.second:
		return
	case second == r.second+1:
		r.prev = r.cur
	default:
		r.prev = 0
	}
	r.second, r.cur = second, 0
}

// read returns events per second over the last second, and the most seen.
func (r *rate) read(now time.Time) (perSecond, most int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn(now.Unix())
	past := int64(now.Nanosecond())
	return r.cur + r.prev*(int64(time.Second)-past)/int64(time.Second), r.max
}

// countedConn adds the bytes of a connection to counters: what is read from a
// client is in, what is written to it is out; the other way round for a
// server's connection.
type countedConn struct {
	net.Conn
	read, written []*atomic.Int64
}

func (c *countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	add(c.read, n)
	return n, err
}

func (c *countedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	add(c.written, n)
	return n, err
}

// CloseWrite passes a half-close on where the connection knows one.
func (c *countedConn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return c.Conn.Close()
}

func add(to []*atomic.Int64, n int) {
	for _, c := range to {
		c.Add(int64(n))
	}
}
