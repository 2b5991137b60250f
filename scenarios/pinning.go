package scenarios

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/mesoslab/lab"
)

// pinning are the verbs that bind apps to machines.
func pinning() []verb {
	return []verb{
		{name: "pin", summary: "bind an app to the slave on which it runs, by a constraint on the host name; Marathon restarts it there",
			args: []param{{name: "app", kind: kindApp}}, options: []param{within("60s")}, gives: []fact{factChange}, sane: onlyPinnable, do: verbPin},
	}
}

func onlyPinnable(a arguments, k *knowledge) error {
	if !k.deployed[a["app"]] {
		return fmt.Errorf("pin %s: only what the script has deployed is its to change", a["app"])
	}
	return nil
}

// verbPin uses CLUSTER with a value, which is how Marathon's own documentation
// ties an app to one host (docs/constraints.md of 1.1). It is a change of the
// configuration, so running tasks are replaced.
func verbPin(ctx context.Context, r *run, a arguments) error {
	app, err := r.cluster.App(ctx, a["app"])
	if err != nil {
		return err
	}
	nodes := byNode(r, app)
	if len(nodes) != 1 {
		return fmt.Errorf("pin %s: its tasks are on %d slaves, and one is needed", a["app"], len(nodes))
	}
	host := app.Tasks[0].IP
	doc, err := json.Marshal(map[string]any{"id": "/" + app.ID, "constraints": [][]string{{"hostname", "CLUSTER", host}}})
	if err != nil {
		return lab.Permanent(err)
	}
	text := fmt.Sprintf("Marathon is given a constraint for %s: hostname CLUSTER %s, which is %s", app.ID, host, r.nodeOf(host))
	return r.request(ctx, app.ID, text, 0, a, func(ctx context.Context) error {
		return r.cluster.Deploy(ctx, AppFile{ID: app.ID, JSON: doc})
	})
}
