package cluster

import (
	"net"
	"slices"
	"strconv"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/mini/mesos/master/resource"
)

// maxOfferRecords is how many offers that are over are remembered.
const maxOfferRecords = 100

// Outcome is how an offer ended.
type Outcome string

// The outcomes. An offer that nobody answered was rescinded: its time was up,
// its agent or its framework went.
const (
	Accepted  Outcome = "accepted"
	Declined  Outcome = "declined"
	Invalid   Outcome = "invalid" // accepted together with an offer that could not be used
	Rescinded Outcome = "rescinded"
)

// OfferRecord is one offer, from its making on.
type OfferRecord struct {
	ID, FrameworkID, Framework, AgentID, Hostname, Role string
	Resources                                           resource.Set
	Made                                                time.Time
	// What follows is zero while the framework holds the offer.
	Ended   time.Time
	Outcome Outcome
	Tasks   []string      // that were to be launched on it
	Refuse  time.Duration // for which what was left stays away
}

// FilterRecord is a filter in force: what is kept from a framework, and for
// how long still.
type FilterRecord struct {
	FrameworkID, Framework, AgentID, Hostname, Role string
	Resources                                       resource.Set
	Left                                            time.Duration
}

// OfferLog is what became of the offers since this master was elected.
type OfferLog struct {
	Made                                   int
	Accepted, Declined, Invalid, Rescinded int
	Held                                   []OfferRecord // oldest first
	Ended                                  []OfferRecord // the last ones, newest first
	Filters                                []FilterRecord
}

// offerEnds counts and remembers what is over.
type offerEnds struct {
	count map[Outcome]int
	last  []OfferRecord // oldest first
}

// fate is what the framework said to an offer, before it is removed.
type fate struct {
	outcome Outcome
	tasks   []string
	refuse  time.Duration
}

// answered notes what the framework said to an offer.
func (o *offer) answered(outcome Outcome, refuse time.Duration, ops []mesos.Offer_Operation) {
	o.fate = fate{outcome: outcome, refuse: refuse}
	for i := range ops {
		for _, t := range tasksOf(&ops[i]) {
			o.fate.tasks = append(o.fate.tasks, t.TaskID.Value)
		}
	}
}

func (o *offer) record() OfferRecord {
	return OfferRecord{ID: o.id, FrameworkID: o.fw.id, Framework: o.fw.info.Name, AgentID: o.agent.id,
		Hostname: o.agent.info.Hostname, Role: o.role, Resources: o.resources, Made: o.made}
}

// noteEnd remembers an offer that is being removed.
func (c *Cluster) noteEnd(o *offer) {
	r := o.record()
	r.Ended, r.Outcome, r.Tasks, r.Refuse = time.Now(), o.fate.outcome, o.fate.tasks, o.fate.refuse
	if r.Outcome == "" {
		r.Outcome = Rescinded
	}
	if c.ends.count == nil {
		c.ends.count = map[Outcome]int{}
	}
	c.ends.count[r.Outcome]++
	c.ends.last = append(c.ends.last, r)
	if extra := len(c.ends.last) - maxOfferRecords; extra > 0 {
		c.ends.last = slices.Delete(c.ends.last, 0, extra)
	}
}

// OfferLog returns what became of the offers, for those who show it.
func (c *Cluster) OfferLog() OfferLog {
	c.lock()
	defer c.mu.Unlock()
	n := c.ends.count
	l := OfferLog{Made: c.nextOffer, Accepted: n[Accepted], Declined: n[Declined], Invalid: n[Invalid], Rescinded: n[Rescinded],
		Ended: slices.Clone(c.ends.last)}
	slices.Reverse(l.Ended)
	for _, o := range inOrder(c.offers) {
		l.Held = append(l.Held, o.record())
	}
	for _, f := range c.alloc.Filters(time.Now()) {
		r := FilterRecord{FrameworkID: f.Framework, AgentID: f.Agent, Role: f.Role, Resources: f.Refused, Left: f.Left}
		if fw := c.frameworks[f.Framework]; fw != nil {
			r.Framework = fw.info.Name
		}
		if a := c.agents[f.Agent]; a != nil {
			r.Hostname = a.info.Hostname
		}
		l.Filters = append(l.Filters, r)
	}
	return l
}

// AgentURL returns where a registered agent answers, http://ip:port, or "" if
// there is no such agent.
func (c *Cluster) AgentURL(id string) string {
	c.lock()
	defer c.mu.Unlock()
	a := c.agents[id]
	if a == nil {
		return ""
	}
	u := agentURL(a)
	if u == nil {
		return ""
	}
	return "http://" + net.JoinHostPort(*u.Address.IP, strconv.Itoa(int(u.Address.Port)))
}
