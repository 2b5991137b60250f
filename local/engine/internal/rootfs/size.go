package rootfs

import (
	"path"
	"slices"
	"strings"
)

// Size is the number of bytes in the regular files of a folder. Links are not
// followed.
func (t *Tree) Size(name string) int64 {
	var sum int64
	for _, e := range t.list(name) {
		if e.IsDir() {
			sum += t.Size(path.Join(name, e.Name()))
		} else if fi, err := e.Info(); err == nil && fi.Mode().IsRegular() {
			sum += fi.Size()
		}
	}
	return sum
}

// Nested returns the first target that lies inside another one that is a link
// or is emptied at each start (outer), or "".
func Nested(targets, outer []string) string {
	for _, t := range slices.Sorted(slices.Values(targets)) {
		for _, o := range outer {
			if t != o && strings.HasPrefix(t, strings.TrimSuffix(o, "/")+"/") {
				return t
			}
		}
	}
	return ""
}
