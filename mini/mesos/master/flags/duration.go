package flags

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// unit is a word of Mesos' durations.
type unit struct {
	name string
	d    time.Duration
}

func units() []unit {
	return []unit{
		{"weeks", 7 * 24 * time.Hour}, {"days", 24 * time.Hour}, {"hrs", time.Hour}, {"mins", time.Minute},
		{"secs", time.Second}, {"ms", time.Millisecond}, {"us", time.Microsecond}, {"ns", time.Nanosecond},
	}
}

// ParseDuration reads a duration as Mesos writes it: "2secs", "500ms",
// "1.5mins". Go's own "2s" is refused, as Mesos does.
func ParseDuration(s string) (time.Duration, error) {
	i := strings.IndexFunc(s, func(r rune) bool { return (r < '0' || r > '9') && r != '.' && r != '-' })
	if i < 0 {
		return 0, mesosError("Invalid duration '%s'", s)
	}
	f, err := strconv.ParseFloat(s[:i], 64)
	if err != nil {
		return 0, mesosError("Invalid duration '%s'", s)
	}
	for _, u := range units() {
		if s[i:] != u.name {
			continue
		}
		ns := f * float64(u.d)
		if math.Abs(ns) >= math.MaxInt64 {
			return 0, mesosError("Argument out of the range that a Duration can represent")
		}
		return time.Duration(math.Round(ns)), nil
	}
	return 0, mesosError("Unknown duration unit '%s'", s[i:])
}

// FormatDuration prints a duration as Mesos does: in the largest unit that
// holds it without a fraction.
func FormatDuration(d time.Duration) string {
	if d == 0 {
		return "0ns"
	}
	for _, u := range units() {
		if d%u.d == 0 {
			return fmt.Sprintf("%d%s", d/u.d, u.name)
		}
	}
	return fmt.Sprintf("%dns", d)
}

// mesosError says something in Mesos' own words, which begin with a capital.
func mesosError(format string, args ...any) error { return fmt.Errorf(format, args...) }
