package zookeeper

import (
	"time"

	"github.com/mesoslab/lab/mini/zookeeper/jute"
)

// stats are the server's counters since the start or the last `srst`.
type stats struct {
	received, sent int64 // packets
	latency        latency
}

// connStats are the counters of one connection.
type connStats struct {
	received, sent int64
	latency        latency
	since          time.Time // connection made
	replied        time.Time // last reply
	last           jute.Op   // last request, its number and the reply's zxid
	xid            int32
	zxid           int64
}

// latency sums up how long replies took, in milliseconds.
type latency struct{ min, max, last, total, n int64 }

func (l *latency) add(ms int64) {
	if l.n == 0 || ms < l.min {
		l.min = ms
	}
	l.max = max(l.max, ms)
	l.last = ms
	l.total += ms
	l.n++
}

func (l *latency) avg() int64 {
	if l.n == 0 {
		return 0
	}
	return l.total / l.n
}

// received counts a packet of a client. s.mu is held.
func (s *server) received(c *conn) {
	s.stats.received++
	c.stats.received++
}
