package agent

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/mini/mesos/agent/meta"
	"github.com/mesoslab/lab/mini/mesos/wire"
)

// TestChaosOnASlowDisk is TestChaos on a disk on which a write in two takes up
// to four seconds, and for one in forty there is no room: that ends the
// agent, as the real one, and the next run knows nothing of it.
func TestChaosOnASlowDisk(t *testing.T) {
	seeds := uint64(12)
	if testing.Short() {
		seeds = 3
	}
	var waited, refused int
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				rng, disk := rand.New(rand.NewPCG(seed, 1)), &labtest.SlowDisk{}
				w.before = disk.Before
				chaos(t, w, seed, func(on bool) {
					if !on {
						disk.Set(nil, nil)
						return
					}
					disk.Set(func() time.Duration { return max(0, time.Duration(rng.IntN(8000)-4000)*time.Millisecond) },
						func() bool { return rng.IntN(40) == 0 })
				})
				waited, refused = waited+disk.Count().Waited, refused+disk.Count().Refused
			})
		})
	}
	t.Logf("%d writes took time, for %d there was no room", waited, refused)
	if !testing.Short() && (waited < 200 || refused < 5) {
		t.Error("the disk was too good")
	}
}

// onDisk says whether the agent would remember an update of a task after a
// crash.
func (w *world) onDisk(id string, uuid []byte) bool {
	w.t.Helper()
	st, err := meta.NewStore(w.memory).Load()
	if err != nil || st == nil {
		w.t.Errorf("what is on the disk: %v, %v", st, err)
		return false
	}
	return slices.ContainsFunc(st.Tasks, func(t meta.Task) bool {
		return t.Info.V.TaskID.Value == id &&
			slices.ContainsFunc(t.Pending, func(s wire.TaskStatus) bool { return bytes.Equal(s.V.UUID, uuid) })
	})
}

// TestUpdateLeavesWhenItIsOnTheDisk: and a task starts when it is.
func TestUpdateLeavesWhenItIsOnTheDisk(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		disk := &labtest.SlowDisk{}
		w.before = disk.Before
		m, _ := registered(w)
		disk.Set(labtest.Steady(5*time.Second), nil)
		m.run(dockerTask(id0, "t"))
		time.Sleep(9 * time.Second) // the framework, the task
		synctest.Wait()
		if got := w.engine.Started(); len(got) != 0 {
			t.Errorf("%v runs before the disk has it", got)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := w.engine.Started(); len(got) != 1 {
			t.Errorf("%v runs", got)
		}
		m.quiet(3 * time.Second)
		if s := m.unacknowledged("t", mesos.TASK_RUNNING); !w.onDisk("t", s.UUID) {
			t.Error("an update left before it was on the disk")
		}
	})
}

// TestSlowDiskIsNoSilentMaster: an agent that waits for its disk hears no
// pings, which is not its master's fault.
func TestSlowDiskIsNoSilentMaster(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		disk := &labtest.SlowDisk{}
		w.before = disk.Before
		m := w.newMaster(1)
		m.pings, m.timeout = time.Second, 3*time.Second
		w.start()
		expect[*wire.Register](m)
		synctest.Wait()
		disk.Set(labtest.Steady(8*time.Second), nil)
		m.run(dockerTask(id0, "t"))
		m.run(dockerTask(id0, "u")) // waits for the loop, and all pings behind it
		time.Sleep(time.Second)
		disk.Set(nil, nil)
		// Both in either order, for they start side by side; and no
		// registration before them.
		var running []string
		for range 2 {
			s := expect[*wire.StatusUpdate](m).Status.V
			if s.GetState() != mesos.TASK_RUNNING {
				t.Errorf("%s is %s (%s)", s.TaskID.Value, s.GetState(), s.GetMessage())
			}
			m.ack(s)
			running = append(running, s.TaskID.Value)
		}
		slices.Sort(running)
		if want := []string{"t", "u"}; !slices.Equal(running, want) {
			t.Errorf("%v run, want %v", running, want)
		}
		m.quiet(time.Minute)
	})
}

// TestFullDiskEndsTheAgent: with 1. What it did not remember did not happen:
// no container, no update; what runs goes on.
func TestFullDiskEndsTheAgent(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		disk := &labtest.SlowDisk{}
		w.before = disk.Before
		m, p := registered(w)
		first := m.running(w, id0, "t")
		disk.Set(nil, func() bool { return true })
		m.run(dockerTask(id0, "u"))
		p.wait(1)
		if got := w.engine.Running(); !slices.Equal(got, []string{first}) {
			t.Errorf("%v run", got)
		}
		w.start() // has nothing to remember
		again := expect[*wire.Reregister](m)
		if len(again.Tasks) != 1 || again.Tasks[0].V.TaskID.Value != "t" {
			t.Errorf("registered again with %v", again.Tasks)
		}
		disk.Set(nil, nil)
		m.quiet(time.Minute)
		w.engine.Exit(first, 0)
		m.update("t", mesos.TASK_FINISHED)
	})
}
