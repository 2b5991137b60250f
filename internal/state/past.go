package state

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/mesoslab/lab"
)

// PastEvent is one line of events.jsonl. A line that is no event has Err.
type PastEvent struct {
	lab.Event
	Raw []byte // as it is written, without the end of line
	Err error
}

// lookAgain is how often a followed log is looked at.
const lookAgain = 100 * time.Millisecond

// Events calls fn for the last events of the lab's log (all of them where last
// is negative), oldest first, and with follow for every later one until ctx
// ends or the lab is gone. A line in the making is waited for.
func (l *Lab) Events(ctx context.Context, last int, follow bool, fn func(PastEvent) error) error {
	name := filepath.Join(l.Dir, "events.jsonl")
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) && !follow {
		return nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		f, err = awaitFile(ctx, name)
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("read event log: %w", err)
	}
	defer f.Close()
	r := &lineReader{in: bufio.NewReader(f)}
	var kept []PastEvent
	for line, ok, err := r.next(); ok || err != nil; line, ok, err = r.next() {
		if err != nil {
			return fmt.Errorf("read event log: %w", err)
		}
		kept = append(kept, parseEvent(line))
		if last >= 0 && len(kept) > last {
			kept = kept[1:]
		}
	}
	for _, e := range kept {
		if err := fn(e); err != nil {
			return err
		}
	}
	if !follow {
		return nil
	}
	return r.follow(ctx, name, fn)
}

func awaitFile(ctx context.Context, name string) (f *os.File, err error) {
	err = lab.Until(ctx, lookAgain, "an event log", func(context.Context) error {
		f, err = os.Open(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return lab.Permanent(err)
		}
		return err
	})
	return f, err
}

// follow goes on until ctx ends or the file is gone.
func (r *lineReader) follow(ctx context.Context, name string, fn func(PastEvent) error) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		_, gone := os.Stat(name)
		for {
			line, ok, err := r.next()
			if err != nil {
				return fmt.Errorf("read event log: %w", err)
			}
			if !ok {
				break
			}
			if err := fn(parseEvent(line)); err != nil {
				return err
			}
		}
		if errors.Is(gone, fs.ErrNotExist) {
			return nil
		}
		timer.Reset(lookAgain)
	}
}

// lineReader keeps the beginning of a line whose end is not written yet.
type lineReader struct {
	in   *bufio.Reader
	rest []byte
}

func (r *lineReader) next() (line []byte, ok bool, err error) {
	part, err := r.in.ReadBytes('\n')
	r.rest = append(r.rest, part...)
	if errors.Is(err, io.EOF) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	line, r.rest = bytes.TrimRight(r.rest, "\r\n"), nil
	return line, true, nil
}

func parseEvent(line []byte) PastEvent {
	e := PastEvent{Raw: line}
	if err := json.Unmarshal(line, &e.Event); err != nil {
		e.Err = fmt.Errorf("a line of the event log is no event: %w", err)
	} else if e.Kind == "" {
		e.Err = errors.New("a line of the event log is no event: it has no kind")
	}
	return e
}
