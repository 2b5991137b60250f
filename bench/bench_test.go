//go:build linux

package bench

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab/e2e/rig"
)

func TestMain(m *testing.M) { os.Exit(rig.Main(m)) }

// rounds is how often each figure is taken.
const rounds = 10

// machineSize is the computer in one line.
func machineSize() string {
	memory, kernel, cpu := "? memory", "?", "?"
	if data, err := os.ReadFile("/proc/meminfo"); err == nil {
		var kib int64
		if _, err := fmt.Sscanf(string(data), "MemTotal: %d kB", &kib); err == nil {
			memory = fmt.Sprintf("%.1f GiB", float64(kib)/(1<<20))
		}
	}
	if data, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		kernel = strings.TrimSpace(string(data))
	}
	if data, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(data)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				cpu = strings.TrimSpace(value)
			}
		}
	}
	return fmt.Sprintf("machine: %d cores (%s), %s, Linux %s, %s %s/%s, load %s",
		runtime.NumCPU(), cpu, memory, kernel, runtime.Version(), runtime.GOOS, runtime.GOARCH, load())
}

// load tells whether the computer had anything else to do.
func load() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "?"
	}
	return strings.Fields(string(data))[0]
}

// figures are the samples of one quantity, in its unit.
type figures struct {
	unit    string
	samples []float64
}

func (f *figures) add(v float64) { f.samples = append(f.samples, v) }

func (f *figures) addTime(d time.Duration) { f.add(float64(d) / float64(time.Millisecond)) }

func (f *figures) median() float64 {
	s := slices.Sorted(slices.Values(f.samples))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// report adds the median to the benchmark's result and the rest to its log.
func (f *figures) report(b *testing.B, name string) {
	if len(f.samples) == 0 {
		return
	}
	s := slices.Sorted(slices.Values(f.samples))
	median := f.median()
	b.ReportMetric(median, name+"-"+f.unit)
	b.Logf("%-14s median %8.1f %s   (%.1f … %.1f, %d taken)", name, median, f.unit, s[0], s[len(s)-1], len(s))
}

func in(unit string) *figures { return &figures{unit: unit} }
