package config

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	gopsload "github.com/shirou/gopsutil/v4/load"
	gopsmem "github.com/shirou/gopsutil/v4/mem"

	"github.com/mesoslab/lab/mini"
)

// What Mesos takes when it cannot find out how big a machine is, in MiB.
const (
	unknownMemory = 1024
	unknownDisk   = 10240
	defaultPorts  = "[31000-32000]"
)

// machine finds out how big this machine is.
type machine struct {
	env     mini.Env
	workDir string
}

// withDefaults adds the resources that were not given, by Mesos' rules: all
// cpus; memory less 1 GiB, or half of it below 2 GiB; disk less 5 GiB, or half
// of it below 10 GiB; ports 31000 to 32000, all of the default role.
func withDefaults(given []mesos.Resource, role string, m machine) ([]mesos.Resource, error) {
	want := []string{"cpus", "mem", "disk", "ports"}
	var out []mesos.Resource
	for _, name := range want {
		found := false
		for _, r := range given {
			if r.Name == name {
				out, found = append(out, r), true
			}
		}
		if found {
			continue
		}
		value, err := m.resource(name)
		if err != nil {
			return nil, err
		}
		r, err := parseResource(name+":"+value, role)
		if err != nil {
			return nil, fmt.Errorf("default %s: %w", name, err)
		}
		out = append(out, r)
	}
	for _, r := range given {
		if r.Name != "cpus" && r.Name != "mem" && r.Name != "disk" && r.Name != "ports" {
			out = append(out, r)
		}
	}
	return out, nil
}

func (m machine) resource(name string) (string, error) {
	switch name {
	case "cpus":
		v, err := m.total("LAB_MACHINE_CPUS", func() float64 { return float64(runtime.NumCPU()) })
		return strconv.FormatFloat(v, 'f', -1, 64), err
	case "mem":
		v, err := m.total("LAB_MACHINE_MEMORY_MIB", m.memory)
		return strconv.FormatInt(lessOrHalf(v, 1024, 2048), 10), err
	case "disk":
		v, err := m.total("LAB_MACHINE_DISK_MIB", m.disk)
		return strconv.FormatInt(lessOrHalf(v, 5*1024, 10*1024), 10), err
	}
	return defaultPorts, nil
}

// total is the environment's word, or what measure finds.
func (m machine) total(key string, measure func() float64) (float64, error) {
	text := m.env.Getenv(key)
	if text == "" {
		return measure(), nil
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(v > 0) || v > 1e12 {
		return 0, fmt.Errorf("%s=%q: want a positive number", key, text)
	}
	return v, nil
}

// lessOrHalf keeps reserve back from a total of at least enough, else half.
func lessOrHalf(total float64, reserve, enough int64) int64 {
	if t := int64(total); t >= enough {
		return t - reserve
	}
	return int64(total / 2)
}

// memory is MemTotal in MiB.
func (m machine) memory() float64 {
	total, _ := Meminfo(m.env)
	if total == 0 {
		return unknownMemory
	}
	return total / (1 << 20)
}

// Meminfo returns this machine's total and free memory in bytes, 0 where it
// cannot be told.
func Meminfo(env mini.Env) (total, free float64) {
	b, err := os.ReadFile(env.Path("/proc/meminfo"))
	if err != nil {
		return 0, 0
	}
	for _, line := range strings.Split(string(b), "\n") {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		kib, err := strconv.ParseFloat(f[1], 64)
		if err != nil {
			continue
		}
		switch f[0] {
		case "MemTotal:":
			total = kib * 1024
		case "MemFree:":
			free = kib * 1024
		}
	}
	return total, free
}

// Memory is Meminfo, for a machine without one of its own (an embedded one): as
// much as it was given, and of that no more free than the computer has.
func Memory(env mini.Env) (total, free float64) {
	if total, free = Meminfo(env); total > 0 {
		return total, free
	}
	m, err := gopsmem.VirtualMemory()
	if err != nil {
		return 0, 0
	}
	total, free = float64(m.Total), float64(m.Free)
	if mib, err := strconv.ParseFloat(env.Getenv("LAB_MACHINE_MEMORY_MIB"), 64); err == nil && mib > 0 {
		total = mib * (1 << 20)
	}
	return total, min(total, free)
}

// Loads returns the three load averages of this machine, over 1, 5 and 15
// minutes, or the computer's where the machine has none of its own; none where
// they cannot be told.
func Loads(env mini.Env) []float64 {
	b, err := os.ReadFile(env.Path("/proc/loadavg"))
	if err != nil {
		avg, err := gopsload.Avg()
		if err != nil {
			return nil
		}
		return []float64{avg.Load1, avg.Load5, avg.Load15}
	}
	f := strings.Fields(string(b))
	if len(f) < 3 {
		return nil
	}
	var out []float64
	for _, text := range f[:3] {
		l, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil
		}
		out = append(out, l)
	}
	return out
}

// disk is the size in MiB of the file system that holds the work directory.
func (m machine) disk() float64 {
	if total, _, ok := fileSystem(existing(m.env.Path(m.workDir))); ok {
		return total / (1 << 20)
	}
	return unknownDisk
}

// DiskUsed is the share of the file system with dir that is not free for
// everyone, from 0 to 1; 0 where it cannot be told. An embedded machine's disk is
// a number (LAB_MACHINE_DISK_MIB): what fills the computer's is not its own.
func DiskUsed(env mini.Env, dir string) float64 {
	if env.Getenv("LAB_MACHINE_DISK_MIB") != "" {
		return 0
	}
	total, free, ok := fileSystem(existing(env.Path(dir)))
	if !ok || total <= 0 {
		return 0
	}
	return 1 - free/total
}

// existing is dir or what exists above it.
func existing(dir string) string {
	for {
		if _, err := os.Stat(dir); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			return dir
		}
		dir = up
	}
}
