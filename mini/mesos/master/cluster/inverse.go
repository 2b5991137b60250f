package cluster

import (
	"fmt"
	"maps"
	"slices"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	mallocator "github.com/mesos/mesos-go/api/v1/lib/allocator"
	"github.com/mesos/mesos-go/api/v1/lib/maintenance"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

// inverse is an inverse offer: the master asks a framework whether it can do
// without what it holds on an agent whose machine will be down. Its answer binds
// nobody; the operator reads it in the status of the maintenance.
type inverse struct {
	id          string
	seq         int
	fw          *framework
	agent       *agent
	unavailable *mesos.Unavailability
	timer       *time.Timer
}

func (i *inverse) came() int { return i.seq }

// drain is what an agent remembers while its machine is on the schedule, by
// framework id.
type drain struct {
	answers map[string]mallocator.InverseOfferStatus // the last ones
	quiet   map[string]time.Time                     // no inverse offers until then
}

func newDrain() drain {
	return drain{answers: map[string]mallocator.InverseOfferStatus{}, quiet: map[string]time.Time{}}
}

// askToLeave makes inverse offers to the frameworks that hold tasks or offers
// on agents, all or those named, whose machines are on the schedule: one at a
// time for each agent and framework.
func (c *Cluster) askToLeave(agents []string) {
	if len(c.upkeep.windows) == 0 {
		return
	}
	batch := map[*framework][]mesos.InverseOffer{}
	for _, a := range inOrder(c.agents) {
		window := c.upkeep.windows[a.machine()]
		if window == nil || !a.connected() || len(agents) > 0 && !slices.Contains(agents, a.id) {
			continue
		}
		for _, f := range c.holders(a) {
			if f.connected() && !c.isAsked(f, a) && !time.Now().Before(a.drain.quiet[f.id]) {
				batch[f] = append(batch[f], c.addInverse(f, a, window).proto())
			}
		}
	}
	for _, f := range inOrder(c.frameworks) {
		if list := batch[f]; len(list) > 0 {
			f.send(&scheduler.Event{Type: scheduler.Event_INVERSE_OFFERS, InverseOffers: &scheduler.Event_InverseOffers{InverseOffers: list}})
		}
	}
}

// holders are the frameworks that something of an agent is allocated to.
func (c *Cluster) holders(a *agent) []*framework {
	found := map[string]*framework{}
	for _, t := range a.tasks {
		if !terminal(*t.State) {
			found[t.fw.id] = t.fw
		}
	}
	for _, o := range a.offers {
		found[o.fw.id] = o.fw
	}
	return inOrder(found)
}

func (c *Cluster) isAsked(f *framework, a *agent) bool {
	for _, i := range c.inverses {
		if i.fw == f && i.agent == a {
			return true
		}
	}
	return false
}

// addInverse takes an id of those that offers have.
func (c *Cluster) addInverse(f *framework, a *agent, window *mesos.Unavailability) *inverse {
	i := &inverse{id: fmt.Sprintf("%s-O%d", c.o.Master.ID, c.nextOffer), seq: c.seq(), fw: f, agent: a, unavailable: window}
	c.nextOffer++
	c.inverses[i.id] = i
	if c.o.OfferTimeout > 0 {
		i.timer = c.after(c.o.OfferTimeout, func() {
			if c.inverses[i.id] == i {
				c.rescindInverse(i)
			}
		})
	}
	return i
}

func (i *inverse) proto() mesos.InverseOffer {
	return mesos.InverseOffer{
		OfferID: mesos.OfferID{Value: i.id}, FrameworkID: mesos.FrameworkID{Value: i.fw.id},
		AgentID: &mesos.AgentID{Value: i.agent.id}, Unavailability: *i.unavailable,
	}
}

func (c *Cluster) removeInverse(i *inverse) {
	if i.timer != nil {
		i.timer.Stop()
	}
	delete(c.inverses, i.id)
}

// rescindInverse takes an inverse offer back and tells the framework; 0.26 has
// no event of its own for that.
func (c *Cluster) rescindInverse(i *inverse) {
	c.removeInverse(i)
	id := mesos.OfferID{Value: i.id}
	if c.o.Compat == V026 {
		i.fw.send(&scheduler.Event{Type: scheduler.Event_RESCIND, Rescind: &scheduler.Event_Rescind{OfferID: id}})
		return
	}
	i.fw.send(&scheduler.Event{Type: scheduler.Event_RESCIND_INVERSE_OFFER, RescindInverseOffer: &scheduler.Event_RescindInverseOffer{InverseOfferID: id}})
}

// rescindInverses takes back those of an agent.
func (c *Cluster) rescindInverses(a *agent) {
	for _, i := range inOrder(c.inverses) {
		if i.agent == a {
			c.rescindInverse(i)
		}
	}
}

// withdrawInverses takes back those of a framework that has no scheduler to
// tell. Its filters are forgotten.
func (c *Cluster) withdrawInverses(f *framework) {
	for _, i := range inOrder(c.inverses) {
		if i.fw == f {
			c.removeInverse(i)
		}
	}
	c.forgetQuiet(f)
}

// forgetQuiet has the framework asked again at once.
func (c *Cluster) forgetQuiet(f *framework) {
	for _, a := range c.agents {
		delete(a.drain.quiet, f.id)
	}
}

// answerInverse notes a framework's answer to inverse offers. It is asked again
// when its filter's time is over, as long as it holds something there. Those that
// are not its own, or not any more, are passed over.
func (c *Cluster) answerInverse(f *framework, ids []mesos.OfferID, status mallocator.InverseOfferStatus_Status, filters *mesos.Filters) {
	now := time.Now()
	for _, id := range ids {
		i := c.inverses[id.Value]
		if i == nil || i.fw != f {
			c.o.Logf("framework %s answers inverse offer %s, which is no longer valid", f.id, id.Value)
			continue
		}
		c.removeInverse(i)
		i.agent.drain.answers[f.id] = mallocator.InverseOfferStatus{
			Status: &status, FrameworkID: mesos.FrameworkID{Value: f.id}, Timestamp: mesos.TimeInfo{Nanoseconds: now.UnixNano()},
		}
		if wait := refusal(filters); wait > 0 {
			i.agent.drain.quiet[f.id] = now.Add(wait)
		}
		c.o.Logf("framework %s (%s) answers %s to the maintenance of agent %s (%s)", f.id, f.info.Name, status, i.agent.id, i.agent.info.Hostname)
	}
}

// takeInverse does that for a call that names both kinds of offers, as in
// 0.26, and returns the ids that are left.
func (c *Cluster) takeInverse(f *framework, ids []mesos.OfferID, status mallocator.InverseOfferStatus_Status, filters *mesos.Filters) []mesos.OfferID {
	if c.o.Compat != V026 || len(c.inverses) == 0 {
		return ids
	}
	var inverses, rest []mesos.OfferID
	for _, id := range ids {
		if c.inverses[id.Value] != nil {
			inverses = append(inverses, id)
		} else {
			rest = append(rest, id)
		}
	}
	c.answerInverse(f, inverses, status, filters)
	return rest
}

// MaintenanceStatus sorts the machines of the schedule by their mode, and tells
// what frameworks last answered to inverse offers of those that are draining.
func (c *Cluster) MaintenanceStatus() maintenance.ClusterStatus {
	machines := c.Machines()
	c.lock()
	defer c.mu.Unlock()
	var s maintenance.ClusterStatus
	for _, m := range machines {
		if *m.Mode == mesos.DOWN {
			s.DownMachines = append(s.DownMachines, m.ID)
			continue
		}
		d := maintenance.ClusterStatus_DrainingMachine{ID: m.ID}
		for _, a := range inOrder(c.agents) {
			if a.machine() != machineOf(m.ID) {
				continue
			}
			for _, id := range slices.Sorted(maps.Keys(a.drain.answers)) {
				d.Statuses = append(d.Statuses, a.drain.answers[id])
			}
		}
		s.DrainingMachines = append(s.DrainingMachines, d)
	}
	return s
}
