package zookeeper

import (
	"context"
	"sync"

	"github.com/mesoslab/lab/mini/zookeeper/store"
)

// maxOutstanding is how many records may wait for the disk before no more
// requests are read (ZooKeeper's globalOutstandingLimit), and maxWaiting how
// many bytes their data may have.
const (
	maxOutstanding = 1000
	maxWaiting     = 32 << 20
)

// disk is what is on its way to the log. Requests are done in memory at once;
// what they have changed is logged behind them, all at once that came during
// the last flush, as ZooKeeper's SyncRequestProcessor does. Until then every
// packet waits that was sent after it, reads and pings too, as there. It is
// guarded by server.mu.
type disk struct {
	waiting       []store.Txn
	bytes         int   // of data in waiting
	asked, stored int64 // how many records there are, and how many of them the disk has
	more          chan struct{}
	held          map[*conn]struct{} // with packets that wait
	room          sync.Cond          // something may have left waiting, or the server ends
}

func newDisk() disk { return disk{more: make(chan struct{}, 1), held: make(map[*conn]struct{})} }

// ask has a transaction logged.
func (d *disk) ask(txn store.Txn) {
	d.waiting = append(d.waiting, txn)
	for _, c := range txn.Changes {
		d.bytes += len(c.Data)
	}
	d.asked++
	select {
	case d.more <- struct{}{}:
	default:
	}
}

// take returns all that waits.
func (d *disk) take() []store.Txn {
	txns := d.waiting
	d.waiting, d.bytes = nil, 0
	d.room.Broadcast()
	return txns
}

// done says that the disk has the first so many records.
func (d *disk) done(records int64) {
	d.stored = records
	for c := range d.held {
		if !c.out.release(records) {
			delete(d.held, c)
		}
	}
}

// awaitDisk waits while too much waits for the disk.
func (s *server) awaitDisk() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.closing && (len(s.disk.waiting) >= maxOutstanding || s.disk.bytes >= maxWaiting) {
		s.disk.room.Wait()
	}
}

// flush logs what happens until ctx ends, or until the disk fails: then the
// server ends, and nobody hears of what is not on it.
func (s *server) flush(ctx context.Context) {
	for {
		select {
		case <-s.disk.more:
		case <-ctx.Done():
			s.flushAll() // nobody is told any more, but there is no reason to forget it
			return
		}
		if !s.flushAll() {
			return
		}
	}
}

// flushAll logs what waits.
func (s *server) flushAll() (ok bool) {
	s.mu.Lock()
	txns, records := s.disk.take(), s.disk.asked
	failed := s.failure != nil
	s.mu.Unlock()
	if failed || len(txns) == 0 {
		return !failed
	}
	err := s.store.Append(txns...)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.closing, s.failure = true, err
		s.disk.room.Broadcast()
		s.stop()
		return false
	}
	if s.store.Since() >= s.cfg.snapCount {
		// It holds what waits, too, which the new log then begins with.
		if err := s.store.Snapshot(s.state); err != nil {
			s.log.note("%v", err)
		}
	}
	s.disk.done(records)
	return true
}
