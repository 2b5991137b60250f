//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/e2e/rig"
)

// BenchmarkLife makes and removes labs of the default size.
//
//	create   from the start of the command to the first page of nginx through
//	         the load balancer, asked for every 2 ms
//	command  the same command from start to end
//	again    lab create on the whole lab
//	destroy  lab destroy
func BenchmarkLife(b *testing.B) {
	b.Log(machineSize())
	create, command, again, destroy := in("ms"), in("ms"), in("ms"), in("ms")
	for b.Loop() {
		for range rounds {
			l := rig.New(b)
			served, took := timedCreate(b, l)
			create.addTime(served)
			command.addTime(took)
			again.addTime(timed(func() { l.Must("create") }))
			destroy.addTime(timed(func() { l.Must("destroy") }))
			l.MustBeGone()
		}
	}
	create.report(b, "create")
	command.report(b, "command")
	again.report(b, "again")
	destroy.report(b, "destroy")
}

func timed(do func()) time.Duration {
	start := time.Now()
	do()
	return time.Since(start)
}

// timedCreate returns when nginx answered first, and when the command ended.
func timedCreate(b *testing.B, l *rig.Lab) (served, took time.Duration) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), rig.Patience)
	defer cancel()
	start := time.Now()
	answered := make(chan error, 1)
	go func() {
		err := lab.Until(ctx, 2*time.Millisecond, "nginx", func(ctx context.Context) error {
			a, err := rig.Ask(ctx, http.MethodGet, l.URL(1, 10000, "/"), "", nil)
			if err == nil && a.Status != http.StatusOK {
				err = fmt.Errorf("status %d", a.Status)
			}
			return err
		})
		served = time.Since(start)
		answered <- err
	}()
	l.Must(l.CreateArgs()...)
	took = time.Since(start)
	if err := <-answered; err != nil {
		b.Fatal(err)
	}
	return served, took
}

// idleTime is over which idle processes are watched.
const idleTime = 10 * time.Second

// BenchmarkIdle watches all processes of a lab that nobody uses: their memory
// (proportional set size) and their share of one core over ten seconds. Health
// checks of nginx and pings of the slaves go on.
func BenchmarkIdle(b *testing.B) {
	b.Log(machineSize())
	memory, cpu, processes := in("MB"), in("%core"), in("processes")
	for b.Loop() {
		l := rig.New(b)
		l.Create()
		l.AwaitWhole()
		for range rounds {
			before, err := busy(l)
			if err != nil {
				b.Fatal(err)
			}
			start := time.Now()
			<-time.After(idleTime)
			after, err := busy(l)
			if err != nil {
				b.Fatal(err)
			}
			cpu.add(100 * float64(after-before) / float64(time.Since(start)))
			pss, err := proportional(l)
			if err != nil {
				b.Fatal(err)
			}
			memory.add(float64(pss) / 1e6)
			processes.add(float64(len(l.Processes())))
		}
		l.Must("destroy")
	}
	processes.report(b, "lab")
	memory.report(b, "pss")
	cpu.report(b, "idle")
}

// busy adds up the time that the threads of all processes have run.
func busy(l *rig.Lab) (time.Duration, error) {
	var sum time.Duration
	for _, p := range l.Processes() {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.PID))
		if err != nil || len(threads) == 0 {
			return 0, errors.Join(err, fmt.Errorf("no threads of %s", p))
		}
		for _, file := range threads {
			data, err := os.ReadFile(file)
			if err != nil {
				continue // a thread that has ended meanwhile
			}
			ns, err := strconv.ParseInt(strings.Fields(string(data))[0], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("%s: %w", file, err)
			}
			sum += time.Duration(ns)
		}
	}
	return sum, nil
}

// proportional adds up the proportional set sizes, in bytes.
func proportional(l *rig.Lab) (int64, error) {
	var sum int64
	for _, p := range l.Processes() {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p.PID))
		if err != nil {
			return 0, fmt.Errorf("memory of %s: %w", p, err)
		}
		for line := range strings.Lines(string(data)) {
			var kib int64
			if _, err := fmt.Sscanf(line, "Pss: %d kB", &kib); err == nil {
				sum += kib << 10
			}
		}
	}
	return sum, nil
}
