package cluster

import (
	"fmt"
	"slices"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/mesoslab/lab/mini/mesos/master/allocator"
	"github.com/mesoslab/lab/mini/mesos/wire"
)

type framework struct {
	id   string
	seq  int
	info mesos.FrameworkInfo

	reg       *registrar
	stream    Stream // nil while disconnected
	streamID  string
	recovered bool // known from agents only, not subscribed to this master

	registered, reregistered, unregistered time.Time

	tasks       map[string]*task
	offers      map[string]*offer
	done        []TaskView // oldest first
	unreachable []TaskView
	timer       *time.Timer // failover time-out
}

func (f *framework) came() int       { return f.seq }
func (f *framework) connected() bool { return f.stream != nil }

func (f *framework) send(e *scheduler.Event) {
	if s := f.stream; s != nil {
		f.reg.say(func() { s.Send(e) })
	}
}

func (f *framework) has(c mesos.FrameworkInfo_Capability_Type) bool {
	return slices.ContainsFunc(f.info.Capabilities, func(x mesos.FrameworkInfo_Capability) bool { return x.Type == c })
}

func (f *framework) partitionAware() bool {
	return f.has(mesos.FrameworkInfo_Capability_PARTITION_AWARE)
}

func (f *framework) multiRole() bool { return f.has(mesos.FrameworkInfo_Capability_MULTI_ROLE) }

func (f *framework) checkpoint() bool { return f.info.GetCheckpoint() }

// roles returns at least one role.
func (f *framework) roles() []string {
	if f.multiRole() && len(f.info.Roles) > 0 {
		return f.info.Roles
	}
	return []string{f.info.GetRole()}
}

// failoverTimeout is how long the framework is kept without a scheduler.
func (f *framework) failoverTimeout() time.Duration {
	const most = 100 * 365 * 24 * time.Hour
	s := f.info.GetFailoverTimeout()
	if s >= most.Seconds() {
		return most
	}
	return time.Duration(max(s, 0) * float64(time.Second))
}

// Subscribe starts or takes over a framework. All answers, refusals too, are
// events of the stream: SUBSCRIBED, or ERROR and the stream's end.
func (c *Cluster) Subscribe(info mesos.FrameworkInfo, suppressed []string, s Stream, streamID string) {
	c.lock()
	defer c.unlock()
	if c.closed {
		s.Close()
		return
	}
	id := info.GetID().GetValue()
	if why := c.refuse(info, id); why != "" {
		s.Send(errorEvent(why))
		s.Close()
		return
	}
	if id == "" {
		c.count("messages_register_framework")
	} else {
		c.count("messages_reregister_framework")
	}
	f, failover := c.frameworks[id], false
	switch {
	case f != nil:
		failover = f.connected()
		c.takeOver(f, info)
	case id == "":
		id = fmt.Sprintf("%s-%04d", c.o.Master.ID, c.nextFramework)
		c.nextFramework++
		f = c.addFramework(id, info)
	default: // known to a former master
		f = c.addFramework(id, info)
		f.reregistered = time.Now()
	}
	f.info.ID = &mesos.FrameworkID{Value: id}
	f.stream, f.streamID, f.recovered = s, streamID, false
	c.o.Logf("framework %s (%s) subscribed", f.id, f.info.Name)
	if info.GetID().GetValue() != "" {
		for _, a := range inOrder(c.agents) {
			a.send(&wire.UpdateFramework{FrameworkID: f.id})
		}
	}
	// Past all that waits for the registry: it does not rest on that.
	s.Send(c.subscribedEvent(id))
	s.Send(&scheduler.Event{Type: scheduler.Event_HEARTBEAT})
	c.alloc.AddFramework(allocator.Framework{
		ID: id, Roles: f.roles(), Checkpoint: f.checkpoint(), Suppressed: suppressed,
	})
	if !failover { // else the next batch serves it, as in 1.3.2
		c.allocate()
	}
}

func (c *Cluster) refuse(info mesos.FrameworkInfo, id string) string {
	if id != "" && c.isCompleted(id) {
		return "Framework has been removed"
	}
	if id != "" {
		if why := badID(id); why != "" {
			return "Framework ID is invalid: " + why
		}
	}
	f := framework{info: info}
	for _, r := range f.roles() {
		if why := badRole(r); why != "" {
			return "Framework has an invalid role: " + why
		}
	}
	if s := info.GetFailoverTimeout(); s < 0 || s != s {
		return fmt.Sprintf("The framework failover_timeout (%v) is invalid", s)
	}
	if len(c.o.Roles) > 0 || c.o.Compat == V026 { // implicit roles came with 0.27
		for _, r := range f.roles() {
			if r != "*" && !slices.Contains(c.o.Roles, r) {
				return fmt.Sprintf("Role '%s' is not present in the master's --roles", r)
			}
		}
	}
	return ""
}

