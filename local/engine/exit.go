package engine

import (
	"context"
	"strconv"
	"time"

	"github.com/mesoslab/lab/local/engine/internal/api"
)

// Back-off between restarts: dockerd's numbers.
const (
	firstBackoff = 100 * time.Millisecond
	lastBackoff  = time.Minute
	longLife     = 10 * time.Second // after which the back-off begins anew
)

// monitor waits for the process and deals with its end.
func (e *Engine) monitor(c *container, l *life) {
	code, err := l.proc.Wait(e.ctx)
	if e.ctx.Err() != nil {
		l.end()
		return // the machine lost its power: nothing was seen
	}
	e.warn("wait", c, err)
	if err != nil && code == 0 {
		code = 255
	}
	l.flush()
	c.log.Seal()
	l.end()
	for _, p := range l.ports {
		p.Close()
	}
	next, lasted := c.ended(l, code, e.isClosing())
	l.told.Lock() // a signal on its way is published first
	c.event("die", "exitCode", strconv.Itoa(code), "execDuration", seconds(lasted))
	l.told.Unlock()
	if c.snapshot().HostConfig.NetworkMode != "none" {
		c.networkEvent("disconnect")
	}
	close(l.done)
	next()
}

// ended records the end of a life and decides what comes next: a restart, the
// container's removal, or nothing.
func (c *container) ended(l *life, code int, closing bool) (next func(), lasted time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range l.private {
		s.Close()
	}
	c.io.close()
	c.io = c.newStdio()
	c.life = nil
	c.exits++
	c.rec.Status, c.rec.ExitCode, c.rec.FinishedAt = exited, code, time.Now()
	lasted = c.rec.FinishedAt.Sub(l.started)
	next = func() {}
	switch {
	case !l.byHand && !closing && c.rec.wantsRestart(code):
		next = c.restartDue(lasted)
	case c.rec.HostConfig.AutoRemove && !c.keep:
		next = func() { c.e.warn("remove", c, c.e.remove(c.e.ctx, c, false, true)) }
	}
	if err := c.changed(); err != nil {
		c.e.cfg.Log.Warn("save", "container", c.rec.Name, "error", err)
	}
	return next, lasted
}

// wantsRestart applies the restart policy to an exit that nobody asked for.
func (r record) wantsRestart(code int) bool {
	p := r.HostConfig.RestartPolicy
	switch p.Name {
	case "always":
		return true
	case "unless-stopped":
		return !r.ManualStop
	case "on-failure":
		return code != 0 && (p.MaximumRetryCount == 0 || r.RestartCount < p.MaximumRetryCount)
	}
	return false
}

// restartDue puts the container into restarting and returns the function that
// waits for the back-off and starts it; mu is held.
func (c *container) restartDue(lasted time.Duration) func() {
	switch {
	case lasted >= longLife || c.backoff == 0:
		c.backoff = firstBackoff
	default:
		c.backoff = min(2*c.backoff, lastBackoff)
	}
	ctx, cancel := context.WithCancel(c.e.ctx)
	c.again = cancel
	c.rec.Status = restarting
	c.rec.RestartCount++
	delay := c.backoff
	return func() {
		c.e.spawn(func() {
			defer cancel()
			t := time.NewTimer(delay)
			defer t.Stop()
			select {
			case <-t.C:
				if err := c.e.startAgain(ctx, c); ctx.Err() == nil {
					c.e.warn("restart", c, err)
				}
			case <-ctx.Done():
			}
		})
	}
}

// callOff ends a restart that is due; false where the container is not, or
// not any more, between two lives.
func (c *container) callOff() (bool, error) {
	c.mu.Lock()
	due := c.rec.Status == restarting
	if due && c.again != nil {
		c.again()
	}
	c.mu.Unlock()
	if !due {
		return false, nil
	}
	if err := c.acquire(c.e.ctx); err != nil { // its start may be under way
		return false, err
	}
	defer c.release()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.settle()
}

// settle makes a container that is restarting an exited one; op and mu are
// held.
func (c *container) settle() (bool, error) {
	if c.rec.Status != restarting {
		return false, nil
	}
	if c.again != nil {
		c.again()
		c.again = nil
	}
	c.rec.Status = exited
	return true, c.changed()
}

// startAgain starts a container because its policy says so. A start that
// fails counts as an exit: unlike dockerd, which gives up, the engine tries
// again after the back-off, because a port may still be held by a process of
// the machine's earlier life.
func (e *Engine) startAgain(ctx context.Context, c *container) error {
	if err := c.acquire(ctx); err != nil {
		return err
	}
	defer c.release()
	c.mu.Lock()
	wanted := ctx.Err() == nil && !c.removed && c.life == nil
	c.mu.Unlock()
	if !wanted || e.isClosing() {
		return nil
	}
	return e.launch(c, true)
}

// wantsBoot tells whether the container is started when the engine starts.
func (c *container) wantsBoot() bool {
	r := c.snapshot()
	return r.Status == exited && !r.StartedAt.IsZero() && r.wantsRestart(r.ExitCode)
}

// await waits until the condition holds and returns the record then. removed
// containers end every wait.
func (c *container) await(ctx context.Context, holds func(exits int, r record) bool) (record, error) {
	for {
		c.mu.Lock()
		rec, exits, gone, change := c.rec, c.exits, c.removed, c.change
		c.mu.Unlock()
		if gone || holds(exits, rec) {
			return rec, nil
		}
		select {
		case <-change:
		case <-ctx.Done():
			return rec, api.Errorf(500, "wait for container %s: %v", rec.Name, ctx.Err())
		}
	}
}
