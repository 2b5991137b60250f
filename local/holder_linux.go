package local

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/mesoslab/lab/internal/proctab"
)

// holder names the process that listens on a port of an address, or on that
// port of all addresses; "" where that cannot be seen.
func holder(ip netip.Addr, port int) string {
	var inodes []string
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		inodes = append(inodes, listening(string(text), ip, port)...)
	}
	if len(inodes) == 0 {
		return ""
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return ""
	}
	var found []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && holds(pid, inodes) {
			found = append(found, pid)
		}
	}
	// A process that is just being started holds what its parent holds.
	for _, id := range proctab.Descendants(found...) {
		found = slices.DeleteFunc(found, func(pid int) bool { return pid == id.PID })
	}
	for _, pid := range found {
		if name, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "comm")); err == nil {
			return fmt.Sprintf("%s (process %d)", strings.TrimSpace(string(name)), pid)
		}
	}
	return "a process of another user"
}

// listening finds the inodes of listening sockets in a table of the kernel.
func listening(table string, ip netip.Addr, port int) []string {
	var inodes []string
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) < 10 || f[3] != "0A" {
			continue
		}
		host, portText, ok := strings.Cut(f[1], ":")
		n, err := strconv.ParseUint(portText, 16, 16)
		if !ok || err != nil || int(n) != port {
			continue
		}
		if a, ok := kernelAddr(host); ok && (a.IsUnspecified() || a.Unmap() == ip) {
			inodes = append(inodes, f[9])
		}
	}
	return inodes
}

// kernelAddr reads an address as the kernel prints it: words of 32 bits in
// the processor's byte order.
func kernelAddr(text string) (netip.Addr, bool) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b)%4 != 0 {
		return netip.Addr{}, false
	}
	if littleEndian {
		for i := 0; i < len(b); i += 4 {
			slices.Reverse(b[i : i+4])
		}
	}
	a, ok := netip.AddrFromSlice(b)
	return a, ok
}

func holds(pid int, inodes []string) bool {
	dir := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	fds, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, fd := range fds {
		target, err := os.Readlink(filepath.Join(dir, fd.Name()))
		if err != nil {
			continue
		}
		inode, ok := strings.CutPrefix(target, "socket:[")
		if ok && slices.Contains(inodes, strings.TrimSuffix(inode, "]")) {
			return true
		}
	}
	return false
}
