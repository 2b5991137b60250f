package silence

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/mesoslab/lab/local/procfs"
)

// Deaf are listening sockets of other processes that hear nothing.
type Deaf struct{ descriptors []int }

// nothing is the filter that drops every packet.
var nothing = []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}

// Deafen lets the listening TCP sockets of processes, descendants of this one,
// hear nothing at all: newcomers meet neither an answer nor a refusal, as if
// their computer had no power. Sockets that this process has itself are left
// alone. It keeps copies of the descriptors until Restore. What could be done is
// done, also if there is an error.
func Deafen(pids []int) (*Deaf, error) {
	d := &Deaf{}
	own, err := procfs.Sockets(os.Getpid())
	if err != nil {
		return nil, err
	}
	done := map[string]bool{}
	for _, s := range own {
		done[s.Inode] = true
	}
	var errs []error
	for _, pid := range pids {
		if err := d.process(pid, done); err != nil {
			errs = append(errs, fmt.Errorf("process %d: %w", pid, err))
		}
	}
	return d, errors.Join(errs...)
}

// process deafens what one process has and nobody had before it.
func (d *Deaf) process(pid int, done map[string]bool) error {
	handle, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return gone("pidfd_open", err)
	}
	defer unix.Close(handle)
	open, err := procfs.Sockets(pid)
	if err != nil {
		return err
	}
	var errs []error
	for _, s := range open {
		if done[s.Inode] {
			continue
		}
		done[s.Inode] = true
		own, err := unix.PidfdGetfd(handle, s.Descriptor, 0)
		if err != nil {
			errs = append(errs, gone("pidfd_getfd", err))
			continue
		}
		if !listensTCP(own) {
			errs = append(errs, unix.Close(own))
			continue
		}
		d.descriptors = append(d.descriptors, own)
		errs = append(errs, os.NewSyscallError("attach filter",
			unix.SetsockoptSockFprog(own, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(nothing)), Filter: &nothing[0]})))
	}
	return errors.Join(errs...)
}

// Restore lets the sockets hear again, but for what is in the list. Nil has
// none.
func (d *Deaf) Restore(l List) error {
	if d == nil {
		return nil
	}
	var errs []error
	for _, fd := range d.descriptors {
		err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0)
		if errors.Is(err, unix.ENOENT) { // it never had one
			err = nil
		}
		errs = append(errs, os.NewSyscallError("detach filter", err))
		if len(l) > 0 {
			errs = append(errs, l.descriptor(fd))
		}
		errs = append(errs, unix.Close(fd))
	}
	d.descriptors = nil
	return errors.Join(errs...)
}

// listensTCP says whether newcomers come to this socket over IP.
func listensTCP(fd int) bool {
	listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil || listens == 0 {
		return false
	}
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	return err == nil && (domain == unix.AF_INET || domain == unix.AF_INET6)
}
