package cluster

import (
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

// HeartbeatInterval is how often a stream gets a HEARTBEAT. The cluster sends
// the first one, right after SUBSCRIBED; whoever writes the stream sends the
// others.
const HeartbeatInterval = 15 * time.Second

func (c *Cluster) subscribedEvent(id string) *scheduler.Event {
	return &scheduler.Event{
		Type: scheduler.Event_SUBSCRIBED,
		Subscribed: &scheduler.Event_Subscribed{
			FrameworkID:              &mesos.FrameworkID{Value: id},
			HeartbeatIntervalSeconds: ptr(HeartbeatInterval.Seconds()),
			MasterInfo:               &c.o.Master,
		},
	}
}

func errorEvent(message string) *scheduler.Event {
	return &scheduler.Event{Type: scheduler.Event_ERROR, Error: &scheduler.Event_Error{Message: message}}
}

func failureEvent(agent string) *scheduler.Event {
	return &scheduler.Event{
		Type:    scheduler.Event_FAILURE,
		Failure: &scheduler.Event_Failure{AgentID: &mesos.AgentID{Value: agent}},
	}
}

func updateEvent(s mesos.TaskStatus) *scheduler.Event {
	return &scheduler.Event{Type: scheduler.Event_UPDATE, Update: &scheduler.Event_Update{Status: s}}
}

// masterStatus is a status that the master itself makes: it has no UUID and
// must not be acknowledged.
func (c *Cluster) masterStatus(id mesos.TaskID, agent *mesos.AgentID, state mesos.TaskState, reason mesos.TaskStatus_Reason, message string) mesos.TaskStatus {
	return mesos.TaskStatus{
		TaskID: id, AgentID: agent, State: &state, Reason: &reason, Message: &message,
		Source: mesos.SOURCE_MASTER.Enum(), Timestamp: ptr(seconds(time.Now())),
	}
}
