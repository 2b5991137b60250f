package lab

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Until calls fn until it returns nil, pausing every between calls, and is
// the only way this program waits. It ends with fn's error at once if that is
// Permanent, and with an error that names what was awaited and the last thing
// seen when ctx ends.
func Until(ctx context.Context, every time.Duration, what string, fn func(context.Context) error) error {
	start := time.Now()
	timer := time.NewTimer(every)
	defer timer.Stop()
	var before error
	for {
		last := fn(ctx)
		if last == nil {
			return nil
		}
		if p, ok := errors.AsType[permanent](last); ok {
			return fmt.Errorf("%s: %w", what, p.error)
		}
		// A look that the end of ctx has cut short has seen nothing.
		if before != nil && ctx.Err() != nil && errors.Is(last, ctx.Err()) {
			last = before
		}
		before = last
		timer.Reset(every)
		select {
		case <-ctx.Done():
			return &WaitError{What: what, After: time.Since(start), Last: last, Cause: context.Cause(ctx)}
		case <-timer.C:
		}
	}
}

// WaitError is a wait that ended before its condition held.
type WaitError struct {
	What  string        // what was awaited
	After time.Duration // how long
	Last  error         // the last thing seen
	Cause error         // why the wait ended: a deadline or a cancellation
}

func (e *WaitError) Error() string {
	return fmt.Sprintf("waited %s for %s; last seen: %v", e.After.Round(100*time.Millisecond), e.What, e.Last)
}

// Unwrap gives both the last thing seen and why the wait ended.
func (e *WaitError) Unwrap() []error { return []error{e.Last, e.Cause} }

type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// Permanent marks an error that makes further waiting pointless.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanent{err}
}
