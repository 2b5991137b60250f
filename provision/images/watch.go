package images

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mesoslab/lab"
	"github.com/moby/moby/client"
)

// A load, a pull or a save may take as long as it takes, and says nothing for
// much of that time: an engine that hangs looks no different. So it is asked
// something easy every askEvery meanwhile, and may leave that unanswered for
// silence; a starved machine needs its time.
const (
	askEvery = 5 * time.Second
	silence  = 2 * time.Minute
)

var errSilent = fmt.Errorf("its Docker has not answered for %s", silence)

// whileItAnswers does what goes on in the machine's engine, and gives it up
// when that falls silent: the error id engine-silent.
func (m Machine) whileItAnswers(ctx context.Context, what string, do func(context.Context) error) error {
	watched, cancel := context.WithCancelCause(ctx)
	over := make(chan struct{})
	go func() {
		defer close(over)
		m.awaitSilence(watched)
		cancel(errSilent)
	}()
	err := do(watched)
	silent := err != nil && errors.Is(context.Cause(watched), errSilent)
	cancel(nil)
	<-over
	if !silent {
		return err
	}
	return &lab.Error{ID: "engine-silent", Op: what, Machine: m.Name, Err: errSilent,
		Advice: "look what holds it up: lab ssh " + m.Name + ", then journalctl -u docker; lab create goes on where it stopped"}
}

// awaitSilence returns when the engine has left a question unanswered, or with
// ctx. Other errors than silence are met by whatever goes on as well.
func (m Machine) awaitSilence(ctx context.Context) {
	pause := time.NewTicker(askEvery)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
		limited, cancel := context.WithTimeout(ctx, silence)
		_, err := m.Docker.Info(limited, client.InfoOptions{})
		silent := err != nil && errors.Is(limited.Err(), context.DeadlineExceeded)
		cancel()
		if silent {
			return
		}
	}
}
