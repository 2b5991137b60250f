package core

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"github.com/mesoslab/lab/mini/marathon/app"
	"github.com/mesoslab/lab/mini/marathon/event"
	"github.com/mesoslab/lab/mini/marathon/health"
	"github.com/mesoslab/lab/mini/marathon/match"
)

// killRetry is how often an unanswered kill is repeated (1.1.1: 15 s).
const killRetry = 15 * time.Second

// Task is one task from just before its launch to its terminal update. The
// record is what the store keeps.
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

	health  map[int]health.State // by index of the check
	killing time.Time            // when a kill was last asked for
}

// running reports whether the task has reached TASK_RUNNING.
func (t *Task) running() bool { return !t.StartedAt.IsZero() }

// doomed reports whether a kill was asked for.
func (t *Task) doomed() bool { return !t.killing.IsZero() }

// healthy reports whether all n checks have passed last time.
func (t *Task) healthy(n int) bool {
	if len(t.health) < n {
		return false
	}
	for _, h := range t.health {
		if !h.Alive() {
			return false
		}
	}
	return true
}

// unhealthy reports whether a check has a result and it is bad.
func (t *Task) unhealthy() bool {
	for _, h := range t.health {
		if !h.Alive() {
			return true
		}
	}
	return false
}

func (t *Task) peer() match.Peer { return match.Peer{Host: t.Host, Attributes: t.Attributes} }

// TaskFailure is an app's last failed task, as the API prints it.
type TaskFailure struct {
	AppID     string   `json:"appId"`
	Host      string   `json:"host"`
	Message   string   `json:"message"`
	State     string   `json:"state"`
	TaskID    string   `json:"taskId"`
	Timestamp app.Time `json:"timestamp"`
	Version   app.Time `json:"version"`
	SlaveID   *string  `json:"slaveId"`
}

// tasksOf lists an app's tasks, oldest first.
func (c *Core) tasksOf(appID string) []*Task {
	var ts []*Task
	for _, t := range c.tasks {
		if t.AppID == appID {
			ts = append(ts, t)
		}
	}
	slices.SortFunc(ts, byAge)
	return ts
}

func byAge(a, b *Task) int {
	return cmp.Or(a.StagedAt.Compare(b.StagedAt.Time), strings.Compare(a.ID, b.ID))
}

// alive keeps the tasks that nobody has asked to kill.
func alive(ts []*Task) []*Task {
	return slices.DeleteFunc(slices.Clone(ts), (*Task).doomed)
}

// kill asks Mesos to end a task, and again every killRetry until it has.
func (c *Core) kill(t *Task, why string) {
	if t.doomed() && time.Since(t.killing) < killRetry {
		return
	}
	if !t.doomed() {
		c.Log("kill %s: %s", t.ID, why)
	}
	t.killing = time.Now()
	c.Mesos.Send(calls.Kill(t.ID, t.AgentID))
}

func (c *Core) repeatKills() {
	for _, t := range c.tasks {
		if t.doomed() {
			c.kill(t, "again")
		}
	}
}

// killOverdue ends tasks that do not come up (contracts 4).
func (c *Core) killOverdue() {
	for _, t := range c.tasks {
		age := time.Since(t.StagedAt.Time)
		switch {
		case t.running() || t.doomed():
		case t.State == "TASK_STAGING" && age > c.cfg.LaunchTimeout:
			c.kill(t, "not running within the launch time-out")
		case t.State != "TASK_STAGING" && age > c.cfg.ConfirmTimeout:
			c.kill(t, "not confirmed within the time-out")
		}
	}
}

// surplus chooses n of the tasks to be killed: those that are most alike in
// a GROUP_BY field first, then the youngest.
func surplus(a app.App, ts []*Task, n int) []*Task {
	left := slices.Clone(ts)
	slices.SortFunc(left, byAge)
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
// app's GROUP_BY constraints; 0 if there is none.
func crowded(a app.App, ts []*Task) int {
	for _, c := range a.Constraints {
		if c.Operator() != "GROUP_BY" {
			continue
		}
		value := func(t *Task) string {
			if c.Field() == "hostname" {
				return t.Host
			}
			return t.Attributes[c.Field()]
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
	return 0
}
