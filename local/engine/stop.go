package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/mesoslab/lab/local/engine/internal/api"
)

const (
	defaultStopTimeout = 10 * time.Second
	// killPatience is how long a process may take to go after SIGKILL.
	killPatience = 10 * time.Second
)

// stopOrder says how to stop; zero values mean the container's own settings.
type stopOrder struct {
	signal  string
	timeout *int // seconds; negative waits for ever
}

// stop stops a container by hand. 304 where it does not run.
func (e *Engine) stop(c *container, order stopOrder) error {
	sig := c.snapshot().stopSignal()
	if order.signal != "" {
		n, err := parseSignal(order.signal)
		if err != nil {
			return err
		}
		sig = n
	}
	l, err := c.byHand(true)
	if err != nil {
		return err
	}
	if l == nil {
		c.event("stop")
		return nil
	}
	patience := stopPatience(c.snapshot(), order.timeout)
	if err := e.end(e.ctx, c, l, sig, patience); err != nil {
		return api.Errorf(500, "cannot stop container: %s: %v", c.id(), err)
	}
	c.event("stop")
	return nil
}

// byHand records that somebody wants the container down and returns the life
// to end: nil where only a restart was due, which is called off. A signal that
// is not final leaves restarts alone. 304 where nothing runs.
func (c *container) byHand(final bool) (*life, error) {
	c.mu.Lock()
	alive := c.rec.alive()
	if alive {
		c.rec.ManualStop = true
	}
	c.mu.Unlock()
	if !alive {
		return nil, api.ErrNotModified
	}
	if final {
		if off, err := c.callOff(); off || err != nil {
			return nil, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.life == nil {
		return nil, nil
	}
	c.life.byHand = c.life.byHand || final
	c.rec.ManualStop = true
	return c.life, c.save()
}

// stopPatience is the time between the stop signal and SIGKILL; negative is
// for ever.
func stopPatience(r record, order *int) time.Duration {
	if order == nil {
		order = r.Config.StopTimeout
	}
	if order == nil {
		return defaultStopTimeout
	}
	return time.Duration(*order) * time.Second
}

// end sends a signal, waits, and sends SIGKILL when patience or ctx is over.
func (e *Engine) end(ctx context.Context, c *container, l *life, sig int, patience time.Duration) error {
	if err := c.signal(l, sig); err != nil {
		e.warn("stop signal", c, err)
		patience = 0
	}
	if patience != 0 && sig != sigkill {
		var expired <-chan time.Time
		if patience > 0 {
			t := time.NewTimer(patience)
			defer t.Stop()
			expired = t.C
		}
		select {
		case <-l.done:
			return nil
		case <-expired:
		case <-ctx.Done():
		}
	}
	if e.ctx.Err() != nil {
		return e.ctx.Err()
	}
	return e.kill9(c, l)
}

// kill9 sends SIGKILL and waits for the end.
func (e *Engine) kill9(c *container, l *life) error {
	if err := c.signal(l, sigkill); err != nil {
		return err
	}
	t := time.NewTimer(killPatience)
	defer t.Stop()
	select {
	case <-l.done:
		return nil
	case <-t.C:
		return errors.New("tried to kill container, but did not receive an exit event")
	case <-e.ctx.Done():
		return e.ctx.Err()
	}
}

// signal sends a signal to a life's process and publishes it. A paused
// process gets on again when the signal is to end it.
func (c *container) signal(l *life, sig int) error {
	select {
	case <-l.done:
		return nil
	default:
	}
	if err := c.send(l, sig); errors.Is(err, os.ErrProcessDone) {
		return nil // its end is being recorded
	} else if err != nil {
		return fmt.Errorf("signal %d: %w", sig, err)
	}
	c.mu.Lock()
	thaw := c.life == l && c.rec.Status == paused && (sig == sigkill || l.byHand)
	c.mu.Unlock()
	if thaw {
		return c.e.unpause(c)
	}
	return nil
}

// send sends a signal and publishes it before the end that it may cause.
func (c *container) send(l *life, sig int) error {
	l.told.Lock()
	defer l.told.Unlock()
	if err := l.proc.Signal(localSignal(sig)); err != nil {
		return err
	}
	c.event("kill", "signal", strconv.Itoa(sig))
	return nil
}

// kill is docker kill. As in dockerd it counts as a stop by hand, unless the
// container has a stop signal of its own and this is another one.
func (e *Engine) kill(c *container, signal string) error {
	sig := sigkill
	if signal != "" {
		n, err := parseSignal(signal)
		if err != nil {
			return err
		}
		sig = n
	}
	rec := c.snapshot()
	final := sig == sigkill || rec.Config.StopSignal == "" || rec.stopSignal() == sig
	l, err := c.byHand(final)
	if statusOf(err) == api.ErrNotModified.Status {
		return api.Conflict("cannot kill container: %s: container %s is not running", rec.Name, rec.ID)
	}
	if err != nil || l == nil {
		return err
	}
	if sig == sigkill {
		err = e.kill9(c, l)
	} else {
		err = c.signal(l, sig)
	}
	if err != nil {
		return api.Errorf(500, "cannot kill container: %s: %v", c.id(), err)
	}
	return nil
}

// restart stops and starts; --rm does not remove the container in between.
func (e *Engine) restart(ctx context.Context, c *container, order stopOrder) error {
	c.setKeep(true)
	defer c.setKeep(false)
	if err := e.stop(c, order); err != nil && statusOf(err) != api.ErrNotModified.Status {
		return err
	}
	if err := e.start(ctx, c); err != nil && statusOf(err) != api.ErrNotModified.Status {
		return err
	}
	c.event("restart")
	return nil
}

func (c *container) setKeep(keep bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keep = keep
}

// pause freezes a running container.
func (e *Engine) pause(c *container) error {
	c.mu.Lock()
	l, status := c.life, c.rec.Status
	c.mu.Unlock()
	switch {
	case status == paused:
		return api.Conflict("Container %s is already paused", c.id())
	case status == restarting:
		return api.Conflict("Container %s is restarting, wait until the container is running", c.id())
	case l == nil:
		return api.Conflict("Container %s is not running", c.id())
	}
	if err := l.proc.Pause(); err != nil {
		return api.Errorf(500, "cannot pause container %s: %v", c.id(), err)
	}
	return c.frozen(l, paused, "pause")
}

// unpause lets a paused container go on.
func (e *Engine) unpause(c *container) error {
	c.mu.Lock()
	l, status := c.life, c.rec.Status
	c.mu.Unlock()
	if status != paused || l == nil {
		return api.Conflict("Container %s is not paused", c.id())
	}
	if err := l.proc.Unpause(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return api.Errorf(500, "cannot unpause container %s: %v", c.id(), err)
	}
	return c.frozen(l, running, "unpause")
}

// frozen records a pause or its end, if that life still lasts.
func (c *container) frozen(l *life, status, event string) error {
	c.mu.Lock()
	if c.life != l {
		c.mu.Unlock()
		return nil
	}
	c.rec.Status = status
	err := c.changed()
	c.mu.Unlock()
	c.event(event)
	return err
}

// shutdown stops a container with the engine: not by hand, so that its policy
// still holds at the next boot.
func (e *Engine) shutdown(ctx context.Context, c *container) error {
	if err := c.acquire(e.ctx); err != nil { // a start may be under way
		return err
	}
	defer c.release()
	c.mu.Lock()
	_, err := c.settle()
	l, rec := c.life, c.rec
	c.mu.Unlock()
	if l == nil {
		return err
	}
	if rec.Status == paused {
		e.warn("unpause", c, e.unpause(c))
	}
	return e.end(ctx, c, l, rec.stopSignal(), stopPatience(rec, nil))
}
