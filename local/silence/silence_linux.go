package silence

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/mesoslab/lab/local/procfs"
)

// Offsets from where a classic filter sees the network header (SKF_NET_OFF),
// and in it the source address.
const (
	networkHeader = 0xfff00000 // -0x100000
	sourceAddress = 12
)

// program drops packets whose source is in the list.
func (l List) program() []unix.SockFilter {
	p := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: networkHeader + sourceAddress}}
	for _, a := range l {
		b := a.As4()
		source := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
		p = append(p, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: source}, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 0})
	}
	return append(p, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 0xffffffff})
}

// descriptor puts the filter on a socket, or takes it away for an empty list.
// What is no TCP socket over IPv4 is left alone.
func (l List) descriptor(fd int) error {
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil || domain != unix.AF_INET {
		return nil
	}
	if kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); err != nil || kind != unix.SOCK_STREAM {
		return nil
	}
	if len(l) == 0 {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0); err != nil && !errors.Is(err, unix.ENOENT) {
			return os.NewSyscallError("detach filter", err)
		}
		return nil
	}
	p := l.program()
	return os.NewSyscallError("attach filter", unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(p)), Filter: &p[0]}))
}

// Socket puts the filter on one socket of this process.
func (l List) Socket(c syscall.Conn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = l.descriptor(int(fd)) }); err != nil {
		return err
	}
	return inner
}

// Sockets puts a filter on the sockets of processes, and remembers which have
// it. Not safe for concurrent use.
type Sockets struct {
	list List
	done map[string]bool // by process and what /proc calls the socket
}

// NewSockets returns one that has done nothing yet.
func NewSockets(l List) *Sockets { return &Sockets{list: l, done: map[string]bool{}} }

// Process puts the filter on all sockets of a process, this one or a
// descendant. A process that has ended is no error.
func (s *Sockets) Process(pid int) error {
	handle := -1
	defer func() {
		if handle >= 0 {
			unix.Close(handle)
		}
	}()
	open, err := procfs.Sockets(pid)
	if err != nil {
		return err
	}
	for _, o := range open {
		if s.done[o.Inode] {
			continue
		}
		var err error
		if pid == os.Getpid() {
			// Should it have been closed and another opened meanwhile: the
			// filter is right for every socket.
			err = s.list.descriptor(o.Descriptor)
		} else {
			err = s.foreign(pid, &handle, o.Descriptor)
		}
		if err != nil {
			return fmt.Errorf("process %d: %w", pid, err)
		}
		s.done[o.Inode] = true
	}
	return nil
}

// foreign works on a copy of another process' descriptor.
func (s *Sockets) foreign(pid int, handle *int, fd int) (err error) {
	if *handle < 0 {
		if *handle, err = unix.PidfdOpen(pid, 0); err != nil {
			return gone("pidfd_open", err)
		}
	}
	own, err := unix.PidfdGetfd(*handle, fd, 0)
	if err != nil {
		return gone("pidfd_getfd", err)
	}
	defer unix.Close(own)
	return s.list.descriptor(own)
}

// gone forgives that a process or its descriptor is no more.
func gone(call string, err error) error {
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EBADF) {
		return nil
	}
	return os.NewSyscallError(call, err)
}

// Supported tries what is needed on this process: a filter on a socket, and a
// copy of a descriptor. Whether descendants may be reached is the same
// question, but where the system forbids to trace any process.
func Supported() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	if err := (List{netip.IPv4Unspecified()}).descriptor(fd); err != nil {
		return err
	}
	handle, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return os.NewSyscallError("pidfd_open", err)
	}
	defer unix.Close(handle)
	own, err := unix.PidfdGetfd(handle, fd, 0)
	if err != nil {
		return os.NewSyscallError("pidfd_getfd", err)
	}
	unix.Close(own)
	if scope, err := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope"); err == nil && os.Geteuid() != 0 {
		if n, err := strconv.Atoi(strings.TrimSpace(string(scope))); err == nil && n > 1 {
			return fmt.Errorf("kernel.yama.ptrace_scope is %d", n)
		}
	}
	return nil
}
