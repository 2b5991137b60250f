package master

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesos/mesos-go/api/v1/lib/encoding/codecs"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"github.com/mesoslab/lab/internal/labtest/bubble"
	"github.com/mesoslab/lab/mini/mesos/wire"
)

func again(s *sched, info *mesos.FrameworkInfo) *mesos.FrameworkInfo {
	c := *info
	c.ID = &mesos.FrameworkID{Value: s.id}
	return &c
}

func TestFailover(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.master(masterIP, nil)
		_, _, s := running(r, framework("f"))
		s2 := r.scheduler(again(s, framework("f")))
		if got := brief(s.new()); !slices.Equal(got, []string{"ERROR Framework failed over"}) {
			t.Errorf("first scheduler: %v", got)
		}
		<-s.done
		if got := brief(s2.new()); !slices.Equal(got, []string{"SUBSCRIBED", "HEARTBEAT"}) || s2.id != s.id {
			t.Errorf("second scheduler: %v, id %s", got, s2.id)
		}
		time.Sleep(time.Second) // the next batch; filters of the first are forgotten
		if got := brief(s2.new()); !slices.Equal(got, []string{"OFFERS 2"}) {
			t.Errorf("second scheduler, after the batch: %v", got)
		}
		if st := r.state(); len(st.Frameworks) != 1 || len(st.Frameworks[0].Tasks) != 2 {
			t.Errorf("state: %+v", st.Frameworks)
		}
	})
}

func TestFailoverTimeout(t *testing.T) {
	for _, seconds := range []float64{0, 5} {
		bubble.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.master(masterIP, nil)
			info := framework("f")
			info.FailoverTimeout = &seconds
			a, _, s := running(r, info)
			s.stop()
			<-s.done
			synctest.Wait()
			if seconds > 0 {
				st := r.state()
				if len(st.Frameworks) != 1 || st.Frameworks[0].Active || len(st.Frameworks[0].Tasks) != 2 {
					t.Fatalf("right after: %+v", st.Frameworks)
				}
				time.Sleep(time.Duration(seconds*float64(time.Second)) - time.Millisecond)
				if st := r.state(); len(st.Frameworks) != 1 {
					t.Fatal("removed too early")
				}
				time.Sleep(2 * time.Millisecond)
				synctest.Wait()
			}
			st := r.state()
			if len(st.Frameworks) != 0 || len(st.CompletedFrameworks) != 1 || st.CompletedFrameworks[0].CompletedTasks[0].State != "TASK_KILLED" {
				t.Fatalf("after the time-out: %+v %+v", st.Frameworks, st.CompletedFrameworks)
			}
			a.mu.Lock()
			left := len(a.tasks)
			a.mu.Unlock()
			if left != 0 {
				t.Errorf("%d tasks still run on the agent", left)
			}
			s2 := r.scheduler(again(s, info))
			if got := brief(s2.new()); !slices.Equal(got, []string{"ERROR Framework has been removed"}) {
				t.Errorf("after removal: %v", got)
			}
			<-s2.done
		})
	}
}

func TestSchedulerReturnsInTime(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.master(masterIP, nil)
		a, _, s := running(r, framework("f"))
		s.stop()
		<-s.done
		time.Sleep(time.Hour - time.Second)
		s2 := r.scheduler(again(s, framework("f")))
		time.Sleep(2 * time.Hour)
		if got := brief(s2.new()); !slices.Equal(got[:3], []string{"SUBSCRIBED", "HEARTBEAT", "OFFERS 2"}) {
			t.Errorf("got %v", got[:3])
		}
		a.mu.Lock()
		told := slices.ContainsFunc(a.received, func(m wire.Message) bool { return m.Kind() == wire.KindUpdateFramework })
		a.mu.Unlock()
		if !told {
			t.Error("its slaves are not told that the scheduler is back")
		}
		if st := r.state(); len(st.Frameworks) != 1 || len(st.Frameworks[0].Tasks) != 2 || !st.Frameworks[0].Active {
			t.Errorf("state: %+v", st.Frameworks)
		}
	})
}

func TestHeartbeats(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.master(masterIP, nil)
		s := r.scheduler(framework("f"))
		s.new()
		for range 3 {
			time.Sleep(15*time.Second - time.Millisecond)
			if got := brief(s.new()); len(got) != 0 {
				t.Errorf("too early: %v", got)
			}
			time.Sleep(time.Millisecond)
			if got := brief(s.new()); !slices.Equal(got, []string{"HEARTBEAT"}) {
				t.Errorf("at 15 s: %v", got)
			}
		}
	})
}

