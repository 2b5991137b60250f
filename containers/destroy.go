package containers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/mesoslab/lab"
	"github.com/moby/moby/client"
)

// Destroy implements lab.Provider. It finds what to remove by its labels. The
// network goes with the last machine; the image and the key stay.
func (p *Provider) Destroy(ctx context.Context, plan lab.Plan) (err error) {
	ctx, end := p.watched(ctx)
	defer end(&err)
	all, err := sites(plan, nil)
	if err != nil {
		return err
	}
	if err := p.reach(ctx); err != nil {
		return err
	}
	doomed := func(labels map[string]string) bool {
		return labels[labelName] == owner(plan) && (labels[labelPart] == partProbe ||
			slices.ContainsFunc(all, func(s site) bool { return s.node.Name == labels[labelNode] }))
	}
	if err := p.removeContainers(ctx, plan, doomed); err != nil {
		return err
	}
	volumes, err := p.engine.VolumeList(ctx, client.VolumeListOptions{Filters: mine(plan)})
	if err != nil {
		return fmt.Errorf("list the lab's disks: %w", err)
	}
	var errs []error
	for _, v := range volumes.Items {
		if !doomed(v.Labels) {
			continue
		}
		if _, err := p.engine.VolumeRemove(ctx, v.Name, client.VolumeRemoveOptions{}); err != nil && !errdefs.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("remove disk %s: %w", v.Name, err))
		}
	}
	for _, s := range all {
		if err := os.Remove(s.recordFile()); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, fmt.Errorf("forget host key: %w", err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return p.removeNetwork(ctx, plan)
}

// removeContainers removes machines, then their cards: a card without its
// machine could not be told from a machine half made.
func (p *Provider) removeContainers(ctx context.Context, plan lab.Plan, doomed func(map[string]string) bool) error {
	list, err := p.engine.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: mine(plan)})
	if err != nil {
		return fmt.Errorf("list the lab's containers: %w", err)
	}
	for _, cards := range []bool{false, true} {
		var wg sync.WaitGroup
		var mu sync.Mutex
		var errs []error
		for _, c := range list.Items {
			if !doomed(c.Labels) || (c.Labels[labelPart] == partCard) != cards {
				continue
			}
			wg.Go(func() {
				if err := p.remove(ctx, c.ID); err != nil {
					mu.Lock()
					defer mu.Unlock()
					errs = append(errs, fmt.Errorf("%s: %w", c.Labels[labelNode], err))
				}
			})
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			return err
		}
	}
	return nil
}

// removeNetwork removes the lab's network unless machines of it remain.
func (p *Provider) removeNetwork(ctx context.Context, plan lab.Plan) error {
	left, err := p.engine.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: mine(plan)})
	if err != nil {
		return fmt.Errorf("list the lab's containers: %w", err)
	}
	if len(left.Items) > 0 {
		return nil
	}
	networks, err := p.engine.NetworkList(ctx, client.NetworkListOptions{Filters: mine(plan)})
	if err != nil {
		return fmt.Errorf("list the lab's networks: %w", err)
	}
	for _, n := range networks.Items {
		if n.Labels[labelName] != owner(plan) {
			continue
		}
		if _, err := p.engine.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{}); err != nil && !errdefs.IsNotFound(err) {
			return &lab.Error{ID: "network-in-use", Op: "remove network " + n.Name, Err: err,
				Advice: "something that is not this lab's hangs on it: docker network inspect " + n.Name}
		}
	}
	return nil
}
