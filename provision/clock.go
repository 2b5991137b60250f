package provision

import (
	"context"
	"fmt"
	"time"
)

// clockTolerance is how far a machine's clock may be off: SSH round trips of
// slow machines are measured as such, and nothing in a cluster minds a second.
const clockTolerance = time.Second

// SetClock sets a machine's clock by this computer's if it is off by more than
// a second, and reports whether it did. A machine that was paused, or brought
// back to a snapshot, goes on with the time of then.
func SetClock(ctx context.Context, host Runner, facts Facts) (changed bool, err error) {
	off := facts.ClockOffset
	if off.Abs() <= clockTolerance {
		return false, nil
	}
	if _, err := host.Run(ctx, setClockCommand(facts.UID == 0, time.Now()), nil); err != nil {
		return false, fmt.Errorf("set the clock, which is off by %s: %w", off.Round(time.Millisecond), err)
	}
	return true, nil
}

// setClockCommand sets the clock to now. It takes effect half a round trip
// later; what matters is that no day is missing.
func setClockCommand(root bool, now time.Time) string {
	return Quote(privileged(root, "date", "-u", "-s", fmt.Sprintf("@%d.%09d", now.Unix(), now.Nanosecond()))...)
}
