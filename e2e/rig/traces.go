//go:build linux

package rig

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/local/folder"
)

// Process is a process of a lab, seen from outside. Foreign ones are not lab
// itself: they carry the mark of a machine in their environment.
type Process struct {
	PID     int
	Args    []string
	Foreign bool
}

// IsHAProxy says whether it is a real HAProxy's.
func (p Process) IsHAProxy() bool { return filepath.Base(p.Args[0]) == "haproxy" }

// balances says whether it is a real HAProxy's or watches over one.
func (p Process) balances() bool {
	return p.IsHAProxy() || slices.Contains(p.Args, "supervise") && slices.ContainsFunc(p.Args, func(a string) bool { return strings.Contains(a, "/marathon-lb/") })
}

func (p Process) String() string { return fmt.Sprintf("%d %s", p.PID, strings.Join(p.Args, " ")) }

// Processes lists the processes whose program lies in the lab's folder, or who
// were started on one of its machines.
func (l *Lab) Processes() []Process { return processes(l.Dir(), l.Dir()) }

// Lasting lists those without a real HAProxy's, which come and go with what
// the load balancer is told of tasks.
func (l *Lab) Lasting() []Process { return slices.DeleteFunc(l.Processes(), Process.balances) }

// Commands lists the processes of a machine that are not lab itself, nor those
// of a real HAProxy.
func (l *Lab) Commands(node string) []Process {
	all := processes(l.Dir(), filepath.Join(l.Dir(), "machines", node))
	return slices.DeleteFunc(all, func(p Process) bool { return !p.Foreign || p.balances() })
}

// HAProxies lists the processes of a real HAProxy on a machine.
func (l *Lab) HAProxies(node string) []Process {
	all := processes(l.Dir(), filepath.Join(l.Dir(), "machines", node))
	return slices.DeleteFunc(all, func(p Process) bool { return !p.Foreign || !p.IsHAProxy() })
}

// processes lists those whose program lies below own, and those that carry the
// mark of a machine whose folder is machines, or lies below it.
func processes(own, machines string) []Process {
	names, _ := filepath.Glob("/proc/[0-9]*")
	var out []Process
	for _, name := range names {
		program, err := os.Readlink(filepath.Join(name, "exe"))
		if err != nil {
			continue // a thread of the kernel, or gone
		}
		foreign := !strings.HasPrefix(program, own+"/")
		if foreign && !marked(name, machines) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(name))
		if err != nil {
			continue
		}
		args, err := os.ReadFile(filepath.Join(name, "cmdline"))
		if err != nil {
			continue // gone meanwhile
		}
		out = append(out, Process{pid, strings.Split(string(bytes.TrimRight(args, "\x00")), "\x00"), foreign})
	}
	return out
}

// marked says whether a process was started on a machine whose folder is dir,
// or lies below it.
func marked(proc, dir string) bool {
	env, err := os.ReadFile(filepath.Join(proc, "environ"))
	if err != nil {
		return false
	}
	for _, kv := range strings.Split(string(env), "\x00") {
		if at, ok := strings.CutPrefix(kv, folder.EnvMark+"="); ok && (at == dir || strings.HasPrefix(at, dir+"/")) {
			return true
		}
	}
	return false
}

// Machine returns the process of a machine.
func (l *Lab) Machine(node string) Process {
	l.tb.Helper()
	for _, p := range l.Processes() {
		if len(p.Args) > 2 && p.Args[1] == "machine" && filepath.Base(p.Args[len(p.Args)-1]) == node {
			return p
		}
	}
	l.tb.Fatalf("no process of %s among %v", node, l.Processes())
	return Process{}
}

// Listeners lists what listens on TCP within a subnet, as address:port.
func Listeners(subnet string) []string {
	data, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return []string{err.Error()}
	}
	within := netip.MustParsePrefix(subnet)
	var out []string
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[3] != "0A" { // LISTEN
			continue
		}
		if at, ok := hexAddr(fields[1]); ok && within.Contains(at.Addr()) {
			out = append(out, at.String())
		}
	}
	return out
}

// hexAddr reads 0100007F:1F90 as the kernel prints it on little-endian
// computers.
func hexAddr(text string) (netip.AddrPort, bool) {
	ip, port, _ := strings.Cut(text, ":")
	a, err1 := strconv.ParseUint(ip, 16, 32)
	p, err2 := strconv.ParseUint(port, 16, 16)
	addr := netip.AddrFrom4([4]byte{byte(a), byte(a >> 8), byte(a >> 16), byte(a >> 24)})
	return netip.AddrPortFrom(addr, uint16(p)), err1 == nil && err2 == nil
}

// MustBeGone checks that the lab has left nothing: no process, no folder, no
// listening port, and nothing on the engine of machines in containers.
func (l *Lab) MustBeGone() {
	l.tb.Helper()
	if l.engine != nil {
		l.mustLeaveEngine()
	}
	if p := l.Processes(); len(p) > 0 {
		l.tb.Errorf("processes are left: %v", p)
	}
	if _, err := os.Lstat(l.Dir()); err == nil {
		l.tb.Errorf("the folder %s is left", l.Dir())
	}
	if p := Listeners(l.Subnet); len(p) > 0 {
		l.tb.Errorf("listening ports are left: %v", p)
	}
}

// MustLeaveOnlyLocks checks that the state folder holds nothing but locks.
func (l *Lab) MustLeaveOnlyLocks() {
	l.tb.Helper()
	entries, err := os.ReadDir(l.State)
	if err != nil {
		l.tb.Error(err)
	}
	for _, e := range entries {
		if e.Name() != ".locks" {
			l.tb.Errorf("%s is left in the state folder", e.Name())
		}
	}
}

// awaitNoProcess waits until the machines have died with the pipe.
func (l *Lab) awaitNoProcess() {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	err := lab.Until(ctx, 10*time.Millisecond, "all machines to die with the test", func(context.Context) error {
		if p := processes(l.State, l.State); len(p) > 0 {
			return fmt.Errorf("%v live", p)
		}
		return nil
	})
	if err != nil {
		l.tb.Error(err)
	}
}