func TestFilters(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.master(masterIP, nil)
		a := r.agent("10.0.0.2")
		s := r.scheduler(framework("f"))
		expect := func(what string, want int) mesos.Offer {
			t.Helper()
			o := s.offers()
			if len(o) != want {
				t.Fatalf("%s: %d offers, want %d", what, len(o), want)
			}
			return o[a.agentID()]
		}
		o := expect("first", 1)
		s.call(calls.Decline(o.ID).With(calls.RefuseSeconds(3 * time.Second)))
		time.Sleep(2900 * time.Millisecond)
		expect("filtered", 0)
		time.Sleep(1200 * time.Millisecond)
		o = expect("filter over, next batch", 1)
		s.call(calls.Decline(o.ID)) // default: 5 s
		time.Sleep(4900 * time.Millisecond)
		expect("default filter", 0)
		time.Sleep(1200 * time.Millisecond)
		o = expect("default filter over", 1)
		s.call(calls.Decline(o.ID).With(calls.RefuseSeconds(600 * time.Second)))
		s.call(calls.Revive())
		o = expect("revived, at once", 1)
		s.call(calls.Suppress())
		s.call(calls.Decline(o.ID).With(calls.RefuseSeconds(0)))
		time.Sleep(10 * time.Second)
		expect("suppressed", 0)
		s.call(calls.Revive())
		expect("revived again", 1)
	})
}

func TestDeclinedGoesToTheNext(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.master(masterIP, nil)
		a := r.agent("10.0.0.2")
		x := r.scheduler(framework("x"))
		y := r.scheduler(framework("y"))
		o := x.offers()[a.agentID()]
		if got := y.offers(); len(got) != 0 {
			t.Fatal("offered to both")
		}
		x.call(calls.Decline(o.ID).With(calls.RefuseSeconds(time.Hour)))
		time.Sleep(time.Second)
		if got := y.offers(); len(got) != 1 {
			t.Errorf("second framework has %d offers", len(got))
		}
	})
}

func TestOfferTimeout(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.master(masterIP, nil, "--offer_timeout=30secs")
		a := r.agent("10.0.0.2")
		s := r.scheduler(framework("f"))
		o := s.offers()[a.agentID()]
		time.Sleep(31 * time.Second)
		if got := brief(s.new()); !slices.Contains(got, "RESCIND") {
			t.Errorf("after the time-out: %v", got)
		}
		s.call(launch(o, 0, task("late", a.agentID(), 1, 64)))
		want := "late TASK_LOST REASON_INVALID_OFFERS \"Task launched with invalid offers: Offer " + o.ID.Value + " is no longer valid\""
		if got := brief(s.new()); !slices.Contains(got, want) {
			t.Errorf("launch on a rescinded offer: %v", got)
		}
	})
}

func TestInvalidLaunches(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.master(masterIP, nil)
		a, b, s := running(r, framework("f"))
		s.call(calls.Revive())
		offers := s.offers()
		oa, ob := offers[a.agentID()], offers[b.agentID()]
		custom := task("custom", a.agentID(), 1, 64)
		custom.Command, custom.Executor = nil, &mesos.ExecutorInfo{ExecutorID: mesos.ExecutorID{Value: "e"}}
		none := task("none", a.agentID(), 0, 0)
		s.call(launch(oa, 0, task("ta", a.agentID(), 1, 64), task("tb", a.agentID(), 1, 64), task("x/y", a.agentID(), 1, 64),
			task("there", b.agentID(), 1, 64), custom, none, task("good", a.agentID(), 1, 64), task("good", a.agentID(), 1, 64)))
		got := brief(s.new())
		want := []string{
			"ta TASK_ERROR REASON_TASK_INVALID \"Task has duplicate ID: ta\"",
			"tb TASK_ERROR REASON_TASK_INVALID \"Task has duplicate ID: tb\"",
			"x/y TASK_ERROR REASON_TASK_INVALID",
			"there TASK_ERROR REASON_TASK_INVALID \"Task uses invalid agent",
			"custom TASK_ERROR REASON_TASK_INVALID",
			"none TASK_ERROR REASON_TASK_INVALID \"Task uses no resources\"",
			"good TASK_ERROR REASON_TASK_INVALID \"Task has duplicate ID: good\"",
			"good TASK_RUNNING",
		}
		for i := range want {
			if i >= len(got) || !strings.HasPrefix(got[i], want[i]) {
				t.Fatalf("update %d: got %q, want %q…", i, got, want[i])
			}
		}
		both := calls.Accept(calls.OfferOperations{calls.OpLaunch(task("m", a.agentID(), 1, 64))}.WithOffers(oa.ID, ob.ID))
		s.call(both)
		if got := brief(s.new()); len(got) == 0 || !strings.Contains(got[0], "REASON_INVALID_OFFERS") {
			t.Errorf("two agents' offers: %v", got)
		}
		if n := a.runs["good"]; n != 1 {
			t.Errorf("good ran %d times", n)
		}
	})
}

func TestUnacknowledgedTaskIsKept(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.master(masterIP, nil)
		a, _, s := running(r, framework("f"))
		s.mu.Lock()
		s.ack = false
		s.mu.Unlock()
		s.call(calls.Kill("ta", a.agentID()))
		events := s.new()
		if got := brief(events); !slices.Equal(got, []string{"ta TASK_KILLED"}) {
			t.Fatalf("kill: %v", got)
		}
		if st := r.state(); len(st.Frameworks[0].Tasks) != 2 || len(st.Frameworks[0].CompletedTasks) != 0 {
			t.Errorf("unacknowledged: %+v", st.Frameworks[0])
		}
		st := events[0].Update.Status
		s.call(calls.Acknowledge(a.agentID(), "ta", st.UUID))
		if st := r.state(); len(st.Frameworks[0].Tasks) != 1 || st.Frameworks[0].CompletedTasks[0].ID != "ta" {
			t.Errorf("acknowledged: %+v", st.Frameworks[0])
		}
	})
}

