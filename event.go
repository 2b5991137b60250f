package lab

import (
	"sync"
	"time"
)

// EventKind says where in its life a step is.
type EventKind string

// A step starts, may wait for named things any number of times, and is done
// or fails. A note belongs to no step's life.
const (
	EventStart EventKind = "start"
	EventWait  EventKind = "wait"
	EventDone  EventKind = "done"
	EventFail  EventKind = "fail"
	EventNote  EventKind = "note"
)

// Event is the only way a library speaks while it works. Op is the command's
// word (create, destroy, scenario), Step a stable short word within it (boot,
// ssh, docker-opts), Node the machine or "" for the whole lab. Text is what
// is waited for, found or done, in words for people. Data holds figures for
// programs; "quiet": true on a done event says that people need not hear of it.
type Event struct {
	Time time.Time      `json:"time"`
	Op   string         `json:"op,omitempty"`
	Kind EventKind      `json:"kind"`
	Node string         `json:"node,omitempty"`
	Step string         `json:"step,omitempty"`
	Text string         `json:"text,omitempty"`
	Err  string         `json:"error,omitempty"`
	Data map[string]any `json:"data,omitempty"`
}

// DataChanged is the key in Event.Data whose value, a text, belongs into the
// list of what a command has changed.
const DataChanged = "changed"

// Report receives events. It must be safe for concurrent use and must not
// block. A nil Report is silent.
type Report func(Event)

// Emit sends an event stamped with the current time.
func (r Report) Emit(e Event) {
	if r == nil {
		return
	}
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	r(e)
}

// Step runs fn between a start event and a done or fail event. fn gets a
// function that says what the step is waiting for. It may be called as often as
// fn looks: the same words in a row are one event.
func (r Report) Step(op, node, step string, fn func(wait func(text string)) error) error {
	r.Emit(Event{Op: op, Kind: EventStart, Node: node, Step: step})
	start := time.Now()
	var mu sync.Mutex
	told, last := false, ""
	err := fn(func(text string) {
		mu.Lock()
		defer mu.Unlock()
		if told && text == last {
			return
		}
		told, last = true, text
		r.Emit(Event{Op: op, Kind: EventWait, Node: node, Step: step, Text: text})
	})
	end := Event{Op: op, Kind: EventDone, Node: node, Step: step, Data: map[string]any{"seconds": time.Since(start).Seconds()}}
	if err != nil {
		end.Kind, end.Err = EventFail, err.Error()
	}
	r.Emit(end)
	return err
}
