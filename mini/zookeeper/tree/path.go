package tree

import (
	"errors"
	"strings"
)

// ErrPath says that a path is not one a node can have.
var ErrPath = errors.New("invalid path")

// ValidPath tells whether a node can have this path: absolute, without empty,
// "." or ".." names and a slash at the end, without control characters and
// what lies outside of Unicode's basic plane or in its private use area.
// Source: PathUtils.validatePath.
func ValidPath(path string) bool {
	if path == "/" {
		return true
	}
	if !strings.HasPrefix(path, "/") {
		return false
	}
	for _, r := range path {
		switch {
		case r <= 0x1f, r >= 0x7f && r <= 0x9f, r >= 0xd800 && r <= 0xf8ff, r >= 0xfff0:
			return false
		}
	}
	for name := range strings.SplitSeq(path[1:], "/") {
		if name == "" || name == "." || name == ".." {
			return false
		}
	}
	return true
}
