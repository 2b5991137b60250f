package containers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/containerd/errdefs"
	"github.com/mesoslab/lab"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// giveRights gives a container what systemd and dockerd need: what --privileged
// gives, but for this computer's devices and for CAP_SYS_RESOURCE, which
// nothing in a machine needs and some computers (VMs of CI services) do not
// have themselves; their engines refuse --privileged. There is one form, so
// that what is tested anywhere is what runs everywhere.
func giveRights(h *container.HostConfig) {
	h.CapAdd, h.CapDrop = []string{"ALL"}, []string{"SYS_RESOURCE"}
	h.SecurityOpt = []string{"seccomp=unconfined", "apparmor=unconfined", "label=disable"}
	h.MaskedPaths, h.ReadonlyPaths = []string{}, []string{} // systempaths=unconfined: empty, not absent
	h.DeviceCgroupRules = []string{"a *:* rwm"}
}

// tryRights runs a container with a machine's rights to its end. The error has
// the id privileged-impossible.
func (p *Provider) tryRights(ctx context.Context, plan lab.Plan) error {
	err := p.try(ctx, plan)
	if err == nil || ctx.Err() != nil {
		return err
	}
	return &lab.Error{ID: "privileged-impossible", Op: "try a container with a machine's rights", Err: err,
		Advice: "machines run systemd and Docker inside, which this engine does not allow: use --provider local"}
}

func (p *Provider) try(ctx context.Context, plan lab.Plan) (err error) {
	ref, err := image()
	if err != nil {
		return err
	}
	host := &container.HostConfig{NetworkMode: "none", CgroupnsMode: container.CgroupnsModePrivate}
	giveRights(host)
	name := prefix(plan) + "-probe"
	if err := p.remove(ctx, name); err != nil {
		return err
	}
	made, err := p.engine.ContainerCreate(ctx, client.ContainerCreateOptions{
		Name:       name,
		Config:     &container.Config{Image: ref, Cmd: []string{"/bin/true"}, Labels: map[string]string{labelName: owner(plan), labelPart: partProbe}},
		HostConfig: host,
	})
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		err = errors.Join(err, p.remove(ctx, made.ID))
	}()
	if _, err := p.engine.ContainerStart(ctx, made.ID, client.ContainerStartOptions{}); err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	return lab.Until(limited, 20*time.Millisecond, "the trial container to end", func(ctx context.Context) error {
		c, err := p.engine.ContainerInspect(ctx, made.ID, client.ContainerInspectOptions{})
		switch {
		case err != nil:
			return lab.Permanent(err)
		case c.Container.State.Running:
			return errors.New("it runs")
		case c.Container.State.ExitCode != 0:
			return lab.Permanent(fmt.Errorf("it ended with code %d %s", c.Container.State.ExitCode, c.Container.State.Error))
		}
		return nil
	})
}

// remove removes a container, running or not, there or not.
func (p *Provider) remove(ctx context.Context, id string) error {
	_, err := p.engine.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	if err == nil || errdefs.IsNotFound(err) {
		return nil
	}
	if !errdefs.IsConflict(err) { // somebody else's removal is in progress
		return fmt.Errorf("remove container %s: %w", id, err)
	}
	limited, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return lab.Until(limited, 50*time.Millisecond, "container "+id+" to be removed", func(ctx context.Context) error {
		_, now := p.engine.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
		if errdefs.IsNotFound(now) {
			return nil
		}
		return errors.Join(err, now)
	})
}

// mine filters what belongs to the lab.
func mine(plan lab.Plan) client.Filters {
	return client.Filters{}.Add("label", labelName+"="+owner(plan))
}

func image() (string, error) {
	r, err := NewRecipe()
	if err != nil {
		return "", err
	}
	return r.Image()
}
