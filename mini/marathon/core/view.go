package core

import (
	"maps"
	"math"
	"slices"
	"time"

	"github.com/mesoslab/lab/mini/marathon/app"
	"github.com/mesoslab/lab/mini/marathon/event"
	"github.com/mesoslab/lab/mini/marathon/group"
	"github.com/mesoslab/lab/mini/marathon/health"
)

// Embed says what an AppView shows besides the definition.
type Embed struct {
	Counts, Deployments, Tasks, LastTaskFailure, Readiness bool
}

// Ref names a deployment.
type Ref struct {
	ID string `json:"id"`
}

// AppView is an app as the REST API prints it.
type AppView struct {
	app.App
	TasksStaged           *int              `json:"tasksStaged,omitempty"`
	TasksRunning          *int              `json:"tasksRunning,omitempty"`
	TasksHealthy          *int              `json:"tasksHealthy,omitempty"`
	TasksUnhealthy        *int              `json:"tasksUnhealthy,omitempty"`
	Deployments           []Ref             `json:"deployments,omitzero"`
	ReadinessCheckResults []ReadinessResult `json:"readinessCheckResults,omitzero"`
	Tasks                 []TaskView        `json:"tasks,omitzero"`
	LastTaskFailure       *TaskFailure      `json:"lastTaskFailure,omitempty"`
}

// setCounts takes staged, running, healthy, unhealthy.
func (v *AppView) setCounts(n [4]int) {
	v.TasksStaged, v.TasksRunning, v.TasksHealthy, v.TasksUnhealthy = &n[0], &n[1], &n[2], &n[3]
}

// TaskView is a task as the REST API prints it. 1.1.1 has no state in it:
// a task is staging while startedAt is null.
type TaskView struct {
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

func (c *Core) taskView(t *Task, servicePorts bool) TaskView {
	v := TaskView{ID: t.ID, Host: t.Host, IPAddresses: t.IPAddresses, Ports: slices.Clone(t.Ports), StartedAt: t.StartedAt,
		StagedAt: t.StagedAt, Version: t.Version, SlaveID: t.AgentID, AppID: t.AppID}
	if v.Ports == nil {
		v.Ports = []int{}
	}
	if servicePorts {
		v.ServicePorts = c.root.Apps[t.AppID].Ports
	}
	for _, i := range slices.Sorted(maps.Keys(t.health)) {
		v.HealthCheckResults = append(v.HealthCheckResults, t.health[i].Result(t.ID))
	}
	return v
}

// view prepares an app for printing.
func (c *Core) view(a app.App, e Embed) AppView {
	v := AppView{App: a}
	ts := c.tasksOf(a.ID)
	if e.Counts {
		var n [4]int
		for _, t := range ts {
			switch {
			case !t.running():
				n[0]++
				continue
			case len(t.health) > 0 && t.healthy(0):
				n[2]++
			case t.unhealthy():
				n[3]++
			}
			n[1]++
		}
		v.setCounts(n)
	}
	if e.Deployments {
		v.Deployments = []Ref{}
		if d := c.lockedBy(a.ID); d != nil {
			v.Deployments = append(v.Deployments, Ref{d.ID})
		}
	}
	if e.Tasks {
		v.Tasks = []TaskView{}
		for _, t := range ts {
			v.Tasks = append(v.Tasks, c.taskView(t, true))
		}
	}
	if f, failed := c.failures[a.ID]; failed && e.LastTaskFailure {
		v.LastTaskFailure = &f
	}
	if e.Readiness {
		v.ReadinessCheckResults = c.readinessOf(a.ID)
	}
	return v
}

func (c *Core) readinessOf(appID string) []ReadinessResult {
	out := []ReadinessResult{}
	for _, t := range c.tasksOf(appID) {
		if r, ok := c.readiness[t.ID]; ok {
			out = append(out, r)
		}
	}
	return out
}

// Apps shows all apps for which keep says so, sorted by id.
func (c *Core) Apps(e Embed, keep func(app.App) bool) ([]AppView, error) {
	if !c.enter() {
		return nil, ErrOver
	}
	defer c.leave()
	out := []AppView{}
	for _, id := range slices.Sorted(maps.Keys(c.root.Apps)) {
		if a := c.root.Apps[id]; keep(a) {
			out = append(out, c.view(a, e))
		}
	}
	return out, nil
}

// AppView shows one app.
func (c *Core) AppView(id string, e Embed) (AppView, error) {
	if !c.enter() {
		return AppView{}, ErrOver
	}
	defer c.leave()
	a, ok := c.root.Apps[id]
	if !ok {
		return AppView{}, noApp(id)
	}
	return c.view(a, e), nil
}

// AppsOf lists the ids of the apps in and below a group.
func (c *Core) AppsOf(groupID string) ([]string, error) {
	if !c.enter() {
		return nil, ErrOver
	}
	defer c.leave()
	if !c.root.HasGroup(groupID) {
		return nil, noGroup(groupID)
	}
	return c.root.IDs(groupID), nil
}

// Tasks shows all tasks for which keep says so, by app and age.
func (c *Core) Tasks(keep func(TaskView) bool) ([]TaskView, error) {
	if !c.enter() {
		return nil, ErrOver
	}
	defer c.leave()
	ids := map[string]bool{}
	for _, t := range c.tasks {
		ids[t.AppID] = true
	}
	out := []TaskView{}
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		for _, t := range c.tasksOf(id) {
			if v := c.taskView(t, true); keep(v) {
				out = append(out, v)
			}
		}
	}
	return out, nil
}

