package core_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/mini/marathon/app"
	"github.com/mesoslab/lab/mini/marathon/change"
	"github.com/mesoslab/lab/mini/marathon/core"
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

func chaos(l *lab, rnd *rand.Rand) {
	const body = `{"id":"/%s","cmd":"x","cpus":0.1,"mem":32,"instances":%d,"maxLaunchDelaySeconds":5,
	 "healthChecks":[{"protocol":"HTTP","intervalSeconds":2,"gracePeriodSeconds":4,"timeoutSeconds":1}]}`
	for i, id := range []string{"a", "b", "c"} {
		l.create(fmt.Sprintf(body, id, i+1))
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
			_, _ = l.update(id, fmt.Sprintf(`{"instances":%d}`, rnd.IntN(6)), force) // may be locked
		case 6:
			_, _ = l.update(id, fmt.Sprintf(`{"cmd":"v%d"}`, rnd.IntN(100)), force)
		case 7:
			_, _ = change.RestartApp(l.Core, id, force)
		case 8:
			_, _, _ = l.KillTasks(l.running(id), rnd.IntN(3) == 0, force)
		case 9:
			l.store.SetAvailable(false)
			l.pass(time.Duration(rnd.IntN(3000)) * time.Millisecond)
			l.store.SetAvailable(true)
		case 10:
			l.stop()
			l.pass(time.Duration(rnd.IntN(20)) * time.Second)
			l.start()
		case 11:
			if ds, _ := view.Deployments(l.Core); len(ds) > 0 {
				_, _ = l.CancelDeployment(ds[0].ID, force)
			}
		}
		for range rnd.IntN(20) {
			l.pass(time.Duration(rnd.IntN(700)) * time.Millisecond)
			l.check()
		}
	}
	l.pass(30 * time.Minute) // two scale checks, three reconciliations
	l.settled()
}

// check looks at what must hold at any moment: an app that no deployment
// holds never has more tasks standing and queued than instances, but for
// those of an older configuration that a cancelled upgrade has left behind
// (they go at the next scale check).
func (l *lab) check() {
	l.t.Helper()
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
