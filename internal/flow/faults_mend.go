package flow

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/state"
	"github.com/mesoslab/lab/scenarios"
)

// Mend undoes a fault, then strikes it.
func (v *live) Mend(ctx context.Context, f scenarios.Fault) error {
	faults, err := v.lab.Faults()
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range faults {
		if faultIn(e).Same(f) {
			errs = append(errs, v.mendEntry(ctx, e))
		}
	}
	return errors.Join(errs...)
}

// mendEntry undoes what an entry of the journal says, then strikes it. It may
// be repeated. What has passed with a machine's life needs no undoing.
func (v *live) mendEntry(ctx context.Context, e state.Fault) error {
	if e.Part == "" {
		if err := v.provider.Power(ctx, v.plan, e.Nodes, e.Undo); err != nil {
			return err
		}
		return v.lab.StrikeFault(e.ID)
	}
	f := faultIn(e)
	if f.Part == scenarios.PartNetwork { // what the journal holds is in force
		if err := v.disturbWithout(ctx, e.ID); err != nil {
			return err
		}
		return v.lab.StrikeFault(e.ID)
	}
	on, err := v.isOn(ctx, f.Node)
	if err == nil && on {
		err = v.mendInside(ctx, f)
	}
	if err != nil {
		return err
	}
	return v.lab.StrikeFault(e.ID)
}

func (v *live) isOn(ctx context.Context, node string) (bool, error) {
	status, err := v.provider.Status(ctx, v.plan)
	return slices.ContainsFunc(status, func(s lab.MachineStatus) bool { return s.Machine.Name == node && isRunning(s) }), err
}

// mendInside makes a daemon or a container run. Tasks are Marathon's to
// replace: one that is gone stays gone.
func (v *live) mendInside(ctx context.Context, f scenarios.Fault) error {
	host, err := v.host(ctx, f.Node)
	if err != nil {
		return err
	}
	if f.Part == scenarios.PartDocker {
		return host.StartDocker(ctx)
	}
	if f.Verb == scenarios.VerbFlags {
		return v.reflag(ctx, f.Container, nil)
	}
	if f.Verb == scenarios.VerbWipe {
		return v.withoutData(ctx, f, putBack)
	}
	docker, err := host.Docker(ctx)
	if err != nil {
		return err
	}
	info, err := docker.ContainerInspect(ctx, f.Container, client.ContainerInspectOptions{})
	switch st := info.Container.State; {
	case errdefs.IsNotFound(err):
		return nil // lab create makes a component anew
	case err != nil:
		return err
	case st != nil && st.Paused:
		_, err = docker.ContainerUnpause(ctx, f.Container, client.ContainerUnpauseOptions{})
	case f.Part == scenarios.PartComponent && (st == nil || !st.Running):
		_, err = docker.ContainerStart(ctx, f.Container, client.ContainerStartOptions{})
	}
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("mend %s: %w", f.Thing(), err)
	}
	return nil
}
