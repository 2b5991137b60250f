// Package procfs reads what top, stats and ss show from /proc: a process and its
// descendants, their CPU time and memory, the ports that they listen on. Where
// there is no /proc everything is empty.
//
// It owns nothing and only reads; it never signals: processes that are to be
// ended are known by identity (internal/proctab).
package procfs

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ticks is USER_HZ, which Linux fixes at 100 for everything it shows.
const ticks = 100

// Process is one line of top.
type Process struct {
	PID, PPID, UID int
	Command        string // the command line, or [name]
	Started        time.Time
	CPU            time.Duration // user and system time
	RSS            int64         // bytes
	Threads        int
}

// Tree returns the process and its descendants, parents first. It is empty
// for pid 0 and for one that does not exist.
func Tree(pid int) []Process {
	if pid <= 0 {
		return nil
	}
	root, ok := read(pid)
	if !ok {
		return nil
	}
	children := map[int][]Process{}
	names, _ := filepath.Glob("/proc/[0-9]*")
	for _, name := range names {
		if id, err := strconv.Atoi(filepath.Base(name)); err == nil {
			if p, ok := read(id); ok {
				children[p.PPID] = append(children[p.PPID], p)
			}
		}
	}
	tree := []Process{root}
	for i := 0; i < len(tree); i++ {
		tree = append(tree, children[tree[i].PID]...)
	}
	return tree
}

// Of reads one process; false where there is none.
func Of(pid int) (Process, bool) {
	if pid <= 0 {
		return Process{}, false
	}
	return read(pid)
}

func read(pid int) (Process, bool) {
	dir := "/proc/" + strconv.Itoa(pid)
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return Process{}, false
	}
	p, started, ok := parseStat(string(stat))
	if !ok {
		return Process{}, false
	}
	p.Started = bootTime().Add(started)
	if line, err := os.ReadFile(dir + "/cmdline"); err == nil && len(line) > 0 {
		p.Command = string(bytes.ReplaceAll(bytes.TrimRight(line, "\x00"), []byte{0}, []byte{' '}))
	}
	for line := range strings.Lines(contents(dir + "/status")) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "Uid:" {
			p.UID, _ = strconv.Atoi(f[1])
		}
	}
	return p, true
}

// parseStat reads a line of /proc/<pid>/stat (proc(5)). started is counted
// from boot.
func parseStat(s string) (p Process, started time.Duration, ok bool) {
	open, end := strings.IndexByte(s, '('), strings.LastIndexByte(s, ')')
	if open < 1 || end < open {
		return p, 0, false
	}
	f := strings.Fields(s[end+1:]) // f[0] is field 3, the state
	if len(f) < 22 {
		return p, 0, false
	}
	n := func(field int) int64 {
		v, err := strconv.ParseInt(f[field-3], 10, 64)
		ok = ok && err == nil
		return v
	}
	ok = true
	pid, err := strconv.Atoi(strings.TrimSpace(s[:open]))
	ok = err == nil
	p = Process{
		PID: pid, PPID: int(n(4)), Command: "[" + s[open+1:end] + "]",
		CPU:     time.Duration(n(14)+n(15)) * (time.Second / ticks),
		Threads: int(n(20)), RSS: n(24) * int64(os.Getpagesize()),
	}
	return p, time.Duration(n(22)) * (time.Second / ticks), ok
}

// bootTime is when the computer started.
func bootTime() time.Time {
	for line := range strings.Lines(contents("/proc/stat")) {
		if v, ok := strings.CutPrefix(line, "btime "); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
			return time.Unix(n, 0)
		}
	}
	return time.Time{}
}

// SystemCPU is the CPU time that all processors have had since boot, idle
// time included, which is what docker stats divides by.
func SystemCPU() time.Duration {
	first, _, _ := strings.Cut(contents("/proc/stat"), "\n")
	var sum int64
	for i, f := range strings.Fields(first) {
		if n, err := strconv.ParseInt(f, 10, 64); err == nil && i <= 8 {
			sum += n
		}
	}
	return time.Duration(sum) * (time.Second / ticks)
}

func contents(name string) string {
	b, err := os.ReadFile(name)
	if err != nil {
		return ""
	}
	return string(b)
}
