package scheduler

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

// TwinServer is a Twin behind the v1 scheduler API, protobuf only.
type TwinServer struct {
	*Twin
	// Elsewhere is where calls are redirected to (a Location) while it is
	// not empty, as a master that does not lead does.
	Elsewhere func() string
	// Mute stops heartbeats while it is true.
	Mute func() bool

	mu     sync.Mutex
	stream string
}

// ServeHTTP takes SUBSCRIBE and all other calls.
func (s *TwinServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.Elsewhere != nil && s.Elsewhere() != "" {
		w.Header().Set("Location", s.Elsewhere())
		w.WriteHeader(http.StatusTemporaryRedirect)
		return
	}
	body, err := io.ReadAll(r.Body)
	var call Call
	if err == nil {
		err = call.Unmarshal(body)
	}
	if err != nil || !strings.HasSuffix(r.URL.Path, apiPath) || r.Header.Get("Content-Type") != mediaType {
		http.Error(w, fmt.Sprintf("Failed to parse body into Call protobuf: %v", err), http.StatusBadRequest)
		return
	}
	if call.Type == scheduler.Call_SUBSCRIBE {
		s.subscribe(w, r, &call)
		return
	}
	s.mu.Lock()
	known := s.stream != "" && s.stream == r.Header.Get(streamID)
	s.mu.Unlock()
	if !known {
		http.Error(w, "The stream ID does not match", http.StatusBadRequest)
		return
	}
	s.Send(&call)
	w.WriteHeader(http.StatusAccepted)
}

func (s *TwinServer) subscribe(w http.ResponseWriter, r *http.Request, call *Call) {
	id := uuid.NewString()
	s.mu.Lock()
	s.stream = id
	s.mu.Unlock()
	s.Twin.mu.Lock()
	s.calls = append(s.calls, call)
	if f := call.FrameworkID; f != nil {
		s.framework = f.Value
	}
	s.Twin.mu.Unlock()
	w.Header().Set(streamID, id)
	w.Header().Set("Content-Type", mediaType)
	w.WriteHeader(http.StatusOK)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	out := &recorder{w: w, flush: http.NewResponseController(w), fail: cancel}
	tick := time.NewTicker(defaultHeartbeat)
	defer tick.Stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if s.Mute == nil || !s.Mute() {
					out.send(&scheduler.Event{Type: scheduler.Event_HEARTBEAT})
				}
			}
		}
	})
	s.Attach(ctx, out)
	cancel()
}

// recorder is a Handler that writes what it is told to a stream.
type recorder struct {
	mu    sync.Mutex
	w     io.Writer
	flush *http.ResponseController
	fail  func()
}

var _ Handler = (*recorder)(nil)

func (r *recorder) send(e *scheduler.Event) {
	b, err := e.Marshal()
	if err != nil {
		panic(err) // our own event
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := fmt.Fprintf(r.w, "%d\n%s", len(b), b); err != nil {
		r.fail()
		return
	}
	if r.flush.Flush() != nil {
		r.fail()
	}
}

func (r *recorder) Subscribed(_ context.Context, id, _ string) {
	beat := defaultHeartbeat.Seconds()
	r.send(&scheduler.Event{Type: scheduler.Event_SUBSCRIBED, Subscribed: &scheduler.Event_Subscribed{
		FrameworkID: &mesos.FrameworkID{Value: id}, HeartbeatIntervalSeconds: &beat}})
}

func (r *recorder) Disconnected() {}

func (r *recorder) Offers(o []mesos.Offer) {
	r.send(&scheduler.Event{Type: scheduler.Event_OFFERS, Offers: &scheduler.Event_Offers{Offers: o}})
}

func (r *recorder) Rescinded(id mesos.OfferID) {
	r.send(&scheduler.Event{Type: scheduler.Event_RESCIND, Rescind: &scheduler.Event_Rescind{OfferID: id}})
}

func (r *recorder) Update(_ context.Context, s mesos.TaskStatus) {
	r.send(&scheduler.Event{Type: scheduler.Event_UPDATE, Update: &scheduler.Event_Update{Status: s}})
}

func (r *recorder) Message(agent mesos.AgentID, executor mesos.ExecutorID, data []byte) {
	r.send(&scheduler.Event{Type: scheduler.Event_MESSAGE, Message: &scheduler.Event_Message{AgentID: agent, ExecutorID: executor, Data: data}})
}

func (r *recorder) AgentLost(id mesos.AgentID) {
	r.send(&scheduler.Event{Type: scheduler.Event_FAILURE, Failure: &scheduler.Event_Failure{AgentID: &id}})
}

func (r *recorder) Undelivered(*Call) {}

func (r *recorder) Fatal(message string) {
	r.send(&scheduler.Event{Type: scheduler.Event_ERROR, Error: &scheduler.Event_Error{Message: message}})
}

// Refuse plays an ERROR event.
func (m *Twin) Refuse(message string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tell(func(h Handler) { h.Fatal(message) })
}
