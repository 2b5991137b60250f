package core

import (
	"context"
	"time"

	"github.com/google/uuid"
	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"github.com/mesoslab/lab/mini/marathon/app"
	"github.com/mesoslab/lab/mini/marathon/match"
	"github.com/mesoslab/lab/mini/marathon/scheduler"
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
		open = append(open, &basket{Offer: match.New(o)})
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

// placeOne puts one task of the first entry that fits into the offer.
func (c *Core) placeOne(b *basket) bool {
	for _, e := range c.queue {
		if !c.launchable(e) {
			continue
		}
		slot, _, ok := b.Fit(e.app, c.peers(e.app), c.Rand)
		if !ok {
			continue
		}
		t, err := c.newTask(e.app, b, slot)
		if err != nil {
			c.Log("launch a task of %s: %v", e.app.ID, err)
			return false
		}
		b.tasks = append(b.tasks, b.Task(e.app, t.ID, slot, b.Take(e.app, slot)))
		c.tokens--
		c.setQueue(e.app, e.left-1)
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
		if t.ConfigVersion.Equal(a.ConfigVersion()) {
			ps = append(ps, t.peer())
		}
	}
	return ps
}

// newTask writes a task down before anybody is asked to launch it. Its id is
// new in space and time (a version 1 UUID).
func (c *Core) newTask(a app.App, b *basket, slot match.Slot) (*Task, error) {
	id, err := uuid.NewUUID()
	if err != nil {
		return nil, err
	}
	t := &Task{ID: app.Underscored(a.ID) + "." + id.String(), AppID: a.ID, AgentID: b.AgentID.Value, Host: b.Hostname,
		Attributes: b.Attributes, Ports: slot.Ports, Version: a.Version, ConfigVersion: a.ConfigVersion(), StagedAt: now()}
	if err := c.write("task:"+t.ID, t); err != nil {
		return nil, err
	}
	c.tasks[t.ID] = t
	return t, nil
}

// Subscribed notes who leads Mesos and asks for offers.
func (c *Core) Subscribed(_ context.Context, frameworkID, master string) {
	if !c.enter() {
		return
	}
	defer c.leave()
	c.Log("subscribed at %s as %s", master, frameworkID)
	if c.frameworkID != frameworkID {
		c.frameworkID = frameworkID
		c.persist(frameworkKey, []byte(frameworkID))
	}
	c.master = master
	c.publishRegistered()
	for _, t := range c.tasks {
		if t.doomed() { // the kill may have gone to the master that is no more
			t.killing = time.Now().Add(-killRetry)
			c.kill(t, "again")
		}
	}
	c.wantOffers()
}

// Disconnected notes that nobody listens.
func (c *Core) Disconnected() {
	if !c.enter() {
		return
	}
	defer c.leave()
	c.Log("disconnected from %s", c.master)
	c.master = ""
	c.Bus.Publish("scheduler_disconnected_event", struct{}{})
}

// Rescinded needs no answer: offers are never held.
func (c *Core) Rescinded(mesos.OfferID) {}

// AgentLost is only noted: Mesos sends TASK_LOST for each task.
func (c *Core) AgentLost(id mesos.AgentID) { c.Log("agent %s is gone", id.Value) }

// Undelivered gives up on a call. Tasks of a launch that did not get
// through are lost, as the classic driver reports them.
func (c *Core) Undelivered(call *scheduler.Call) {
	for _, op := range call.GetAccept().GetOperations() {
		for _, info := range op.GetLaunch().GetTaskInfos() {
			state, agent := mesos.TASK_LOST, info.AgentID
			message := "the launch did not reach the master"
			c.Update(c.ctx, mesos.TaskStatus{TaskID: info.TaskID, State: &state, AgentID: &agent, Message: &message})
		}
	}
}

// Fatal ends it all.
func (c *Core) Fatal(message string) {
	if !c.enter() {
		return
	}
	defer c.leave()
	c.Log("mesos says: %s", message)
	removed := message == "Framework has been removed"
	if removed {
		c.persist(frameworkKey, nil)
	}
	if c.Deps.Fatal != nil {
		c.Deps.Fatal(message, removed)
	}
}
