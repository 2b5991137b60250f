package core

import (
	"math"
	"slices"
	"time"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"github.com/mesoslab/lab/mini/marathon/app"
)

// entry is an app with tasks left to launch.
type entry struct {
	app  app.App
	left int
}

// delayKey is an app's configuration: scaling does not change it.
type delayKey struct{ app, config string }

// delay is the back-off of a configuration.
type delay struct {
	until time.Time
	wait  time.Duration
}

func keyOf(a app.App) delayKey { return delayKey{a.ID, a.ConfigVersion().String()} }

// entryOf finds an app's entry, or nil.
func (c *Core) entryOf(appID string) *entry {
	for _, e := range c.queue {
		if e.app.ID == appID {
			return e
		}
	}
	return nil
}

// setQueue makes n tasks of the app wait for offers; 0 takes it off the
// queue.
func (c *Core) setQueue(a app.App, n int) {
	e := c.entryOf(a.ID)
	switch {
	case n <= 0 && e != nil:
		c.queue = slices.DeleteFunc(c.queue, func(x *entry) bool { return x == e })
		return
	case n <= 0:
		return
	case e == nil:
		e = &entry{}
		c.queue = append(c.queue, e)
	}
	more := n > e.left || !e.app.ConfigVersion().Equal(a.ConfigVersion())
	e.app, e.left = a, n
	if more && c.launchable(e) {
		c.wantOffers()
	}
}

// launchable reports whether an entry only waits for an offer.
func (c *Core) launchable(e *entry) bool {
	return e.left > 0 && !time.Now().Before(c.delays[keyOf(e.app)].until)
}

func (c *Core) anyLaunchable() bool { return slices.ContainsFunc(c.queue, c.launchable) }

// addDelay makes the next launch of a failed task's configuration wait:
// first backoffSeconds, then × backoffFactor up to maxLaunchDelaySeconds.
func (c *Core) addDelay(a app.App, config app.Time) {
	k := delayKey{a.ID, config.String()}
	d := c.delays[k]
	limit := time.Duration(a.MaxLaunchDelaySeconds) * time.Second
	if d.wait == 0 {
		d.wait = time.Duration(a.BackoffSeconds) * time.Second
	} else {
		d.wait = time.Duration(math.Min(float64(d.wait)*a.BackoffFactor, float64(math.MaxInt64/2)))
	}
	d.wait = min(d.wait, limit)
	d.until = time.Now().Add(d.wait)
	c.delays[k] = d
	c.Log("back-off of %s is %v", a.ID, d.wait)
}

// resetDelay lets an app launch at once.
func (c *Core) resetDelay(appID string) {
	for k := range c.delays {
		if k.app == appID {
			delete(c.delays, k)
		}
	}
	if e := c.entryOf(appID); e != nil {
		c.wantOffers()
	}
}

// forgetDelays lets back-offs that are over age out (1.1.1: every 10 s).
func (c *Core) forgetDelays() {
	for k, d := range c.delays {
		if !d.until.After(time.Now()) {
			delete(c.delays, k)
		}
	}
}

// backoffEnded runs when the earliest back-off of the queue is over.
func (c *Core) backoffEnded() {
	if !c.enter() {
		return
	}
	c.wantOffers()
	c.leave()
}

// reviver remembers that offers are wanted. What Marathon has declined for
// 120 s comes back only by REVIVE: the first of a series goes out the moment
// something becomes launchable, so that no filter of ours costs time; its
// repetitions keep --min_revive_offers_interval apart.
type reviver struct {
	due  bool // send one when the lock is left
	left int  // repetitions
	last time.Time
}

// wantOffers starts a series if something can be launched.
func (c *Core) wantOffers() {
	if c.anyLaunchable() && c.tokens > 0 {
		c.revive.due, c.revive.left = true, c.cfg.Revives
	}
}

// repeatRevive sends a repetition.
func (c *Core) repeatRevive() {
	if !c.anyLaunchable() {
		c.revive.left = 0
	}
	if c.revive.left > 0 && time.Since(c.revive.last) >= c.cfg.MinRevive {
		c.revive.due = true
	}
}

// settleOffers sends what leave found wanting and sets the alarm for the
// next back-off.
func (c *Core) settleOffers() {
	if c.revive.due && c.master != "" {
		c.Mesos.Send(calls.Revive())
		c.revive.due, c.revive.last = false, time.Now()
		c.revive.left--
	}
	var next time.Time
	for _, e := range c.queue {
		until := c.delays[keyOf(e.app)].until
		if e.left > 0 && until.After(time.Now()) && (next.IsZero() || until.Before(next)) {
			next = until
		}
	}
	if next.IsZero() || c.ctx.Err() != nil {
		c.wakeup.Stop()
		return
	}
	c.wakeup.Reset(time.Until(next))
}
