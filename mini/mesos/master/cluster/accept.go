package cluster

import (
	"fmt"
	"strings"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	mallocator "github.com/mesos/mesos-go/api/v1/lib/allocator"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/mesoslab/lab/mini/mesos/master/resource"
	"github.com/mesoslab/lab/mini/mesos/wire"
)

// accept launches tasks on offers, reserves and unreserves their resources, and
// makes and destroys volumes of them. What is left of the offers is refused for
// as long as the call's filters say.
func (c *Cluster) accept(f *framework, call *scheduler.Call_Accept) {
	if ids := c.takeInverse(f, call.OfferIDs, mallocator.InverseOfferStatus_ACCEPT, call.Filters); len(ids) < len(call.OfferIDs) {
		if call.OfferIDs = ids; len(ids) == 0 {
			return
		}
	}
	if why := c.checkOffers(f, call.OfferIDs); why != "" {
		c.refuseLaunches(f, call.Operations, why)
		for _, id := range call.OfferIDs { // the valid ones are used up
			if o := c.offers[id.Value]; o != nil && o.fw == f {
				o.answered(Invalid, 0, call.Operations)
				c.removeOffer(o)
				c.alloc.Recover(o.agent.id, f.id, o.role, o.resources, 0, time.Now())
			}
		}
		return
	}
	first := c.offers[call.OfferIDs[0].Value]
	l := launch{c: c, fw: f, agent: first.agent, role: first.role}
	for _, id := range call.OfferIDs {
		o := c.offers[id.Value]
		l.left = l.left.Add(o.resources)
		o.answered(answer(call), refusal(call.Filters), call.Operations)
		c.removeOffer(o)
	}
	for i := range call.Operations {
		l.operation(&call.Operations[i])
	}
	c.alloc.Recover(l.agent.id, f.id, l.role, l.left, refusal(call.Filters), time.Now())
}

// answer is Declined for an ACCEPT without operations, as Mesos counts it.
func answer(call *scheduler.Call_Accept) Outcome {
	if len(call.Operations) == 0 {
		return Declined
	}
	return Accepted
}

// checkOffers says why offers cannot be used together, or "".
func (c *Cluster) checkOffers(f *framework, ids []mesos.OfferID) string {
	if len(ids) == 0 {
		return "No offers specified"
	}
	var first *offer
	seen := map[string]bool{}
	for _, id := range ids {
		o := c.offers[id.Value]
		switch {
		case seen[id.Value]:
			return fmt.Sprintf("Duplicate offer %s in offer list", id.Value)
		case o == nil:
			return fmt.Sprintf("Offer %s is no longer valid", id.Value)
		case o.fw != f:
			return fmt.Sprintf("Offer %s has invalid framework %s while framework %s is expected", o.id, o.fw.id, f.id)
		case first != nil && o.agent != first.agent:
			return fmt.Sprintf("Aggregated offers must belong to one single agent. Offer %s uses agent %s and agent %s",
				o.id, o.agent.id, first.agent.id)
		case first != nil && o.role != first.role:
			return fmt.Sprintf("Aggregated offers must be allocated to the same role. Offer %s uses role %s but another is using role %s",
				o.id, o.role, first.role)
		}
		seen[id.Value] = true
		if first == nil {
			first = o
		}
	}
	return ""
}

func (c *Cluster) refuseLaunches(f *framework, ops []mesos.Offer_Operation, why string) {
	for i := range ops {
		for _, t := range tasksOf(&ops[i]) {
			f.send(updateEvent(c.masterStatus(t.TaskID, ptr(t.AgentID), mesos.TASK_LOST,
				mesos.REASON_INVALID_OFFERS, "Task launched with invalid offers: "+why)))
			c.count("tasks_lost")
		}
	}
}

func tasksOf(op *mesos.Offer_Operation) []mesos.TaskInfo {
	switch op.Type {
	case mesos.Offer_Operation_LAUNCH:
		return op.GetLaunch().GetTaskInfos()
	case mesos.Offer_Operation_LAUNCH_GROUP:
		g := op.GetLaunchGroup().GetTaskGroup()
		return g.Tasks
	}
	return nil
}

