package computer

import "golang.org/x/sys/unix"

func mountFlags(path string) (noExec, readOnly bool) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return false, false
	}
	return s.Flags&unix.MNT_NOEXEC != 0, s.Flags&unix.MNT_RDONLY != 0
}
