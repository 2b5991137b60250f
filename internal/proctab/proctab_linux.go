package proctab

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// bootID makes start times of different boots differ.
var bootID = sync.OnceValue(func() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil || len(id) < 8 {
		return "unknown"
	}
	return string(id[:8])
})

func lookup(pid int) (start string, state State, err error) {
	st, err := readStat(pid)
	if err != nil {
		return "", Gone, err
	}
	return st.start + "@" + bootID(), st.state, nil
}

type stat struct {
	state State
	ppid  int
	start string // clock ticks since boot
}

func readStat(pid int) (stat, error) {
	raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			err = ErrGone
		}
		return stat{}, err
	}
	return parseStat(raw)
}

// parseStat reads proc_pid_stat(5). The command's name stands in parentheses
// and may hold anything, parentheses included, so fields count from the last.
func parseStat(raw []byte) (stat, error) {
	i := bytes.LastIndexByte(raw, ')')
	if i < 0 {
		return stat{}, fmt.Errorf("stat %q: no command name", raw)
	}
	f := strings.Fields(string(raw[i+1:]))
	if len(f) < 20 {
		return stat{}, fmt.Errorf("stat %q: too few fields", raw)
	}
	ppid, err := strconv.Atoi(f[1])
	if err != nil {
		return stat{}, fmt.Errorf("stat: parent: %w", err)
	}
	s := stat{state: Running, ppid: ppid, start: f[19]}
	switch f[0] {
	case "T", "t":
		s.state = Stopped
	case "Z", "X", "x":
		// A first thread that has ended waits for the others, and they may
		// still hold files and sockets.
		if f[17] == "1" || f[17] == "0" {
			s.state = Gone
		}
	}
	return s, nil
}

func (id ID) signal(sig syscall.Signal) error {
	fd, err := unix.PidfdOpen(id.PID, 0)
	switch {
	case errors.Is(err, unix.ESRCH):
		return ErrGone
	case err != nil: // kernels before 5.3
		if id.State() == Gone {
			return ErrGone
		}
		return gone(syscall.Kill(id.PID, sig))
	}
	defer unix.Close(fd)
	// The pidfd holds the pid: what is checked now is what gets the signal.
	if id.State() == Gone {
		return ErrGone
	}
	return gone(unix.PidfdSendSignal(fd, sig, nil, 0))
}

func gone(err error) error {
	if errors.Is(err, syscall.ESRCH) {
		return ErrGone
	}
	return err
}

func pids() []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var out []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			out = append(out, pid)
		}
	}
	return out
}

// Descendants returns the living children of the given pids, their children
// and so on, without the given ones.
func Descendants(roots ...int) []ID {
	children := map[int][]int{}
	stats := map[int]stat{}
	for _, pid := range pids() {
		if st, err := readStat(pid); err == nil {
			children[st.ppid] = append(children[st.ppid], pid)
			stats[pid] = st
		}
	}
	var out []ID
	queue := slices.Clone(roots)
	for len(queue) > 0 {
		for _, pid := range children[queue[0]] {
			if stats[pid].state != Gone {
				out = append(out, ID{PID: pid, Start: stats[pid].start + "@" + bootID()})
			}
			queue = append(queue, pid)
		}
		queue = queue[1:]
	}
	return out
}

// Children returns the living processes whose parent is this one now: those it
// started and, of a subreaper, those it adopted.
func Children(parent int) []ID {
	var out []ID
	for _, pid := range pids() {
		if st, err := readStat(pid); err == nil && st.ppid == parent && st.state != Gone {
			out = append(out, ID{PID: pid, Start: st.start + "@" + bootID()})
		}
	}
	return out
}

// Zombies returns the pids of ended children of parent that nobody reaped.
func Zombies(parent int) []int {
	var out []int
	for _, pid := range pids() {
		if st, err := readStat(pid); err == nil && st.ppid == parent && st.state == Gone {
			out = append(out, pid)
		}
	}
	return out
}

// Marked returns the living processes of this user that were started with
// key=value in their environment, except this one.
func Marked(key, value string) []ID {
	want := []byte(key + "=" + value)
	var out []ID
	for _, pid := range pids() {
		if pid == os.Getpid() {
			continue
		}
		env, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "environ"))
		if err != nil || !slices.ContainsFunc(bytes.Split(env, []byte{0}), func(v []byte) bool { return bytes.Equal(v, want) }) {
			continue
		}
		if id, err := Of(pid); err == nil && id.State() != Gone {
			out = append(out, id)
		}
	}
	return out
}
