package flow

import (
	"context"

	"github.com/mesoslab/lab/stack"
)

// reflag makes a container of the platform anew, with more flags than the spec
// gives it, or with none. It returns when the container is ready.
func (v *live) reflag(ctx context.Context, container string, flags []string) error {
	p := v.platform
	if len(flags) > 0 {
		var err error
		if p, err = p.WithFlags(container, flags); err != nil {
			return err
		}
	}
	machines := map[string]stack.Machine{}
	for _, n := range v.plan.Nodes {
		host, err := v.host(ctx, n.Name)
		if err != nil {
			return err
		}
		docker, err := host.Docker(ctx)
		if err != nil {
			return err
		}
		machines[n.Name] = stack.Machine{Docker: docker, Shell: host}
	}
	_, err := stack.Converge(ctx, p, machines, v.clients, stack.Options{Op: "scenario", Report: quiet(v.plan.Report)})
	return err
}