// CurrentAction is what a deployment does now to one app. Unlike in steps,
// the kind's key is "action" (contracts 2.3).
type CurrentAction struct {
	Action                string            `json:"action"`
	App                   string            `json:"app"`
	ReadinessCheckResults []ReadinessResult `json:"readinessCheckResults"`
}

// DeploymentView is a deployment as the REST API prints it.
type DeploymentView struct {
	ID             string          `json:"id"`
	Version        app.Time        `json:"version"`
	AffectedApps   []string        `json:"affectedApps"`
	Steps          []group.Step    `json:"steps"`
	CurrentActions []CurrentAction `json:"currentActions"`
	CurrentStep    int             `json:"currentStep"` // 1-based
	TotalSteps     int             `json:"totalSteps"`
}

// Deployments shows what is under way.
func (c *Core) Deployments() ([]DeploymentView, error) {
	if !c.enter() {
		return nil, ErrOver
	}
	defer c.leave()
	out := []DeploymentView{}
	for _, d := range c.deployments {
		v := DeploymentView{ID: d.ID, Version: d.Version, AffectedApps: d.Affected(), Steps: printed(d.Steps),
			CurrentActions: []CurrentAction{}, CurrentStep: d.at + 1, TotalSteps: len(d.Steps)}
		for _, a := range d.running {
			v.CurrentActions = append(v.CurrentActions, CurrentAction{a.Type, a.App, c.readinessOf(a.App)})
		}
		out = append(out, v)
	}
	return out, nil
}

// printed are steps without what only the store keeps.
func printed(steps []group.Step) []group.Step {
	out := []group.Step{}
	for _, s := range steps {
		var p group.Step
		for _, a := range s.Actions {
			p.Actions = append(p.Actions, group.Action{Type: a.Type, App: a.App})
		}
		out = append(out, p)
	}
	return out
}

// planView is a plan as events carry it.
func planView(p group.Plan) any {
	plain := func(a app.App) any { return a }
	return struct {
		ID       string       `json:"id"`
		Original group.View   `json:"original"`
		Target   group.View   `json:"target"`
		Steps    []group.Step `json:"steps"`
		Version  app.Time     `json:"version"`
	}{p.ID, p.Original.Show("/", true, plain), p.Target.Show("/", true, plain), printed(p.Steps), p.Version}
}

// QueueItem is an app that waits, as the REST API prints it.
type QueueItem struct {
	App   app.App    `json:"app"`
	Count int        `json:"count"`
	Delay QueueDelay `json:"delay"`
}

// QueueDelay tells whether it waits for its back-off or for an offer.
type QueueDelay struct {
	TimeLeftSeconds int  `json:"timeLeftSeconds"`
	Overdue         bool `json:"overdue"`
}

// Queue shows what waits to be launched.
func (c *Core) Queue() ([]QueueItem, error) {
	if !c.enter() {
		return nil, ErrOver
	}
	defer c.leave()
	out := []QueueItem{}
	for _, e := range c.queue {
		left := time.Until(c.delays[keyOf(e.app)].until)
		seconds := int(math.Max(0, math.Ceil(left.Seconds())))
		out = append(out, QueueItem{e.app, e.left, QueueDelay{seconds, left <= 0}})
	}
	return out, nil
}

// Framework is the id Mesos gave us ("" before the first subscription) and
// the master we are subscribed at ("" while we are not).
func (c *Core) Framework() (id, master string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.frameworkID, c.master
}
