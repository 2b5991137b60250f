// Package event is Marathon's event bus: what happens is published once and
// goes, in the JSON of contracts section 3, to everybody who listens.
//
// Nouns: Bus, Message (one event, printed), Subscription. Publish never blocks:
// a listener that has 50 events outstanding (or as many as the flag says) loses
// the newest, as in 1.1.1. There is no replay. Closing the Bus ends all
// subscriptions; later events go nowhere. Everything is safe for concurrent
// use.
package event

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/mesoslab/lab/mini/marathon/app"
)

// Outstanding is 1.1.1's default of --event_stream_max_outstanding_messages.
const Outstanding = 50

// Message is one printed event.
type Message struct {
	Type string // status_update_event, …
	JSON []byte // one line
}

// Bus carries events to subscriptions.
type Bus struct {
	// Outstanding is how many events may wait for one listener. Set it before
	// anybody subscribes.
	Outstanding int

	mu     sync.Mutex
	subs   map[*Subscription]bool
	closed bool
}

// NewBus returns a Bus without listeners.
func NewBus() *Bus { return &Bus{Outstanding: Outstanding, subs: map[*Subscription]bool{}} }

// Subscription receives events on C until Cancel or the end of the Bus
// closes it.
type Subscription struct {
	C   <-chan Message
	c   chan Message
	bus *Bus
}

// Subscribe starts listening.
func (b *Bus) Subscribe() *Subscription {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := make(chan Message, b.Outstanding)
	s := &Subscription{C: c, c: c, bus: b}
	if b.closed {
		close(c)
		return s
	}
	b.subs[s] = true
	return s
}

// Cancel stops listening.
func (s *Subscription) Cancel() {
	s.bus.mu.Lock()
	defer s.bus.mu.Unlock()
	if s.bus.subs[s] {
		delete(s.bus.subs, s)
		close(s.c)
	}
}

// Close ends every subscription.
func (b *Bus) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for s := range b.subs {
		delete(b.subs, s)
		close(s.c)
	}
}

// Publish sends an event. payload must be printed as a JSON object;
// eventType and timestamp are added to it. A payload that cannot be printed
// is a programming error and panics.
func (b *Bus) Publish(kind string, payload any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.subs) == 0 {
		return // plans are large: nobody prints them for nobody
	}
	m := Message{kind, Print(kind, payload, time.Now())}
	for s := range b.subs {
		select {
		case s.c <- m:
		default: // its buffer is full: the newest is lost
		}
	}
}

// Print is the JSON of an event: the payload's keys, then eventType and
// timestamp.
func Print(kind string, payload any, at time.Time) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(payload); err != nil {
		panic(fmt.Sprintf("print %s: %v", kind, err))
	}
	body := bytes.TrimSuffix(bytes.TrimSpace(b.Bytes()), []byte("}"))
	out := append([]byte{}, body...)
	if len(body) > 1 {
		out = append(out, ',')
	}
	return fmt.Appendf(out, `"eventType":%q,"timestamp":%q}`, kind, app.At(at).String())
}
