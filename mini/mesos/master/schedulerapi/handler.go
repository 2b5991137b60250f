// Package schedulerapi serves the v1 scheduler API of Mesos
// (POST /api/v1/scheduler) on top of a cluster.
//
// Nouns. A call is one POST: SUBSCRIBE answers 200 and a stream of events
// that stays open, every other call 202 and nothing. How calls are read and
// streams written is package v1call's.
//
// Status codes, texts and the order of the checks are those measured on
// Mesos 1.3.2 (contracts section 7): Mesos-Stream-Id is sent with SUBSCRIBED
// and required on all other calls.
//
// What a call does is decided in package cluster; who leads is asked before
// a request comes here. A stream that takes nothing for a minute is closed.
package schedulerapi

import (
	"errors"
	"net/http"

	"github.com/google/uuid"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/mesoslab/lab/mini/mesos/master/cluster"
	"github.com/mesoslab/lab/mini/mesos/master/outbox"
	"github.com/mesoslab/lab/mini/mesos/v1call"
)

const (
	streamHeader = "Mesos-Stream-Id"
	maxBehind    = 10000 // events that wait for a slow scheduler

	newest = scheduler.Call_DECLINE_INVERSE_OFFERS // the last call that 1.3.2 knows
)

// Serve answers one request on behalf of c. It returns when the request is
// done: for SUBSCRIBE, when the stream ends.
func Serve(w http.ResponseWriter, r *http.Request, c *cluster.Cluster) {
	v1call.Refuse(w, serve(w, r, c))
}

func serve(w http.ResponseWriter, r *http.Request, c *cluster.Cluster) error {
	call := new(scheduler.Call)
	if err := v1call.Read(w, r, call); err != nil {
		return err
	}
	if err := validate(call); err != nil {
		return err
	}
	if call.Type == scheduler.Call_SUBSCRIBE {
		return subscribe(w, r, c, call)
	}
	if err := c.Call(call, r.Header.Get(streamHeader)); err != nil {
		if errors.Is(err, cluster.ErrNotSubscribed) {
			return &v1call.Error{Status: http.StatusForbidden, Text: err.Error()}
		}
		return v1call.BadRequest("%v", err)
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// validate checks that the parts are there that a call's type needs.
func validate(call *scheduler.Call) error {
	bad := func(format string, args ...any) error {
		return v1call.BadRequest("Failed to validate scheduler::Call: "+format, args...)
	}
	expect := func(present bool, name string) error {
		if !present {
			return bad("Expecting '%s' to be present", name)
		}
		return nil
	}
	if call.Type > newest && scheduler.Call_Type_name[int32(call.Type)] != "" {
		return v1call.BadRequest("Failed to convert JSON into Call protobuf: Failed to find enum for '%s'", call.Type)
	}
	if call.Type <= scheduler.Call_UNKNOWN || call.Type > newest {
		return bad("Expecting 'type' to be present")
	}
	if call.Type == scheduler.Call_SUBSCRIBE {
		if call.Subscribe == nil || call.Subscribe.FrameworkInfo == nil {
			return bad("Expecting 'subscribe' to be present")
		}
		if call.Subscribe.FrameworkInfo.GetID().GetValue() != call.GetFrameworkID().GetValue() {
			return bad("'framework_id' differs from 'subscribe.framework_info.id'")
		}
		return nil
	}
	if call.FrameworkID == nil {
		return bad("Expecting 'framework_id' to be present")
	}
	switch call.Type {
	case scheduler.Call_ACCEPT:
		return expect(call.Accept != nil, "accept")
	case scheduler.Call_DECLINE:
		return expect(call.Decline != nil, "decline")
	case scheduler.Call_KILL:
		return expect(call.Kill != nil, "kill")
	case scheduler.Call_SHUTDOWN:
		return expect(call.Shutdown != nil, "shutdown")
	case scheduler.Call_ACKNOWLEDGE:
		return expect(call.Acknowledge != nil, "acknowledge")
	case scheduler.Call_RECONCILE:
		return expect(call.Reconcile != nil, "reconcile")
	case scheduler.Call_MESSAGE:
		return expect(call.Message != nil, "message")
	case scheduler.Call_REQUEST:
		return expect(call.Request != nil, "request")
	case scheduler.Call_ACCEPT_INVERSE_OFFERS:
		return expect(call.AcceptInverseOffers != nil, "accept_inverse_offers")
	case scheduler.Call_DECLINE_INVERSE_OFFERS:
		return expect(call.DeclineInverseOffers != nil, "decline_inverse_offers")
	}
	return nil
}

// stream hands a scheduler's events from the cluster to the one goroutine
// that writes them.
type stream struct {
	*outbox.Queue[v1call.Message]
	old bool // as 0.26 has them
}

func (s stream) Send(e *scheduler.Event) {
	if s.old && e.Type == scheduler.Event_INVERSE_OFFERS {
		s.Push(inverse026(e.InverseOffers))
		return
	}
	s.Push(e)
}

func subscribe(w http.ResponseWriter, r *http.Request, c *cluster.Cluster, call *scheduler.Call) error {
	media, err := v1call.Accepted(r)
	if err != nil {
		return err
	}
	if r.Header.Get(streamHeader) != "" {
		return v1call.BadRequest("Subscribe calls should not include the 'Mesos-Stream-Id' header")
	}
	s := &stream{outbox.New[v1call.Message](maxBehind), c.Generation() == cluster.V026}
	id := uuid.NewString()
	c.Subscribe(*call.Subscribe.FrameworkInfo, call.Subscribe.SuppressedRoles, s, id)
	defer c.StreamClosed(s)
	w.Header().Set(streamHeader, id)
	return v1call.Pump(r.Context(), w, s.Queue, media, v1call.Heartbeat[v1call.Message]{
		Interval: cluster.HeartbeatInterval, Event: &scheduler.Event{Type: scheduler.Event_HEARTBEAT},
	})
}
