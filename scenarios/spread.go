package scenarios

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// verbSpread scales up until every slave in reach has a task, then removes
// the surplus where it is crowded. Constraints would do it in one call, but
// UNIQUE and GROUP_BY with a number block the very failover that is to be
// shown (marathon#4288).
func verbSpread(ctx context.Context, r *run, a arguments) error {
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	app, err := r.settled(ctx, a["app"], 0)
	if err != nil {
		return err
	}
	want := app.Instances
	groups := min(want, len(r.slaves()))
	if want < 2 {
		return fmt.Errorf("%s has %d instance: nothing to spread, scale it to 2 or more first", a["app"], want)
	}
	for instances := want + 1; len(byNode(r, app)) < groups; instances++ {
		if instances > 4*want {
			return fmt.Errorf("%s stays on %d of %d slaves with %d instances", a["app"], len(byNode(r, app)), groups, app.Instances)
		}
		if err := r.cluster.Scale(ctx, a["app"], instances, false); err != nil {
			return err
		}
		if app, err = r.settled(ctx, a["app"], instances); err != nil {
			return err
		}
	}
	if surplus := surplusTasks(r, app, want); len(surplus) > 0 {
		if err := r.cluster.KillTasks(ctx, surplus); err != nil {
			return err
		}
		if app, err = r.settled(ctx, a["app"], want); err != nil {
			return err
		}
	}
	var on []string
	for node, ids := range byNode(r, app) {
		on = append(on, fmt.Sprintf("%d on %s", len(ids), node))
	}
	slices.Sort(on)
	r.note(fmt.Sprintf("Before  %s: %s", a["app"], strings.Join(on, ", ")))
	return nil
}

// settled waits until Marathon owes the app nothing: no deployment, nothing
// queued, all instances running and, with checks, healthy. instances 0 means
// whatever the app asks for.
func (r *run) settled(ctx context.Context, id string, instances int) (App, error) {
	var app App
	err := r.await(ctx, id+" to settle", func(ctx context.Context) error {
		var err error
		if app, err = r.cluster.App(ctx, id); err != nil {
			return err
		}
		return unsettled(app, instances)
	})
	return app, err
}

// unsettled says what Marathon still owes the app, or nil.
func unsettled(app App, instances int) error {
	running, healthy := 0, 0
	for _, t := range app.Tasks {
		if !t.Started.IsZero() {
			running++
		}
		if t.Healthy {
			healthy++
		}
	}
	switch {
	case instances > 0 && app.Instances != instances:
		return fmt.Errorf("it asks for %d instances, not %d", app.Instances, instances)
	case app.Deployments > 0:
		return fmt.Errorf("%d deployments run", app.Deployments)
	case app.Queued > 0:
		return fmt.Errorf("%d launches are queued", app.Queued)
	case len(app.Tasks) != app.Instances || running != app.Instances:
		return fmt.Errorf("%d of %d instances run", running, app.Instances)
	case app.HasChecks && healthy != app.Instances:
		return fmt.Errorf("%d of %d instances are healthy", healthy, app.Instances)
	}
	return nil
}

func byNode(r *run, app App) map[string][]string {
	out := map[string][]string{}
	for _, t := range app.Tasks {
		n := r.nodeOf(t.IP)
		out[n] = append(out[n], t.ID)
	}
	return out
}

// surplusTasks picks the tasks to remove so that want stay, as evenly spread
// as the placement allows: always one from the most crowded node.
func surplusTasks(r *run, app App, want int) []string {
	groups := byNode(r, app)
	var surplus []string
	for left := len(app.Tasks); left > want; left-- {
		crowded := ""
		for node, ids := range groups {
			if crowded == "" || len(ids) > len(groups[crowded]) || (len(ids) == len(groups[crowded]) && node < crowded) {
				crowded = node
			}
		}
		ids := groups[crowded]
		surplus = append(surplus, ids[len(ids)-1])
		groups[crowded] = ids[:len(ids)-1]
	}
	return surplus
}
