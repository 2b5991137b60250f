package app

import (
	"regexp"
	"strings"
	"sync"
)

// segment is one part of an id between slashes (contracts 2.1): dot-separated
// labels of [a-z0-9] with inner dashes. No underscore: it is the separator in
// task ids.
var segment = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(([a-z0-9]|[a-z0-9][a-z0-9-]*[a-z0-9])\.)*([a-z0-9]|[a-z0-9][a-z0-9-]*[a-z0-9])$`)
})

// Absolute turns an id that may be relative ("nginx", "../db") into an
// absolute one, seen from the group base. Empty and "." parts vanish.
func Absolute(id, base string) string {
	var parts []string
	if !strings.HasPrefix(id, "/") {
		parts = Segments(base)
	}
	for _, p := range strings.Split(id, "/") {
		switch p {
		case "", ".":
		case "..":
			if len(parts) > 0 {
				parts = parts[:len(parts)-1]
			}
		default:
			parts = append(parts, p)
		}
	}
	return "/" + strings.Join(parts, "/")
}

// Segments splits an absolute id: "/a/b" → [a b], "/" → [].
func Segments(id string) []string {
	return strings.FieldsFunc(id, func(r rune) bool { return r == '/' })
}

// Parent is the group an absolute id lies in: "/a/b" → "/a", "/a" → "/".
func Parent(id string) string {
	i := strings.LastIndexByte(id, '/')
	if i <= 0 {
		return "/"
	}
	return id[:i]
}

// Within reports whether id is group itself or lies below it.
func Within(id, group string) bool {
	return group == "/" || id == group || strings.HasPrefix(id, group+"/")
}

// ValidID reports whether every part of an absolute id is well formed.
func ValidID(id string) bool {
	for _, s := range Segments(id) {
		if !segment().MatchString(s) {
			return false
		}
	}
	return len(Segments(id)) > 0
}

// Underscored is the id as it begins a task id: "/a/b" → "a_b".
func Underscored(id string) string { return strings.Join(Segments(id), "_") }

// OfTask finds the app id in a task id ("a_b.<uuid>" → "/a/b"); false if the
// id has not Marathon's shape.
func OfTask(taskID string) (string, bool) {
	i := strings.LastIndexByte(taskID, '.')
	if i <= 0 {
		return "", false
	}
	return "/" + strings.ReplaceAll(taskID[:i], "_", "/"), true
}
