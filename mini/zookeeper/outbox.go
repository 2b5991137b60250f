package zookeeper

import (
	"encoding/binary"
	"net"
	"sync"
)

// outboxLimit is how many bytes may wait for a client before its next request
// is read.
const outboxLimit = 4 << 20

// outbox holds the packets that wait to be written to one client, so that a
// slow one holds up nobody else.
type outbox struct {
	mu       sync.Mutex
	changed  sync.Cond
	buf      []byte
	packets  int
	finished bool // nothing more will come
	closed   bool // nothing more can go
}

func newOutbox() *outbox {
	o := &outbox{}
	o.changed.L = &o.mu
	return o
}

// push adds a packet; after finish or close it is thrown away.
func (o *outbox) push(packet []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.finished || o.closed {
		return
	}
	o.buf = binary.BigEndian.AppendUint32(o.buf, uint32(len(packet)))
	o.buf = append(o.buf, packet...)
	o.packets++
	o.changed.Broadcast()
}

// finish lets what was pushed go out, and then ends the connection's outgoing
// half.
func (o *outbox) finish() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.finished = true
	o.changed.Broadcast()
}

// close gives up at once.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed, o.buf, o.packets = true, nil, 0
	o.changed.Broadcast()
}

// awaitRoom waits while too much waits to be written.
func (o *outbox) awaitRoom() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.buf) > outboxLimit && !o.closed {
		o.changed.Wait()
	}
}

// queued returns the number of packets that wait.
func (o *outbox) queued() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.packets
}

// next waits for packets and returns them all, with their lengths, in place
// of the spare buffer it gets. It returns false at the end.
func (o *outbox) next(spare []byte) ([]byte, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.buf) == 0 && !o.finished && !o.closed {
		o.changed.Wait()
	}
	if len(o.buf) == 0 {
		return nil, false
	}
	b := o.buf
	o.buf, o.packets = spare[:0], 0
	o.changed.Broadcast()
	return b, true
}

// drain writes packets to nc until finish or close, or until nc fails; then it
// closes nc, or its outgoing half if all went out well.
func (o *outbox) drain(nc net.Conn) {
	var b []byte
	for ok := true; ; {
		if cap(b) > 1<<16 {
			b = nil // one large reply shall not stay in memory
		}
		if b, ok = o.next(b); !ok {
			break
		}
		if _, err := nc.Write(b); err != nil {
			o.close()
			break
		}
	}
	o.mu.Lock()
	closed := o.closed
	o.mu.Unlock()
	if half, ok := nc.(interface{ CloseWrite() error }); ok && !closed && half.CloseWrite() == nil {
		return
	}
	nc.Close()
}
