package cluster

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	mallocator "github.com/mesos/mesos-go/api/v1/lib/allocator"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/mesoslab/lab/mini/mesos/master/allocator"
	"github.com/mesoslab/lab/mini/mesos/master/resource"
)

type offer struct {
	id        string
	seq       int
	fw        *framework
	agent     *agent
	role      string
	resources resource.Set
	// when its machine is planned to be down, nil for never
	unavailable *mesos.Unavailability
	timer       *time.Timer
	made        time.Time
	fate        fate // once it was answered
}

func (o *offer) came() int { return o.seq }

// allocate turns what the allocator grants into offers, one event for each
// framework, and makes the inverse offers that are due.
func (c *Cluster) allocate(agents ...string) {
	if c.holdsOff() {
		return
	}
	begun := time.Now()
	grants := c.alloc.Allocate(begun, agents...)
	c.metrics["allocator/mesos/allocation_runs"]++
	c.metrics["allocator/mesos/allocation_run_ms"] = time.Since(begun).Seconds() * 1000
	batch := map[*framework][]mesos.Offer{}
	for _, g := range grants {
		f, a := c.frameworks[g.Framework], c.agents[g.Agent]
		o := c.addOffer(g, f, a)
		if len(c.upkeep.windows) > 0 {
			o.unavailable = c.upkeep.windows[a.machine()]
		}
		batch[f] = append(batch[f], o.proto())
	}
	receivers := make([]*framework, 0, len(batch))
	for f := range batch {
		receivers = append(receivers, f)
	}
	slices.SortFunc(receivers, func(x, y *framework) int { return cmp.Compare(x.seq, y.seq) })
	for _, f := range receivers {
		f.send(&scheduler.Event{Type: scheduler.Event_OFFERS, Offers: &scheduler.Event_Offers{Offers: batch[f]}})
	}
	c.askToLeave(agents)
}

func (c *Cluster) addOffer(g allocator.Grant, f *framework, a *agent) *offer {
	o := &offer{
		id: fmt.Sprintf("%s-O%d", c.o.Master.ID, c.nextOffer), seq: c.seq(),
		fw: f, agent: a, role: g.Role, resources: g.Resources, made: time.Now(),
	}
	c.nextOffer++
	c.offers[o.id], f.offers[o.id], a.offers[o.id] = o, o, o
	if c.o.OfferTimeout > 0 {
		o.timer = c.after(c.o.OfferTimeout, func() {
			if c.offers[o.id] == o {
				c.rescind(o)
			}
		})
	}
	return o
}

// proto is the offer as the scheduler sees it.
func (o *offer) proto() mesos.Offer {
	p := mesos.Offer{
		ID: mesos.OfferID{Value: o.id}, FrameworkID: mesos.FrameworkID{Value: o.fw.id},
		AgentID: mesos.AgentID{Value: o.agent.id}, Hostname: o.agent.info.Hostname,
		URL: agentURL(o.agent), Attributes: o.agent.info.Attributes,
		Resources: o.resources.Proto(o.allocatedTo()), Unavailability: o.unavailable,
	}
	if o.fw.multiRole() {
		p.AllocationInfo = &mesos.Resource_AllocationInfo{Role: &o.role}
	}
	return p
}

// allocatedTo is the role that multi-role frameworks are told, for others "".
func (o *offer) allocatedTo() string {
	if o.fw.multiRole() {
		return o.role
	}
	return ""
}

// agentURL comes from the agent's pid, "slave(1)@ip:port".
func agentURL(a *agent) *mesos.URL {
	process, addr, _ := strings.Cut(a.pid, "@")
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil
	}
	return &mesos.URL{
		Scheme:  "http",
		Address: mesos.Address{Hostname: &a.info.Hostname, IP: ptr(ap.Addr().String()), Port: int32(ap.Port())},
		Path:    ptr("/" + process),
	}
}

// removeOffer forgets an offer; its resources stay allocated.
func (c *Cluster) removeOffer(o *offer) {
	if o.timer != nil {
		o.timer.Stop()
	}
	c.noteEnd(o)
	delete(c.offers, o.id)
	delete(o.fw.offers, o.id)
	delete(o.agent.offers, o.id)
}

// rescind takes an offer back and tells the framework.
func (c *Cluster) rescind(o *offer) { c.rescindFor(o, 0) }

// rescindFor is rescind that keeps the resources from the framework for a
// while.
func (c *Cluster) rescindFor(o *offer, away time.Duration) {
	c.removeOffer(o)
	c.alloc.Recover(o.agent.id, o.fw.id, o.role, o.resources, away, time.Now())
	o.fw.send(&scheduler.Event{
		Type:    scheduler.Event_RESCIND,
		Rescind: &scheduler.Event_Rescind{OfferID: mesos.OfferID{Value: o.id}},
	})
}

// withdrawOffers takes back all offers of a framework that has no scheduler
// to tell.
func (c *Cluster) withdrawOffers(f *framework) {
	c.withdrawInverses(f)
	for _, o := range inOrder(f.offers) {
		c.removeOffer(o)
		c.alloc.Recover(o.agent.id, f.id, o.role, o.resources, 0, time.Now())
	}
}

// decline gives an offer back and keeps its resources away for a while.
func (c *Cluster) decline(f *framework, ids []mesos.OfferID, filters *mesos.Filters) {
	ids = c.takeInverse(f, ids, mallocator.InverseOfferStatus_DECLINE, filters)
	for _, id := range ids {
		o := c.offers[id.Value]
		if o == nil || o.fw != f {
			continue
		}
		o.answered(Declined, refusal(filters), nil)
		c.removeOffer(o)
		c.alloc.Recover(o.agent.id, f.id, o.role, o.resources, refusal(filters), time.Now())
	}
}

// refusal is how long refused resources stay away: 5 s unless the framework
// says otherwise, negative times count as unsaid.
func refusal(f *mesos.Filters) time.Duration {
	if f == nil || f.RefuseSeconds == nil || *f.RefuseSeconds < 0 || *f.RefuseSeconds != *f.RefuseSeconds {
		return allocator.DefaultRefuse
	}
	if *f.RefuseSeconds >= allocator.MaxRefuse.Seconds() {
		return allocator.MaxRefuse
	}
	return time.Duration(*f.RefuseSeconds * float64(time.Second))
}
