package core_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/mesoslab/lab/mini/marathon/app"
	"github.com/mesoslab/lab/mini/marathon/change"
	"github.com/mesoslab/lab/mini/marathon/core"
	"github.com/mesoslab/lab/mini/marathon/view"
)

const sleeper = `{"id":"sleep","cmd":"sleep 1000","cpus":0.5,"mem":32,"instances":2}`

func TestCreatedAppRunsAndItsDeploymentEnds(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		v := l.create(sleeper)
		if len(v.Deployments) != 1 || v.VersionInfo != nil || *v.TasksStaged != 0 {
			t.Errorf("answer to POST: %+v", v)
		}
		if n := len(l.twin.Tasks()); n != 2 {
			t.Fatalf("%d tasks are staged at once, want 2", n)
		}
		ds, _ := view.Deployments(l.Core)
		if len(ds) != 1 || ds[0].CurrentStep != 2 || ds[0].TotalSteps != 2 || ds[0].CurrentActions[0].Action != "ScaleApplication" {
			t.Errorf("deployment under way: %+v", ds)
		}
		l.pass(time.Second)
		got := l.view("/sleep")
		if *got.TasksRunning != 2 || len(got.Deployments) != 0 {
			t.Errorf("after a second: %d run, deployments %v", *got.TasksRunning, got.Deployments)
		}
		want := []string{"scheduler_registered_event", "deployment_info", "deployment_step_success", "deployment_info",
			"group_change_success", "status_update_event", "status_update_event", "deployment_step_success", "deployment_success"}
		if k := l.log.kinds(); !slices.Equal(k, want) {
			t.Errorf("events\n%v, want\n%v", k, want)
		}
		if n := l.twin.Unacknowledged(); n != 0 {
			t.Errorf("%d updates are not acknowledged", n)
		}
	})
}

func TestLostTaskIsReplacedWhenTheBackOffEnds(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		l.create(sleeper)
		l.pass(time.Minute)
		victim := l.twin.Tasks()[0].Info
		lost := time.Now()
		l.twin.RemoveAgent(victim.AgentID.Value)
		l.pass(0)
		q, _ := view.Queue(l.Core)
		if len(q) != 1 || q[0].Delay.Overdue || q[0].Delay.TimeLeftSeconds != 1 {
			t.Errorf("queue right after the loss: %+v", q)
		}
		l.pass(500 * time.Millisecond)
		if q, _ := view.Queue(l.Core); len(q) != 1 || q[0].Delay.Overdue || q[0].Delay.TimeLeftSeconds != 0 {
			t.Errorf("half a second before the end of the back-off: %+v", q)
		}
		l.pass(400 * time.Millisecond)
		before := len(l.running("/sleep"))
		l.pass(100 * time.Millisecond) // the back-off of 1 s ends now
		fresh := l.running("/sleep")
		if len(fresh) <= before || len(fresh) != 2 {
			t.Errorf("%d tasks before, %d right at the end of the back-off (%v after the loss)", before, len(fresh), time.Since(lost))
		}
		f := l.view("/sleep").LastTaskFailure
		if f == nil || f.State != "TASK_LOST" || !strings.Contains(f.Message, "health check timed out") {
			t.Errorf("last failure: %+v", f)
		}
	})
}

func TestBackOffGrowsAndIsReset(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		l.create(`{"id":"crash","cmd":"exit 1","cpus":0.1,"mem":32}`)
		l.pass(300 * time.Millisecond)
		wait := func() (d time.Duration) {
			_ = l.Read(func(s core.State) error {
				d = s.Wait(s.Root().Apps["/crash"])
				return nil
			})
			return d
		}
		var seen []time.Duration
		for range 3 {
			for len(l.running("/crash")) == 0 {
				l.pass(10 * time.Millisecond)
			}
			l.pass(250 * time.Millisecond)
			l.twin.End(l.running("/crash")[0], mesos.TASK_FAILED, "Command exited with status 1")
			l.pass(0)
			seen = append(seen, wait())
		}
		want := []time.Duration{time.Second, 1150 * time.Millisecond, 1322500 * time.Microsecond}
		if !slices.Equal(seen, want) {
			t.Errorf("back-offs %v, want %v", seen, want)
		}
		if err := l.ResetDelay("/crash"); err != nil {
			t.Fatal(err)
		}
		l.pass(0)
		if len(l.running("/crash")) != 1 {
			t.Error("DELETE of the delay does not launch at once")
		}
		if err := l.ResetDelay("/crash"); err == nil {
			t.Error("an app with nothing to launch is not in the queue, yet its delay could be reset")
		}
	})
}

