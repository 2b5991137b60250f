package proxy

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// serveTCP connects a client's connection with a server and copies until
// both sides have ended or nothing moved for the tunnel time-out.
func (f *frontend) serveTCP(client net.Conn) {
	defer client.Close()
	b := f.conf.Load().fallback
	if b == nil {
		return
	}
	b.counters.begin()
	defer b.counters.end()
	l, err := b.connect(f.proxy.ctx, address(client.RemoteAddr()), nil)
	if err != nil {
		return
	}
	defer l.close()
	t := &tunnel{idle: f.proxy.limits.Tunnel, buffers: &f.proxy.buffers, ends: [2]net.Conn{client, l.Conn}}
	t.touch()
	var both sync.WaitGroup
	both.Go(func() { t.copy(l.Conn, client, &b.counters.clientAbort) })
	both.Go(func() { t.copy(client, l.Conn, &b.counters.srvAbrt) })
	stop := context.AfterFunc(f.proxy.ctx, t.close)
	defer stop()
	both.Wait()
}

// tunnel is two connections whose bytes go to each other.
type tunnel struct {
	idle    time.Duration
	buffers *sync.Pool
	ends    [2]net.Conn
	touched atomic.Int64
}

// touch postpones the end of the tunnel. Deadlines are renewed at most once
// a second.
func (t *tunnel) touch() {
	now := time.Now()
	last := t.touched.Load()
	if last != 0 && now.UnixNano()-last < int64(time.Second) {
		return
	}
	t.touched.Store(now.UnixNano())
	for _, c := range t.ends {
		_ = c.SetDeadline(now.Add(t.idle))
	}
}

func (t *tunnel) close() {
	for _, c := range t.ends {
		c.Close()
	}
}

// whisper is how much room a connection on which nothing moves takes.
const whisper = 1 << 10

// copy moves bytes one way and passes the end of the stream on; an error
// ends both ways. A large buffer is held only while much comes.
func (t *tunnel) copy(to, from net.Conn, aborts *atomic.Int64) {
	small := make([]byte, whisper)
	buf := small
	var large *[]byte
	defer func() {
		if large != nil {
			t.buffers.Put(large)
		}
	}()
	for {
		n, err := from.Read(buf)
		if n > 0 {
			t.touch()
			if _, werr := to.Write(buf[:n]); werr != nil {
				t.close()
				return
			}
		}
		if err == io.EOF {
			_ = to.(interface{ CloseWrite() error }).CloseWrite()
			return
		}
		if err != nil {
			aborts.Add(1)
			t.close()
			return
		}
		switch {
		case large == nil && n == whisper:
			large = t.buffers.Get().(*[]byte)
			buf = *large
		case large != nil && n < whisper:
			t.buffers.Put(large)
			large, buf = nil, small
		}
	}
}

func address(a net.Addr) string {
	host, _, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	return host
}
