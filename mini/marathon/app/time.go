package app

import (
	"encoding/json"
	"fmt"
	"time"
)

const timeLayout = "2006-01-02T15:04:05.000Z"

// Time is a UTC timestamp of millisecond precision, the form in which
// Marathon prints times and names versions (2016-07-06T13:18:47.123Z). The
// zero Time prints as null.
type Time struct{ time.Time }

// At cuts t to what Marathon keeps of it.
func At(t time.Time) Time { return Time{t.UTC().Truncate(time.Millisecond)} }

// ParseTime reads any RFC 3339 timestamp.
func ParseTime(s string) (Time, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return Time{}, fmt.Errorf("parse timestamp %q: %w", s, err)
	}
	return At(t), nil
}

// String is the printed form; empty for the zero Time.
func (t Time) String() string {
	if t.IsZero() {
		return ""
	}
	return t.Format(timeLayout)
}

// Equal reports whether both are the same instant.
func (t Time) Equal(o Time) bool { return t.Time.Equal(o.Time) }

// MarshalJSON prints the timestamp, or null if it is zero.
func (t Time) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	return []byte(`"` + t.Format(timeLayout) + `"`), nil
}

// UnmarshalJSON accepts a timestamp or null.
func (t *Time) UnmarshalJSON(b []byte) error {
	var s *string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("timestamp: %w", err)
	}
	if s == nil {
		*t = Time{}
		return nil
	}
	p, err := ParseTime(*s)
	*t = p
	return err
}
