package core_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/mini/marathon/app"
	"github.com/mesoslab/lab/mini/marathon/change"
	"github.com/mesoslab/lab/mini/marathon/core"
	"github.com/mesoslab/lab/mini/marathon/group"
	"github.com/mesoslab/lab/mini/marathon/scheduler"
	"github.com/mesoslab/lab/mini/marathon/store"
	"github.com/mesoslab/lab/mini/marathon/task"
	"github.com/mesoslab/lab/mini/marathon/view"
)

// TestConvergesAfterAnything plays random kills, losses, changes, outages
// and changes of leadership, checks after each what must always hold, and at
// the end, when all is quiet, that there is exactly what was asked for.
func TestConvergesAfterAnything(t *testing.T) {
	seeds := uint64(8)
	if testing.Short() {
		seeds = 3
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			run(t, func(_ *testing.T, l *lab) { chaos(l, rand.New(rand.NewPCG(seed, 7))) })
		})
	}
}

// TestConvergesThoughMessagesAreLost plays the same while one call in twelve is
// lost on its way, one offer in six is gone before it is accepted, and the
// agents' clocks jump by up to an hour. An update that was acknowledged must be
// in the store by then: nobody sends it again.
func TestConvergesThoughMessagesAreLost(t *testing.T) {
	seeds := uint64(5)
	if testing.Short() {
		seeds = 2
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			f := &faults{t: t, rnd: rand.New(rand.NewPCG(seed, 11))}
			runFaulty(t, core.Defaults(), f, func(_ *testing.T, l *lab) {
				chaos(l, rand.New(rand.NewPCG(seed, 13)))
				if f.lost == 0 || f.vanished == 0 || f.acknowledged == 0 {
					t.Errorf("nothing went wrong: %+v", f)
				}
			})
		})
	}
}

// faults decides what goes wrong; the twin's lock guards it.
type faults struct {
	t                                      *testing.T
	rnd                                    *rand.Rand
	disk                                   *rand.Rand // nil: a good one
	gentle                                 bool       // no message is lost, no offer vanishes, no clock jumps
	store                                  *store.Memory
	skew                                   time.Duration
	over                                   atomic.Bool
	lost, vanished, launched, acknowledged int
}

func (f *faults) of(s *store.Memory) scheduler.Faults {
	f.store = s
	if f.gentle {
		return scheduler.Faults{Lose: func(c *scheduler.Call) bool { f.launch(c); return false }, Acknowledged: f.acknowledge}
	}
	return scheduler.Faults{
		Lose: func(c *scheduler.Call) bool {
			f.launch(c)
			lose := !f.over.Load() && f.rnd.IntN(12) == 0
			if lose {
				f.lost++
			}
			return lose
		},
		Vanish: func() bool {
			gone := !f.over.Load() && f.rnd.IntN(6) == 0
			if gone {
				f.vanished++
			}
			return gone
		},
		Skew: func() time.Duration {
			if f.rnd.IntN(10) == 0 {
				f.skew = time.Duration(f.rnd.IntN(7200)-3600) * time.Second
			}
			return f.skew
		},
		Acknowledged: f.acknowledge,
	}
}

// launch checks that what is launched is written down.
func (f *faults) launch(c *scheduler.Call) {
	for _, op := range c.GetAccept().GetOperations() {
		for _, info := range op.GetLaunch().GetTaskInfos() {
			f.launched++
			if _, there := f.store.Peek("task:" + info.TaskID.Value); !there {
				f.t.Errorf("%s is launched and not in the store", info.TaskID.Value)
			}
		}
	}
}

// acknowledge checks that what is acknowledged is written down: a running
// task as running, one that has ended as no more.
func (f *faults) acknowledge(s mesos.TaskStatus) {
	f.acknowledged++
	data, there := f.store.Peek("task:" + s.TaskID.Value)
	if !there {
		return // it has ended since, or this was its end
	}
	var kept task.Task
	if err := json.Unmarshal(data, &kept); err != nil || s.GetState() != mesos.TASK_RUNNING || !kept.Running() {
		f.t.Errorf("%s of %s is acknowledged, in the store is %+v", s.GetState(), s.TaskID.Value, kept)
	}
}

