package flow

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/mesoslab/lab/scenarios"
)

// data removes what apps of lab's own have left on the disks of machines: they
// are gone by now, and the next one is to begin at nothing.
func (r *reset) data(ctx context.Context) error {
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	for _, n := range r.live.plan.Nodes {
		group.Go(func() error {
			for _, folder := range scenarios.OwnData() {
				switch err := r.live.has(ctx, n.Name, folder); {
				case errors.Is(err, fs.ErrNotExist):
					continue
				case err != nil:
					return err
				}
				if err := r.live.Forget(ctx, n.Name, folder); err != nil {
					return fmt.Errorf("%s: remove %s: %w", n.Name, folder, err)
				}
				mu.Lock()
				r.did.add("removed %s on %s", folder, n.Name)
				mu.Unlock()
			}
			return nil
		})
	}
	return group.Wait()
}

// has returns nil for something that is on a machine's disk, fs.ErrNotExist for
// what is not.
func (v *live) has(ctx context.Context, node, name string) error {
	host, err := v.host(ctx, node)
	if err != nil {
		return err
	}
	return host.Exists(ctx, name)
}
