// Package launch is the launch queue: which apps have tasks left to launch,
// and until when a failing one must wait (contracts 4).
//
// Nouns: Queue, Item (an app with a number of tasks left), the back-off of a
// configuration. The Queue decides about time but keeps no timers: its owner
// asks NextEnd when to look again. It has no lock of its own.
//
// The back-off belongs to an app's configuration version: scaling leaves it
// alone, a change of configuration begins without one. A task that comes up
// does not end it; once over it is forgotten at the next Forget.
package launch

import (
	"math"
	"slices"
	"time"

	"github.com/mesoslab/lab/mini/marathon/app"
)

// Item is an app with tasks left to launch.
type Item struct {
	App  app.App
	Left int
}

// Queue is the launch queue. The zero value is empty and ready.
type Queue struct {
	items  []*Item
	delays map[key]delay
}

// key is an app's configuration.
type key struct{ app, config string }

type delay struct {
	until time.Time
	wait  time.Duration
}

func keyOf(a app.App) key { return key{a.ID, a.ConfigVersion().String()} }

// Items lists what is left to launch, in the order it was queued.
func (q *Queue) Items() []*Item { return slices.Clone(q.items) }

// Item finds an app's item, or nil.
func (q *Queue) Item(appID string) *Item {
	for _, i := range q.items {
		if i.App.ID == appID {
			return i
		}
	}
	return nil
}

// Set makes n tasks of the app be left to launch; 0 takes it off the queue.
// It reports whether something can be launched now that could not before.
func (q *Queue) Set(a app.App, n int) (more bool) {
	i := q.Item(a.ID)
	switch {
	case n <= 0:
		q.items = slices.DeleteFunc(q.items, func(x *Item) bool { return x == i })
		return false
	case i == nil:
		i = &Item{}
		q.items = append(q.items, i)
	}
	more = n > i.Left || keyOf(i.App) != keyOf(a)
	i.App, i.Left = a, n
	return more && q.Ready(i)
}

// Drop takes an app off the queue.
func (q *Queue) Drop(appID string) { q.Set(app.App{ID: appID}, 0) }

// Ready reports whether an item only waits for an offer.
func (q *Queue) Ready(i *Item) bool { return i.Left > 0 && q.Wait(i.App) <= 0 }

// AnyReady reports whether some item only waits for an offer.
func (q *Queue) AnyReady() bool { return slices.ContainsFunc(q.items, q.Ready) }

// Wait is how long the app's configuration still has to wait.
func (q *Queue) Wait(a app.App) time.Duration { return time.Until(q.delays[keyOf(a)].until) }

// NextEnd is when the next back-off of a queued app is over; zero if none
// is waiting.
func (q *Queue) NextEnd() time.Time {
	var next time.Time
	for _, i := range q.items {
		until := q.delays[keyOf(i.App)].until
		if until.After(time.Now()) && (next.IsZero() || until.Before(next)) {
			next = until
		}
	}
	return next
}

// Failed makes the next launch of a failed task's configuration wait: first
// backoffSeconds, then × backoffFactor, up to maxLaunchDelaySeconds. It
// returns the wait.
func (q *Queue) Failed(a app.App, config app.Time) time.Duration {
	k := key{a.ID, config.String()}
	d := q.delays[k]
	if d.wait == 0 {
		d.wait = time.Duration(a.BackoffSeconds) * time.Second
	} else {
		d.wait = time.Duration(math.Min(float64(d.wait)*a.BackoffFactor, math.MaxInt64/2))
	}
	d.wait = min(d.wait, time.Duration(a.MaxLaunchDelaySeconds)*time.Second)
	d.until = time.Now().Add(d.wait)
	if q.delays == nil {
		q.delays = map[key]delay{}
	}
	q.delays[k] = d
	return d.wait
}

// Reset ends every back-off of an app.
func (q *Queue) Reset(appID string) {
	for k := range q.delays {
		if k.app == appID {
			delete(q.delays, k)
		}
	}
}

// Forget drops back-offs that are over: a failure after it starts anew
// (1.1.1 does this every 10 s).
func (q *Queue) Forget() {
	for k, d := range q.delays {
		if !d.until.After(time.Now()) {
			delete(q.delays, k)
		}
	}
}
