// Package turn is a lock for those who write to a store while they hold it.
//
// A write takes as long as the store's disk, or its network, takes. Who waits
// for a sync.Mutex meanwhile cannot be called away, and stands still even for
// testing/synctest, whose clock goes on only when everybody waits for
// something that it knows of: a write that takes time would never end. Who
// waits for a turn waits on a channel.
//
// It owns nothing but the lock. Like a mutex it is not fair: who comes just then
// may take it before those that wait, as handing it to one that has to wake up
// first would make everybody wait for each waking.
package turn

import (
	"context"
	"sync/atomic"
)

// Turn is a lock. Make it with New.
type Turn struct {
	taken atomic.Bool
	given chan struct{} // holds one token when somebody who waits should look
}

// New returns one that is free.
func New() *Turn { return &Turn{given: make(chan struct{}, 1)} }

// Take waits for the lock. After an error, the context's, it is not held.
func (t *Turn) Take(ctx context.Context) error {
	for ctx.Err() == nil {
		if t.taken.CompareAndSwap(false, true) {
			return nil
		}
		select {
		case <-t.given:
		case <-ctx.Done():
		}
	}
	t.wakeOne() // the token may have been for another one
	return ctx.Err()
}

// Insist waits for the lock as long as it takes.
func (t *Turn) Insist() {
	for !t.taken.CompareAndSwap(false, true) {
		<-t.given
	}
}

// Give gives it back.
func (t *Turn) Give() {
	t.taken.Store(false)
	t.wakeOne()
}

func (t *Turn) wakeOne() {
	select {
	case t.given <- struct{}{}:
	default: // one has been called already, and has not looked yet
	}
}
