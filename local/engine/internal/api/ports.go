package api

import (
	"strconv"
	"strings"
)

// ParsePort reads "80", "80/tcp" or "53/udp" and returns number and protocol.
func ParsePort(s string) (number int, proto string, err error) {
	text, proto, ok := strings.Cut(s, "/")
	if !ok || proto == "" {
		proto = "tcp"
	}
	proto = strings.ToLower(proto)
	if proto != "tcp" && proto != "udp" && proto != "sctp" {
		return 0, "", BadRequest("invalid proto: %s", proto)
	}
	n, okN := digits(text)
	if !okN || n < 1 || n > 65535 {
		return 0, "", BadRequest("invalid port '%s': it must be a number from 1 to 65535", text)
	}
	return n, proto, nil
}

// PortKey writes "80/tcp".
func PortKey(number int, proto string) string { return strconv.Itoa(number) + "/" + proto }

// ParseHostPort reads a HostPort: "" and "0" are any port (0, 0), "8080" one,
// "8000-8010" a range.
func ParseHostPort(s string) (first, last int, err error) {
	a, b, isRange := strings.Cut(s, "-")
	if !isRange {
		b = a
	}
	if s == "" || s == "0" {
		return 0, 0, nil
	}
	first, okA := digits(a)
	last, okB := digits(b)
	if !okA || !okB || first < 1 || last > 65535 || last < first {
		return 0, 0, BadRequest("invalid port specification: \"%s\"", s)
	}
	return first, last, nil
}
