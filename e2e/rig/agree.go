//go:build linux

package rig

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/scenarios"
)

// logTolerance is how far a reported phase may be from the line of the event
// log that tells its end.
const logTolerance = 50 * time.Millisecond

// endOfPhase says by which words of a timeline a phase of a failover ends. A
// back-off ends by Marathon's own clock, and clients are fine when the last
// trouble was followed by peace: neither is told by a line of its own.
var endOfPhase = map[string]string{"detect": " is TASK_LOST", "launch": " running", "LB": " in the load balancer", "health": " healthy"}

// LogDisagrees compares the phases of a failover that ran last with the lab's
// event log, whose times are those of telling: it returns what is missing
// there, or too far away. The clock of both starts when the fault is asked for.
func (l *Lab) LogDisagrees(res *scenarios.Result, fault string) []string {
	l.tb.Helper()
	asked, told := l.logged(fault)
	if asked.IsZero() {
		return []string{fmt.Sprintf("the event log has no step %q", fault)}
	}
	var out []string
	compared := 0
	for _, p := range res.Phases {
		words, ok := endOfPhase[p.Name]
		if !ok {
			continue
		}
		compared++
		end := asked.Add(time.Duration((p.From + p.Seconds) * float64(time.Second)))
		if d := nearest(told, words, end); d > logTolerance {
			out = append(out, fmt.Sprintf("phase %s ends %.3f s after the fault; the nearest line%q is %s away", p.Name, p.From+p.Seconds, words, d))
		}
	}
	if compared < len(endOfPhase) {
		out = append(out, fmt.Sprintf("%d phases to compare, want %d: %+v", compared, len(endOfPhase), res.Phases))
	}
	return out
}

// logged returns when a step began last, and the notes since.
func (l *Lab) logged(step string) (asked time.Time, told []lab.Event) {
	l.tb.Helper()
	data, err := os.ReadFile(filepath.Join(l.Dir(), "events.jsonl"))
	if err != nil {
		l.tb.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		var e lab.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			l.tb.Fatalf("events.jsonl: %v: %s", err, line)
		}
		switch {
		case e.Kind == lab.EventStart && e.Step == step:
			asked, told = e.Time, nil
		case e.Kind == lab.EventNote && strings.Contains(e.Text, "◆"):
			told = append(told, e)
		}
	}
	return asked, told
}

// nearest is how far the nearest line that ends with these words is from a
// moment.
func nearest(told []lab.Event, words string, at time.Time) time.Duration {
	least := time.Duration(1<<63 - 1)
	for _, e := range told {
		if strings.HasSuffix(e.Text, words) {
			least = min(least, e.Time.Sub(at).Abs())
		}
	}
	return least
}
