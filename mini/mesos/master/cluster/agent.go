package cluster

import (
	"fmt"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/mini/mesos/master/allocator"
	"github.com/mesoslab/lab/mini/mesos/master/resource"
	"github.com/mesoslab/lab/mini/mesos/wire"
)

type agent struct {
	id         string
	seq        int
	info       mesos.AgentInfo
	pid        string
	version    string
	checkpoint bool
	total      resource.Set
	admitted   bool // the registry has it; before, nobody hears of it
	reg        *registrar

	registered, reregistered time.Time

	link   Link // nil while disconnected
	tasks  map[taskKey]*task
	offers map[string]*offer
	killed map[taskKey]*time.Duration // tasks on their way out, with their grace
	drain  drain

	timer    *time.Timer
	ping     uint64 // number of the ping last sent
	ponged   bool   // it was answered
	timeouts int    // pings in a row that were not
}

func (a *agent) came() int       { return a.seq }
func (a *agent) connected() bool { return a.link != nil }

func (a *agent) send(m wire.Message) {
	if l := a.link; l != nil {
		a.reg.say(func() { l.Send(m) })
	}
}

// Receive takes a message from an agent. The first one of a link must be
// Register or Reregister. After an error the link is of no use: close it and
// call Disconnected.
func (c *Cluster) Receive(l Link, m wire.Message) error {
	c.lock()
	defer c.unlock()
	if c.closed {
		return fmt.Errorf("master is shutting down")
	}
	switch m := m.(type) {
	case *wire.Register:
		return c.register(l, m)
	case *wire.Reregister:
		return c.reregister(l, m)
	}
	a := c.links[l]
	if a == nil {
		return fmt.Errorf("%s before registration", m.Kind())
	}
	switch m := m.(type) {
	case *wire.Pong:
		a.ponged, a.timeouts = true, 0
	case *wire.StatusUpdate:
		c.statusUpdate(a, m)
	case *wire.Unregister:
		c.count("messages_unregister_slave")
		c.removeAgent(a, c.word("the slave unregistered", "the agent unregistered"), "reason_unregistered")
	default:
		return fmt.Errorf("%s is not for masters", m.Kind())
	}
	return nil
}

// Disconnected tells that an agent's link is gone: it gets no more offers,
// and frameworks that do not checkpoint lose their tasks on it at once. The
// pings go on counting.
func (c *Cluster) Disconnected(l Link) {
	c.lock()
	defer c.unlock()
	a := c.links[l]
	delete(c.links, l)
	if a == nil || c.closed {
		return
	}
	c.o.Logf("agent %s at %s (%s) disconnected", a.id, a.pid, a.info.Hostname)
	a.link = nil
	c.alloc.SetAgentActive(a.id, false)
	c.rescindAll(a)
	why := fmt.Sprintf("%s %s disconnected", c.word("Slave", "Agent"), a.info.Hostname)
	for _, t := range tasksInOrder(a.tasks) {
		if !t.fw.checkpoint() || !a.checkpoint {
			c.lose(t, mesos.TASK_LOST, mesos.REASON_AGENT_DISCONNECTED, why, nil)
		}
	}
}

func (c *Cluster) register(l Link, m *wire.Register) error {
	info := m.Agent.V
	total, err := totalOf(info, m.Reserved)
	if err != nil {
		return fmt.Errorf("register: %w", err)
	}
	if c.links[l] != nil {
		return fmt.Errorf("register: already registered as %s", c.links[l].id)
	}
	if c.refuseDown(l, info.Hostname, m.PID) {
		return nil
	}
	before := map[string]*agent{}
	for id, old := range c.agents {
		if old.pid == m.PID { // a new process where the old one was
			before[id] = old
		}
	}
	for _, old := range inOrder(before) {
		if c.registerAgain(old, l, m) {
			return nil
		}
		c.removeAgent(old, c.word("a new slave registered at the same address",
			"a new agent registered at the same address"), "reason_registered")
	}
	id := fmt.Sprintf("%s-S%d", c.o.Master.ID, c.nextAgent)
	c.nextAgent++
	info.ID = &mesos.AgentID{Value: id}
	a := c.addAgent(l, id, info, m.PID, m.Version, m.Checkpoint, total)
	c.admit(a)
	c.count("messages_register_slave")
	c.count("slave_registrations")
	c.o.Logf("registered agent %s at %s (%s) with %s", id, m.PID, info.Hostname, total)
	a.send(&wire.Registered{AgentID: id, TotalPingTimeout: c.totalPingTimeout()})
	c.tellAdded(a)
	c.allocate(id)
	return nil
}

