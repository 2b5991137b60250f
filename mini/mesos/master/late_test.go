package master

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"github.com/mesoslab/lab/internal/labtest/bubble"
)

func partitionAware(name string) *mesos.FrameworkInfo {
	f := framework(name)
	f.Capabilities = []mesos.FrameworkInfo_Capability{{Type: mesos.FrameworkInfo_Capability_PARTITION_AWARE}}
	return f
}

// tasksOnBoth starts a task on an agent for each of two frameworks.
func tasksOnBoth(r *rig, a *agentDouble, infos ...*mesos.FrameworkInfo) (list []*sched) {
	r.t.Helper()
	for i, info := range infos {
		s := r.scheduler(info)
		s.call(launch(s.offers()[a.agentID()], 0, task([]string{"plain", "aware"}[i], a.agentID(), 1, 64)))
		s.new()
		s.call(calls.Suppress()) // leaves the rest to the next
		synctest.Wait()
		list = append(list, s)
	}
	if len(a.tasks) != len(infos) {
		r.t.Fatalf("%d tasks run", len(a.tasks))
	}
	return list
}

// succeed stops a master and has the frameworks subscribe to the next one.
func (r *rig) succeed(m *testMaster, list []*sched, infos []*mesos.FrameworkInfo, next func() *testMaster) {
	r.t.Helper()
	m.stop()
	<-m.done
	for _, s := range list {
		<-s.done
	}
	next()
	for i, s := range list {
		list[i] = r.scheduler(again(s, infos[i]))
		list[i].new()
	}
}

// TestAgentsThatComeBackTooLate: a restarted master gives up on agents after
// --agent_reregister_timeout and tells frameworks; none of their tasks was
// reported lost. One that comes after that is shut down by 0.26 (contracts 8.2);
// 1.3 takes it in with all its tasks, as this master lost none of them
// (master.cpp of 1.3, __reregisterSlave).
func TestAgentsThatComeBackTooLate(t *testing.T) {
	for _, generation := range []string{"0.26", "1.3"} {
		t.Run(generation, func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.generation = generation
				m := r.realMaster()
				a := r.agent("10.0.0.2")
				infos := []*mesos.FrameworkInfo{framework("plain"), partitionAware("aware")}
				list := tasksOnBoth(r, a, infos...)
				id := a.agentID()
				a.die()
				r.succeed(m, list, infos, func() *testMaster { return r.realMaster() })

				time.Sleep(10*time.Minute - 5*time.Second)
				list[0].call(calls.Reconcile(calls.ReconcileTasks(map[string]string{"plain": id})))
				for _, s := range list { // nothing is said as long as it may come
					if got := brief(s.new()); slices.ContainsFunc(got, func(e string) bool { return e != "HEARTBEAT" }) {
						t.Errorf("before the time-out: %v", got)
					}
				}
				time.Sleep(10 * time.Second)
				for _, s := range list {
					if got := brief(s.new()); !slices.Contains(got, "FAILURE") || slices.ContainsFunc(got, func(e string) bool { return strings.Contains(e, "TASK_") }) {
						t.Errorf("after the time-out: %v", got)
					}
				}
				metrics := r.ask("GET", "/metrics/snapshot", "", 200)
				for _, name := range []string{"recovery_slave_removals", "slave_removals", `slave_removals\/reason_unhealthy`} {
					if !strings.Contains(metrics, `"master\/`+name+`":1.0`) {
						t.Errorf("%s is not counted", name)
					}
				}

				a.connect(masterAddr)
				synctest.Wait()
				if generation == "0.26" {
					if want := "Slave attempted to re-register after removal"; a.shutdown != want {
						t.Errorf("told %q, want %q", a.shutdown, want)
					}
					return
				}
				if a.shutdown != "" || a.agentID() != id || a.tasks["plain"] == nil || a.tasks["aware"] == nil {
					t.Errorf("shutdown %q, id %s, tasks %v", a.shutdown, a.agentID(), a.tasks)
				}
				for i, s := range list {
					s.new()
					s.call(calls.Reconcile())
					want := []string{"plain", "aware"}[i] + ` TASK_RUNNING REASON_RECONCILIATION "Reconciliation: Latest task state"`
					if got := brief(s.new()); !slices.Contains(got, want) {
						t.Errorf("no %s in %v", want, got)
					}
				}
			})
		})
	}
}

// TestUnreachableToAFormerMaster: tasks of an agent that a former master found
// unreachable go on when it comes back to the next one; by the same one those of
// frameworks without PARTITION_AWARE are ended (contracts 8.2: "unless the master
// failed over meanwhile").
func TestUnreachableToAFormerMaster(t *testing.T) {
	for _, failover := range []bool{false, true} {
		t.Run(map[bool]string{false: "the same", true: "the next"}[failover], func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
				r := newRig(t)
				m := r.realMaster()
				a := r.agent("10.0.0.2")
				infos := []*mesos.FrameworkInfo{framework("plain"), partitionAware("aware")}
				list := tasksOnBoth(r, a, infos...)
				a.die()
				time.Sleep(2 * time.Minute)
				if got := brief(list[0].new()); !slices.ContainsFunc(got, func(e string) bool { return strings.HasPrefix(e, "plain TASK_LOST") }) {
					t.Errorf("plain: %v", got)
				}
				if failover {
					r.succeed(m, list, infos, func() *testMaster { return r.realMaster() })
				}
				a.connect(masterAddr)
				synctest.Wait()
				if runs := a.tasks["plain"] != nil; runs != failover || a.tasks["aware"] == nil {
					t.Errorf("on the agent: %v", a.tasks)
				}
			})
		})
	}
}
