package provision

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/labtest/bubble"
)

// clockHost has a clock that is ahead of ours, and takes a while for every
// command.
type clockHost struct {
	fakeHost
	ahead time.Duration
	slow  time.Duration // from the arrival of a command to its effect
	stuck bool          // date -s has no effect: something else sets the clock
	ran   []string
}

func (h *clockHost) Run(_ context.Context, cmd string, _ io.Reader) ([]byte, error) {
	h.ran = append(h.ran, cmd)
	time.Sleep(h.slow) // in a bubble
	now := time.Now()
	if stamp, ok := strings.CutPrefix(cmd, "sudo -n date -u -s @"); ok {
		s, n, _ := strings.Cut(stamp, ".")
		sec, err1 := strconv.ParseInt(s, 10, 64)
		nsec, err2 := strconv.ParseInt(n, 10, 64)
		if err := errors.Join(err1, err2); err != nil || len(n) != 9 {
			return nil, fmt.Errorf("bad date %s: %v", stamp, err)
		}
		if !h.stuck {
			h.ahead = time.Unix(sec, nsec).Sub(now)
		}
		return nil, nil
	}
	if cmd != "date +%s.%N" {
		return nil, fmt.Errorf("unexpected %s", cmd)
	}
	t := now.Add(h.ahead)
	time.Sleep(h.slow)
	return fmt.Appendf(nil, "%d.%09d\n", t.Unix(), t.Nanosecond()), nil
}

func TestSetClock(t *testing.T) {
	for _, tt := range []struct {
		name        string
		ahead, slow time.Duration
		uncertain   time.Duration
		fixed       bool
		stuck       bool
		changed     bool
		id          string
		sets        int
	}{
		{name: "right", ahead: 300 * time.Millisecond},
		{name: "perhaps right", ahead: 900 * time.Millisecond, uncertain: 600 * time.Millisecond},
		{name: "a day fast", ahead: 24 * time.Hour, changed: true, sets: 1},
		{name: "slow since a snapshot", ahead: -3 * time.Hour, changed: true, sets: 1},
		{name: "an emulated machine, sudo takes a second", ahead: -time.Minute, slow: time.Second, changed: true, sets: 2},
		{name: "a container", ahead: time.Minute, fixed: true, id: "clock-skew"},
		{name: "guest additions win", ahead: time.Minute, stuck: true, changed: true, id: "clock-skew", sets: clockTries},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
				h := &clockHost{ahead: tt.ahead, slow: tt.slow, stuck: tt.stuck}
				h.user = "vagrant"
				changed, err := SetClock(t.Context(), h, Facts{ClockOffset: tt.ahead, ClockError: tt.uncertain, FixedClock: tt.fixed})
				if changed != tt.changed || lab.ErrorID(err) != tt.id {
					t.Errorf("changed %v, %v", changed, err)
				}
				if tt.changed && tt.id == "" && h.ahead.Abs() > MaxClockOffset {
					t.Errorf("the clock is %s off afterwards", h.ahead)
				}
				sets := strings.Count(strings.Join(h.ran, "\n"), " -s ")
				if sets != tt.sets {
					t.Errorf("set %d times, want %d: %q", sets, tt.sets, h.ran)
				}
				if !tt.changed && len(h.ran) > 0 {
					t.Errorf("ran %q for nothing", h.ran)
				}
			})
		})
	}
}

func TestSetClockFails(t *testing.T) {
	h := &fakeHost{user: "root", fail: map[string]error{"date -u -s": &CommandError{Cmd: "date", Exit: 1, Stderr: "date: cannot set date: Operation not permitted"}}}
	changed, err := SetClock(t.Context(), h, Facts{ClockOffset: time.Hour})
	if changed || lab.ErrorID(err) != "clock-skew" || !strings.Contains(err.Error(), "not permitted") {
		t.Errorf("%v, %v", changed, err)
	}
	h = &fakeHost{user: "root"} // date says nothing
	if _, _, err := MeasureClock(t.Context(), h); err == nil {
		t.Error("no answer was taken for a time")
	}
}
