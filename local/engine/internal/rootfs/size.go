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

// Nested returns the first target that lies inside another one, or "". "/"
// contains everything.
func Nested(targets []string) string {
	sorted := slices.Sorted(slices.Values(targets))
	for i := 1; i < len(sorted); i++ {
		for _, outer := range sorted[:i] {
			if sorted[i] == outer || strings.HasPrefix(sorted[i], strings.TrimSuffix(outer, "/")+"/") {
				return sorted[i]
			}
		}
	}
	return ""
}
