// Package events is the engine's event bus: what happened, to whom, kept for
// late readers (the last 256) and sent to those who watch.
//
// A watcher that does not read loses its subscription rather than holding up
// the engine. The bus does no I/O.
package events

import (
	"context"
	"sync"
	"time"
)

// Keep is how many events are remembered, as in dockerd.
const Keep = 256

// Actor is what an event is about.
type Actor struct {
	ID         string
	Attributes map[string]string
}

// Event is one message of GET /events. Status, ID and From repeat container
// and image events in the form of API versions before 1.22.
type Event struct {
	Status   string `json:"status,omitempty"`
	ID       string `json:"id,omitempty"`
	From     string `json:"from,omitempty"`
	Type     string
	Action   string
	Actor    Actor
	Scope    string `json:"scope"`
	Time     int64  `json:"time"`
	TimeNano int64  `json:"timeNano"`
}

// Bus is safe for concurrent use. The zero value is ready.
type Bus struct {
	mu   sync.Mutex
	last []Event
	subs map[chan Event]bool
}

// Publish stamps the event with the present time and hands it to everybody.
func (b *Bus) Publish(typ, action, id string, attributes map[string]string) {
	now := time.Now()
	e := Event{
		Type: typ, Action: action, Actor: Actor{ID: id, Attributes: attributes},
		Scope: "local", Time: now.Unix(), TimeNano: now.UnixNano(),
	}
	if typ == "container" || typ == "image" {
		e.Status, e.ID, e.From = action, id, attributes["image"]
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last = append(b.last, e)
	if len(b.last) > Keep {
		b.last = append(b.last[:0], b.last[1:]...)
	}
	for c := range b.subs {
		select {
		case c <- e:
		default:
			delete(b.subs, c)
			close(c)
		}
	}
}

// Subscribe returns the remembered events not older than since (none for the
// zero time) and a channel of all later ones, without a gap. The channel is
// closed when ctx ends or the reader falls behind by Keep events.
func (b *Bus) Subscribe(ctx context.Context, since time.Time) ([]Event, <-chan Event) {
	c := make(chan Event, Keep)
	b.mu.Lock()
	defer b.mu.Unlock()
	var past []Event
	for _, e := range b.last {
		if !since.IsZero() && e.TimeNano >= since.UnixNano() {
			past = append(past, e)
		}
	}
	if b.subs == nil {
		b.subs = map[chan Event]bool{}
	}
	b.subs[c] = true
	context.AfterFunc(ctx, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.subs[c] {
			delete(b.subs, c)
			close(c)
		}
	})
	return past, c
}

// Watchers is how many subscriptions there are.
func (b *Bus) Watchers() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.subs)
}
