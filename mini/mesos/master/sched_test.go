package master

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing/synctest"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/encoding/codecs"
	"github.com/mesos/mesos-go/api/v1/lib/httpcli"
	"github.com/mesos/mesos-go/api/v1/lib/httpcli/httpsched"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"github.com/mesoslab/lab/mini/mesos/master/resource"
)

// sched is a scheduler that uses mesos-go's client.
type sched struct {
	r      *rig
	caller calls.Caller
	stop   func()
	done   chan struct{}

	mu     sync.Mutex
	id     string
	events []*scheduler.Event
	seen   int
	ack    bool
}

func framework(name string) *mesos.FrameworkInfo {
	checkpoint, timeout := true, 3600.0
	return &mesos.FrameworkInfo{User: "root", Name: name, Checkpoint: &checkpoint, FailoverTimeout: &timeout}
}

// scheduler subscribes; events are collected and updates acknowledged.
func (r *rig) scheduler(info *mesos.FrameworkInfo) *sched {
	return r.schedulerWith(info, codecs.ByMediaType[codecs.MediaTypeJSON].Type.ContentType(), masterAddr)
}

func (r *rig) schedulerAt(addr string, info *mesos.FrameworkInfo) *sched {
	r.t.Helper()
	return r.schedulerWith(info, codecs.MediaTypeJSON.ContentType(), addr)
}

func (r *rig) schedulerWith(info *mesos.FrameworkInfo, media, addr string) *sched {
	r.t.Helper()
	codec := codecs.ByMediaType[codecs.MediaTypeJSON]
	if media == codecs.MediaTypeProtobuf.ContentType() {
		codec = codecs.ByMediaType[codecs.MediaTypeProtobuf]
	}
	h := r.net.Host("10.0.9.1")
	transport := &http.Transport{DialContext: h.Dial}
	r.t.Cleanup(transport.CloseIdleConnections)
	s := &sched{r: r, ack: true, done: make(chan struct{}), caller: httpsched.NewCaller(httpcli.New(
		httpcli.Endpoint("http://"+addr+"/api/v1/scheduler"), httpcli.Codec(codec),
		httpcli.Do(httpcli.With(httpcli.RoundTripper(transport)))))}
	r.scheds = append(r.scheds, s)
	ctx, cancel := context.WithCancel(r.ctx)
	s.stop = cancel
	call := calls.Subscribe(info)
	if info.ID != nil {
		call = call.With(calls.SubscribeTo(info.ID.Value))
	}
	resp, err := s.caller.Call(ctx, call)
	if err != nil {
		r.t.Fatalf("subscribe: %v", err)
	}
	go func() {
		defer close(s.done)
		defer resp.Close()
		for {
			e := new(scheduler.Event)
			if err := resp.Decode(e); err != nil {
				return
			}
			s.take(ctx, e)
		}
	}()
	synctest.Wait()
	return s
}

func (s *sched) take(ctx context.Context, e *scheduler.Event) {
	s.mu.Lock()
	s.events = append(s.events, e)
	if e.Type == scheduler.Event_SUBSCRIBED {
		s.id = e.Subscribed.FrameworkID.Value
	}
	ack := s.ack
	s.mu.Unlock()
	if st := e.GetUpdate().GetStatus(); ack && e.Type == scheduler.Event_UPDATE && len(st.UUID) > 0 {
		go s.call(calls.Acknowledge(st.AgentID.Value, st.TaskID.Value, st.UUID))
	}
}

func (s *sched) call(c *scheduler.Call) {
	resp, err := s.caller.Call(s.r.ctx, c.With(calls.Framework(s.id)))
	if err != nil && s.r.ctx.Err() == nil {
		s.r.t.Errorf("%v: %v", c.Type, err)
	}
	if resp != nil {
		resp.Close()
	}
}

// new returns the events since the last call of new.
func (s *sched) new() []*scheduler.Event {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.events[s.seen:]
	s.seen = len(s.events)
	return list
}

// offers returns the offers among the new events, by agent id.
func (s *sched) offers() map[string]mesos.Offer {
	m := map[string]mesos.Offer{}
	for _, e := range s.new() {
		for _, o := range e.GetOffers().GetOffers() {
			m[o.AgentID.Value] = o
		}
	}
	return m
}

// brief prints events in one line each, for comparison.
func brief(events []*scheduler.Event) []string {
	var list []string
	for _, e := range events {
		s := e.Type.String()
		switch e.Type {
		case scheduler.Event_UPDATE:
			st := e.Update.Status
			s = fmt.Sprintf("%s %s", st.TaskID.Value, st.State)
			if st.Reason != nil {
				s += fmt.Sprintf(" %s %q", st.Reason, st.GetMessage())
			}
		case scheduler.Event_OFFERS:
			s = fmt.Sprintf("OFFERS %d", len(e.Offers.Offers))
		case scheduler.Event_INVERSE_OFFERS:
			s = fmt.Sprintf("INVERSE_OFFERS %d", len(e.InverseOffers.InverseOffers))
		case scheduler.Event_ERROR:
			s = "ERROR " + e.Error.Message
		}
		list = append(list, s)
	}
	return list
}

func task(id, agent string, cpus, mem float64) mesos.TaskInfo {
	shell, value := true, "sleep 1000"
	return mesos.TaskInfo{Name: "n-" + id, TaskID: mesos.TaskID{Value: id}, AgentID: mesos.AgentID{Value: agent},
		Resources: resource.CPUMem(cpus, mem).Proto(""), Command: &mesos.CommandInfo{Shell: &shell, Value: &value}}
}

func launch(offer mesos.Offer, refuse time.Duration, tasks ...mesos.TaskInfo) *scheduler.Call {
	return calls.Accept(calls.OfferOperations{calls.OpLaunch(tasks...)}.WithOffers(offer.ID)).With(calls.RefuseSeconds(refuse))
}
