package provision

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// said remembers the commands that a host was given.
type said struct {
	commands []string
	err      error
}

func (s *said) Run(_ context.Context, cmd string, _ io.Reader) ([]byte, error) {
	s.commands = append(s.commands, cmd)
	return nil, s.err
}

func TestSetClock(t *testing.T) {
	for _, c := range []struct {
		off  time.Duration
		want bool
	}{{0, false}, {time.Second, false}, {-time.Second, false}, {1001 * time.Millisecond, true}, {-20 * time.Minute, true}} {
		host := &said{}
		changed, err := SetClock(t.Context(), host, Facts{UID: 1000, ClockOffset: c.off})
		if changed != c.want || err != nil || len(host.commands) > 1 || (len(host.commands) == 1) != c.want {
			t.Errorf("off by %s: changed %v, %v, %q", c.off, changed, err, host.commands)
		}
	}
	host := &said{err: errors.New("Operation not permitted")}
	if _, err := SetClock(t.Context(), host, Facts{ClockOffset: time.Hour}); !errors.Is(err, host.err) || !strings.Contains(err.Error(), "1h0m0s") {
		t.Errorf("refused: %v", err)
	}
	now := time.Unix(1700000000, 42)
	if got := setClockCommand(false, now); got != "sudo -n date -u -s @1700000000.000000042" {
		t.Errorf("command %q", got)
	}
	if got := setClockCommand(true, now); got != "date -u -s @1700000000.000000042" {
		t.Errorf("command %q", got)
	}
}
