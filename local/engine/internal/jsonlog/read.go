package jsonlog

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// Query says which entries a reader wants.
type Query struct {
	// Stdout and Stderr choose streams.
	Stdout, Stderr bool
	// Since and Until bound the time; zero does not.
	Since, Until time.Time
	// Tail is the number of last entries to begin with; negative is all.
	Tail int
	// Follow waits for more until the log is sealed.
	Follow bool
}

func (q Query) wants(e Entry) bool {
	return (e.Stream == "stdout" && q.Stdout || e.Stream == "stderr" && q.Stderr) &&
		(q.Since.IsZero() || !e.Time.Before(q.Since)) &&
		(q.Until.IsZero() || !e.Time.After(q.Until))
}

// Read calls emit for every entry that the query wants, oldest first.
func (l *Log) Read(ctx context.Context, q Query, emit func(Entry) error) error {
	r := &reader{log: l}
	defer r.close()
	if err := r.openOldest(); err != nil {
		return fmt.Errorf("read log: %w", err)
	}
	tail := ring{max: q.Tail}
	past := q.Tail >= 0 // still collecting the tail
	for {
		e, change, err := r.next()
		switch {
		case errors.Is(err, io.EOF):
			for _, kept := range tail.take(past) {
				if err := emit(kept); err != nil {
					return err
				}
			}
			past = false
			if change == nil || !q.Follow || !q.Until.IsZero() && !time.Now().Before(q.Until) {
				return nil
			}
			if err := await(ctx, change, q.Until); err != nil {
				return err
			}
		case err != nil:
			return fmt.Errorf("read log: %w", err)
		case !q.wants(e):
		case past:
			tail.add(e)
		default:
			if err := emit(e); err != nil {
				return err
			}
		}
	}
}

// await waits for a change, the time-out of until, or the end of ctx.
func await(ctx context.Context, change <-chan struct{}, until time.Time) error {
	var expired <-chan time.Time
	if !until.IsZero() {
		t := time.NewTimer(time.Until(until))
		defer t.Stop()
		expired = t.C
	}
	select {
	case <-change:
	case <-expired:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// ring keeps the last max entries.
type ring struct {
	max  int
	kept []Entry
}

func (r *ring) add(e Entry) {
	if r.max == 0 {
		return
	}
	if len(r.kept) == r.max {
		r.kept = append(r.kept[:0], r.kept[1:]...)
	}
	r.kept = append(r.kept, e)
}

func (r *ring) take(collecting bool) []Entry {
	if !collecting {
		return nil
	}
	kept := r.kept
	r.kept = nil
	return kept
}

// reader walks through the files of a log. Lines that are not entries (torn
// by a crash) are skipped.
type reader struct {
	log  *Log
	f    *os.File
	buf  *bufio.Reader
	gen  int // which file f is, in the log's counting
	part []byte
}

func (r *reader) close() {
	if r.f != nil {
		r.f.Close()
	}
}

// openOldest opens the oldest file there is.
func (r *reader) openOldest() error {
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	for i := Files - 1; i >= 0; i-- {
		if err := r.open(i); err == nil || !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	r.gen = r.log.gen - 1 // nothing written yet: the newest comes next
	return nil
}

// open takes the i-th newest file; the log's lock is held.
func (r *reader) open(i int) error {
	f, err := os.Open(r.log.path(i))
	if err != nil {
		return err
	}
	r.close()
	r.f, r.buf, r.gen, r.part = f, bufio.NewReader(f), r.log.gen-i, nil
	return nil
}

// next returns the next entry, or io.EOF with a channel that is closed at the
// next change (nil where none will come).
func (r *reader) next() (Entry, <-chan struct{}, error) {
	for {
		r.log.mu.Lock()
		change, sealed, newest := r.log.change, r.log.sealed, r.log.gen
		r.log.mu.Unlock()
		if r.f != nil {
			line, err := r.buf.ReadSlice('\n')
			r.part = append(r.part, line...)
			if err == nil {
				var e Entry
				bad := json.Unmarshal(r.part, &e) != nil
				r.part = r.part[:0]
				if bad {
					continue
				}
				return e, nil, nil
			}
			if errors.Is(err, bufio.ErrBufferFull) {
				continue
			}
			if !errors.Is(err, io.EOF) {
				return Entry{}, nil, err
			}
		}
		if r.gen < newest || r.f == nil {
			moved, err := r.advance()
			if err != nil {
				return Entry{}, nil, err
			}
			if moved {
				continue
			}
		}
		if sealed {
			change = nil
		}
		return Entry{}, change, io.EOF
	}
}

// advance opens the file after the present one, or the oldest kept.
func (r *reader) advance() (bool, error) {
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	i := min(r.log.gen-r.gen-1, Files-1)
	err := r.open(max(i, 0))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
