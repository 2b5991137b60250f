package cluster

import (
	"fmt"

	"github.com/mesos/mesos-go/api/v1/lib/allocator"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

// Errors of Call. Their texts are those of Mesos.
var (
	ErrUnknownFramework error = refusalText("Framework cannot be found")
	ErrNotSubscribed    error = refusalText("Framework is not subscribed")
	ErrStreamIDMissing  error = refusalText("All non-subscribe calls should include the 'Mesos-Stream-Id' header")
)

// refusalText is an error in Mesos' own words, which begin with a capital.
type refusalText string

func (e refusalText) Error() string { return string(e) }

// StreamIDError: the call came with the stream id of another subscription.
type StreamIDError struct{ StreamID, FrameworkID string }

func (e *StreamIDError) Error() string {
	return fmt.Sprintf("The stream ID '%s' included in this request didn't match the stream ID currently associated with framework ID %s",
		e.StreamID, e.FrameworkID)
}

// Call does what a subscribed scheduler asks, in any call but SUBSCRIBE. The
// error says that the caller may not ask; that something asked for cannot be
// done is told in events. The call must be valid (its part present).
func (c *Cluster) Call(call *scheduler.Call, streamID string) error {
	c.lock()
	defer c.unlock()
	f := c.frameworks[call.GetFrameworkID().GetValue()]
	switch {
	case f == nil || c.closed:
		return ErrUnknownFramework
	case !f.connected():
		return ErrNotSubscribed
	case streamID == "":
		return ErrStreamIDMissing
	case streamID != f.streamID:
		return &StreamIDError{streamID, f.id}
	}
	c.countCall(call)
	switch call.Type {
	case scheduler.Call_TEARDOWN:
		c.removeFramework(f)
	case scheduler.Call_ACCEPT:
		c.accept(f, call.Accept)
	case scheduler.Call_DECLINE:
		c.decline(f, call.Decline.OfferIDs, call.Decline.Filters)
	case scheduler.Call_ACCEPT_INVERSE_OFFERS:
		c.answerInverse(f, call.AcceptInverseOffers.InverseOfferIDs, allocator.InverseOfferStatus_ACCEPT, call.AcceptInverseOffers.Filters)
	case scheduler.Call_DECLINE_INVERSE_OFFERS:
		c.answerInverse(f, call.DeclineInverseOffers.InverseOfferIDs, allocator.InverseOfferStatus_DECLINE, call.DeclineInverseOffers.Filters)
	case scheduler.Call_REVIVE:
		c.alloc.Revive(f.id, call.GetRevive().GetRoles())
		c.forgetQuiet(f)
		c.allocate()
	case scheduler.Call_SUPPRESS:
		c.alloc.Suppress(f.id, call.GetSuppress().GetRoles())
	case scheduler.Call_KILL:
		c.kill(f, call.Kill)
	case scheduler.Call_ACKNOWLEDGE:
		c.acknowledge(f, call.Acknowledge)
	case scheduler.Call_RECONCILE:
		c.reconcile(f, call.Reconcile.Tasks)
	case scheduler.Call_SHUTDOWN:
		c.shutdownExecutor(f, call.Shutdown)
	default: // MESSAGE, REQUEST: taken, and nothing follows
	}
	return nil
}

// countCall counts under the names that the real master has from the days
// when calls were messages of a driver.
func (c *Cluster) countCall(call *scheduler.Call) {
	names := map[scheduler.Call_Type]string{
		scheduler.Call_TEARDOWN: "unregister_framework", scheduler.Call_DECLINE: "decline_offers",
		scheduler.Call_REVIVE: "revive_offers", scheduler.Call_SUPPRESS: "suppress_offers",
		scheduler.Call_KILL: "kill_task", scheduler.Call_ACKNOWLEDGE: "status_update_acknowledgement",
		scheduler.Call_RECONCILE: "reconcile_tasks", scheduler.Call_MESSAGE: "framework_to_executor",
		scheduler.Call_REQUEST: "resource_request",
	}
	if call.Type == scheduler.Call_ACCEPT {
		names[call.Type] = "decline_offers"
		if len(call.Accept.Operations) > 0 {
			names[call.Type] = "launch_tasks"
		}
	}
	if name, ok := names[call.Type]; ok {
		c.count("messages_" + name)
	}
}

// shutdownExecutor ends a command executor, which is its task.
func (c *Cluster) shutdownExecutor(f *framework, call *scheduler.Call_Shutdown) {
	if t := f.tasks[call.ExecutorID.Value]; t != nil && t.agent.id == call.AgentID.Value {
		c.kill(f, &scheduler.Call_Kill{TaskID: t.TaskID, AgentID: &call.AgentID})
	}
}
