// Package task is Marathon's notion of one task, from just before its launch
// to its terminal update: the record that is stored, what is known besides,
// how it is printed, and which tasks go first when there are too many.
//
// Nouns: Task, View (a task as the REST API prints it), Failure (an app's
// last failed task). No I/O, no locks: the owner of a Task guards it.
package task

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mesoslab/lab/mini/marathon/app"
	"github.com/mesoslab/lab/mini/marathon/event"
	"github.com/mesoslab/lab/mini/marathon/health"
	"github.com/mesoslab/lab/mini/marathon/match"
)

// Task is one task. Its JSON is what the store keeps.
type Task struct {
	ID            string            `json:"id"`
	AppID         string            `json:"appId"`
	AgentID       string            `json:"agentId"`
	Host          string            `json:"host"`
	Attributes    map[string]string `json:"attributes"` // of the agent
	Ports         []int             `json:"ports"`      // host ports
	Version       app.Time          `json:"version"`    // of the app at launch
	ConfigVersion app.Time          `json:"configVersion"`
	StagedAt      app.Time          `json:"stagedAt"`
	StartedAt     app.Time          `json:"startedAt"` // zero until TASK_RUNNING
	// State is the last Mesos state heard, "" before the first.
	State       string            `json:"state"`
	IPAddresses []event.IPAddress `json:"ipAddresses,omitempty"`

	// Health is what the checks say, by index; in memory only.
	Health map[int]health.State `json:"-"`
	// KillAsked is when a kill was last asked for; in memory only.
	KillAsked time.Time `json:"-"`
}

// Running reports whether the task has reached TASK_RUNNING.
func (t *Task) Running() bool { return !t.StartedAt.IsZero() }

// Doomed reports whether a kill was asked for.
func (t *Task) Doomed() bool { return !t.KillAsked.IsZero() }

// Runs reports whether the task was launched with this configuration.
func (t *Task) Runs(a app.App) bool { return t.ConfigVersion.Equal(a.ConfigVersion()) }

// Healthy reports whether n checks have results and all passed last time.
func (t *Task) Healthy(n int) bool { return len(t.Health) >= n && !t.Unhealthy() }

// Unhealthy reports whether a check has a result and it is bad.
func (t *Task) Unhealthy() bool {
	for _, h := range t.Health {
		if !h.Alive() {
			return true
		}
	}
	return false
}

// Peer is the task as constraints see it.
func (t *Task) Peer() match.Peer { return match.Peer{Host: t.Host, Attributes: t.Attributes} }

// ByAge orders tasks, oldest first.
func ByAge(a, b *Task) int {
	return cmp.Or(a.StagedAt.Compare(b.StagedAt.Time), strings.Compare(a.ID, b.ID))
}

// Standing keeps the tasks that nobody has asked to kill.
func Standing(ts []*Task) []*Task {
	return slices.DeleteFunc(slices.Clone(ts), (*Task).Doomed)
}

// Surplus chooses n tasks of an app to be killed: those that stand in the
// largest group of a GROUP_BY field first, then the youngest (contracts
// 2.5).
func Surplus(a app.App, ts []*Task, n int) []*Task {
	left := slices.Clone(ts)
	slices.SortFunc(left, ByAge)
	slices.Reverse(left)
	var chosen []*Task
	for len(chosen) < n && len(left) > 0 {
		i := crowded(a, left)
		chosen = append(chosen, left[i])
		left = slices.Delete(left, i, i+1)
	}
	return chosen
}

// crowded finds the first task that stands in the largest group of the
// app's first GROUP_BY constraint; 0 if there is none.
func crowded(a app.App, ts []*Task) int {
	i := slices.IndexFunc(a.Constraints, func(c app.Constraint) bool { return c.Operator() == "GROUP_BY" })
	if i < 0 {
		return 0
	}
	field := a.Constraints[i].Field()
	value := func(t *Task) string {
		if field == "hostname" {
			return t.Host
		}
		return t.Attributes[field]
	}
	size := map[string]int{}
	for _, t := range ts {
		size[value(t)]++
	}
	best := 0
	for i, t := range ts {
		if size[value(t)] > size[value(ts[best])] {
			best = i
		}
	}
	return best
}

// Failure is an app's last failed task, as it is stored and printed.
type Failure struct {
	AppID     string   `json:"appId"`
	Host      string   `json:"host"`
	Message   string   `json:"message"`
	State     string   `json:"state"`
	TaskID    string   `json:"taskId"`
	Timestamp app.Time `json:"timestamp"`
	Version   app.Time `json:"version"`
	SlaveID   *string  `json:"slaveId"`
}

// View is a task as the REST API prints it. 1.1.1 has no state in it: a task
// is staging while startedAt is null.
type View struct {
	ID                 string            `json:"id"`
	Host               string            `json:"host"`
	IPAddresses        []event.IPAddress `json:"ipAddresses,omitempty"`
	Ports              []int             `json:"ports"`
	StartedAt          app.Time          `json:"startedAt"`
	StagedAt           app.Time          `json:"stagedAt"`
	Version            app.Time          `json:"version"`
	SlaveID            string            `json:"slaveId"`
	AppID              string            `json:"appId"`
	ServicePorts       []int             `json:"servicePorts,omitempty"`
	HealthCheckResults []health.Result   `json:"healthCheckResults,omitempty"`
}

// View prints the task; servicePorts are its app's.
func (t *Task) View(servicePorts []int) View {
	v := View{ID: t.ID, Host: t.Host, IPAddresses: t.IPAddresses, Ports: slices.Clone(t.Ports), StartedAt: t.StartedAt,
		StagedAt: t.StagedAt, Version: t.Version, SlaveID: t.AgentID, AppID: t.AppID, ServicePorts: servicePorts}
	if v.Ports == nil {
		v.Ports = []int{}
	}
	for _, i := range slices.Sorted(maps.Keys(t.Health)) {
		v.HealthCheckResults = append(v.HealthCheckResults, t.Health[i].Result(t.ID))
	}
	return v
}
