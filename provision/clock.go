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

// ClockOff says whether facts prove that a machine's clock is more than
// MaxClockOffset off; an answer that took long proves little.
func ClockOff(f Facts) bool { return f.ClockOffset.Abs() > MaxClockOffset+f.ClockError }

// SetClock sets a machine's clock from this computer's where ClockOff says so,
// and measures again. f must be fresh: after a resume or the restore of a
// snapshot, FindFacts comes first. changed says that the clock was set. The
// error id is clock-skew for a clock that stays off, or that the machine shares
// with others and nobody may set from within (f.FixedClock): a lab works with
// it, but its times mislead.
func SetClock(ctx context.Context, host Target, f Facts) (changed bool, err error) {
	if !ClockOff(f) {
		return false, nil
	}
	m := host.Machine()
	skew := func(err error, advice string) error {
		return &lab.Error{ID: "clock-skew", Op: "set clock", Machine: m.Name, Err: err, Advice: advice}
	}
	if f.FixedClock {
		return false, skew(fmt.Errorf("the machine's clock is %s and cannot be set from within it", tell(f.ClockOffset)),
			"set the clock of the computer that runs the machine; until then times of different machines do not compare")
	}
	root, lead := m.SSH.User == "root", time.Duration(0)
	now := f
	for range clockTries {
		if _, err := host.Run(ctx, Quote(clockCommand(root, time.Now().Add(lead))...), nil); err != nil {
			return changed, skew(err, "look at date on the machine: lab ssh "+m.Name)
		}
		changed = true
		if now.ClockOffset, now.ClockError, err = MeasureClock(ctx, host); err != nil {
			return changed, fmt.Errorf("%s: set clock: %w", m.Name, err)
		}
		if now.ClockOffset.Abs() <= MaxClockOffset {
			return true, nil
		}
		lead -= now.ClockOffset
	}
	if !ClockOff(now) {
		return true, nil // as near as so slow a machine lets us see
	}
	return changed, skew(fmt.Errorf("the machine's clock was set %d times and is still %s", clockTries, tell(now.ClockOffset)),
		"something else sets it: look for a time service on the machine (timedatectl, ntpd, the guest additions of the VM provider)")
}

// MeasureClock returns how far the machine's clock is ahead of ours, and how
// far that may be from the truth.
func MeasureClock(ctx context.Context, host Runner) (offset, uncertain time.Duration, err error) {
	before := time.Now()
	out, err := host.Run(ctx, "date +%s.%N", nil)
	after := time.Now()
	if err != nil {
		return 0, 0, fmt.Errorf("ask for the time: %w", err)
	}
	there, ok := unixTime(strings.TrimSpace(string(out)))
	if !ok {
		return 0, 0, fmt.Errorf("ask for the time: date says %q", shorten(string(out), 60))
	}
	offset, uncertain = clockOffset(before, there, there, after)
	return offset, uncertain, nil
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