func chaos(l *lab, rnd *rand.Rand) {
	const body = `{"id":"/%s","cmd":"x","cpus":0.1,"mem":32,"instances":%d,"maxLaunchDelaySeconds":5,
	 "healthChecks":[{"protocol":"HTTP","intervalSeconds":2,"gracePeriodSeconds":4,"timeoutSeconds":1}]}`
	for i, id := range []string{"a", "b", "c"} {
		l.create(fmt.Sprintf(body, id, i+1))
	}
	if l.faults != nil && l.faults.disk != nil {
		l.disk.set(l.faults.slow, l.faults.full)
	}
	serial := 10
	for range 60 {
		id := "/" + string(rune('a'+rnd.IntN(3)))
		force := rnd.IntN(2) == 0
		switch rnd.IntN(12) {
		case 0, 1:
			state := []mesos.TaskState{mesos.TASK_FAILED, mesos.TASK_FINISHED, mesos.TASK_KILLED, mesos.TASK_ERROR}[rnd.IntN(4)]
			if ids := l.running(id); len(ids) > 0 {
				l.twin.End(ids[rnd.IntN(len(ids))], state, "chaos")
			}
		case 2:
			if ids := l.running(id); len(ids) > 0 {
				l.twin.Forget(ids[0])
			}
		case 3:
			serial++
			n := rnd.IntN(3)
			l.twin.RemoveAgent(fmt.Sprintf("S%d", n))
			l.twin.AddAgent(fmt.Sprintf("S%d", n), fmt.Sprintf("10.0.0.%d", n+1), 4, 4096, nil)
		case 4, 5:
			l.told(l.update(id, fmt.Sprintf(`{"instances":%d}`, rnd.IntN(6)), force))
		case 6:
			l.told(l.update(id, fmt.Sprintf(`{"cmd":"v%d"}`, rnd.IntN(100)), force))
		case 7:
			l.told(change.RestartApp(l.Core, id, force))
		case 8:
			_, _, _ = l.KillTasks(l.running(id), rnd.IntN(3) == 0, force)
		case 9:
			l.store.SetAvailable(false)
			l.pass(time.Duration(rnd.IntN(3000)) * time.Millisecond)
			l.store.SetAvailable(true)
		case 10:
			answered := l.version()
			l.stop()
			l.pass(time.Duration(rnd.IntN(20)) * time.Second)
			l.start()
			if now := l.version(); now != answered && (!l.disk.inDoubt("group:root") || now < answered) {
				l.t.Errorf("the last leader had answered with version %s, the next one knows %s", answered, now)
			}
		case 11:
			if ds, _ := view.Deployments(l.Core); len(ds) > 0 {
				l.told(l.CancelDeployment(ds[0].ID, force))
			}
		}
		for range rnd.IntN(20) {
			l.pass(time.Duration(rnd.IntN(700)) * time.Millisecond)
			l.check()
		}
	}
	if l.faults != nil {
		l.faults.over.Store(true)
	}
	l.disk.set(nil, nil)
	l.pass(30 * time.Minute) // six scale checks, three reconciliations
	l.settled()
}

// told checks that a change that is answered is in the store; it may well be
// refused.
func (l *lab) told(res core.Result, err error) {
	l.t.Helper()
	data, _ := l.store.Peek("group:root")
	var kept group.Root
	if jerr := json.Unmarshal(data, &kept); jerr != nil {
		l.t.Fatalf("the tree in the store: %v", jerr)
	}
	if err == nil && kept.Version.Before(res.Version.Time) {
		l.t.Errorf("version %s is answered, in the store is %s", res.Version, kept.Version)
	}
}

// version is that of the tree, which every change that was answered has
// brought forward.
func (l *lab) version() (v string) {
	l.t.Helper()
	if err := l.Read(func(s core.State) error { v = s.Root().Version.String(); return nil }); err != nil {
		l.t.Fatal(err)
	}
	return v
}

// check looks at what must hold at any moment: an app that no deployment
// holds never has more tasks standing and queued than instances, but for
// those of an older configuration that a cancelled upgrade has left behind
// (they go at the next scale check), and those that a former leader has asked
// Mesos to kill, if that was lost (they go at the first scale check).
func (l *lab) check() {
	l.t.Helper()
	if time.Since(l.began) < l.cfg.ScaleDelay+time.Second {
		return
	}
	_ = l.Read(func(s core.State) error {
		for id, a := range s.Root().Apps {
			if s.LockedBy(id) != "" {
				continue
			}
			n, old := 0, 0
			for _, t := range task.Standing(s.TasksOf(id)) {
				if t.Runs(a) {
					n++
				} else {
					old++
				}
			}
			for _, i := range s.Queue() {
				if i.App.ID == id {
					n += i.Left
				}
			}
			if n > a.Instances {
				l.t.Errorf("%s has %d tasks standing or queued (and %d old ones) for %d instances", id, n, old, a.Instances)
			}
		}
		return nil
	})
}

// settled checks that what runs is what was asked for.
func (l *lab) settled() {
	l.t.Helper()
	if n := l.deploying(); n != 0 {
		ds, _ := view.Deployments(l.Core)
		l.t.Errorf("%d deployments do not end: %+v", n, ds)
	}
	apps, err := view.Apps(l.Core, view.Embed{Counts: true}, func(app.App) bool { return true })
	if err != nil {
		l.t.Fatal(err)
	}
	for _, a := range apps {
		healthy := a.Instances
		if len(a.HealthChecks) == 0 { // made anew by a PUT after its creation was rolled back
			healthy = 0
		}
		if n := len(l.running(a.ID)); n != a.Instances || *a.TasksHealthy != healthy {
			l.t.Errorf("%s: %d run, %d are healthy, %d are wanted", a.ID, n, *a.TasksHealthy, a.Instances)
		}
	}
	if n := l.twin.Unacknowledged(); n != 0 {
		l.t.Errorf("%d updates are not acknowledged", n)
	}
	q, _ := view.Queue(l.Core)
	if len(q) != 0 {
		l.t.Errorf("queue %+v", q)
	}
}
