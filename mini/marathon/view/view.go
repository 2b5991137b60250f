// Package view prints Marathon's state as the REST API shows it: apps with
// their counts, tasks, deployments, the queue. Every function reads one
// consistent state of a Core and returns values for encoding/json, keys and
// order as in 1.1.1 (contracts 2).
package view

import (
	"errors"
	"maps"
	"slices"

	"github.com/mesoslab/lab/mini/marathon/app"
	"github.com/mesoslab/lab/mini/marathon/core"
	"github.com/mesoslab/lab/mini/marathon/group"
	"github.com/mesoslab/lab/mini/marathon/health"
	"github.com/mesoslab/lab/mini/marathon/store"
	"github.com/mesoslab/lab/mini/marathon/task"
)

// Embed says what an App shows besides the definition.
type Embed struct {
	Counts, Deployments, Tasks, LastTaskFailure, Readiness, TaskStats bool
}

// Ref names a deployment.
type Ref struct {
	ID string `json:"id"`
}

// App is an app as the REST API prints it.
type App struct {
	app.App
	TasksStaged           *int               `json:"tasksStaged,omitempty"`
	TasksRunning          *int               `json:"tasksRunning,omitempty"`
	TasksHealthy          *int               `json:"tasksHealthy,omitempty"`
	TasksUnhealthy        *int               `json:"tasksUnhealthy,omitempty"`
	Deployments           []Ref              `json:"deployments,omitzero"`
	ReadinessCheckResults []health.Readiness `json:"readinessCheckResults,omitzero"`
	Tasks                 []task.View        `json:"tasks,omitzero"`
	LastTaskFailure       *task.Failure      `json:"lastTaskFailure,omitempty"`
	TaskStats             map[string]Stats   `json:"taskStats,omitempty"`
}

// count sets the numbers of an app's tasks.
func (v *App) count(ts []*task.Task) {
	n := countOf(ts)
	v.TasksStaged, v.TasksRunning, v.TasksHealthy, v.TasksUnhealthy = &n.Staged, &n.Running, &n.Healthy, &n.Unhealthy
}

// ofApp prints one app.
func ofApp(s core.State, a app.App, e Embed) App {
	v := App{App: a}
	ts := s.TasksOf(a.ID)
	if e.Counts {
		v.count(ts)
	}
	if e.Deployments {
		v.Deployments = []Ref{}
		if id := s.LockedBy(a.ID); id != "" {
			v.Deployments = append(v.Deployments, Ref{id})
		}
	}
	if e.Tasks {
		v.Tasks = []task.View{}
		for _, t := range ts {
			v.Tasks = append(v.Tasks, t.View(a.Ports))
		}
	}
	if f, failed := s.Failure(a.ID); failed && e.LastTaskFailure {
		v.LastTaskFailure = &f
	}
	if e.Readiness {
		v.ReadinessCheckResults = readiness(s, a.ID)
	}
	if e.TaskStats {
		v.TaskStats = statsOf(a, ts)
	}
	return v
}

func readiness(s core.State, appID string) []health.Readiness {
	out := []health.Readiness{}
	for _, t := range s.TasksOf(appID) {
		if r, ok := s.Readiness(t.ID); ok {
			out = append(out, r)
		}
	}
	return out
}

// Created is an app as 1.1.1 answers its creation: counts are zero and there
// is no version info yet.
func Created(c *core.Core, id string, res core.Result) (v App, err error) {
	err = c.Read(func(s core.State) error {
		v = App{App: s.Root().Apps[id], Tasks: []task.View{}, Deployments: []Ref{{res.DeploymentID}}}
		v.VersionInfo = nil
		v.count(nil)
		return nil
	})
	return v, err
}

// Apps prints all apps for which keep says so, sorted by id.
func Apps(c *core.Core, e Embed, keep func(app.App) bool) ([]App, error) {
	out := []App{}
	err := c.Read(func(s core.State) error {
		apps := s.Root().Apps
		for _, id := range slices.Sorted(maps.Keys(apps)) {
			if keep(apps[id]) {
				out = append(out, ofApp(s, apps[id], e))
			}
		}
		return nil
	})
	return out, err
}

// One prints one app.
func One(c *core.Core, id string, e Embed) (v App, err error) {
	err = c.Read(func(s core.State) error {
		a, ok := s.Root().Apps[id]
		if !ok {
			return core.NoApp(id)
		}
		v = ofApp(s, a, e)
		return nil
	})
	return v, err
}

// Below lists the ids of the apps in and below a group.
func Below(c *core.Core, groupID string) (ids []string, err error) {
	err = c.Read(func(s core.State) error {
		if !s.Root().HasGroup(groupID) {
			return core.NoGroup(groupID)
		}
		ids = s.Root().IDs(groupID)
		return nil
	})
	return ids, err
}

