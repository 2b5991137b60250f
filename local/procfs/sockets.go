package procfs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Socket is one that a process has open. The kernel knows it by its inode:
// descriptors of one inode, in whatever processes, are one socket.
type Socket struct {
	Descriptor int
	Inode      string
}

// Sockets lists the sockets of a process; one that has ended has none.
func Sockets(pid int) ([]Socket, error) {
	dir := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	var out []Socket
	for _, e := range entries {
		link, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err != nil {
			continue // closed meanwhile
		}
		inode, isSocket := strings.CutPrefix(link, "socket:[")
		if fd, err := strconv.Atoi(e.Name()); err == nil && isSocket {
			out = append(out, Socket{Descriptor: fd, Inode: strings.TrimSuffix(inode, "]")})
		}
	}
	return out, nil
}
