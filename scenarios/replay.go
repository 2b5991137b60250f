package scenarios

import (
	"context"
	"fmt"
	"time"

	"github.com/mesoslab/lab"
)

// The slowest and fastest replays.
const (
	MinSpeed = 0.1
	MaxSpeed = 1000
)

// Replay reports the events of a recorded run again, as far apart as they
// were, divided by speed. Events get the time at which they are shown.
func Replay(ctx context.Context, rec *Recording, speed float64, report lab.Report) error {
	if !(speed >= MinSpeed && speed <= MaxSpeed) {
		return fmt.Errorf("%w: speed %g must be %g to %d", lab.ErrUsage, speed, MinSpeed, MaxSpeed)
	}
	start := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for _, e := range rec.Events {
		due := start.Add(time.Duration(min(e.At/speed, 1e6) * float64(time.Second)))
		timer.Reset(time.Until(due))
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-timer.C:
		}
		e.Time = time.Time{}
		report.Emit(e.Event)
	}
	return nil
}
