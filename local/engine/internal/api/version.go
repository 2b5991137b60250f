package api

import (
	"strconv"
	"strings"
)

// Version is an API version such as 1.44.
type Version struct{ Major, Minor int }

// ParseVersion reads "1.44". Other text is not a version.
func ParseVersion(s string) (Version, bool) {
	major, minor, ok := strings.Cut(s, ".")
	if !ok {
		return Version{}, false
	}
	a, okA := digits(major)
	b, okB := digits(minor)
	return Version{a, b}, okA && okB
}

// Less orders versions.
func (v Version) Less(o Version) bool {
	return v.Major < o.Major || v.Major == o.Major && v.Minor < o.Minor
}

// SplitVersion cuts the prefix "/v1.44" off a request path. Without one the
// version is "" and the path unchanged; text that looks like a version prefix
// but is none belongs to the path.
func SplitVersion(path string) (version, rest string) {
	after, ok := strings.CutPrefix(path, "/v")
	if !ok {
		return "", path
	}
	version, rest, ok = strings.Cut(after, "/")
	if _, valid := ParseVersion(version); !ok || !valid {
		return "", path
	}
	return version, "/" + rest
}

// digits reads a short decimal number without sign.
func digits(s string) (int, bool) {
	if s == "" || len(s) > 6 || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.Atoi(s)
	return n, err == nil
}
