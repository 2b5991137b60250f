package master

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/encoding/codecs"
	"github.com/mesos/mesos-go/api/v1/lib/httpcli"
	"github.com/mesos/mesos-go/api/v1/lib/httpcli/httpsched"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"
)

// simSched is a framework that wants some tasks to run: it launches what is
// missing, acknowledges what it hears, and subscribes again under its id when
// its stream ends or no heartbeat comes.
type simSched struct {
	m    *model
	ip   string
	info mesos.FrameworkInfo
	want int

	mu    sync.Mutex
	rng   *rand.Rand
	tasks map[string]mesos.TaskState // as it heard last; ended ones are gone
	next  int
	bad   string // an ERROR event
}

func (s *simSched) live(ctx context.Context) {
	for ctx.Err() == nil {
		if leader := s.m.leaderAddr(ctx); leader != "" {
			s.session(ctx, leader)
		}
		s.m.pause(ctx, time.Second)
	}
}

// session is one subscription.
func (s *simSched) session(ctx context.Context, leader string) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	transport := &http.Transport{DialContext: s.m.net.Host(s.ip).Dial}
	defer transport.CloseIdleConnections()
	caller := httpsched.NewCaller(httpcli.New(
		httpcli.Endpoint("http://"+leader+"/api/v1/scheduler"), httpcli.Codec(codecs.ByMediaType[codecs.MediaTypeProtobuf]),
		httpcli.Do(httpcli.With(httpcli.RoundTripper(transport)))))
	s.mu.Lock()
	info := s.info
	s.mu.Unlock()
	call := calls.Subscribe(&info)
	if info.ID != nil {
		call = call.With(calls.SubscribeTo(info.ID.Value))
	}
	silent := time.AfterFunc(40*time.Second, cancel) // heartbeats come every 15 s
	defer silent.Stop()
	resp, err := caller.Call(ctx, call)
	if err != nil || resp == nil {
		return
	}
	defer resp.Close()
	stop := context.AfterFunc(ctx, func() { resp.Close() })
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	send := func(c *scheduler.Call) {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			if resp, err := caller.Call(ctx, c); err == nil && resp != nil {
				resp.Close()
			}
		})
	}
	wg.Go(func() {
		for s.m.pause(ctx, 20*time.Second) {
			for _, c := range s.periodic() {
				send(c)
			}
		}
	})
	for {
		e := new(scheduler.Event)
		if resp.Decode(e) != nil {
			return
		}
		silent.Reset(40 * time.Second)
		for _, c := range s.react(e) {
			send(c)
		}
	}
}

// react takes note of an event and returns the calls that follow.
func (s *simSched) react(e *scheduler.Event) []*scheduler.Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := func() scheduler.CallOpt { return calls.Framework(s.info.ID.Value) }
	switch e.Type {
	case scheduler.Event_SUBSCRIBED:
		s.info.ID = e.Subscribed.FrameworkID
		return []*scheduler.Call{calls.Reconcile(calls.ReconcileTasks(s.known())).With(id())}
	case scheduler.Event_OFFERS:
		var list []*scheduler.Call
		for _, o := range e.Offers.Offers {
			list = append(list, s.answer(o).With(id()))
		}
		return list
	case scheduler.Event_UPDATE:
		st := e.Update.Status
		s.hear(st)
		s.m.lost(st)
		if len(st.UUID) > 0 {
			s.m.heard(st.UUID)
			return []*scheduler.Call{calls.Acknowledge(st.AgentID.Value, st.TaskID.Value, st.UUID).With(id())}
		}
	case scheduler.Event_ERROR:
		s.bad = e.Error.Message
	}
	return nil
}

// periodic reconciles in both ways, as every scheduler must now and then: what
// a master says of a lost task is said once. What is too much is killed.
func (s *simSched) periodic() []*scheduler.Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.info.ID == nil {
		return nil
	}
	id := calls.Framework(s.info.ID.Value)
	list := []*scheduler.Call{calls.Reconcile(calls.ReconcileTasks(s.known())).With(id), calls.Reconcile().With(id)}
	if len(s.known()) == 0 { // would ask for all
		list = list[1:]
	}
	more := len(s.tasks) - s.want
	for _, task := range slices.Sorted(maps.Keys(s.tasks)) {
		if more > 0 {
			list = append(list, calls.Kill(task, "").With(id))
			more--
		}
	}
	return list
}

func (s *simSched) known() map[string]string {
	m := map[string]string{}
	for id := range s.tasks {
		m[id] = ""
	}
	return m
}

// hear follows a task; one that has ended, or is lost as far as anybody
// knows, will be replaced.
func (s *simSched) hear(st mesos.TaskStatus) {
	switch *st.State {
	case mesos.TASK_STAGING, mesos.TASK_STARTING, mesos.TASK_RUNNING:
		s.tasks[st.TaskID.Value] = *st.State
	default:
		delete(s.tasks, st.TaskID.Value)
	}
}

// answer launches what is missing, or declines.
func (s *simSched) answer(o mesos.Offer) *scheduler.Call {
	if len(s.tasks) >= s.want {
		return calls.Decline(o.ID).With(calls.RefuseSeconds(2 * time.Second))
	}
	t := task(fmt.Sprintf("%s-%d", s.info.Name, s.next), o.AgentID.Value, 0.5, 64)
	s.next++
	s.tasks[t.TaskID.Value] = mesos.TASK_STAGING
	return launch(o, time.Second, t)
}
