// Package health knows what a health check means: how one probe is done, and
// what a result does to a task's state (contracts 2.4).
//
// Nouns: State (what is known of one task by one check), Outcome (what a
// result asks for), Prober (does the probes). State is a value without time
// or locks of its own; a Prober is safe for concurrent use and dials through
// what it was given. Who probes when, and what happens to the task, is
// decided by the caller. COMMAND checks are done by Mesos' executor, not
// here.
package health

import (
	"time"

	"github.com/mesoslab/lab/mini/marathon/app"
)

// State is what is known of one task by one check; it lives in the leader's
// memory only.
type State struct {
	FirstSuccess, LastSuccess, LastFailure app.Time
	LastFailureCause                       string
	ConsecutiveFailures                    int
}

// Alive reports whether the last success is newer than the last failure.
func (s State) Alive() bool {
	return !s.LastSuccess.IsZero() && s.LastSuccess.After(s.LastFailure.Time)
}

// Outcome is what a result asks for.
type Outcome struct {
	Ignored bool // in the grace period: nothing is recorded
	Changed bool // the task became well or ill: Alive() tells which
	Kill    bool // the task has failed once too often
}

// Pass records a success.
func (s State) Pass(now time.Time) (State, Outcome) {
	was := s.Alive()
	if s.FirstSuccess.IsZero() {
		s.FirstSuccess = app.At(now)
	}
	s.LastSuccess = app.At(now)
	if !s.LastSuccess.After(s.LastFailure.Time) { // both in one millisecond
		s.LastSuccess = app.At(s.LastFailure.Add(time.Millisecond))
	}
	s.ConsecutiveFailures = 0
	return s, Outcome{Changed: !was}
}

// Fail records a failure of a task that runs since started. Failures do not
// count while the task never succeeded and the grace period lasts. The kill
// is decided on the count before this failure: with maxConsecutiveFailures n
// a task is killed at failure n+1; 0 never kills.
func (s State) Fail(now time.Time, c app.HealthCheck, started time.Time, cause string) (State, Outcome) {
	grace := time.Duration(c.GracePeriodSeconds) * time.Second
	if s.FirstSuccess.IsZero() && started.Add(grace).After(now) {
		return s, Outcome{Ignored: true}
	}
	was := s.Alive()
	kill := c.MaxConsecutiveFailures > 0 && s.ConsecutiveFailures >= c.MaxConsecutiveFailures
	s.LastFailure, s.LastFailureCause = app.At(now), cause
	s.ConsecutiveFailures++
	return s, Outcome{Changed: was, Kill: kill}
}

// Result is a State as the REST API prints it.
type Result struct {
	Alive               bool     `json:"alive"`
	ConsecutiveFailures int      `json:"consecutiveFailures"`
	FirstSuccess        app.Time `json:"firstSuccess"`
	LastFailure         app.Time `json:"lastFailure"`
	LastSuccess         app.Time `json:"lastSuccess"`
	LastFailureCause    *string  `json:"lastFailureCause"`
	TaskID              string   `json:"taskId"`
}

// Result prints the State for a task.
func (s State) Result(taskID string) Result {
	r := Result{s.Alive(), s.ConsecutiveFailures, s.FirstSuccess, s.LastFailure, s.LastSuccess, nil, taskID}
	if s.LastFailureCause != "" {
		r.LastFailureCause = &s.LastFailureCause
	}
	return r
}

// Port is the host port a check looks at, given the task's host ports; false
// if the task has no such port.
func Port(c app.HealthCheck, ports []int) (int, bool) {
	switch {
	case c.Port != nil && *c.Port > 0:
		return *c.Port, true
	case c.PortIndex != nil && *c.PortIndex < len(ports):
		return ports[*c.PortIndex], true
	}
	return 0, false
}
