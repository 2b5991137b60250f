package jsonlog

import (
	"bytes"
	"sync"
	"time"
)

// Lines is a writer that cuts a stream into lines and appends them to a log.
// Safe for concurrent use. Write never fails: a container does not die of a
// full disk; the first failure is given to Failed.
type Lines struct {
	Log    *Log
	Stream string
	// Failed, if set, hears the first failure to append.
	Failed func(error)

	mu   sync.Mutex
	rest []byte
	bad  bool
}

// Write takes a piece of the stream.
func (w *Lines) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := len(p)
	now := time.Now()
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n') + 1
		if i == 0 {
			i = len(p)
		}
		i = min(i, MaxLine-len(w.rest))
		w.rest = append(w.rest, p[:i]...)
		p = p[i:]
		if w.rest[len(w.rest)-1] == '\n' || len(w.rest) == MaxLine {
			w.flush(now)
		}
	}
	return n, nil
}

// Flush appends an unfinished line.
func (w *Lines) Flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.rest) > 0 {
		w.flush(time.Now())
	}
}

func (w *Lines) flush(now time.Time) {
	err := w.Log.Append(w.Stream, now, w.rest)
	w.rest = w.rest[:0]
	if err != nil && !w.bad && w.Failed != nil {
		w.bad = true
		w.Failed(err)
	}
}
