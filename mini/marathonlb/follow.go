package marathonlb

import (
	"context"
	"time"
)

// Times of 1.3.0's reconnecting, and of ours before the first stream.
const (
	backoffStart  = 3 * time.Second
	backoffFactor = 1.5
	backoffMost   = 300 * time.Second
	steadyAfter   = 600 * time.Second // a stream this long resets the back-off
	firstEvery    = 500 * time.Millisecond
	firstFor      = time.Minute
	readAgain     = 3 * time.Second
)

// follower turns Marathon's events into refreshes.
type follower struct {
	marathon *marathon
	// refresh reads the state and applies it; an error means that it could
	// not be read.
	refresh func(ctx context.Context, base string) error
	poll    time.Duration
	random  func() float64 // 0 ≤ x < 1
	log     func(format string, args ...any)
	trigger chan string // holds one
}

// events keeps a stream open until ctx ends.
func (f *follower) events(ctx context.Context) {
	backoff, ever, start, said := backoffStart, false, time.Now(), ""
	for ctx.Err() == nil {
		opened := time.Now()
		base := f.marathon.url()
		err := f.marathon.stream(ctx, base, func() {
			ever = true
			f.log("following %s/v2/events", base)
			f.poke("event stream opened")
		}, f.event)
		if ctx.Err() != nil {
			return
		}
		f.marathon.next()
		wait := firstEvery
		if ever || time.Since(start) >= firstFor {
			wait, backoff = f.after(backoff, time.Since(opened))
		}
		if ever || err.Error() != said { // not the same words every 500 ms
			said = err.Error()
			f.log("event stream of %s: %v; reconnecting in %v", base, err, wait.Round(time.Millisecond))
		}
		sleep(ctx, wait)
	}
}

// after returns how long to wait after a stream that lasted for a while, and
// the back-off of the next failure.
func (f *follower) after(backoff, lasted time.Duration) (wait, next time.Duration) {
	if lasted > steadyAfter {
		backoff = backoffStart
	}
	return time.Duration(f.random() * float64(backoff)), min(time.Duration(float64(backoff)*backoffFactor), backoffMost)
}

func (f *follower) event(kind string) {
	switch kind {
	case "status_update_event", "health_status_changed_event", "api_post_event":
		f.poke(kind)
	}
}

// poke asks for a refresh; one that is already asked for covers it.
func (f *follower) poke(why string) {
	select {
	case f.trigger <- why:
	default:
	}
}

// refreshes does one refresh after the other until ctx ends.
func (f *follower) refreshes(ctx context.Context) {
	timer := time.NewTimer(f.poll)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.trigger:
		case <-timer.C:
		}
		next := f.poll
		if err := f.refresh(ctx, f.marathon.url()); err != nil && ctx.Err() == nil {
			f.log("%v", err)
			next = min(readAgain, f.poll)
		}
		timer.Reset(next)
	}
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
