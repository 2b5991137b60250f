package core

import (
	"time"

	"github.com/google/uuid"
	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"github.com/mesoslab/lab/mini/marathon/app"
	"github.com/mesoslab/lab/mini/marathon/match"
	"github.com/mesoslab/lab/mini/marathon/record"
	"github.com/mesoslab/lab/mini/marathon/task"
)

// basket is an offer with the tasks placed into it so far.
type basket struct {
	*match.Offer
	tasks []mesos.TaskInfo
}

// Offers places waiting tasks. Several offers of one event are filled in
// turns, one task each, as 1.1.1's concurrent matchers do; an offer takes at
// most --max_tasks_per_offer tasks. What is not used is declined for
// --decline_offer_duration.
func (c *Core) Offers(offers []mesos.Offer) {
	if !c.enter() {
		return
	}
	defer c.leave()
	var open []*basket
	for _, o := range offers {
		open = append(open, &basket{Offer: c.cfg.Rules.Open(o)})
	}
	c.Rand.Shuffle(len(open), func(i, j int) { open[i], open[j] = open[j], open[i] })
	for placed := true; placed; {
		placed = false
		for _, b := range open {
			if len(b.tasks) < c.cfg.MaxTasksPerOffer && c.tokens > 0 && c.placeOne(b) {
				placed = true
			}
		}
	}
	var unused []mesos.OfferID
	for _, b := range open {
		if len(b.tasks) == 0 {
			unused = append(unused, b.ID)
			continue
		}
		ops := calls.OfferOperations{calls.OpLaunch(b.tasks...)}
		c.Mesos.Send(calls.Accept(ops.WithOffers(b.ID)).With(calls.RefuseSeconds(0)))
	}
	if len(unused) > 0 {
		c.Mesos.Send(calls.Decline(unused...).With(calls.RefuseSeconds(c.cfg.DeclineFor)))
	}
}

// placeOne puts one task of the first waiting app that fits into the offer.
func (c *Core) placeOne(b *basket) bool {
	for _, item := range c.queue.Items() {
		a := item.App
		if !c.queue.Ready(item) {
			continue
		}
		slot, _, ok := b.Fit(a, c.peers(a), c.Rand)
		if !ok {
			continue
		}
		t, err := c.newTask(a, b, slot)
		if err != nil {
			c.Log("launch a task of %s: %v", a.ID, err)
			return false
		}
		b.tasks = append(b.tasks, b.Task(a, t.ID, slot, b.Take(a, slot)))
		c.tokens--
		c.queue.Set(a, item.Left-1)
		c.Log("launch %s on %s %v", t.ID, t.Host, t.Ports)
		return true
	}
	return false
}

// peers are the tasks that constraints count: those of the same
// configuration, so that an upgrade may use the same places.
func (c *Core) peers(a app.App) []match.Peer {
	var ps []match.Peer
	for _, t := range c.tasksOf(a.ID) {
		if t.Runs(a) {
			ps = append(ps, t.Peer())
		}
	}
	return ps
}

// newTask writes a task down before anybody is asked to launch it. Its id is
// new in space and time (a version 1 UUID).
func (c *Core) newTask(a app.App, b *basket, slot match.Slot) (*task.Task, error) {
	id, err := uuid.NewUUID()
	if err != nil {
		return nil, err
	}
	t := &task.Task{ID: app.Underscored(a.ID) + "." + id.String(), AppID: a.ID, AgentID: b.AgentID.Value, Host: b.Hostname,
		Attributes: b.Attributes, Ports: slot.Ports, Version: a.Version, ConfigVersion: a.ConfigVersion(), StagedAt: now()}
	if err := c.book.Write(c.ctx, record.TaskKey(t.ID), t); err != nil {
		c.book.Drop(c.ctx, record.TaskKey(t.ID))
		return nil, err
	}
	c.add(t)
	return t, nil
}

// enqueue makes n tasks of the app wait for offers.
func (c *Core) enqueue(a app.App, n int) {
	if c.queue.Set(a, n) {
		c.wantOffers()
	}
}

// backoffEnded runs when the earliest back-off of the queue is over.
func (c *Core) backoffEnded() {
	if c.enter() {
		c.leave() // settleOffers sees that the alarm is due
	}
}

// reviver remembers that offers are wanted. What Marathon has declined for
// 120 s comes back only by REVIVE: the first of a series goes out the moment
// something becomes launchable, so that no filter of ours costs time; its
// repetitions keep --min_revive_offers_interval apart.
type reviver struct {
	due  bool // send one when the lock is left
	left int  // still to send in this series
	last time.Time
}

// wantOffers starts a series if something can be launched.
func (c *Core) wantOffers() {
	if c.queue.AnyReady() && c.tokens > 0 {
		c.revive.due, c.revive.left = true, c.cfg.Revives
	}
}

// repeatRevive makes the next REVIVE of a series due.
func (c *Core) repeatRevive() {
	if !c.queue.AnyReady() {
		c.revive.left = 0
	}
	if c.revive.left > 0 && time.Since(c.revive.last) >= c.cfg.MinRevive {
		c.revive.due = true
	}
}

// settleOffers sends the REVIVE that is due and sets the alarm for the end
// of the next back-off.
func (c *Core) settleOffers() {
	if !c.alarm.IsZero() && !time.Now().Before(c.alarm) {
		c.wantOffers() // whoever leaves first after a back-off's end, the alarm or another
	}
	if c.revive.due && c.master != "" {
		c.Mesos.Send(calls.Revive())
		c.revive.due, c.revive.last = false, time.Now()
		c.revive.left--
	}
	next := c.queue.NextEnd()
	c.alarm = next
	if next.IsZero() || c.ctx.Err() != nil {
		c.wakeup.Stop()
		return
	}
	c.wakeup.Reset(time.Until(next))
}
