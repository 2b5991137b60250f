package master

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"github.com/mesoslab/lab/internal/labtest/bubble"
)

// world is a cluster to which random things happen. After every change the
// master's state is audited (no resource offered or used twice, books and
// tasks agree); the agent doubles object when a task runs twice.
type world struct {
	*rig
	rng    *rand.Rand
	agents []*agentDouble
	up     []bool
	scheds []*sched
	infos  []*mesos.FrameworkInfo
	open   []map[string]mesos.Offer // offers each scheduler believes to hold
	tasks  []map[string]bool        // live tasks as each scheduler knows them
	next   int
	// answers and volumes count the statuses of operators' reservations and
	// volumes, asked the inverse offers that were answered
	answers, volumes map[int]int
	asked            int
}

func TestRandomLife(t *testing.T) {
	seeds := 12
	if testing.Short() {
		seeds = 3
	}
	happened, answers, volumes, asked := map[string]float64{}, map[int]int{}, map[int]int{}, 0
	for seed := range seeds {
		compat := []string{"0.26", "1.3"}[seed%2]
		t.Run(fmt.Sprintf("%s/seed %d", compat, seed), func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.master(masterIP, nil, "--compat="+compat, "--agent_ping_timeout=1secs", "--max_agent_ping_timeouts=2", "--quiet", "--roles=web")
				w := &world{rig: r, rng: rand.New(rand.NewPCG(uint64(seed), 7)), answers: answers, volumes: volumes}
				for i := range 4 {
					w.agents = append(w.agents, r.agent(fmt.Sprintf("10.0.1.%d", i+1)))
					w.up = append(w.up, true)
				}
				for i := range 3 {
					w.subscribe(i)
				}
				if seed%3 == 0 {
					r.ask("POST", "/quota", quotaOf("web", 3), 200)
				}
				for range 250 {
					w.step()
					w.observe()
				}
				w.settle()
				asked += w.asked
				for name, n := range w.counters() {
					happened[name] += n
				}
			})
		})
	}
	// A test in which nothing happens finds nothing.
	if t.Logf("reservations: %v", answers); answers[200] == 0 || answers[202] == 0 || answers[409] == 0 {
		t.Errorf("reservations were answered %v", answers)
	}
	if t.Logf("volumes: %v, inverse offers answered: %d", volumes, asked); !testing.Short() && (volumes[202] == 0 || volumes[400] == 0 || asked == 0) {
		t.Errorf("volumes were answered %v, inverse offers %d times", volumes, asked)
	}
	for _, name := range []string{"messages_launch_tasks", "tasks_lost", "tasks_killed", "tasks_error", "slave_removals",
		"slave_reregistrations", "messages_decline_offers", "messages_reregister_framework"} {
		t.Logf("%s: %v", name, happened["master/"+name])
		if happened["master/"+name] < float64(seeds) {
			t.Errorf("%s happened %v times in %d lives", name, happened["master/"+name], seeds)
		}
	}
}

func (w *world) subscribe(i int) {
	info := framework(fmt.Sprintf("f%d", i))
	if i == 1 {
		info.Checkpoint = nil
	}
	if i == 2 {
		role := "web"
		info.Role = &role
		info.Capabilities = []mesos.FrameworkInfo_Capability{{Type: mesos.FrameworkInfo_Capability_PARTITION_AWARE}}
	}
	s := w.scheduler(info)
	if i == len(w.scheds) {
		w.scheds, w.infos = append(w.scheds, s), append(w.infos, info)
		w.open, w.tasks = append(w.open, map[string]mesos.Offer{}), append(w.tasks, map[string]bool{})
	} else {
		w.scheds[i], w.infos[i] = s, info
		w.open[i], w.tasks[i] = map[string]mesos.Offer{}, map[string]bool{}
	}
}