func (c *Cluster) addFramework(id string, info mesos.FrameworkInfo) *framework {
	f := &framework{
		id: id, seq: c.seq(), info: info, registered: time.Now(), reg: &c.reg.registrar,
		tasks: map[string]*task{}, offers: map[string]*offer{},
	}
	f.info.ID = &mesos.FrameworkID{Value: id}
	c.frameworks[id] = f
	return f
}

// takeOver ends what the framework's former scheduler had.
func (c *Cluster) takeOver(f *framework, info mesos.FrameworkInfo) {
	if f.stream != nil {
		f.send(errorEvent("Framework failed over"))
		c.reg.say(f.stream.Close)
		f.stream = nil
	}
	if f.timer != nil {
		f.timer.Stop()
		f.timer = nil
	}
	c.withdrawOffers(f)
	f.info = info
	f.reregistered = time.Now()
	if f.recovered {
		f.registered = f.reregistered
	}
}

// recoverFramework notes a framework that an agent brought along.
func (c *Cluster) recoverFramework(info mesos.FrameworkInfo) {
	f := c.addFramework(info.GetID().GetValue(), info)
	f.recovered = true
	c.alloc.AddFramework(allocator.Framework{ID: f.id, Roles: f.roles(), Checkpoint: f.checkpoint()})
	c.alloc.SetFrameworkActive(f.id, false)
}

// StreamClosed tells that a scheduler's connection is gone. A stream that is
// not the framework's current one is ignored.
func (c *Cluster) StreamClosed(s Stream) {
	c.lock()
	defer c.unlock()
	if c.closed {
		return
	}
	for _, f := range c.frameworks {
		if f.stream == s {
			c.disconnect(f)
			return
		}
	}
}

func (c *Cluster) disconnect(f *framework) {
	wait := f.failoverTimeout()
	c.o.Logf("framework %s (%s) disconnected, kept for %v", f.id, f.info.Name, wait)
	f.stream = nil
	c.alloc.SetFrameworkActive(f.id, false)
	c.withdrawOffers(f)
	f.timer = c.after(wait, func() {
		if c.frameworks[f.id] == f && f.stream == nil {
			c.o.Logf("framework %s: failover time-out of %v over", f.id, wait)
			c.removeFramework(f)
		}
	})
}

// Teardown removes a framework and ends its tasks. False: there is none.
func (c *Cluster) Teardown(id string) bool {
	c.lock()
	defer c.unlock()
	f := c.frameworks[id]
	if f == nil || c.closed {
		return false
	}
	c.removeFramework(f)
	return true
}

func (c *Cluster) removeFramework(f *framework) {
	c.o.Logf("removing framework %s (%s)", f.id, f.info.Name)
	if f.timer != nil {
		f.timer.Stop()
	}
	if f.stream != nil {
		c.reg.say(f.stream.Close)
		f.stream = nil
	}
	c.withdrawOffers(f)
	for _, a := range inOrder(c.agents) {
		a.send(&wire.ShutdownFramework{FrameworkID: f.id})
	}
	for _, t := range inOrder(f.tasks) {
		c.release(t)
		st := c.masterStatus(t.TaskID, ptr(t.AgentID), mesos.TASK_KILLED, mesos.REASON_FRAMEWORK_REMOVED,
			fmt.Sprintf("Framework %s removed", f.id))
		t.record(st)
		if !terminal(*t.State) {
			t.State = mesos.TASK_KILLED.Enum()
			c.count("tasks_killed")
			c.tellUpdate(t, st)
		}
		c.forget(t)
	}
	f.unregistered = time.Now()
	f.recovered = false
	c.alloc.RemoveFramework(f.id)
	delete(c.frameworks, f.id)
	c.completed = append(c.completed, f)
	if n := len(c.completed) - c.o.MaxCompletedFrameworks; n > 0 {
		c.completed = slices.Delete(c.completed, 0, n)
	}
}

func (c *Cluster) isCompleted(id string) bool {
	return slices.ContainsFunc(c.completed, func(f *framework) bool { return f.id == id })
}

func (f *framework) complete(t TaskView, most int) {
	f.done = append(f.done, t)
	if n := len(f.done) - most; n > 0 {
		f.done = slices.Delete(f.done, 0, n)
	}
}

func (f *framework) completedTask(id, agent string) bool {
	return slices.ContainsFunc(f.done, func(t TaskView) bool { return t.TaskID.Value == id && t.AgentID.Value == agent })
}

// lost reports whether the framework was told that this task is lost.
func (f *framework) lost(id, agent string) bool {
	return slices.ContainsFunc(f.done, func(t TaskView) bool {
		return t.TaskID.Value == id && t.AgentID.Value == agent && t.State != nil && *t.State == mesos.TASK_LOST
	})
}

func (f *framework) forgetUnreachable(id string) {
	f.unreachable = slices.DeleteFunc(f.unreachable, func(t TaskView) bool { return t.TaskID.Value == id })
}