func TestKilledTasksCostNoBackOff(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		l.create(sleeper)
		l.pass(time.Second)
		old := l.running("/sleep")
		views, _, err := l.KillTasks([]string{old[0], "no_such.task"}, false, false)
		if err != nil || len(views) != 1 {
			t.Fatalf("killed %v, %v", views, err)
		}
		l.pass(100 * time.Millisecond)
		if now := l.running("/sleep"); len(now) != 2 || slices.Contains(now, old[0]) {
			t.Errorf("right after TASK_KILLED %v run, before %v", now, old)
		}
	})
}

func TestScaleDownKillsTheYoungestAndScalesUpAgain(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		l.create(sleeper)
		l.pass(time.Second)
		old := l.running("/sleep")
		if _, err := l.update("/sleep", `{"instances":4}`, false); err != nil {
			t.Fatal(err)
		}
		l.pass(time.Second)
		if n := len(l.running("/sleep")); n != 4 {
			t.Fatalf("%d run after scaling up", n)
		}
		if _, err := l.update("/sleep", `{"instances":2}`, false); err != nil {
			t.Fatal(err)
		}
		l.pass(time.Second)
		if now := l.running("/sleep"); !slices.Equal(now, old) {
			t.Errorf("%v are left, the oldest are %v", now, old)
		}
		v := l.view("/sleep")
		if v.VersionInfo.LastConfigChangeAt.Equal(v.VersionInfo.LastScalingAt) {
			t.Error("scaling changed the configuration's version")
		}
	})
}

func TestKillWithScaleTakesThoseNamed(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		l.create(sleeper)
		l.pass(time.Second)
		old := l.running("/sleep")
		_, res, err := l.KillTasks(old[:1], true, false)
		if err != nil || res.DeploymentID == "" {
			t.Fatal(res, err)
		}
		l.pass(time.Second)
		if now := l.running("/sleep"); !slices.Equal(now, old[1:]) {
			t.Errorf("%v are left, want %v", now, old[1:])
		}
		if n := l.view("/sleep").Instances; n != 1 {
			t.Errorf("instances are %d", n)
		}
	})
}

func TestDestroyedAppIsGone(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		l.create(sleeper)
		l.pass(time.Second)
		if _, err := change.DeleteApp(l.Core, "/sleep", true); err != nil {
			t.Fatal(err)
		}
		l.pass(time.Second)
		if n := len(l.twin.Tasks()); n != 0 {
			t.Errorf("%d tasks are left", n)
		}
		if _, err := view.One(l.Core, "/sleep", view.Embed{}); err == nil {
			t.Error("the app is still there")
		}
		if l.log.count("app_terminated_event") != 1 || l.deploying() != 0 {
			t.Error("its end was not told, or its deployment hangs")
		}
		keys, _ := l.store.Keys(t.Context())
		for _, k := range keys {
			if strings.HasPrefix(k, "app:") || strings.HasPrefix(k, "task:") || strings.HasPrefix(k, "deployment:") {
				t.Errorf("the store still holds %s", k)
			}
		}
	})
}

func TestUnknownTasksAreKilledUnlessLost(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		l.twin.Stray("S0", "ghost.1", mesos.TASK_RUNNING)
		l.twin.Stray("S0", "ghost.2", mesos.TASK_LOST)
		l.pass(time.Second)
		kills := l.twin.Calls(scheduler.Call_KILL)
		if len(kills) != 1 || kills[0].Kill.TaskID.Value != "ghost.1" {
			t.Errorf("kills: %v", kills)
		}
		if l.twin.Unacknowledged() != 0 {
			t.Error("updates of unknown tasks are not acknowledged")
		}
	})
}

func TestTasksThatDoNotComeUpAreKilled(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		l.twin.StartDelay = time.Hour
		l.create(`{"id":"slow","cmd":"x","cpus":0.1,"mem":32}`)
		first := l.running("/slow")[0]
		l.pass(299 * time.Second)
		if !slices.Contains(l.running("/slow"), first) {
			t.Fatal("killed before the time-out")
		}
		l.pass(10 * time.Second)
		if slices.Contains(l.running("/slow"), first) {
			t.Error("not killed after the time-out")
		}
	})
}