// TestMasterRestart: a restarted master knows from its registry whom to wait
// for, and gets tasks and frameworks back from agents and schedulers.
func TestMasterRestart(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		args := []string{"--registry=replicated_log", "--work_dir=/var/lib/mesos"}
		m := r.master(masterIP, nil, args...)
		a, b, s := running(r, framework("f"))
		m.stop()
		<-m.done
		if m.err != nil {
			t.Errorf("clean stop: %v", m.err)
		}
		<-s.done
		a.die()
		b.die()
		r.master(masterIP, nil, args...)
		st := r.state()
		if len(st.Slaves) != 0 {
			t.Errorf("slaves before they are back: %+v", st.Slaves)
		}
		s2 := r.schedulerWith(again(s, framework("f")), codecs.MediaTypeJSON.ContentType(), masterAddr)
		if s2.id != s.id {
			t.Errorf("framework id %s, was %s", s2.id, s.id)
		}
		s2.new()
		s2.call(calls.Reconcile(calls.ReconcileTasks(map[string]string{"ta": ""})))
		if got := brief(s2.new()); len(got) != 0 {
			t.Errorf("reconcile while agents are awaited: %v", got)
		}
		s2.call(calls.Reconcile(calls.ReconcileTasks(map[string]string{"ta": "stranger"})))
		if got := brief(s2.new()); len(got) != 1 || !strings.HasPrefix(got[0], "ta TASK_LOST") {
			t.Errorf("reconcile with an unknown agent: %v", got)
		}
		a.connect(masterAddr)
		b.connect(masterAddr)
		synctest.Wait()
		s2.new()
		s2.call(calls.Reconcile())
		got := brief(s2.new())
		slices.Sort(got)
		if len(got) != 2 || !strings.HasPrefix(got[0], "ta TASK_RUNNING") {
			t.Errorf("reconcile when all are back: %v", got)
		}
		if st := r.state(); st.Activated != 2 || len(st.Frameworks[0].Tasks) != 2 {
			t.Errorf("state: %+v", st)
		}
	})
}

// TestRecoveredFramework: agents come back before the scheduler does.
func TestRecoveredFramework(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		m := r.master(masterIP, nil)
		a, b, s := running(r, framework("f"))
		m.stop()
		<-m.done
		a.die()
		b.die()
		r.master(masterIP, nil)
		a.connect(masterAddr)
		b.connect(masterAddr)
		synctest.Wait()
		st := r.state()
		if len(st.Frameworks) != 1 || st.Frameworks[0].Active || len(st.Frameworks[0].Tasks) != 2 {
			t.Fatalf("recovered: %+v", st.Frameworks)
		}
		s2 := r.scheduler(again(s, framework("f")))
		if got := brief(s2.new()); !slices.Equal(got, []string{"SUBSCRIBED", "HEARTBEAT", "OFFERS 2"}) {
			t.Errorf("back: %v", got)
		}
		s2.call(&scheduler.Call{Type: scheduler.Call_TEARDOWN})
		<-s2.done
		synctest.Wait()
		if len(a.tasks) != 0 {
			t.Error("tasks survive the teardown")
		}
	})
}

func TestRolesFlag(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.master(masterIP, nil, "--roles=web")
		role := "db"
		info := framework("f")
		info.Role = &role
		s := r.scheduler(info)
		if got := brief(s.new()); len(got) != 1 || !strings.HasPrefix(got[0], "ERROR Role 'db'") {
			t.Errorf("got %v", got)
		}
		<-s.done
	})
}

// TestRolesThatNobodyNamed: implicit roles came with 0.27.
func TestRolesThatNobodyNamed(t *testing.T) {
	for compat, refused := range map[string]bool{"0.26": true, "1.3": false} {
		bubble.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.master(masterIP, nil, "--compat="+compat)
			role := "db"
			info := framework("f")
			info.Role = &role
			s := r.scheduler(info)
			got := brief(s.new())
			if is := len(got) > 0 && strings.HasPrefix(got[0], "ERROR Role 'db' is not present in the master's --roles"); is != refused {
				t.Errorf("%s: got %v, want refused %v", compat, got, refused)
			}
		})
	}
}

// TestWhatHasEndedIsNotRecovered: a slave that remembers a framework without
// any task brings a new master nothing to recover.
func TestWhatHasEndedIsNotRecovered(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.master(masterIP, nil)
		a := newAgentDouble(r, "10.0.0.2")
		a.id = "former-S0"
		past := framework("past")
		past.ID = &mesos.FrameworkID{Value: "former-0000"}
		a.fws["former-0000"] = *past
		a.connect(masterAddr)
		synctest.Wait()
		if s := r.state(); len(s.Slaves) != 1 || len(s.Frameworks) != 0 {
			t.Errorf("%d slaves, frameworks %+v", len(s.Slaves), s.Frameworks)
		}
	})
}
