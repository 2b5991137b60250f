package scenarios

import (
	"context"
	"fmt"
	"slices"

	"github.com/mesoslab/lab"
)

// changing are the verbs that change apps. Before the baseline they prepare,
// and wait until the app has settled; after it they are what the observers
// watch, and expectations wait.
func changing() []verb {
	app := []param{{name: "app", kind: kindApp}}
	within := []param{{"within", kindDuration, "60s"}}
	change := []fact{factChange}
	return []verb{
		{name: "scale", summary: "ask Marathon for another number of instances",
			args: append(slices.Clone(app), param{name: "instances", kind: kindCount}), options: within, gives: change, do: verbScale},
		{name: "deploy", summary: "bring an app of lab's own, or one from a JSON file; it is removed at the end",
			args: []param{{name: "app", kind: kindFile}}, options: within, gives: change, do: verbDeploy},
		{name: "remove", summary: "remove an app that the script has deployed", args: app, gives: change, sane: onlyOwn, do: verbRemove},
	}
}

func onlyOwn(a arguments, k *knowledge) error {
	if !k.deployed[a["app"]] {
		return fmt.Errorf("remove %s: only what the script has deployed is its to remove", a["app"])
	}
	return nil
}

// request does a change: a preparation before the baseline, else one with an
// effect to be seen.
func (r *run) request(ctx context.Context, app, text string, instances int, a arguments, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	if len(r.before) > 0 {
		return r.change(text, nil, func() error { return do(ctx) })
	}
	if err := do(ctx); err != nil {
		return err
	}
	_, err := r.settled(ctx, app, instances)
	return err
}

func verbScale(ctx context.Context, r *run, a arguments) error {
	now, err := r.cluster.App(ctx, a["app"])
	if err != nil {
		return err
	}
	if _, known := r.original[a["app"]]; !known {
		r.original[a["app"]] = now.Instances
	}
	want := a.count("instances")
	r.scaledFrom, r.wanted = r.history.App(), want
	text := fmt.Sprintf("Marathon is asked for %d instances of %s, not %d", want, a["app"], now.Instances)
	return r.request(ctx, a["app"], text, want, a, func(ctx context.Context) error { return r.cluster.Scale(ctx, a["app"], want, false) })
}

func verbRestart(ctx context.Context, r *run, a arguments) error {
	app := a["target"]
	return r.request(ctx, app, "Marathon is asked to restart "+app, 0, a, func(ctx context.Context) error { return r.cluster.Restart(ctx, app) })
}

func verbDeploy(ctx context.Context, r *run, a arguments) error {
	d, err := loadApp(a["app"])
	if err != nil {
		return lab.Permanent(err)
	}
	return r.request(ctx, d.ID, "Marathon is given the app "+d.ID, 0, a, func(ctx context.Context) error {
		r.deployed = append(r.deployed, d.ID)
		if err := r.state.brought(ctx, r, d); err != nil {
			return err
		}
		return r.cluster.Deploy(ctx, d)
	})
}

func verbRemove(ctx context.Context, r *run, a arguments) error {
	remove := func() error { return r.cluster.Remove(ctx, a["app"]) }
	if len(r.before) > 0 {
		return r.change("Marathon is asked to remove "+a["app"], nil, remove)
	}
	return remove()
}
