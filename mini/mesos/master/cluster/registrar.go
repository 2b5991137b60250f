package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// ErrOver: the cluster ended before the registry held what was to be changed.
// Nobody knows whether it does.
var ErrOver = errors.New("this master ends, and its registry may not hold the change")

// registrar writes the registry while the cluster goes on: a disk may be slow.
// What others hear of the cluster leaves in its order, and nothing that may
// rest on a change of the registry leaves before that is stored. It is guarded
// by the cluster's lock.
type registrar struct {
	asked, stored int           // changes: to be stored, and stored
	more          chan struct{} // holds one token while asked is ahead
	held          []held        // in the order in which they were said
	changed       chan struct{} // closed and replaced when stored has grown
	over          chan struct{} // closed with the cluster
}

// held is something that leaves once so many changes are stored.
type held struct {
	after int
	say   func()
}

func newRegistrar() registrar {
	return registrar{more: make(chan struct{}, 1), changed: make(chan struct{}), over: make(chan struct{})}
}

// ask has the registry, as it is now, stored.
func (r *registrar) ask() {
	r.asked++
	select {
	case r.more <- struct{}{}:
	default:
	}
}

// say calls fn when all that has been asked is stored: at once if it is.
func (r *registrar) say(fn func()) {
	if r.stored == r.asked {
		fn()
		return
	}
	r.held = append(r.held, held{r.asked, fn})
}

// done lets out what waited for the first n changes.
func (r *registrar) done(n int) {
	r.stored = n
	for len(r.held) > 0 && r.held[0].after <= n {
		r.held[0].say()
		r.held = slices.Delete(r.held, 0, 1)
	}
	close(r.changed)
	r.changed = make(chan struct{})
}

// change runs fn with the lock held and returns when the registry holds what
// it has changed. An error is fn's, or ErrOver.
func (c *Cluster) change(fn func() error) error {
	c.lock()
	err := fn()
	n := c.reg.asked
	c.unlock()
	for err == nil {
		c.lock()
		stored, changed := c.reg.stored >= n, c.reg.changed
		c.mu.Unlock()
		if stored {
			return nil
		}
		select {
		case <-changed:
		case <-c.reg.over:
			return ErrOver
		}
	}
	return err
}

// keepRegistry stores what is asked until ctx ends, all at once that was asked
// during the last write. It fails when that cannot be done in time: then
// nothing that rests on it may be said any more.
func (c *Cluster) keepRegistry(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.reg.more:
		}
		c.lock()
		n, d := c.reg.asked, c.registryData()
		c.mu.Unlock()
		if err := c.storeInTime(ctx, d); err != nil {
			return fmt.Errorf("failed to update registry: %w", err)
		}
		c.lock()
		if !c.closed {
			c.reg.done(n)
		}
		c.mu.Unlock()
	}
}

// patience is how long a cluster that ends waits for the registry.
const patience = 250 * time.Millisecond

// storeInTime stores the registry. Who has no patience any more leaves the disk
// to itself.
func (c *Cluster) storeInTime(ctx context.Context, d RegistryData) error {
	stored := make(chan error, 1)
	go func() { stored <- c.o.Registry.Store(d) }()
	late := time.NewTimer(c.o.StoreTimeout)
	defer late.Stop()
	select {
	case err := <-stored:
		return err
	case <-late.C:
		return fmt.Errorf("failed to perform store within %v", c.o.StoreTimeout)
	case <-ctx.Done():
	}
	late.Reset(patience)
	select {
	case <-stored: // whatever: nobody is told any more
	case <-late.C:
	}
	return nil
}
