package group

import (
	"errors"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/mesoslab/lab/mini/marathon/app"
)

// Kinds of actions, as 1.1.1 writes them into "type".
const (
	StartApplication   = "StartApplication"
	ScaleApplication   = "ScaleApplication"
	RestartApplication = "RestartApplication"
	StopApplication    = "StopApplication"
)

// Action is one thing to do with one app.
type Action struct {
	Type string `json:"type"`
	App  string `json:"app"`
	// Kill names tasks to be killed first while scaling. Kept in the store,
	// never printed by the API.
	Kill []string `json:"kill,omitempty"`
}

// Step is a set of actions that run side by side.
type Step struct {
	Actions []Action `json:"actions"`
}

// Plan is a deployment: the way from Original to Target.
type Plan struct {
	ID       string   `json:"id"`
	Original Root     `json:"original"`
	Target   Root     `json:"target"`
	Steps    []Step   `json:"steps"`
	Version  app.Time `json:"version"`
}

var errCycle = errors.New("the dependencies go round in a circle")

// NewPlan computes the steps from one Root to another (contracts 2.3): stop
// what is gone, register what is new with no instances, then scale or
// restart level by level of the dependencies. kill names tasks to be killed
// while their app is scaled. A Root that changes nothing gives no steps.
func NewPlan(from, to Root, kill map[string][]string) Plan {
	p := Plan{ID: uuid.NewString(), Original: from, Target: to, Version: to.Version, Steps: []Step{}}
	var stop, start Step
	for _, id := range slices.Sorted(maps.Keys(from.Apps)) {
		if _, stays := to.Apps[id]; !stays {
			stop.Actions = append(stop.Actions, Action{Type: StopApplication, App: id})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(to.Apps)) {
		if _, old := from.Apps[id]; !old {
			start.Actions = append(start.Actions, Action{Type: StartApplication, App: id})
		}
	}
	steps := append([]Step{stop, start}, to.change(from, kill)...)
	for _, s := range steps {
		if len(s.Actions) > 0 {
			p.Steps = append(p.Steps, s)
		}
	}
	return p
}

// change lists the scale and restart steps by level.
func (r Root) change(from Root, kill map[string][]string) []Step {
	levels, err := r.levels()
	if err != nil {
		levels = map[string]int{} // Commit has refused it already
	}
	steps := make([]Step, 1+slices.Max(append(slices.Collect(maps.Values(levels)), 0)))
	for _, id := range slices.Sorted(maps.Keys(r.Apps)) {
		a := r.Apps[id]
		old, known := from.Apps[id]
		act := Action{App: id, Kill: kill[id]}
		switch {
		case known && !old.ConfigVersion().Equal(a.ConfigVersion()):
			act.Type = RestartApplication
		case !known || old.Instances != a.Instances || len(act.Kill) > 0:
			act.Type = ScaleApplication
		default:
			continue
		}
		s := &steps[levels[id]]
		s.Actions = append(s.Actions, act)
	}
	return steps
}

// Printed are the steps without what only the store keeps.
func (p Plan) Printed() []Step {
	out := []Step{}
	for _, s := range p.Steps {
		var c Step
		for _, a := range s.Actions {
			c.Actions = append(c.Actions, Action{Type: a.Type, App: a.App})
		}
		out = append(out, c)
	}
	return out
}

// PlanView is a plan as events carry it: with the two whole trees.
type PlanView struct {
	ID       string   `json:"id"`
	Original View     `json:"original"`
	Target   View     `json:"target"`
	Steps    []Step   `json:"steps"`
	Version  app.Time `json:"version"`
}

// View prints the plan.
func (p Plan) View() PlanView {
	plain := func(a app.App) any { return a }
	return PlanView{p.ID, p.Original.Show("/", true, plain), p.Target.Show("/", true, plain), p.Printed(), p.Version}
}

// Affected lists the apps the plan touches, sorted.
func (p Plan) Affected() []string {
	ids := []string{}
	for _, s := range p.Steps {
		for _, a := range s.Actions {
			if !slices.Contains(ids, a.App) {
				ids = append(ids, a.App)
			}
		}
	}
	slices.Sort(ids)
	return ids
}

// Revert is the candidate Root that undoes the plan in the tree as it is
// now: affected apps go back to what they were in Original.
func (p Plan) Revert(now Root) Root {
	out := now.clone()
	for _, id := range p.Affected() {
		if old, was := p.Original.Apps[id]; was {
			out = out.WithApp(old)
		} else {
			out = out.WithoutApp(id)
		}
	}
	for id := range p.Target.Groups {
		if !p.Original.HasGroup(id) && len(out.IDs(id)) == 0 {
			delete(out.Groups, id)
		}
	}
	return out
}

// levels gives each app its distance from apps that depend on nothing.
func (r Root) levels() (map[string]int, error) {
	const visiting = -1
	level := map[string]int{}
	var visit func(id string) error
	visit = func(id string) error {
		switch l, seen := level[id]; {
		case seen && l == visiting:
			return errCycle
		case seen:
			return nil
		}
		level[id] = visiting
		mine := 0
		for _, d := range r.dependencies(id) {
			if err := visit(d); err != nil {
				return err
			}
			mine = max(mine, level[d]+1)
		}
		level[id] = mine
		return nil
	}
	for id := range r.Apps {
		if err := visit(id); err != nil {
			return nil, err
		}
	}
	return level, nil
}

// dependencies resolves what an app and the groups around it depend on to
// apps. An unknown dependency is no obstacle, as in Marathon.
func (r Root) dependencies(id string) []string {
	deps := slices.Clone(r.Apps[id].Dependencies)
	for g := app.Parent(id); ; g = app.Parent(g) {
		if g == "/" {
			break
		}
		deps = append(deps, r.Groups[g].Dependencies...)
	}
	var out []string
	for _, d := range deps {
		if _, isApp := r.Apps[d]; isApp {
			out = append(out, d)
		} else if r.HasGroup(d) && !app.Within(id, d) {
			out = append(out, r.IDs(d)...)
		}
	}
	return out
}
