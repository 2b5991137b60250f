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
	machines, err := v.machines(ctx)
	if err != nil {
		return err
	}
	_, err = stack.Converge(ctx, p, machines, v.clients, stack.Options{Op: "scenario", Report: quiet(v.plan.Report)})
	return err
}
