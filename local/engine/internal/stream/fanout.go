// Package stream carries the output of containers: Fanout hands what a program
// writes to everybody attached to it, Frames puts stdout and stderr into one
// connection.
//
// A program never waits for a reader: each reader has a queue of its own, and
// one that falls more than Limit bytes behind is cut off. No I/O but to the
// writers handed in.
package stream

import (
	"context"
	"errors"
	"sync"
)

// Limit is how many bytes may wait for one reader.
const Limit = 16 << 20

// ErrSlow ends a reader that fell behind by more than Limit.
var ErrSlow = errors.New("reader is too slow: output was lost")

// Piece is something written to a stream.
type Piece struct {
	Stream byte
	Data   []byte
}

// Fanout is safe for concurrent use. The zero value is ready; Close ends it
// for good.
type Fanout struct {
	mu     sync.Mutex
	subs   map[*Reader]bool
	closed bool
}

// Reader receives the pieces written since it was made.
type Reader struct {
	f     *Fanout
	wake  chan struct{}
	queue []Piece
	bytes int
	slow  bool
}

// Reader attaches a new reader.
func (f *Fanout) Reader() *Reader {
	r := &Reader{f: f, wake: make(chan struct{}, 1)}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.subs == nil {
		f.subs = map[*Reader]bool{}
	}
	f.subs[r] = true
	if f.closed {
		r.signal()
	}
	return r
}

// Write hands a copy of p to every reader.
func (f *Fanout) Write(which byte, p []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.subs) == 0 || len(p) == 0 {
		return
	}
	piece := Piece{which, append([]byte(nil), p...)}
	for r := range f.subs {
		if r.bytes += len(p); r.bytes > Limit {
			r.slow = true
			delete(f.subs, r)
		} else {
			r.queue = append(r.queue, piece)
		}
		r.signal()
	}
}

// Close lets readers finish what is queued and then end.
func (f *Fanout) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for r := range f.subs {
		r.signal()
	}
}

func (r *Reader) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Copy calls emit for each piece until the fan-out is closed (nil), ctx ends,
// emit fails or the reader is too slow. Call it once; it detaches the reader.
func (r *Reader) Copy(ctx context.Context, emit func(Piece) error) error {
	defer r.Detach()
	for {
		r.f.mu.Lock()
		queue, closed, slow := r.queue, r.f.closed, r.slow
		r.queue, r.bytes = nil, 0
		r.f.mu.Unlock()
		for _, p := range queue {
			if err := emit(p); err != nil {
				return err
			}
		}
		switch {
		case slow:
			return ErrSlow
		case closed && len(queue) == 0:
			return nil
		case closed || len(queue) > 0:
			continue
		}
		select {
		case <-r.wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Detach drops the reader without reading.
func (r *Reader) Detach() {
	r.f.mu.Lock()
	defer r.f.mu.Unlock()
	delete(r.f.subs, r)
}
