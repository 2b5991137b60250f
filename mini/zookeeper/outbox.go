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
// slow one holds up nobody else; and those that may not leave yet, because the
// disk has not got what they tell of.
type outbox struct {
	mu       sync.Mutex
	changed  sync.Cond
	buf      []byte
	free     int    // bytes of buf that may leave
	held     []held // what follows them
	packets  int
	finished bool // nothing more will come
	closed   bool // nothing more can go
}

// held is a part of an outbox, up to byte end, that leaves when the disk has the
// first so many records.
type held struct {
	end     int
	records int64
}

func newOutbox() *outbox {
	o := &outbox{}
	o.changed.L = &o.mu
	return o
}

// push adds a packet that leaves when the disk has the first so many records,
// and after all packets before it; 0 is at once. After finish or close it is
// thrown away.
func (o *outbox) push(packet []byte, records int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.finished || o.closed {
		return
	}
	o.buf = binary.BigEndian.AppendUint32(o.buf, uint32(len(packet)))
	o.buf = append(o.buf, packet...)
	o.packets++
	switch last := len(o.held) - 1; {
	case records == 0 && last < 0:
		o.free = len(o.buf)
		o.changed.Broadcast()
	case last >= 0 && o.held[last].records >= records:
		o.held[last].end = len(o.buf)
	default:
		o.held = append(o.held, held{len(o.buf), records})
	}
}

// release lets go what waits for the first so many records, and says whether
// something waits for more.
func (o *outbox) release(records int64) (more bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.held) > 0 && o.held[0].records <= records {
		o.free, o.held = o.held[0].end, o.held[1:]
	}
	o.changed.Broadcast()
	return len(o.held) > 0
}

// awaitFree waits until nothing waits for the disk.
func (o *outbox) awaitFree() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.held) > 0 {
		o.changed.Wait()
	}
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
	o.closed, o.buf, o.free, o.held, o.packets = true, nil, 0, nil, 0
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

// next waits for packets that may leave and returns them all, with their
// lengths, in place of the spare buffer it gets. It returns false at the end.
func (o *outbox) next(spare []byte) ([]byte, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.free == 0 && !(o.finished && len(o.buf) == 0) && !o.closed {
		o.changed.Wait()
	}
	if o.free == 0 {
		return nil, false
	}
	b := o.buf[:o.free]
	o.buf = append(spare[:0], o.buf[o.free:]...)
	for i := range o.held {
		o.held[i].end -= o.free
	}
	o.free = 0
	if len(o.buf) == 0 {
		o.packets = 0
	}
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
