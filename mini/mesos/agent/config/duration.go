package config

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// durationUnits are Mesos' units, coarsest first.
var durationUnits = [...]struct {
	name string
	unit time.Duration
}{
	{"weeks", 7 * 24 * time.Hour},
	{"days", 24 * time.Hour},
	{"hrs", time.Hour},
	{"mins", time.Minute},
	{"secs", time.Second},
	{"ms", time.Millisecond},
	{"us", time.Microsecond},
	{"ns", time.Nanosecond},
}

// ParseDuration reads a duration as Mesos writes it: a decimal number and one
// of ns, us, ms, secs, mins, hrs, days, weeks, without a space ("2secs",
// "1.5mins").
func ParseDuration(s string) (time.Duration, error) {
	n := len(s)
	for i, c := range s {
		if (c < '0' || c > '9') && c != '.' && !(c == '-' && i == 0) {
			n = i
			break
		}
	}
	value, err := strconv.ParseFloat(s[:n], 64)
	if err != nil {
		return 0, fmt.Errorf("invalid duration %q: want a number and a unit, as in 10secs", s)
	}
	for _, u := range durationUnits {
		if s[n:] != u.name {
			continue
		}
		ns := value * float64(u.unit)
		if math.Abs(ns) >= math.MaxInt64 {
			return 0, fmt.Errorf("invalid duration %q: too long", s)
		}
		return time.Duration(math.Round(ns)), nil
	}
	return 0, fmt.Errorf("invalid duration %q: unit must be one of ns, us, ms, secs, mins, hrs, days, weeks", s)
}

// FormatDuration writes d in the coarsest unit that holds it exactly, as
// Mesos does: 1weeks, 90secs, 0ns.
func FormatDuration(d time.Duration) string {
	for _, u := range durationUnits {
		if d != 0 && d%u.unit == 0 {
			return strconv.FormatInt(int64(d/u.unit), 10) + u.name
		}
	}
	return "0ns"
}
