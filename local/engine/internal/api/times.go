package api

import (
	"strconv"
	"strings"
	"time"
)

// ParseTime reads a query's since or until: Unix seconds with an optional
// fraction ("1700000000.000000123"), or RFC 3339. Empty is the zero time.
func ParseTime(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t, nil
	}
	whole, frac, _ := strings.Cut(s, ".")
	sec, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || strings.Trim(frac, "0123456789") != "" {
		return time.Time{}, BadRequest("invalid value for a time: %q", s)
	}
	nsec, _ := strconv.ParseInt((frac + "000000000")[:9], 10, 64)
	if sec == 0 && nsec == 0 {
		return time.Time{}, nil
	}
	return time.Unix(sec, nsec), nil
}

// FormatTime writes a state's time.
func FormatTime(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// Bool reads a query's flag as dockerd does: everything but "", 0, no, false
// and none is true.
func Bool(s string) bool {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "", "0", "no", "false", "none":
		return false
	}
	return true
}
