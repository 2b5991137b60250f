package scenarios

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// updating are the verbs that bring another version of an app, and the one
// before back. Only what the script has deployed is its to change.
func updating() []verb {
	app := []param{{name: "app", kind: kindApp}}
	within := []param{{"within", kindDuration, "60s"}}
	return []verb{
		{name: "update", summary: "give Marathon a new version of an app: one of lab's own, or a JSON file; what it does not name stays",
			args: append(slices.Clone(app), param{name: "file", kind: kindUpdate}), options: within, gives: []fact{factChange, factUpdate}, sane: sameID, do: verbUpdate},
		{name: "rollback", summary: "bring back the version from before the last update, whatever Marathon is doing",
			args: app, options: within, after: []fact{factUpdate}, gives: []fact{factChange}, sane: ownUpdate, do: verbRollback},
	}
}

func sameID(a arguments, k *knowledge) error {
	if !k.deployed[a["app"]] {
		return fmt.Errorf("update %s: only what the script has deployed is its to change", a["app"])
	}
	d, err := loadApp(a["file"])
	if err == nil && d.ID != a["app"] {
		return fmt.Errorf("update %s %s can never hold: that is the app %s", a["app"], a["file"], d.ID)
	}
	return err
}

func ownUpdate(a arguments, k *knowledge) error {
	if !k.updated[a["app"]] {
		return fmt.Errorf("rollback %s: it has not been updated by then", a["app"])
	}
	return nil
}

func verbUpdate(ctx context.Context, r *run, a arguments) error {
	d, err := loadApp(a["file"])
	if err != nil {
		return err
	}
	now, err := r.cluster.App(ctx, a["app"])
	if err != nil {
		return err
	}
	r.previous = map[string]string{a["app"]: now.Version}
	return r.request(ctx, a["app"], "Marathon is given another version of "+a["app"]+": "+a["file"], 0, a,
		func(ctx context.Context) error { return r.cluster.Deploy(ctx, d) })
}

func verbRollback(ctx context.Context, r *run, a arguments) error {
	version := r.previous[a["app"]]
	if version == "" {
		return errors.New("rollback: nothing was updated")
	}
	return r.request(ctx, a["app"], "Marathon is asked for the version before, "+version, 0, a,
		func(ctx context.Context) error { return r.cluster.Rollback(ctx, a["app"], version) })
}
