package scenarios

import (
	"sync"
	"time"

	"github.com/mesoslab/lab"
)

// RecordingFormat is the version of the document that a Recording is.
const RecordingFormat = 1

// Recording is a whole run as it was observed: what report.json holds, from
// which pages are drawn and replays shown. Times are in seconds since Begun;
// what was not seen has none. The document is described in docs/report.md.
type Recording struct {
	Format   int           `json:"format"`
	Begun    time.Time     `json:"begun"`
	Fault    *float64      `json:"fault"` // when the clock of the timeline starts
	Machines []MachineRef  `json:"machines"`
	Result   *Result       `json:"result"`
	Faults   []FaultRecord `json:"faults"`
	Tasks    []TaskRecord  `json:"tasks"`
	Agents   []AgentRecord `json:"agents"`
	Requests []Request     `json:"requests"`
	Gaps     []GapRecord   `json:"gaps"`
	Events   []PastEvent   `json:"events"`
	Summary  string        `json:"summary"`
	Script   string        `json:"script"`
}

// MachineRef names a machine of the lab.
type MachineRef struct {
	Name string `json:"name"`
	Role string `json:"role"`
	IP   string `json:"ip"`
}

// TaskRecord is a TaskHistory in seconds.
type TaskRecord struct {
	ID       string   `json:"id"`
	Name     string   `json:"name"`
	Node     string   `json:"node"`
	Address  string   `json:"address"`
	Seen     *float64 `json:"seen"`
	Running  *float64 `json:"running"`
	InLB     *float64 `json:"in_lb"`
	Healthy  *float64 `json:"healthy"`
	Ended    *float64 `json:"ended"`
	EndState string   `json:"end_state,omitempty"`
	OutOfLB  *float64 `json:"out_of_lb"`
}

// AgentRecord is an AgentHistory in seconds.
type AgentRecord struct {
	ID       string   `json:"id"`
	Node     string   `json:"node"`
	Seen     *float64 `json:"seen"`
	Inactive *float64 `json:"inactive"`
	Gone     *float64 `json:"gone"`
	Back     *float64 `json:"back"`
}

// Request is one request of the probe.
type Request struct {
	Due   float64 `json:"due"`
	Took  float64 `json:"took"` // seconds from Due to the end
	Task  string  `json:"task,omitempty"`
	Error string  `json:"error,omitempty"`
}

// GapRecord is a hole in an observer's record, longer than a verdict tolerates.
type GapRecord struct {
	Sampler string  `json:"sampler"`
	At      float64 `json:"at"`
	Seconds float64 `json:"seconds"`
}

// PastEvent is an event that the run reported.
type PastEvent struct {
	At float64 `json:"at"`
	lab.Event
}

// remember returns a report that also keeps every event.
func (r *run) remember(report lab.Report) lab.Report {
	var mu sync.Mutex // keeps the order that the report has seen
	return func(e lab.Event) {
		mu.Lock()
		defer mu.Unlock()
		report.Emit(e)
		r.events = append(r.events, PastEvent{At: e.Time.Sub(r.begun).Seconds(), Event: e})
	}
}

// recording is taken when all observers have stopped.
func (r *run) recording(res *Result) *Recording {
	rec := &Recording{
		Format: RecordingFormat, Begun: r.begun.UTC(), Fault: r.since(r.fault), Result: res,
		Machines: []MachineRef{}, Faults: append([]FaultRecord{}, r.faults...), Tasks: []TaskRecord{}, Agents: []AgentRecord{}, Requests: []Request{}, Gaps: []GapRecord{},
		Events: append([]PastEvent{}, r.events...), Summary: r.script.Summary, Script: r.script.Text,
	}
	for _, m := range r.lab.Machines() {
		rec.Machines = append(rec.Machines, MachineRef{m.Name, string(m.Role), m.IP.String()})
	}
	for _, t := range r.history.Tasks() {
		rec.Tasks = append(rec.Tasks, TaskRecord{
			ID: t.ID, Name: t.Name, Node: t.Node, Address: t.Address, Seen: r.since(t.Seen), Running: r.since(t.Running), InLB: r.since(t.InLB),
			Healthy: r.since(t.Healthy), Ended: r.since(t.Ended), EndState: t.EndState, OutOfLB: r.since(t.OutOfLB),
		})
	}
	for _, a := range r.history.Agents() {
		rec.Agents = append(rec.Agents, AgentRecord{a.ID, a.Node, r.since(a.Seen), r.since(a.Inactive), r.since(a.Gone), r.since(a.Back)})
	}
	for _, g := range r.history.Gaps() {
		rec.Gaps = append(rec.Gaps, GapRecord{g.Sampler, g.At.Sub(r.begun).Seconds(), g.Length.Seconds()})
	}
	if r.probe != nil {
		for _, a := range r.probe.Answers() {
			rec.Requests = append(rec.Requests, Request{Due: a.Due.Sub(r.begun).Seconds(), Took: a.Latency.Seconds(), Task: r.history.NameOf(a.Task), Error: a.Err})
		}
	}
	return rec
}
