//go:build unix

package haproxy

import "syscall"

// maxConnections is how many clients HAProxy takes at once: as many as wanted,
// if descriptors suffice for both sides of each.
func maxConnections(wanted int) int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return wanted
	}
	const others = 200 // listeners, checks, sockets of its own
	if limit.Max <= 2*others {
		return others / 2
	}
	return int(min(uint64(wanted), (uint64(limit.Max)-others)/2))
}
