package vagrant

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/mesoslab/lab"
)

// tracker turns Vagrant's output into the events of a step per machine.
type tracker struct {
	report   lab.Report
	op, step string
	since    time.Time

	mu     sync.Mutex
	open   []string          // machines whose step goes on
	last   map[string]string // the last text of each
	action map[string]bool   // machines whose action ended
}

func newTracker(report lab.Report, op, step string, names []string) *tracker {
	t := &tracker{report: report, op: op, step: step, since: time.Now(), open: slices.Clone(names), last: map[string]string{}, action: map[string]bool{}}
	for _, name := range names {
		t.emit(lab.EventStart, name, "")
	}
	return t
}

func (t *tracker) emit(kind lab.EventKind, name, text string) {
	t.report.Emit(lab.Event{Op: t.op, Kind: kind, Node: name, Step: t.step, Text: text})
}

// record takes one line of output.
func (t *tracker) record(r record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !slices.Contains(t.open, r.Target) {
		return
	}
	if r.Kind == "action" && r.data(1) == "end" && r.data(0) == "up" {
		t.action[r.Target] = true
	}
	if text := r.progress(); text != "" && text != t.last[r.Target] {
		t.last[r.Target] = text
		t.emit(lab.EventWait, r.Target, text)
	}
}

// ended reports whether Vagrant said that a machine's up came to its end.
func (t *tracker) ended(name string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.action[name]
}

func (t *tracker) unfinished() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.open)
}

// done ends a machine's step.
func (t *tracker) done(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.Index(t.open, name); i >= 0 {
		t.open = slices.Delete(t.open, i, i+1)
		t.report.Emit(lab.Event{Op: t.op, Kind: lab.EventDone, Node: name, Step: t.step, Data: map[string]any{"seconds": time.Since(t.since).Seconds()}})
	}
}

// end fails the steps that are still open.
func (t *tracker) end(err error) {
	for _, name := range t.unfinished() {
		if err == nil {
			t.done(name)
			continue
		}
		t.report.Emit(lab.Event{Op: t.op, Kind: lab.EventFail, Node: name, Step: t.step, Err: err.Error()})
	}
}

// blame names the machine of an error where Vagrant worked on one alone.
func (t *tracker) blame(err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	var at []string
	for _, name := range t.open {
		if t.last[name] != "" && !t.action[name] {
			at = append(at, name)
		}
	}
	if e, ok := errors.AsType[*lab.Error](err); ok && e.Machine == "" && len(at) == 1 {
		e.Machine = at[0]
	}
	return err
}
