package core_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/mini/marathon/core"
	"github.com/mesoslab/lab/mini/marathon/store"
	"github.com/mesoslab/lab/mini/marathon/view"
)

// TestConvergesOnASlowDisk plays the chaos on a disk on which a write in three
// takes up to six seconds, one in fifty longer than anybody waits, and for one
// in forty there is no room. What is answered, launched or acknowledged must be
// in the store by then.
func TestConvergesOnASlowDisk(t *testing.T) {
	seeds := uint64(6)
	if testing.Short() {
		seeds = 2
	}
	var waited, late, refused int
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			f := &faults{t: t, rnd: rand.New(rand.NewPCG(seed, 17)), gentle: true, disk: rand.New(rand.NewPCG(seed, 19))}
			runFaulty(t, core.Defaults(), f, func(_ *testing.T, l *lab) {
				chaos(l, rand.New(rand.NewPCG(seed, 23)))
				w, n, r := l.disk.counts()
				waited, late, refused = waited+w, late+n, refused+r
				if f.acknowledged == 0 || f.launched == 0 {
					t.Errorf("nothing happened: %+v", f)
				}
			})
		})
	}
	t.Logf("%d writes took time, %d of them too long, for %d there was no room", waited, late, refused)
	if waited < 100 || late < 3 || refused < 3 {
		t.Errorf("the disk was too good")
	}
}

// slow is what the random disk does to the next write.
func (f *faults) slow(string) time.Duration {
	switch n := f.disk.IntN(150); {
	case n < 3:
		return patience + time.Duration(f.disk.IntN(15000))*time.Millisecond
	case n < 50:
		return time.Duration(f.disk.IntN(6000)) * time.Millisecond
	}
	return 0
}

func (f *faults) full(string) bool { return f.disk.IntN(40) == 0 }

const single = `{"id":"/sleep","cmd":"sleep 100","cpus":0.1,"mem":32,"instances":1,"maxLaunchDelaySeconds":5}`

// under matches the keys that begin so.
func under(prefix string, d time.Duration) func(string) time.Duration {
	return func(key string) time.Duration {
		if strings.HasPrefix(key, prefix) {
			return d
		}
		return 0
	}
}

// TestTaskIsLaunchedWhenItIsWrittenDown: not a moment before, however long that
// takes; and what could not be written down in time is not launched, nor does
// it haunt the next leader.
func TestTaskIsLaunchedWhenItIsWrittenDown(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		l.disk.set(under("task:", 6*time.Second), nil)
		l.create(single) // the write of the task begins
		l.pass(5 * time.Second)
		if n := len(l.running("/sleep")); n != 0 {
			t.Errorf("%d tasks while the first is being written", n)
		}
		l.pass(2 * time.Second)
		if n := len(l.running("/sleep")); n != 1 {
			t.Errorf("%d tasks once it is written", n)
		}
		l.pass(time.Minute)

		l.disk.set(under("task:", 15*time.Second), nil)
		l.twin.End(l.running("/sleep")[0], mesos.TASK_FINISHED, "")
		l.pass(40 * time.Second)
		if n := len(l.running("/sleep")); n != 0 {
			t.Errorf("%d tasks run that nobody knows to be written down", n)
		}
		l.disk.set(nil, nil)
		l.pass(10 * time.Minute)
		running := l.running("/sleep")
		if len(running) != 1 || l.twin.Unacknowledged() != 0 {
			t.Errorf("%d tasks run and %d updates wait once the disk is well again", len(running), l.twin.Unacknowledged())
		}
		if got := l.stored("task:"); !slices.Equal(got, []string{"task:" + running[0]}) {
			t.Errorf("the store holds %v, %v runs", got, running)
		}
	})
}

// TestAcknowledgementWaitsForTheDisk: for a write that takes long, and for one
// of which nobody knows whether it was done until it is done again.
func TestAcknowledgementWaitsForTheDisk(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		l.create(single)
		l.pass(time.Minute)
		for _, c := range []struct{ takes, early, late time.Duration }{
			{6 * time.Second, 5 * time.Second, 2 * time.Second},
			{14 * time.Second, 13 * time.Second, time.Minute},
		} {
			id := l.running("/sleep")[0]
			l.disk.set(under("task:"+id, c.takes), nil)
			l.twin.End(id, mesos.TASK_FINISHED, "")
			l.pass(c.early)
			if n := l.twin.Unacknowledged(); n != 1 {
				t.Errorf("takes %v: %d updates wait after %v, want 1", c.takes, n, c.early)
			}
			l.disk.set(nil, nil)
			l.pass(c.late)
			if n := l.twin.Unacknowledged(); n != 0 {
				t.Errorf("takes %v: %d updates wait in the end", c.takes, n)
			}
			l.pass(time.Minute)
		}
	})
}

