//go:build !unix

package haproxy

// maxConnections has nothing to ask on this system.
func maxConnections(wanted int) int { return wanted }
