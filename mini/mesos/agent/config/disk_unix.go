//go:build unix

package config

import (
	"golang.org/x/sys/unix"
)

// fileSystemSize is the size in MiB of the file system that holds dir.
func fileSystemSize(dir string) (float64, bool) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, false
	}
	return float64(st.Blocks) * float64(st.Bsize) / (1 << 20), true
}