// TestRunningAfterTheEndWaitsForTheDisk: a RUNNING that comes again when its
// task has ended is acknowledged when the end is written down, which nobody
// else would tell the next leader of.
func TestRunningAfterTheEndWaitsForTheDisk(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		l.create(single)
		l.pass(time.Minute)
		task := l.twin.Tasks()[0].Info
		l.disk.set(nil, func(key string) bool { return key == "task:"+task.TaskID.Value })
		l.twin.End(task.TaskID.Value, mesos.TASK_FINISHED, "")
		l.pass(time.Second)
		l.twin.Stray(task.AgentID.Value, task.TaskID.Value, mesos.TASK_RUNNING)
		synctest.Wait() // for the update, not for what killing it anew brings
		if n := l.twin.Unacknowledged(); n != 2 {
			t.Errorf("%d updates wait for room on the disk, want 2", n)
		}
		l.disk.set(nil, nil)
		l.pass(time.Minute)
		if n := l.twin.Unacknowledged(); n != 0 {
			t.Errorf("%d updates wait in the end", n)
		}
	})
}

// TestRefusedChangeDoesNotComeToLife: a change that was refused because the
// disk took too long is no change, although what was written of it is there in
// the end; neither for this leader nor for the next.
func TestRefusedChangeDoesNotComeToLife(t *testing.T) {
	for _, key := range []string{"deployment:", "app:", "group:root:", "group:root"} {
		t.Run(key, func(t *testing.T) {
			run(t, func(t *testing.T, l *lab) {
				l.create(single)
				l.pass(time.Minute)
				was, first := l.version(), l.running("/sleep")
				l.disk.set(func(k string) time.Duration {
					if strings.HasPrefix(k, key) && (key != "group:root" || k == key) {
						return 15 * time.Second
					}
					return 0
				}, nil)
				if _, err := l.update("/sleep", `{"cmd":"another"}`, false); !errors.Is(err, store.ErrUnavailable) {
					t.Fatalf("the change: %v", err)
				}
				if got := l.version(); got != was || l.deploying() != 0 {
					t.Errorf("the leader has version %s after %s, and %d deployments", got, was, l.deploying())
				}
				l.disk.set(nil, nil)
				l.pass(time.Minute)
				l.create(`{"id":"/other","cmd":"x","cpus":0.1,"mem":32}`)
				was = l.version()
				l.pass(time.Minute)
				l.stop()
				l.start()
				if got := l.version(); got != was || l.deploying() != 0 {
					t.Errorf("the next leader has version %s after %s, and %d deployments", got, was, l.deploying())
				}
				l.pass(10 * time.Minute)
				if got := l.running("/sleep"); !slices.Equal(got, first) {
					t.Errorf("%v run, before %v", got, first)
				}
				if got := l.stored("deployment:"); len(got) != 0 {
					t.Errorf("the store holds %v", got)
				}
			})
		})
	}
}