// registerAgain gives an agent its new connection that has lost patience while
// the registry takes it in, and says whether this is one.
func (c *Cluster) registerAgain(a *agent, l Link, m *wire.Register) bool {
	info := m.Agent.V
	info.ID = a.info.ID
	if a.admitted || !a.info.Equal(&info) {
		return false
	}
	c.count("messages_register_slave")
	c.relink(a, l, &wire.Reregister{Agent: wire.Of(info), PID: m.PID, Version: m.Version, Checkpoint: m.Checkpoint}, a.total)
	a.reregistered = time.Time{}
	a.send(&wire.Registered{AgentID: a.id, TotalPingTimeout: c.totalPingTimeout()})
	return true
}

func (c *Cluster) addAgent(l Link, id string, info mesos.AgentInfo, pid, version string, checkpoint bool, total resource.Set) *agent {
	a := &agent{
		id: id, seq: c.seq(), info: info, pid: pid, version: version, checkpoint: checkpoint, total: total,
		registered: time.Now(), link: l, reg: &c.reg.registrar,
		tasks: map[taskKey]*task{}, offers: map[string]*offer{}, killed: map[taskKey]*time.Duration{}, drain: newDrain(),
	}
	c.agents[id] = a
	c.links[l] = a
	c.alloc.AddAgent(allocator.Agent{ID: id, Total: total, Checkpoint: checkpoint})
	c.sendPing(a)
	return a
}

func (c *Cluster) tellAdded(a *agent) {
	c.tell(func() Change {
		v := a.view()
		return Change{AgentAdded: &v}
	})
}

func (c *Cluster) totalPingTimeout() time.Duration {
	return c.o.PingTimeout * time.Duration(c.o.MaxPings)
}

func (c *Cluster) sendPing(a *agent) {
	a.ping++
	a.ponged = false
	if a.link != nil { // past all that waits for the registry: it says nothing
		a.link.Send(&wire.Ping{Seq: a.ping, Connected: true})
	}
	a.timer = c.after(c.o.PingTimeout, func() { c.pingTimeout(a) })
}

// pingTimeout runs one interval after each ping: the law of N·T to (N+1)·T
// is made here.
func (c *Cluster) pingTimeout(a *agent) {
	if c.agents[a.id] != a {
		return
	}
	if !a.ponged {
		a.timeouts++
	}
	if a.timeouts >= c.o.MaxPings {
		c.count("slave_shutdowns_scheduled")
		c.count("slave_shutdowns_completed")
		c.count("slave_unreachable_scheduled")
		c.count("slave_unreachable_completed")
		c.markUnreachable(a)
		return
	}
	c.sendPing(a)
}

// markUnreachable removes an agent that answers no pings.
func (c *Cluster) markUnreachable(a *agent) {
	if c.o.Compat == V026 {
		c.removeAgent(a, "health check timed out", "reason_unhealthy")
		return
	}
	since := time.Now()
	c.reg.unreachable[a.id] = since
	c.lostHere[a.id] = true
	c.dropAgent(a, fmt.Sprintf("Agent %s is unreachable: health check timed out", a.info.Hostname), &since)
	c.count("slave_removals")
	c.count("slave_removals/reason_unhealthy")
}

// removeAgent removes an agent that must not come back under its id. The
// metric of its reason may be none.
func (c *Cluster) removeAgent(a *agent, why, metric string) {
	c.removed[a.id] = true
	c.dropAgent(a, fmt.Sprintf("%s %s removed: %s", c.word("Slave", "Agent"), a.info.Hostname, why), nil)
	c.tell(func() Change { return Change{AgentRemoved: a.id} })
	c.count("slave_removals")
	if metric != "" {
		c.count("slave_removals/" + metric)
	}
}

// dropAgent loses its tasks, forgets it and tells every framework. Its link
// stays open: in 0.26 a removed agent hears of it when it speaks again.
func (c *Cluster) dropAgent(a *agent, why string, unreachable *time.Time) {
	c.o.Logf("%s (%s)", why, a.id)
	a.timer.Stop()
	delete(c.agents, a.id)
	c.expel(a.id)
	c.rescindAll(a)
	for _, t := range tasksInOrder(a.tasks) {
		state := mesos.TASK_LOST
		if unreachable != nil && t.fw.partitionAware() {
			state = mesos.TASK_UNREACHABLE
		}
		c.lose(t, state, mesos.REASON_AGENT_REMOVED, why, unreachable)
	}
	c.alloc.RemoveAgent(a.id)
	for _, f := range inOrder(c.frameworks) {
		f.send(failureEvent(a.id))
	}
	if a.link != nil {
		l := a.link
		a.link = nil
		delete(c.links, l)
		if c.o.Compat == V026 {
			c.reg.say(func() { l.Send(&wire.Shutdown{Message: why}) })
		}
		c.reg.say(l.Close)
	}
}

// rescindAll takes back the offers on an agent, also the inverse ones.
func (c *Cluster) rescindAll(a *agent) {
	defer c.rescindInverses(a)
	for _, o := range inOrder(a.offers) {
		c.rescind(o)
	}
}
