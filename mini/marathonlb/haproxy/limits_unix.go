//go:build unix

package haproxy

import "syscall"

// descriptors is how many HAProxy may have; 0 is as many as it likes.
func descriptors() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return uint64(limit.Max) // HAProxy raises its own to this
}
