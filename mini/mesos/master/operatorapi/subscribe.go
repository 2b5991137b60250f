package operatorapi

import (
	"net/http"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/master"

	"github.com/mesoslab/lab/mini/mesos/master/cluster"
	"github.com/mesoslab/lab/mini/mesos/master/outbox"
	"github.com/mesoslab/lab/mini/mesos/v1call"
)

// maxBehind is how many events may wait for a slow subscriber.
const maxBehind = 10000

// observer turns changes into events and hands them to the one goroutine that
// writes them.
type observer struct {
	*outbox.Queue[*master.Event]
}

func (o observer) Changed(c cluster.Change) {
	if e := event(c); e != nil {
		o.Push(e)
	}
}

func event(c cluster.Change) *master.Event {
	switch {
	case c.AgentAdded != nil:
		return &master.Event{Type: master.Event_AGENT_ADDED, AgentAdded: &master.Event_AgentAdded{Agent: agent(*c.AgentAdded)}}
	case c.AgentRemoved != "":
		return &master.Event{Type: master.Event_AGENT_REMOVED,
			AgentRemoved: &master.Event_AgentRemoved{AgentID: mesos.AgentID{Value: c.AgentRemoved}}}
	case c.TaskAdded != nil:
		return &master.Event{Type: master.Event_TASK_ADDED, TaskAdded: &master.Event_TaskAdded{Task: task(*c.TaskAdded)}}
	case c.TaskUpdated != nil:
		u := c.TaskUpdated
		return &master.Event{Type: master.Event_TASK_UPDATED, TaskUpdated: &master.Event_TaskUpdated{
			FrameworkID: mesos.FrameworkID{Value: u.FrameworkID}, Status: u.Status, State: &u.State}}
	}
	return nil
}

func (a API) subscribe(w http.ResponseWriter, r *http.Request, media string) error {
	o := &observer{outbox.New[*master.Event](maxBehind)}
	a.Cluster.Observe(o, func(s cluster.Snapshot) {
		o.Push(&master.Event{Type: master.Event_SUBSCRIBED, Subscribed: &master.Event_Subscribed{GetState: state(s)}})
	})
	defer a.Cluster.Unobserve(o)
	return v1call.Pump(r.Context(), w, o.Queue, media, v1call.Heartbeat[*master.Event]{})
}