// launch is one ACCEPT on its way; left is what its offers still hold.
type launch struct {
	c     *Cluster
	fw    *framework
	agent *agent
	role  string
	left  resource.Set
}

func (l *launch) operation(op *mesos.Offer_Operation) {
	tasks := tasksOf(op)
	switch op.Type {
	case mesos.Offer_Operation_LAUNCH:
		for i := range tasks {
			l.task(&tasks[i])
		}
	case mesos.Offer_Operation_LAUNCH_GROUP:
		for i := range tasks {
			l.refuse(&tasks[i], mesos.REASON_TASK_GROUP_INVALID, "Task groups are not supported by this master")
		}
	case mesos.Offer_Operation_RESERVE:
		l.convert(reserving(op.GetReserve().GetResources()))
	case mesos.Offer_Operation_UNRESERVE:
		l.convert(unreserving(op.GetUnreserve().GetResources()))
	case mesos.Offer_Operation_CREATE:
		l.convert(creating(op.GetCreate().GetVolumes()))
	case mesos.Offer_Operation_DESTROY:
		l.convert(destroying(op.GetDestroy().GetVolumes()))
	default:
		l.c.o.Logf("framework %s: operation %v is not supported, dropped", l.fw.id, op.Type)
	}
}

func (l *launch) task(info *mesos.TaskInfo) {
	r, why := l.check(info)
	if why != "" {
		l.refuse(info, mesos.REASON_TASK_INVALID, why)
		return
	}
	l.left = l.left.Sub(r)
	t := l.c.newTask(l.fw, l.agent, l.role, info, r)
	l.c.enter(t)
	l.c.tell(func() Change {
		v := t.view()
		return Change{TaskAdded: &v}
	})
	l.fw.forgetUnreachable(info.TaskID.Value)
	l.c.o.Logf("launching task %s of framework %s with %s on agent %s (%s)",
		info.TaskID.Value, l.fw.id, r, l.agent.id, l.agent.info.Hostname)
	l.agent.send(&wire.RunTask{Framework: wire.Of(l.fw.info), Task: wire.Of(*info)})
}

func (l *launch) refuse(info *mesos.TaskInfo, reason mesos.TaskStatus_Reason, why string) {
	l.c.count("tasks_error")
	l.fw.send(updateEvent(l.c.masterStatus(info.TaskID, ptr(info.AgentID), mesos.TASK_ERROR, reason, why)))
}

// check says why a task cannot be launched, or what it takes.
func (l *launch) check(info *mesos.TaskInfo) (r resource.Set, why string) {
	id := info.TaskID.Value
	switch {
	case id == "" || id == "." || id == ".." || strings.ContainsAny(id, "/\x00") || len(id) > 255:
		return r, fmt.Sprintf("TaskID '%s' is not a valid name", id)
	case l.fw.tasks[id] != nil:
		return r, "Task has duplicate ID: " + id
	case info.AgentID.Value != l.agent.id:
		return r, fmt.Sprintf("Task uses invalid agent %s while agent %s is expected", info.AgentID.Value, l.agent.id)
	case info.Executor != nil && info.Command != nil || info.Executor == nil && info.Command == nil:
		return r, "Task should have at least one (but not both) of CommandInfo or ExecutorInfo present"
	case info.Executor != nil:
		return r, "Task uses a custom executor, which this master's agents do not run"
	case l.fw.checkpoint() && !l.agent.checkpoint:
		return r, "Task asked to be checkpointed but the agent does not checkpoint"
	}
	r, err := resource.FromProto(info.Resources)
	switch {
	case err != nil:
		return r, "Task uses invalid resources: " + err.Error()
	case r.Empty():
		return r, "Task uses no resources"
	case !l.left.Contains(r) && l.c.o.Compat == V026:
		return r, fmt.Sprintf("Task uses more resources %s than available %s", r, l.left)
	case !l.left.Contains(r):
		return r, fmt.Sprintf("Total resources %s required by task and its executor is more than available %s",
			r.Text(l.role), l.left.Text(l.role))
	}
	return r, ""
}

func grace(p *mesos.KillPolicy) *time.Duration {
	if p == nil || p.GracePeriod == nil {
		return nil
	}
	return ptr(time.Duration(p.GracePeriod.Nanoseconds))
}
