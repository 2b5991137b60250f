package containers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mesoslab/lab"
	"github.com/moby/moby/client"
)

// helloWait is how long the engine may take to answer before anything begins.
const helloWait = 10 * time.Second

// patience says how long to wait for what may never answer.
type patience struct {
	// An engine that hangs accepts connections and never answers: no call of
	// the API ends by itself then. While one goes on, the engine is pinged every
	// ping, and may leave one unanswered for silence.
	ping, silence time.Duration
	// sshd of a machine that runs already may keep silent for revive before it
	// is started anew.
	revive time.Duration
}

// watched returns a context that ends when the engine falls silent, and the
// function that ends the watch: it makes the error of what was cut off say so.
func (p *Provider) watched(ctx context.Context) (context.Context, func(*error)) {
	ctx, cancel := context.WithCancelCause(ctx)
	over := make(chan struct{})
	go func() {
		defer close(over)
		pause := time.NewTicker(p.patience.ping)
		defer pause.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-pause.C:
			}
			if err := p.ping(ctx, p.patience.silence); err != nil && ctx.Err() == nil {
				cancel(err)
			}
		}
	}()
	return ctx, func(err *error) {
		cause := context.Cause(ctx)
		if silent, ok := errors.AsType[*silentError](cause); ok && *err != nil {
			*err = &lab.Error{ID: "engine-silent", Op: "wait for the Docker engine", Err: fmt.Errorf("%w, while this went on: %w", silent, *err),
				Advice: "look at Docker on this computer (journalctl -u docker); the same command then goes on where it stopped"}
		}
		cancel(nil)
		<-over
	}
}

// silentError says that the engine has left a ping unanswered.
type silentError struct{ wait time.Duration }

func (e *silentError) Error() string { return fmt.Sprintf("it has not answered for %s", e.wait) }

// ping asks whether the engine is there. An error other than silence is not
// this function's business: whatever was asked of the engine meets it, too.
func (p *Provider) ping(ctx context.Context, wait time.Duration) error {
	limited, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	_, err := p.engine.Ping(limited, client.PingOptions{})
	if err != nil && errors.Is(limited.Err(), context.DeadlineExceeded) {
		return &silentError{wait}
	}
	return nil
}