// step does one random thing.
func (w *world) step() {
	i := w.rng.IntN(len(w.scheds))
	s := w.scheds[i]
	switch n := w.rng.IntN(100); {
	case n < 30:
		w.launch(i)
	case n < 45:
		for id := range w.open[i] {
			delete(w.open[i], id)
			s.call(calls.Decline(mesos.OfferID{Value: id}).With(calls.RefuseSeconds(time.Duration(w.rng.IntN(4)) * time.Second)))
			break
		}
	case n < 57:
		for id := range w.tasks[i] {
			s.call(calls.Kill(id, ""))
			break
		}
	case n < 62:
		s.call(calls.Revive())
	case n < 64:
		s.call(calls.Suppress())
	case n < 67:
		s.call(calls.Reconcile())
	case n < 75:
		w.toggleAgent(w.rng.IntN(len(w.agents)))
	case n < 80:
		w.agents[w.rng.IntN(len(w.agents))].setMute(w.rng.IntN(2) == 0)
	case n < 83: // failover
		s2 := w.scheduler(again(s, w.infos[i]))
		<-s.done
		w.scheds[i], w.open[i] = s2, map[string]mesos.Offer{}
	case n < 85: // the scheduler comes back later
		s.stop()
		<-s.done
		time.Sleep(time.Duration(w.rng.IntN(3000)) * time.Millisecond)
		w.scheds[i], w.open[i] = w.scheduler(again(s, w.infos[i])), map[string]mesos.Offer{}
	case n < 87:
		s.call(&scheduler.Call{Type: scheduler.Call_TEARDOWN})
		<-s.done
		w.subscribe(i)
	case n < 90:
		w.reserve()
	case n < 93:
		w.volume()
	case n < 95:
		w.plan()
	default:
		time.Sleep(time.Duration(w.rng.IntN(1500)) * time.Millisecond)
	}
}

// reserve reserves something for the framework with a role, or takes that
// back: as an operator, or as the framework with what it holds.
func (w *world) reserve() {
	list := reserved("web", "", float64(w.rng.IntN(15))/10+0.1, 32*float64(1+w.rng.IntN(8)))
	back := w.rng.IntN(3) == 0
	if w.rng.IntN(2) == 0 {
		path := "/reserve"
		if back {
			path = "/unreserve"
		}
		resp, _ := w.do("POST", path, reserveForm(w.agents[w.rng.IntN(len(w.agents))].agentID(), list), nil)
		w.answers[resp.StatusCode]++
		return
	}
	op := opReserve(list)
	if back {
		op = opUnreserve(list)
	}
	for id, o := range w.open[2] {
		delete(w.open[2], id)
		t := task(fmt.Sprintf("f2-t%d", w.next), o.AgentID.Value, 0.1, 32)
		t.Resources = reserved("web", "", 0.1, 32)
		w.next++
		w.scheds[2].call(accept(o, op, calls.OpLaunch(t)))
		return
	}
}

// volume makes or destroys one of three volumes, and starts a task on it.
func (w *world) volume() {
	some := disk("web", "", 32)
	v := volumeOf(some, fmt.Sprintf("v%d", w.rng.IntN(3)), "data")
	create := w.rng.IntN(3) > 0
	if w.rng.IntN(3) == 0 {
		path, agent := "/destroy-volumes", w.agents[w.rng.IntN(len(w.agents))].agentID()
		if create {
			path = "/create-volumes"
			w.do("POST", "/reserve", reserveForm(agent, []mesos.Resource{some}), nil)
		}
		resp, _ := w.do("POST", path, volumeForm(agent, v), nil)
		w.volumes[resp.StatusCode]++
		return
	}
	for id, o := range w.open[2] {
		delete(w.open[2], id)
		if !create {
			w.scheds[2].call(accept(o, calls.OpDestroy(v)))
			return
		}
		t := task(fmt.Sprintf("f2-t%d", w.next), o.AgentID.Value, 0.1, 32)
		t.Resources = append(t.Resources, v)
		w.next++
		w.scheds[2].call(accept(o, calls.OpReserve(some), calls.OpCreate(v), calls.OpLaunch(t)))
		return
	}
}

// plan has some machines maintained, or none.
func (w *world) plan() {
	body := "{}"
	var machines []string
	for _, a := range w.agents {
		if w.rng.IntN(2) == 0 {
			machines = append(machines, fmt.Sprintf(`{"hostname":"agent-%[1]s","ip":"%[1]s"}`, a.ip))
		}
	}
	if len(machines) > 0 {
		body = schedule(time.Now().Add(time.Hour), machines...)
	}
	w.ask("POST", "/maintenance/schedule", body, 200)
}

// answer is a scheduler's to inverse offers.
func (w *world) answer(s *sched, list []mesos.InverseOffer) {
	for _, o := range list {
		call := calls.AcceptInverseOffers(o.OfferID)
		switch w.rng.IntN(3) {
		case 0:
			continue
		case 1:
			call = calls.DeclineInverseOffers(o.OfferID)
		}
		w.asked++
		s.call(call.With(calls.RefuseSeconds(time.Duration(w.rng.IntN(3)) * time.Second)))
	}
}

