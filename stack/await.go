package stack

import (
	"context"
	"errors"
	"time"

	"github.com/mesoslab/lab"
)

// pace is how often await looks: quickly while a lab on this computer comes
// up, slower where virtual machines take their time.
var pace = [...]struct{ every, until time.Duration }{
	{20 * time.Millisecond, 2 * time.Second},
	{50 * time.Millisecond, 5 * time.Second},
	{200 * time.Millisecond, 20 * time.Second},
	{500 * time.Millisecond, 0}, // to the end
}

// await is lab.Until with that pace. An attempt that is cut off by the end of
// the wait reports what the one before it saw.
func await(ctx context.Context, what string, fn func(context.Context) error) error {
	start := time.Now()
	var last error
	attempt := func(context.Context) error {
		// The outer context: a change of pace must not cut a call off.
		err := fn(ctx)
		if err != nil && ctx.Err() != nil && last != nil {
			return last
		}
		last = err
		return err
	}
	for _, p := range pace {
		phase, cancel := ctx, context.CancelFunc(func() {})
		if p.until > 0 {
			phase, cancel = context.WithDeadline(ctx, start.Add(p.until))
		}
		err := lab.Until(phase, p.every, what, attempt)
		cancel()
		waited, timedOut := errors.AsType[*lab.WaitError](err)
		if !timedOut || ctx.Err() != nil || p.until == 0 {
			if timedOut { // tell of the whole wait, not of its last phase
				waited.After = time.Since(start)
				if ctx.Err() != nil {
					waited.Cause = context.Cause(ctx)
				}
			}
			return err
		}
	}
	return nil
}
