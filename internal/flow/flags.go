package flow

import (
	"context"

	"github.com/mesoslab/lab/stack"
)

// reflag makes a container of the platform anew, with more flags than the spec
// gives it, or with none. It returns when the container is ready.
func (v *live) reflag(ctx context.Context, container string, flags []string) error {
	if v.flags == nil {
		v.flags = map[string][]string{}
	}
	v.flags[container] = flags
	p := v.platform
	for name, more := range v.flags {
		if len(more) == 0 {
			continue
		}
		var err error
		if p, err = p.WithFlags(name, more); err != nil {
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