func TestReconciliationFindsWhatWasMissed(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		l.create(sleeper)
		l.pass(14 * time.Second)
		if n := len(l.twin.Calls(scheduler.Call_RECONCILE)); n != 0 {
			t.Errorf("%d reconciliations before 15 s", n)
		}
		l.pass(2 * time.Second)
		calls := l.twin.Calls(scheduler.Call_RECONCILE)
		if len(calls) != 2 || len(calls[0].Reconcile.Tasks) != 2 || len(calls[1].Reconcile.Tasks) != 0 {
			t.Fatalf("reconciliation is %v, want the two tasks, then the implicit one", calls)
		}
		victim := l.running("/sleep")[0]
		l.twin.Forget(victim)
		l.pass(590 * time.Second)
		if len(l.view("/sleep").Tasks) != 2 {
			t.Error("the missing task was noticed before the reconciliation was due")
		}
		l.pass(20 * time.Second)
		if now := l.running("/sleep"); len(now) != 2 || slices.Contains(now, victim) {
			t.Errorf("after the reconciliation %v run", now)
		}
	})
}

func TestPlacesOfDyingTasksAreNotGivenAwayEarly(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		l.twin.StopDelay = 5 * time.Second
		l.create(sleeper)
		l.pass(time.Second)
		old := l.running("/sleep")
		if _, _, err := l.KillTasks(old, false, false); err != nil {
			t.Fatal(err)
		}
		l.twin.End(old[0], mesos.TASK_KILLED, "the first one is quick")
		l.pass(time.Second)
		if now := l.running("/sleep"); len(now) != 2 || !slices.Contains(now, old[1]) {
			t.Errorf("%v run while %s is still dying", now, old[1])
		}
		l.pass(5 * time.Second)
		if now := l.running("/sleep"); len(now) != 2 || slices.Contains(now, old[1]) {
			t.Errorf("at last %v run", now)
		}
	})
}

func TestLostKillsAreRepeated(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		l.create(sleeper)
		l.pass(time.Second)
		old := l.running("/sleep")
		l.twin.LoseKills = 2
		if _, _, err := l.KillTasks(old[:1], false, false); err != nil {
			t.Fatal(err)
		}
		l.pass(29 * time.Second)
		if !slices.Contains(l.running("/sleep"), old[0]) {
			t.Fatal("the kill was not lost")
		}
		l.pass(32 * time.Second)
		if slices.Contains(l.running("/sleep"), old[0]) {
			t.Error("the kill was not repeated")
		}
	})
}

func TestUselessOffersAreDeclinedForLong(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		l.create(sleeper)
		l.pass(100 * time.Second)
		n := 0
		for _, c := range l.twin.Calls(scheduler.Call_DECLINE) {
			n += len(c.Decline.OfferIDs)
			if s := c.Decline.Filters.GetRefuseSeconds(); s != 120 {
				t.Errorf("declined for %v s", s)
			}
		}
		// All three agents at first; the two with a task offer the rest again.
		if n > 8 {
			t.Errorf("%d offers were declined in 100 s", n)
		}
		revives := len(l.twin.Calls(scheduler.Call_REVIVE))
		if revives == 0 || revives > 3 {
			t.Errorf("%d times revived", revives)
		}
	})
}

func TestRevivesOfOneSeriesKeepTheirDistance(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		l.create(`{"id":"big","cmd":"x","cpus":100}`)
		counts := []int{}
		for range 4 {
			counts = append(counts, len(l.twin.Calls(scheduler.Call_REVIVE)))
			l.pass(5500 * time.Millisecond)
		}
		if !slices.Equal(counts, []int{1, 2, 3, 3}) {
			t.Errorf("revives after 0, 5.5, 11 and 16.5 s: %v", counts)
		}
	})
}

