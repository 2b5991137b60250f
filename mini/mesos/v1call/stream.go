package v1call

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/mesoslab/lab/mini/mesos/master/outbox"
)

// writeTimeout is how long a stream may take nothing before it is closed.
const writeTimeout = time.Minute

// Heartbeat is an event that a stream carries every Interval; a zero Interval
// is none.
type Heartbeat[E Message] struct {
	Interval time.Duration
	Event    E
}

// Pump answers 200 and writes events as they come until the queue is closed,
// the client is gone or takes nothing for a minute, or ctx ends.
func Pump[E Message](ctx context.Context, w http.ResponseWriter, q *outbox.Queue[E], media string, beat Heartbeat[E]) error {
	w.Header().Set("Content-Type", media)
	w.WriteHeader(http.StatusOK)
	rc := http.NewResponseController(w)
	var beats <-chan time.Time
	if beat.Interval > 0 {
		t := time.NewTicker(beat.Interval)
		defer t.Stop()
		beats = t.C
	}
	for {
		events, open, err := q.Take()
		for _, e := range events {
			if err := write(rc, w, e, media); err != nil {
				return err
			}
		}
		if !open || err != nil {
			return err
		}
		if len(events) > 0 {
			continue
		}
		select {
		case <-q.Ready():
		case <-beats:
			if err := write(rc, w, beat.Event, media); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func write(rc *http.ResponseController, w io.Writer, e Message, media string) error {
	record, err := Encode(e, media)
	if err != nil {
		return err
	}
	frame := append(strconv.AppendInt(nil, int64(len(record)), 10), '\n')
	if err := rc.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := w.Write(append(frame, record...)); err != nil { // one write, one chunk
		return err
	}
	return rc.Flush()
}