// launch accepts offers: sometimes two at once, sometimes gone ones,
// sometimes with more than there is.
func (w *world) launch(i int) {
	var offers []mesos.OfferID
	var agent string
	for id, o := range w.open[i] {
		delete(w.open[i], id)
		offers = append(offers, o.ID)
		agent = o.AgentID.Value
		if w.rng.IntN(4) > 0 {
			break
		}
	}
	if len(offers) == 0 {
		return
	}
	var infos []mesos.TaskInfo
	for range 1 + w.rng.IntN(3) {
		id := fmt.Sprintf("t%d", w.next)
		if w.rng.IntN(10) == 0 {
			id = fmt.Sprintf("t%d", w.rng.IntN(w.next+1)) // maybe live already
		} else {
			w.next++
		}
		infos = append(infos, task(fmt.Sprintf("f%d-%s", i, id), agent, float64(w.rng.IntN(25))/10, 32*float64(1+w.rng.IntN(10))))
	}
	w.scheds[i].call(calls.Accept(calls.OfferOperations{calls.OpLaunch(infos...)}.WithOffers(offers...)).
		With(calls.RefuseSeconds(time.Duration(w.rng.IntN(3)) * time.Second)))
}

func (w *world) toggleAgent(i int) {
	a := w.agents[i]
	if w.up[i] {
		w.up[i] = false
		a.die()
		return
	}
	w.up[i] = true
	a.connect(masterAddr)
	synctest.Wait()
	if a.mu.Lock(); a.shutdown != "" { // 0.26 does not take it back: a new one
		a.mu.Unlock()
		a.die()
		w.agents[i] = newAgentDouble(w.rig, a.ip)
		w.agents[i].connect(masterAddr)
		synctest.Wait()
		return
	}
	a.mu.Unlock()
}

// observe follows events and notices agents that were removed while up.
func (w *world) observe() {
	for i, s := range w.scheds {
		for _, e := range s.new() {
			switch e.Type {
			case scheduler.Event_OFFERS:
				for _, o := range e.Offers.Offers {
					w.open[i][o.ID.Value] = o
				}
			case scheduler.Event_INVERSE_OFFERS:
				w.answer(s, e.InverseOffers.InverseOffers)
			case scheduler.Event_RESCIND:
				delete(w.open[i], e.Rescind.OfferID.Value)
			case scheduler.Event_UPDATE:
				st := e.Update.Status
				w.tasks[i][st.TaskID.Value] = *st.State == mesos.TASK_RUNNING
				if *st.State != mesos.TASK_RUNNING {
					delete(w.tasks[i], st.TaskID.Value)
				}
			}
		}
	}
	for i, a := range w.agents {
		a.mu.Lock()
		closed := a.closed
		a.mu.Unlock()
		if closed && w.up[i] {
			a.die()
			w.up[i] = false
		}
	}
}

// settle lets everything come back and compares what the master says with
// what runs.
func (w *world) settle() {
	for i, a := range w.agents {
		a.setMute(false)
		if !w.up[i] {
			w.toggleAgent(i)
		}
	}
	time.Sleep(10 * time.Second)
	w.observe()
	for i := range w.agents {
		if !w.up[i] {
			w.toggleAgent(i)
		}
	}
	time.Sleep(10 * time.Second)
	synctest.Wait()
	master, agents := map[string]bool{}, map[string]bool{}
	for _, f := range w.state().Frameworks {
		for _, t := range f.Tasks {
			master[t.ID] = true
		}
	}
	for _, a := range w.agents {
		a.mu.Lock()
		for id, t := range a.tasks {
			if *t.State == mesos.TASK_RUNNING {
				agents[id] = true
			}
		}
		a.mu.Unlock()
	}
	for id := range agents {
		if !master[id] {
			w.t.Errorf("task %s runs, and the master does not know", id)
		}
	}
	for id := range master {
		if !agents[id] {
			w.t.Errorf("the master says that task %s runs, and it does not", id)
		}
	}
}

// counters returns what happened in this life.
func (w *world) counters() map[string]float64 {
	_, body := w.get(masterAddr, "/metrics/snapshot")
	var m map[string]float64
	if err := json.Unmarshal(body, &m); err != nil {
		w.t.Fatal(err)
	}
	return m
}