// TestReadersDoNotWaitForTheDisk: while a change is being written everybody
// reads at once how it was before, and nothing of what is not yet; what must be
// read from the store itself comes when that gets to it.
func TestReadersDoNotWaitForTheDisk(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		l.create(single)
		l.pass(time.Minute)
		was, ids := l.version(), l.running("/sleep")
		l.disk.set(under("", 6*time.Second), nil)
		upgrade := l.ask("/sleep", `{"cmd":"another"}`, false)
		answered := make(chan core.Result, 1)
		go func() {
			res, err := upgrade()
			if err != nil {
				t.Errorf("the change: %v", err)
			}
			answered <- res
		}()
		synctest.Wait()
		reads := 0
		for res := (core.Result{}); res.DeploymentID == ""; reads++ {
			start := time.Now()
			v := l.view("/sleep")
			if took := time.Since(start); took > time.Second/5 {
				t.Errorf("a read took %v", took)
			}
			now, n := l.version(), l.deploying()
			synctest.Wait() // an answer that is due is there
			select {
			case res = <-answered:
				if now := l.version(); now != res.Version.String() {
					t.Errorf("version %s once %s is answered", now, res.Version)
				}
			default:
				if now != was || n != 0 || *v.Cmd != "sleep 100" || len(v.Tasks) != 1 || v.Tasks[0].ID != ids[0] {
					t.Errorf("version %s after %s, %d deployments, app %+v, though nothing is answered", now, was, n, v)
				}
				l.pass(time.Second)
			}
		}
		if reads < 20 { // a plan, an app, the tree twice
			t.Errorf("the change was answered after %d reads, the disk is fast", reads)
		}
		l.pass(time.Minute)

		scaled := make(chan error, 1)
		scale := l.ask("/sleep", `{"instances":2}`, false)
		go func() { _, err := scale(); scaled <- err }()
		l.pass(time.Second)
		vs, err := view.Versions(l.Core, "/sleep")
		if err != nil || len(vs) != 2 {
			t.Fatalf("versions %v, %v", vs, err)
		}
		old, err := view.Version(l.Core, "/sleep", vs[1])
		if err != nil || *old.Cmd != "sleep 100" {
			t.Errorf("as it was: %+v, %v", old, err)
		}
		if err := <-scaled; err != nil {
			t.Errorf("the change beside it: %v", err)
		}
		l.pass(10 * time.Minute)
		l.disk.set(nil, nil)
		l.pass(10 * time.Minute)
		l.settled()
	})
}

// TestNextLeaderWaitsForTheDisk: leadership changes hands in the midst of an
// upgrade, with writes of the old leader still on their way to the disk.
func TestNextLeaderWaitsForTheDisk(t *testing.T) {
	for after := time.Duration(0); after < 40*time.Second; after += 3 * time.Second {
		t.Run(after.String(), func(t *testing.T) {
			run(t, func(t *testing.T, l *lab) {
				l.create(`{"id":"/web","cmd":"x","cpus":0.1,"mem":32,"instances":4,"upgradeStrategy":{"minimumHealthCapacity":0.5,"maximumOverCapacity":0.25}}`)
				l.pass(time.Minute)
				l.disk.set(under("", 4*time.Second), nil)
				answered := make(chan core.Result, 1)
				upgrade := l.ask("/web", `{"cmd":"y"}`, false)
				go func() {
					if res, err := upgrade(); err == nil {
						answered <- res
					}
				}()
				l.pass(after)
				l.stop()
				l.start()
				l.pass(10 * time.Minute)
				select {
				case res := <-answered:
					if got := l.version(); got != res.Version.String() {
						t.Errorf("version %s was answered, the next leader knows %s", res.Version, got)
					}
				default:
				}
				l.settled()
				cmd := l.view("/web").Cmd
				for _, task := range l.twin.Tasks() {
					if got := task.Info.Command.GetValue(); *cmd != got {
						t.Errorf("%s runs %q, its app is %q", task.Info.TaskID.Value, got, *cmd)
					}
				}
			})
		})
	}
}

// TestFullDisk: what has no room is refused, and nothing of it happens; what
// has happened anyway is written down and acknowledged when there is room.
func TestFullDisk(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		l.create(single)
		l.pass(time.Minute)
		was, ended := l.version(), l.running("/sleep")[0]
		l.disk.set(nil, func(string) bool { return true })
		if _, err := l.update("/sleep", `{"instances":3}`, false); !errors.Is(err, labtest.ErrDiskFull) {
			t.Errorf("the change: %v", err)
		}
		l.twin.End(ended, mesos.TASK_FINISHED, "")
		l.pass(time.Minute)
		if n := l.twin.Unacknowledged(); n != 1 {
			t.Errorf("%d updates wait, want 1", n)
		}
		if got := l.running("/sleep"); len(got) != 0 || l.version() != was {
			t.Errorf("%v run, version %s after %s", got, l.version(), was)
		}
		l.disk.set(nil, nil)
		l.pass(10 * time.Minute)
		running := l.running("/sleep")
		if len(running) != 1 || l.twin.Unacknowledged() != 0 || l.version() != was {
			t.Errorf("with room %v run, %d updates wait, version %s after %s", running, l.twin.Unacknowledged(), l.version(), was)
		}
		if got := l.stored("task:"); !slices.Equal(got, []string{"task:" + running[0]}) {
			t.Errorf("the store holds %v, %v runs", got, running)
		}
	})
}

// stored lists the keys that begin so.
func (l *lab) stored(prefix string) []string {
	l.t.Helper()
	keys, err := l.store.Keys(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	return slices.DeleteFunc(keys, func(k string) bool { return !strings.HasPrefix(k, prefix) })
}