func TestUpdatesAreAcknowledgedOnceTheyAreWrittenDown(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		l.create(sleeper)
		l.pass(time.Second)
		id := l.running("/sleep")[0]
		l.store.SetAvailable(false)
		l.twin.End(id, mesos.TASK_FINISHED, "")
		l.pass(3 * time.Second)
		if n := l.twin.Unacknowledged(); n != 1 {
			t.Errorf("%d updates wait while the store is away, want 1", n)
		}
		if n := len(l.running("/sleep")); n != 1 {
			t.Errorf("%d run: a task was launched that nobody could write down", n)
		}
		l.store.SetAvailable(true)
		l.pass(20 * time.Second)
		if n := l.twin.Unacknowledged(); n != 0 {
			t.Errorf("%d updates wait after the store is back", n)
		}
		keys, _ := l.store.Keys(t.Context())
		if slices.Contains(keys, "task:"+id) {
			t.Error("the store still holds the task that is over")
		}
	})
}

// TestMaxApps: what is there may be changed, one more may not come.
func TestMaxApps(t *testing.T) {
	cfg := core.Defaults()
	cfg.MaxApps = 1
	runWith(t, cfg, func(t *testing.T, l *lab) {
		l.create(sleeper)
		u, err := app.ParseNew([]byte(`{"id":"more","cmd":"x"}`))
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = change.CreateApp(l.Core, u, false)
		var invalid *app.InvalidError
		if !errors.As(err, &invalid) || !strings.Contains(err.Error(), "may only handle up to 1 Apps!") {
			t.Errorf("a second app: %v", err)
		}
		if _, err := l.update("/sleep", `{"instances":1}`, true); err != nil {
			t.Errorf("the first one cannot be changed any more: %v", err)
		}
	})
}

// TestUpdatesThatComeAgainAreNotAcknowledgedEarly: the store is away for longer
// than it takes Mesos to send again.
func TestUpdatesThatComeAgainAreNotAcknowledgedEarly(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		l.create(sleeper)
		l.pass(100 * time.Millisecond) // launched, not running yet
		l.store.SetAvailable(false)
		l.pass(25 * time.Second) // TASK_RUNNING has come three times
		if n := l.twin.Unacknowledged(); n != 2 {
			t.Errorf("while TASK_RUNNING cannot be written down %d updates wait, want 2", n)
		}
		l.store.SetAvailable(true)
		l.pass(15 * time.Second)
		l.store.SetAvailable(false)
		l.twin.End(l.twin.Tasks()[0].Info.TaskID.Value, mesos.TASK_FAILED, "x")
		l.pass(25 * time.Second)
		if n := l.twin.Unacknowledged(); n != 1 {
			t.Errorf("while TASK_FAILED cannot be written down %d updates wait, want 1", n)
		}
		l.store.SetAvailable(true)
		l.pass(15 * time.Second)
		if n := l.twin.Unacknowledged(); n != 0 {
			t.Errorf("at the end %d updates wait", n)
		}
	})
}

func TestOneOfferTakesFiveTasksAtMost(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		l.create(`{"id":"many","cmd":"x","cpus":0.1,"mem":32,"instances":20,"constraints":[["hostname","CLUSTER","10.0.0.2"]]}`)
		l.pass(30 * time.Second)
		n := 0
		for _, c := range l.twin.Calls(scheduler.Call_ACCEPT) {
			tasks := len(c.Accept.Operations[0].Launch.TaskInfos)
			if tasks > 5 || c.Accept.Filters.GetRefuseSeconds() != 0 {
				t.Errorf("%d tasks in one offer, the rest refused for %v s", tasks, c.Accept.Filters.GetRefuseSeconds())
			}
			n += tasks
		}
		if n != 20 || len(l.running("/many")) != 20 {
			t.Errorf("%d launched, %d run", n, len(l.running("/many")))
		}
	})
}

// Whoever comes first at the instant at which a back-off ends must not take
// the alarm's work away without doing it.
func TestNobodyOutrunsTheEndOfABackOff(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		l.create(sleeper)
		l.pass(time.Minute)
		for range 10 {
			l.twin.End(l.running("/sleep")[0], mesos.TASK_FAILED, "")
			l.pass(0)
			q, _ := view.Queue(l.Core)
			if len(q) != 1 {
				t.Fatalf("queue %+v", q)
			}
			var end time.Duration
			_ = l.Read(func(s core.State) error { end = s.Wait(s.Root().Apps["/sleep"]); return nil })
			for range 20 {
				go func() { time.Sleep(end); l.Offers(nil) }()
			}
			l.pass(end)
			l.pass(400 * time.Millisecond)
			if n := len(l.running("/sleep")); n != 2 {
				t.Fatalf("%d tasks right after the back-off of %v", n, end)
			}
		}
	})
}
