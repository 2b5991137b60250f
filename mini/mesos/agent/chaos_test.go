package agent

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/mini/mesos/agent/updates"
	"github.com/mesoslab/lab/mini/mesos/wire"
)

// book is what a scheduler that sees everything would know.
type book struct {
	t        *testing.T
	m        *fakeMaster
	w        *world
	rng      *rand.Rand
	launched []string
	state    map[string]mesos.TaskState
	seen     map[string]bool // UUIDs
}

// drain acknowledges most of what came, and checks that no task comes back
// from its end, and that no update left before it was on the disk. The agent
// must be idle.
func (b *book) drain(ackAll bool) {
	var came []mesos.TaskStatus
	for more := true; more; {
		select {
		case msg := <-b.m.in:
			if u, ok := msg.(*wire.StatusUpdate); ok {
				came = append(came, u.Status.V)
				b.note(u.Status.V)
			}
		default:
			more = false
		}
	}
	for _, s := range came {
		if ackAll || b.rng.IntN(4) > 0 {
			b.m.mu.Lock()
			c := b.m.conn
			b.m.mu.Unlock()
			// It may be closed by now; then the update comes again.
			_ = c.Send(b.t.Context(), &wire.Ack{FrameworkID: "fw-0", TaskID: s.TaskID.Value, UUID: s.UUID})
		}
	}
}

func (b *book) note(s mesos.TaskStatus) {
	if b.seen[string(s.UUID)] {
		return
	}
	b.seen[string(s.UUID)] = true
	id := s.TaskID.Value
	if updates.Terminal(b.state[id]) {
		b.t.Errorf("task %s went from %s to %s", id, b.state[id], s.GetState())
	}
	b.state[id] = s.GetState()
	// TASK_LOST is also what an agent answers of tasks that it does not know.
	if s.GetState() != mesos.TASK_LOST && !b.w.onDisk(id, s.UUID) {
		b.t.Errorf("%s of task %s left before it was on the disk", s.GetState(), id)
	}
}

// Whatever happens in whatever order: a task that was launched once is
// started at most once, ends once, and nothing runs that nobody knows.
func TestChaos(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) { chaos(t, w, seed, func(bool) {}) })
		})
	}
}

// chaos plays it; disk is told when the disk may go wrong, and when no more.
func chaos(t *testing.T, w *world, seed uint64, disk func(bool)) {
	rng := rand.New(rand.NewPCG(seed, 0))
	w.engine.Publish("slow:1", 2*time.Second)
	m, p := registered(w)
	b := &book{t: t, m: m, w: w, rng: rng, state: map[string]mesos.TaskState{}, seen: map[string]bool{}}
	containers := map[string]string{} // of tasks
	disk(true)
	for range 60 {
		step(b, w, &p)
		p = p.revived(w)
		time.Sleep(time.Duration(rng.IntN(3000)) * time.Millisecond)
		synctest.Wait()
		b.drain(false)
		for _, name := range w.engine.Started() {
			if s, ok := w.engine.SpecOf(name); ok {
				id := s.Labels["MESOS_TASK_ID"]
				if containers[id] != "" && containers[id] != name {
					t.Errorf("task %s ran in %s and in %s", id, containers[id], name)
				}
				containers[id] = name
			}
		}
	}
	// Peace: everything is acknowledged, then everything is killed.
	disk(false)
	time.Sleep(5 * time.Second) // a write under way, of up to 4 s, may fail yet
	synctest.Wait()
	p = p.revived(w)
	w.engine.SetDown(nil)
	settle := func() {
		for range 20 {
			time.Sleep(time.Minute)
			synctest.Wait()
			b.drain(true)
		}
	}
	settle()
	running := slices.DeleteFunc(slices.Sorted(maps.Keys(b.state)), func(id string) bool { return updates.Terminal(b.state[id]) })
	if got := len(w.engine.Running()); got != len(running) {
		t.Errorf("%d containers run (%v), the scheduler knows of %v", got, w.engine.Running(), running)
	}
	for _, id := range b.launched {
		if _, known := b.state[id]; known {
			continue
		}
		// The order was lost with its connection; a master would ask.
		m.send(&wire.Reconcile{Tasks: []wire.TaskRef{{FrameworkID: "fw-0", TaskID: id}}})
	}
	for _, id := range running {
		m.send(&wire.KillTask{FrameworkID: "fw-0", TaskID: id})
	}
	settle()
	for _, id := range b.launched {
		if !updates.Terminal(b.state[id]) {
			t.Errorf("task %s ends as %s", id, b.state[id])
		}
	}
	if n := len(w.engine.Running()); n != 0 {
		t.Errorf("%v run on", w.engine.Running())
	}
	if s := w.state(); len(s["frameworks"].([]any)) != 0 {
		t.Errorf("frameworks %v", s["frameworks"])
	}
}

// revived is the run after one that has ended, as a service starts it.
func (p *agentRun) revived(w *world) *agentRun {
	synctest.Wait()
	select {
	case <-p.over:
		return w.start()
	default:
		return p
	}
}

// step does one thing at random.
func step(b *book, w *world, p **agentRun) {
	send := func(msg wire.Message) {
		b.m.mu.Lock()
		c := b.m.conn
		b.m.mu.Unlock()
		_ = c.Send(b.t.Context(), msg) // a closed connection loses orders, as it may
	}
	// A master passes on no kill for a task whose end is acknowledged.
	alive := slices.DeleteFunc(slices.Clone(b.launched), func(id string) bool { return updates.Terminal(b.state[id]) })
	switch b.rng.IntN(10) {
	case 0, 1, 2:
		id := fmt.Sprintf("t%d", len(b.launched))
		b.launched = append(b.launched, id)
		task := dockerTask(id0, id)
		if b.rng.IntN(3) == 0 {
			task.Container.Docker.Image = "slow:1"
			task.Container.Docker.ForcePullImage = ptr(true)
		}
		order := &wire.RunTask{Framework: wire.Of(framework1()), Task: wire.Of(task)}
		send(order)
		if b.rng.IntN(3) == 0 {
			send(order)
		}
	case 3, 4:
		if len(alive) > 0 {
			send(&wire.KillTask{FrameworkID: "fw-0", TaskID: alive[b.rng.IntN(len(alive))]})
		}
	case 5:
		if names := w.engine.Running(); len(names) > 0 {
			w.engine.Exit(names[b.rng.IntN(len(names))], b.rng.IntN(3))
		}
	case 6:
		b.m.drop()
	case 7, 8:
		(*p).stop()
		<-(*p).over
		*p = w.start()
	case 9:
		w.engine.SetDown(errors.New("the engine restarts"))
		time.Sleep(time.Duration(b.rng.IntN(10)) * time.Second)
		w.engine.SetDown(nil)
	}
	if strings.Contains(w.out.text(), "terminating") {
		b.t.Fatal("the agent left")
	}
}
