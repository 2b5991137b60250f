package engine

import (
	"context"
	"net/http"

	"github.com/mesoslab/lab/local/engine/internal/api"
)

// remove removes a container; force kills it first, volumes takes its
// anonymous volumes along.
func (e *Engine) remove(ctx context.Context, c *container, force, volumes bool) error {
	if force {
		if err := e.kill(c, "KILL"); err != nil && statusOf(err) != http.StatusConflict {
			return err
		}
	}
	if err := c.acquire(ctx); err != nil {
		return err
	}
	defer c.release()
	if err := c.claimRemoval(); err != nil {
		if force && statusOf(err) == http.StatusNotFound {
			return nil // it removed itself when it was killed
		}
		return err
	}
	rec := c.snapshot()
	if err := e.tree.RemoveAll(e.inMachine("containers", rec.ID[:12])); err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.rec.Status, c.rec.Error = dead, err.Error()
		e.cfg.Log.Warn("remove", "container", rec.Name, "error", err)
		return api.Errorf(500, "container %s: driver \"folder\" failed to remove root filesystem: %v", rec.ID, err)
	}
	c.mu.Lock()
	c.removed = true
	execs := c.execs
	c.changed() // wakes waiters; nothing is written any more
	c.io.close()
	c.mu.Unlock()
	e.mu.Lock()
	delete(e.containers, rec.ID)
	if e.names[rec.Name] == rec.ID {
		delete(e.names, rec.Name)
	}
	for _, id := range execs {
		delete(e.execs, id)
	}
	e.mu.Unlock()
	c.event("destroy")
	if volumes {
		e.removeAnonymous(rec)
	}
	return nil
}

// claimRemoval marks the container, or says why it must stay; op is held.
func (c *container) claimRemoval() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.removed {
		return api.NotFound("No such container: %s", c.rec.ID)
	}
	switch c.rec.Status {
	case paused:
		return api.Conflict("cannot remove container \"/%s\": container is paused and must be unpaused first", c.rec.Name)
	case running:
		return api.Conflict("cannot remove container \"/%s\": container is running: stop the container before removing or force remove", c.rec.Name)
	case restarting:
		return api.Conflict("cannot remove container \"/%s\": container is restarting: stop the container before removing or force remove", c.rec.Name)
	}
	c.rec.Status = removing
	return c.changed()
}

// removeAnonymous removes the volumes that were made for this container.
func (e *Engine) removeAnonymous(rec record) {
	for _, m := range rec.Mounts {
		if m.Type != "volume" {
			continue
		}
		v, err := e.volume(m.Name)
		if err != nil {
			continue
		}
		if _, anonymous := v.Labels[anonymousLabel]; anonymous {
			if err := e.removeVolume(v.Name); err != nil {
				e.cfg.Log.Warn("remove anonymous volume", "volume", v.Name, "error", err)
			}
		}
	}
}
