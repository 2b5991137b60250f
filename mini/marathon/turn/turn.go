// Package turn is a lock for those who write to a store while they hold it.
//
// A write takes as long as the store's disk, or its network, takes. Who waits
// for a sync.Mutex meanwhile cannot be called away, and stands still even for
// testing/synctest, whose clock goes on only when everybody waits for
// something that it knows of: a write that takes time would never end. Who
// waits for a turn waits on a channel.
//
// Who has it and waits for the store can lend it meanwhile to those who only
// want to look at what it guards: its guests.
//
// It owns nothing but the lock. Like a mutex it is not fair: who comes just then
// may take it before those that wait, as handing it to one that has to wake up
// first would make everybody wait for each waking.
package turn

import (
	"context"
	"sync"
	"sync/atomic"
)

// Turn is a lock. Make it with New.
type Turn struct {
	taken atomic.Bool
	given chan struct{} // holds one token when somebody who waits should look

	mu     sync.Mutex    // guards what follows; held for a moment only
	lent   bool          // implies taken
	open   chan struct{} // closed while it is lent
	guests int
	gone   chan struct{} // gets a token from the last guest that Regain waits for
}

// New returns one that is free.
func New() *Turn {
	return &Turn{given: make(chan struct{}, 1), open: make(chan struct{}), gone: make(chan struct{}, 1)}
}

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

// Lend lets guests in, until Regain. Who lends it has it, and changes nothing
// meanwhile.
func (t *Turn) Lend() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lent = true
	close(t.open)
}

// Regain lets no more guests in and waits until those that are in have left.
func (t *Turn) Regain() {
	t.mu.Lock()
	t.lent, t.open = false, make(chan struct{})
	occupied := t.guests > 0
	t.mu.Unlock()
	if occupied {
		<-t.gone
	}
}

// Look waits for the lock, or until whoever has it lends it. A guest ends with
// Leave, who has got the lock with Give; after an error, the context's, nothing
// is to be ended. A guest changes nothing.
func (t *Turn) Look(ctx context.Context) (guest bool, err error) {
	for ctx.Err() == nil {
		if t.taken.CompareAndSwap(false, true) {
			return false, nil
		}
		open, in := t.visit()
		if in {
			return true, nil // a token that was for another one comes again: somebody has the lock
		}
		select {
		case <-t.given:
		case <-open:
		case <-ctx.Done():
		}
	}
	t.wakeOne()
	return false, ctx.Err()
}

// visit makes a guest where it is lent, else says what to wait for.
func (t *Turn) visit() (open <-chan struct{}, in bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lent {
		t.guests++
	}
	return t.open, t.lent
}

// Leave ends a guest's visit.
func (t *Turn) Leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.guests--
	if t.guests == 0 && !t.lent {
		t.gone <- struct{}{} // Regain waits, or will: there is room for the one token
	}
}

func (t *Turn) wakeOne() {
	select {
	case t.given <- struct{}{}:
	default: // one has been called already, and has not looked yet
	}
}
