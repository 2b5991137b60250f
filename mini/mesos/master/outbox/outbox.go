// Package outbox decouples who decides from who writes: the cluster's state
// machine pushes messages while it holds its lock, and one goroutine for each
// connection takes them out and writes them.
//
// It owns the queue between the two and its bound: a peer that is too far behind
// loses its connection instead of eating memory. What a message is, how it is
// written and what its loss means is not known here.
package outbox

import (
	"context"
	"errors"
	"sync"
)

// ErrOverflow: the reader is too far behind.
var ErrOverflow = errors.New("too many messages wait for a slow peer")

// Queue is a first-in, first-out queue with one reader. Push never blocks.
// Make one with New.
type Queue[T any] struct {
	limit int

	mu     sync.Mutex
	list   []T
	closed bool
	err    error
	wake   chan struct{} // capacity 1: something changed
}

// New returns an open queue. More than limit waiting messages close it with
// ErrOverflow: a peer that reads nothing must not eat the memory.
func New[T any](limit int) *Queue[T] {
	return &Queue[T]{limit: limit, wake: make(chan struct{}, 1)}
}

// Push adds a message; after Close it does nothing.
func (q *Queue[T]) Push(v T) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	if len(q.list) >= q.limit {
		q.closed, q.err, q.list = true, ErrOverflow, nil
	} else {
		q.list = append(q.list, v)
	}
	q.signal()
}

// Close lets the reader take what waits and then end.
func (q *Queue[T]) Close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.signal()
}

func (q *Queue[T]) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Ready is signalled when Take may have something new to say.
func (q *Queue[T]) Ready() <-chan struct{} { return q.wake }

// Take returns all that waits. open is false once the queue is closed and
// empty; err tells why if it was not Close.
func (q *Queue[T]) Take() (list []T, open bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	list, q.list = q.list, nil
	return list, !q.closed || len(list) > 0, q.err
}

// Each calls fn for every message until the queue is closed and empty, fn
// fails or ctx ends.
func (q *Queue[T]) Each(ctx context.Context, fn func(T) error) error {
	for {
		list, open, err := q.Take()
		for _, v := range list {
			if err := fn(v); err != nil {
				return err
			}
		}
		if !open {
			return err
		}
		if len(list) > 0 {
			continue
		}
		select {
		case <-q.wake:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
