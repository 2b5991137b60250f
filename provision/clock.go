package provision

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/mesoslab/lab"
)

// MaxClockOffset is how far a machine's clock may be from this computer's
// before it is set. Verdicts put Marathon's times (of the master's clock) on
// the same line as what was seen from here; half a second keeps them within
// the sample app's checks, one a second, and is more than a slow machine's
// answer makes uncertain.
const MaxClockOffset = 500 * time.Millisecond

// clockTries is how often the clock is set: the first time is late by what
// sudo and date take to start, and the second knows how much that is.
const clockTries = 3

// SetClock sets a machine's clock from this computer's where facts say that it
// is more than MaxClockOffset off, and measures again. f must be fresh: after a
// resume or the restore of a snapshot, FindFacts comes first. changed says that
// the clock was set. Error ids: clock-skew for a clock that stays off, or that
// the machine shares with others and nobody may set from within (f.FixedClock);
// a lab works with it, but its times mislead.
func SetClock(ctx context.Context, host Target, f Facts) (changed bool, err error) {
	offset := f.ClockOffset
	if offset.Abs() <= MaxClockOffset {
		return false, nil
	}
	m := host.Machine()
	skew := func(err error, advice string) error {
		return &lab.Error{ID: "clock-skew", Op: "set clock", Machine: m.Name, Err: err, Advice: advice}
	}
	if f.FixedClock {
		return false, skew(fmt.Errorf("the machine's clock is %s and cannot be set from within it", tell(offset)),
			"set the clock of the computer that runs the machine; until then times of different machines do not compare")
	}
	root, lead := m.SSH.User == "root", time.Duration(0)
	for range clockTries {
		if _, err := host.Run(ctx, Quote(clockCommand(root, time.Now().Add(lead))...), nil); err != nil {
			return changed, skew(err, "look at date on the machine: lab ssh "+m.Name)
		}
		changed = true
		if offset, err = MeasureClock(ctx, host); err != nil {
			return changed, fmt.Errorf("%s: set clock: %w", m.Name, err)
		}
		if offset.Abs() <= MaxClockOffset {
			return true, nil
		}
		lead -= offset
	}
	return changed, skew(fmt.Errorf("the machine's clock was set %d times and is still %s", clockTries, tell(offset)),
		"something else sets it: look for a time service on the machine (timedatectl, ntpd, the guest additions of the VM provider)")
}

// MeasureClock returns how far the machine's clock is ahead of ours, exact to
// about half the time that the question takes.
func MeasureClock(ctx context.Context, host Runner) (time.Duration, error) {
	before := time.Now()
	out, err := host.Run(ctx, "date +%s.%N", nil)
	after := time.Now()
	if err != nil {
		return 0, fmt.Errorf("ask for the time: %w", err)
	}
	there, ok := unixTime(strings.TrimSpace(string(out)))
	if !ok {
		return 0, fmt.Errorf("ask for the time: date says %q", shorten(string(out), 60))
	}
	return there.Sub(before.Add(after.Sub(before) / 2)), nil
}

// clockCommand sets the time. It is the same on every init system: what keeps
// time over a boot is the VM provider's business.
func clockCommand(root bool, t time.Time) []string {
	stamp := strconv.FormatInt(t.Unix(), 10) + "." + fmt.Sprintf("%09d", t.Nanosecond())
	return privileged(root, "date", "-u", "-s", "@"+stamp)
}

// tell says how far off a clock is.
func tell(offset time.Duration) string {
	if offset < 0 {
		return offset.Abs().Round(time.Millisecond).String() + " slow"
	}
	return offset.Round(time.Millisecond).String() + " fast"
}
