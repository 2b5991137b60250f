package core

import (
	"maps"
	"slices"
	"time"

	"github.com/mesoslab/lab/mini/marathon/app"
	"github.com/mesoslab/lab/mini/marathon/group"
	"github.com/mesoslab/lab/mini/marathon/health"
	"github.com/mesoslab/lab/mini/marathon/launch"
	"github.com/mesoslab/lab/mini/marathon/task"
)

// State is the whole state for reading. It may be used only inside Read, and
// nothing it returns may be changed.
type State struct {
	c     *Core
	guest bool // of somebody who waits for the store
}

// Read runs fn on one consistent state and returns its error; ErrOver if the
// term is over. fn must not call Core. Where a change waits for a slow store,
// fn sees what there is before it, or between two steps of it.
func (c *Core) Read(fn func(State) error) error {
	guest, err := c.turn.Look(c.ctx)
	if err != nil {
		return ErrOver
	}
	if guest {
		defer c.turn.Leave()
	} else {
		defer c.leave()
	}
	return fn(State{c, guest})
}

// Root is the tree as it counts now.
func (s State) Root() group.Root { return s.c.root }

// Past reads how it was.
func (s State) Past() Past { return past{s.c, !s.guest} }

// Versions lists an app's versions, newest first.
func (s State) Versions(appID string) []app.Time { return s.c.book.Versions(appID) }

// History lists the tree's versions, newest first.
func (s State) History() []app.Time { return s.c.book.History() }

// TasksOf lists an app's tasks, oldest first.
func (s State) TasksOf(appID string) []*task.Task { return s.c.tasksOf(appID) }

// Task finds a task, or nil.
func (s State) Task(id string) *task.Task { return s.c.tasks[id] }

// Owners lists the apps that have tasks, even if they are no more.
func (s State) Owners() []string {
	return slices.Sorted(maps.Keys(s.c.byApp))
}

// Failure is an app's last failed task.
func (s State) Failure(appID string) (task.Failure, bool) {
	f, ok := s.c.failures[appID]
	return f, ok
}

// Readiness is what a task answered to the readiness check.
func (s State) Readiness(taskID string) (health.Readiness, bool) {
	r, ok := s.c.readiness[taskID]
	return r, ok
}

// Queue lists what is left to launch.
func (s State) Queue() []*launch.Item { return s.c.queue.Items() }

// Wait is how long an app's back-off lasts.
func (s State) Wait(a app.App) time.Duration { return s.c.queue.Wait(a) }

// LockedBy is the deployment that holds an app, or "".
func (s State) LockedBy(appID string) string {
	if d := s.c.lockedBy(appID); d != nil {
		return d.ID
	}
	return ""
}

// Deployment is a plan under way.
type Deployment struct {
	group.Plan
	At  int // index of the current step
	Now []group.Action
}

// Deployments lists what is under way, oldest first.
func (s State) Deployments() []Deployment {
	var out []Deployment
	for _, d := range s.c.deployments {
		v := Deployment{Plan: d.Plan, At: d.at}
		for _, a := range d.running {
			v.Now = append(v.Now, a.Action)
		}
		out = append(out, v)
	}
	return out
}

// Framework is the id Mesos gave us ("" before the first subscription) and
// the master we are subscribed at ("" while we are not). Both are "" when the
// term is over.
func (c *Core) Framework() (id, master string) {
	_ = c.Read(func(State) error { id, master = c.frameworkID, c.master; return nil })
	return id, master
}
