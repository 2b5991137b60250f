//go:build unix

package config

import (
	"golang.org/x/sys/unix"
)

// fileSystem is the size in bytes of the file system that holds dir, and what
// of it is free for everyone.
func fileSystem(dir string) (total, free float64, ok bool) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0, false
	}
	return float64(st.Blocks) * float64(st.Bsize), float64(st.Bavail) * float64(st.Bsize), true
}
