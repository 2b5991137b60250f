//go:build linux

package bench

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/e2e/rig"
	"github.com/mesoslab/lab/scenarios"
	"github.com/mesoslab/lab/stack"
)

// BenchmarkFailover runs "lab scenario failover" on fresh labs with --fast and
// takes what each phase has cost beyond the settings that rule it; see the
// package's comment for where the phases are cut. total is from the fault to
// the health of the new instance. The phases that lab reports must be those of
// its event log.
func BenchmarkFailover(b *testing.B) {
	b.Log(machineSize())
	detect, replace, healthy, total := in("ms"), in("ms"), in("ms"), in("ms")
	verdicts := map[scenarios.Verdict]int{}
	for b.Loop() {
		for range rounds {
			l := rig.New(b)
			l.Create("--fast")
			l.AwaitWhole()
			p, verdict := watchFailover(b, l)
			verdicts[verdict]++
			detect.addTime(p.detect)
			replace.addTime(p.replace)
			healthy.addTime(p.healthy)
			total.addTime(p.total)
			l.Must("destroy")
		}
	}
	b.Logf("verdicts: %v", verdicts)
	detect.report(b, "detect")
	replace.report(b, "replace")
	healthy.report(b, "healthy")
	total.report(b, "total")
}

// phases are lab's own share of a failover, and its whole length.
type phases struct{ detect, replace, healthy, total time.Duration }

// seen are the moments of a failover, as received.
type seen struct {
	lost, running, healthy stack.Event
	checked                time.Time // the survivor's last check when the new task became healthy
}

func watchFailover(b *testing.B, l *rig.Lab) (phases, scenarios.Verdict) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), rig.Patience)
	defer cancel()
	marathon := &stack.Marathon{Base: l.URL(1, 8080, ""), HTTP: http.DefaultClient}
	run := l.Start("scenario", "failover")
	faultAt := asked(b, run, "kill victim")
	fault := run.AwaitEvent("loses power") // spreading ended tasks, too: look only from here on
	victim := strings.Fields(fault.Text)[3]
	s := l.Status()
	registered := slaveSince(b, s.Mesos, victim)
	var ev seen
	follow(ctx, b, marathon, &ev)
	end := run.Wait(nil)
	var res scenarios.Result
	end.JSON(b, &res)
	for _, d := range l.LogDisagrees(&res, "kill victim") {
		b.Error(d)
	}

	const pingTimeout, backoff, interval = lab.FastPing, time.Second, time.Second
	tick := ev.checked.Add(-ev.checked.Sub(ev.running.Received).Truncate(interval))
	return phases{
		detect:  ev.lost.Received.Sub(registered) % pingTimeout,
		replace: ev.running.Received.Sub(ev.lost.Received) - backoff,
		healthy: ev.healthy.Received.Sub(tick),
		total:   ev.healthy.Received.Sub(faultAt),
	}, res.Verdict
}

// asked is when a step of the script begins.
func asked(b *testing.B, run *rig.Running, step string) time.Time {
	b.Helper()
	for {
		e, ok := run.Next()
		if !ok {
			b.Fatalf("no step %q", step)
		}
		if e.Kind == lab.EventStart && e.Step == step {
			return e.Time
		}
	}
}

// slaveSince is when the slave of a machine has registered.
func slaveSince(b *testing.B, m stack.MesosView, node string) time.Time {
	b.Helper()
	for _, s := range m.Slaves {
		if s.Node == node {
			return s.Since
		}
	}
	b.Fatalf("no slave on %s: %+v", node, m.Slaves)
	return time.Time{}
}

// follow watches Marathon until a task was lost and its successor is healthy.
func follow(ctx context.Context, b *testing.B, m *stack.Marathon, ev *seen) {
	b.Helper()
	stream, err := m.Subscribe(ctx)
	if err != nil {
		b.Fatal(err)
	}
	for e, err := range stream.All() {
		if err != nil {
			b.Fatal(err)
		}
		switch {
		case e.Type == "status_update_event" && e.TaskStatus == "TASK_LOST" && ev.lost.TaskID == "":
			ev.lost = e
		case e.Type == "status_update_event" && e.TaskStatus == "TASK_RUNNING" && ev.lost.TaskID != "" && ev.running.TaskID == "":
			ev.running = e
		case e.Type == "health_status_changed_event" && e.TaskID == ev.running.TaskID && ev.running.TaskID != "":
			ev.healthy = e
			if ev.checked, err = lastCheck(ctx, m, e.TaskID); err != nil {
				b.Fatal(err)
			}
			return
		}
	}
}

// lastCheck is when an instance other than the new one passed its last check.
func lastCheck(ctx context.Context, m *stack.Marathon, other string) (time.Time, error) {
	tasks, err := m.Tasks(ctx, "/nginx")
	if err != nil {
		return time.Time{}, err
	}
	for _, t := range tasks {
		if t.ID != other && len(t.Health) > 0 {
			return t.Health[0].LastSuccess, nil
		}
	}
	return time.Time{}, fmt.Errorf("no survivor among %d tasks", len(tasks))
}
