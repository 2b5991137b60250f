package stack

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"time"

	"github.com/tmaxmax/go-sse"
)

// maxEvent bounds one event: deployments carry two whole group trees.
const maxEvent = 16 << 20

// Event is one of Marathon's events (contracts 3). Fields that its type does
// not have are zero; Raw holds all of it.
type Event struct {
	Type       string    `json:"eventType"` // status_update_event …
	Timestamp  time.Time `json:"timestamp"` // Marathon's clock
	Received   time.Time `json:"-"`         // ours
	AppID      string    `json:"appId"`
	TaskID     string    `json:"taskId"`
	SlaveID    string    `json:"slaveId"`
	TaskStatus string    `json:"taskStatus"` // TASK_RUNNING, TASK_LOST …
	Message    string    `json:"message"`
	Host       string    `json:"host"`
	Ports      []int     `json:"ports"`
	Version    string    `json:"version"`
	Alive      *bool     `json:"alive"`
	Reason     string    `json:"reason"`
	ID         string    `json:"id"` // of a deployment that ended
	Plan       *struct {
		ID string `json:"id"`
	} `json:"plan"`
	Step struct {
		Actions []StepAction `json:"actions"`
	} `json:"currentStep"` // of a deployment under way
	Raw json.RawMessage `json:"-"`
}

// StepAction is one action of a deployment's step. Marathon 1.1.1 calls its kind
// "type", 1.1.2 and later "action" (contracts 2.3).
type StepAction struct {
	Type   string `json:"type"` // StartApplication, ScaleApplication …
	Action string `json:"action"`
	App    string `json:"app"`
}

// Kind is what the action does, by whichever name.
func (a StepAction) Kind() string { return cmp.Or(a.Type, a.Action) }

// EventStream is an open stream of events.
type EventStream struct{ body io.ReadCloser }

// Subscribe opens the stream and returns when Marathon has accepted it: what
// happens from then on will be seen. It ends with ctx. There is no replay:
// after a lost stream the state must be read again.
func (m *Marathon) Subscribe(ctx context.Context) (*EventStream, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.Base+"/v2/events", nil)
	if err != nil {
		return nil, fmt.Errorf("marathon events: %w", err)
	}
	req.Header.Set("Accept", "text/event-stream") // mandatory: 405 without it
	resp, err := m.HTTP.Do(req)
	if err != nil {
		return nil, fmt.Errorf("marathon events: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
		return nil, fmt.Errorf("marathon events: %w", &StatusError{Method: http.MethodGet, URL: req.URL.String(), Status: resp.StatusCode, Body: text})
	}
	return &EventStream{body: resp.Body}, nil
}

// ErrStreamEnded is the last error of a stream that Marathon ended.
var ErrStreamEnded = errors.New("marathon ended the event stream")

// All yields the events as they come and at last one error: ErrStreamEnded, a
// broken connection, or the end of the context. It can be used once; leaving
// the loop closes the stream.
func (s *EventStream) All() iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		defer s.body.Close()
		for frame, err := range sse.Read(s.body, &sse.ReadConfig{MaxEventSize: maxEvent}) {
			if err != nil {
				yield(Event{}, fmt.Errorf("marathon events: %w", err))
				return
			}
			if frame.Data == "" {
				continue // keep-alives
			}
			e, err := parseEvent([]byte(frame.Data), frame.Type)
			if !yield(e, err) || err != nil {
				return
			}
		}
		yield(Event{}, ErrStreamEnded)
	}
}

// Close ends the stream.
func (s *EventStream) Close() error { return s.body.Close() }

// parseEvent reads one event. A field of another type than expected costs that
// field only: what matters is that something happened.
func parseEvent(data []byte, frameType string) (Event, error) {
	e := Event{Received: time.Now(), Raw: data}
	if err := json.Unmarshal(data, &e); err != nil {
		if _, ok := errors.AsType[*json.UnmarshalTypeError](err); !ok {
			return Event{}, fmt.Errorf("marathon events: %.80q: %w", data, err)
		}
	}
	if e.Type == "" {
		e.Type = frameType
	}
	return e, nil
}