// Versions lists an app's versions, newest first.
func Versions(c *core.Core, id string) (vs []app.Time, err error) {
	err = c.Read(func(s core.State) error {
		if _, ok := s.Root().Apps[id]; !ok {
			return core.NoApp(id)
		}
		vs = s.Versions(id)
		return nil
	})
	return vs, err
}

// Version is an app as it was.
func Version(c *core.Core, id string, v app.Time) (a app.App, err error) {
	err = c.Read(func(s core.State) (err error) {
		if a, err = s.Past().App(id, v); errors.Is(err, store.ErrNotFound) {
			err = core.NoApp(id)
		}
		return err
	})
	return a, err
}

// Group prints a group as it is or, with a version, as it was. apps says
// what to embed in each app, nil leaves apps out; deep says whether child
// groups are shown.
func Group(c *core.Core, id string, v *app.Time, deep bool, apps *Embed) (g group.View, err error) {
	err = c.Read(func(s core.State) (err error) {
		r := s.Root()
		if v != nil {
			r, err = s.Past().Root(*v)
		}
		if errors.Is(err, store.ErrNotFound) || (err == nil && !r.HasGroup(id)) {
			return core.NoGroup(id)
		}
		if err != nil {
			return err
		}
		var render func(app.App) any
		if apps != nil {
			render = func(a app.App) any { return ofApp(s, a, *apps) }
		}
		g = r.Show(id, deep, render)
		return nil
	})
	return g, err
}

// GroupVersions lists the versions of the tree in which the group was, newest
// first.
func GroupVersions(c *core.Core, id string) (vs []app.Time, err error) {
	err = c.Read(func(s core.State) error {
		if !s.Root().HasGroup(id) {
			return core.NoGroup(id)
		}
		vs = []app.Time{}
		for _, v := range s.History() {
			switch r, err := s.Past().Root(v); {
			case errors.Is(err, store.ErrNotFound):
			case err != nil:
				return err
			case r.HasGroup(id):
				vs = append(vs, v)
			}
		}
		return nil
	})
	return vs, err
}

// Tasks prints all tasks for which keep says so, by app and age.
func Tasks(c *core.Core, keep func(*task.Task) bool) ([]task.View, error) {
	out := []task.View{}
	err := c.Read(func(s core.State) error {
		for _, id := range s.Owners() {
			for _, t := range s.TasksOf(id) {
				if keep(t) {
					out = append(out, t.View(s.Root().Apps[id].Ports))
				}
			}
		}
		return nil
	})
	return out, err
}

// CurrentAction is what a deployment does now to one app. Unlike in steps,
// the kind's key is "action" (contracts 2.3).
type CurrentAction struct {
	Action                string             `json:"action"`
	App                   string             `json:"app"`
	ReadinessCheckResults []health.Readiness `json:"readinessCheckResults"`
}

// Deployment is a deployment as the REST API prints it.
type Deployment struct {
	ID             string          `json:"id"`
	Version        app.Time        `json:"version"`
	AffectedApps   []string        `json:"affectedApps"`
	Steps          []group.Step    `json:"steps"`
	CurrentActions []CurrentAction `json:"currentActions"`
	CurrentStep    int             `json:"currentStep"` // 1-based
	TotalSteps     int             `json:"totalSteps"`
}

// Deployments prints what is under way.
func Deployments(c *core.Core) ([]Deployment, error) {
	out := []Deployment{}
	err := c.Read(func(s core.State) error {
		for _, d := range s.Deployments() {
			v := Deployment{ID: d.ID, Version: d.Version, AffectedApps: d.Affected(), Steps: d.Printed(),
				CurrentActions: []CurrentAction{}, CurrentStep: d.At + 1, TotalSteps: len(d.Steps)}
			for _, a := range d.Now {
				v.CurrentActions = append(v.CurrentActions, CurrentAction{a.Type, a.App, readiness(s, a.App)})
			}
			out = append(out, v)
		}
		return nil
	})
	return out, err
}

// Item is an app that waits, as the REST API prints it.
type Item struct {
	App   app.App `json:"app"`
	Count int     `json:"count"`
	Delay Delay   `json:"delay"`
}

// Delay tells whether it waits for its back-off or for an offer. Seconds are
// whole ones, as in 1.1.1: in the last second of a back-off 0 is left, and it is
// not overdue yet.
type Delay struct {
	TimeLeftSeconds int  `json:"timeLeftSeconds"`
	Overdue         bool `json:"overdue"`
}

// Queue prints what waits to be launched.
func Queue(c *core.Core) ([]Item, error) {
	out := []Item{}
	err := c.Read(func(s core.State) error {
		for _, i := range s.Queue() {
			left := s.Wait(i.App)
			out = append(out, Item{i.App, i.Left, Delay{int(max(0, left.Seconds())), left <= 0}})
		}
		return nil
	})
	return out, err
}
