//go:build linux

package rig

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/mesoslab/lab"
)

// Process is a process of a lab, seen from outside.
type Process struct {
	PID  int
	Args []string
}

func (p Process) String() string { return fmt.Sprintf("%d %s", p.PID, strings.Join(p.Args, " ")) }

// Processes lists the processes whose program lies in the lab's folder.
func (l *Lab) Processes() []Process { return processesBelow(l.Dir()) }

func processesBelow(dir string) []Process {
	links, _ := filepath.Glob("/proc/[0-9]*/exe")
	var out []Process
	for _, link := range links {
		program, err := os.Readlink(link)
		if err != nil || !strings.HasPrefix(program, dir+"/") {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link)))
		if err != nil {
			continue
		}
		args, err := os.ReadFile(filepath.Join(filepath.Dir(link), "cmdline"))
		if err != nil {
			continue // gone meanwhile
		}
		out = append(out, Process{pid, strings.Split(string(bytes.TrimRight(args, "\x00")), "\x00")})
	}
	return out
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
		if p := processesBelow(l.State); len(p) > 0 {
			return fmt.Errorf("%v live", p)
		}
		return nil
	})
	if err != nil {
		l.tb.Error(err)
	}
}
