package master

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"github.com/mesoslab/lab/internal/labtest/bubble"
	"github.com/mesoslab/lab/mini/mesos/wire"
)

// running brings up two agents and a framework with one task on each.
func running(r *rig, info *mesos.FrameworkInfo) (a, b *agentDouble, s *sched) {
	a, b = r.agent("10.0.0.2"), r.agent("10.0.0.3")
	s = r.scheduler(info)
	offers := s.offers()
	s.call(launch(offers[a.agentID()], 1000*time.Second, task("ta", a.agentID(), 1, 64)))
	s.call(launch(offers[b.agentID()], 1000*time.Second, task("tb", b.agentID(), 1, 64)))
	s.new()
	return a, b, s
}

// TestLossLaw: N pings of T lose a dead agent's tasks between N·T and
// (N+1)·T after its death, wherever between two pings it dies.
func TestLossLaw(t *testing.T) {
	const T, N = 2 * time.Second, 3
	for _, silent := range []bool{false, true} {
		for _, offset := range []time.Duration{0, time.Millisecond, 700 * time.Millisecond, 1999 * time.Millisecond} {
			t.Run(fmt.Sprintf("silent=%v/%v", silent, offset), func(t *testing.T) {
				bubble.Test(t, func(t *testing.T) {
					r := newRig(t)
					r.master(masterIP, nil, "--agent_ping_timeout=2secs", "--max_slave_ping_timeouts=3")
					a, _, s := running(r, framework("f"))
					time.Sleep(10*T + offset)
					died := time.Now()
					if silent {
						a.setMute(true)
					} else {
						a.die()
					}
					s.new() // heartbeats so far
					for len(s.new()) == 0 {
						if time.Since(died) > 10*T {
							t.Fatal("task never lost")
						}
						time.Sleep(time.Millisecond)
					}
					if d := time.Since(died); d < N*T || d > (N+1)*T+time.Millisecond {
						t.Errorf("lost after %v, want %v to %v", d, N*T, (N+1)*T)
					}
				})
			})
		}
	}
}

func TestLossIsToldInOrder(t *testing.T) {
	for _, c := range []struct{ compat, why string }{
		{"0.26", "Slave agent-10.0.0.2 removed: health check timed out"},
		{"1.3", "Agent agent-10.0.0.2 is unreachable: health check timed out"},
	} {
		bubble.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.master(masterIP, nil, "--compat="+c.compat, "--agent_ping_timeout=1secs", "--max_agent_ping_timeouts=2")
			a, _, s := running(r, framework("f"))
			other := r.scheduler(framework("other")) // is offered the rest of both agents
			s.new()
			if got := brief(other.new()); !slices.Equal(got, []string{"SUBSCRIBED", "HEARTBEAT", "OFFERS 2"}) {
				t.Fatalf("other framework: %v", got)
			}
			a.die()
			if got := brief(other.new()); !slices.Equal(got, []string{"RESCIND"}) {
				t.Errorf("when the connection broke: %v", got)
			}
			st := r.state()
			if st.Activated != 1 || st.Deactivated != 1 || len(st.Slaves) != 2 || st.Frameworks[0].Tasks[0].State != "TASK_RUNNING" {
				t.Errorf("state right after: %+v", st)
			}
			time.Sleep(3 * time.Second)
			want := []string{fmt.Sprintf("ta TASK_LOST REASON_AGENT_REMOVED %q", c.why), "FAILURE"}
			events := s.new()
			if d := cmp.Diff(want, brief(events)); d != "" {
				t.Fatalf("removal (-want +got):\n%s", d)
			}
			status := events[0].Update.Status
			if len(status.UUID) != 0 || status.AgentID.Value != a.agentID() || *status.Source != mesos.SOURCE_MASTER {
				t.Errorf("status: %+v", status)
			}
			if (status.UnreachableTime != nil) != (c.compat == "1.3") {
				t.Errorf("unreachable_time: %v", status.UnreachableTime)
			}
			if got := brief(other.new()); !slices.Equal(got, []string{"FAILURE"}) {
				t.Errorf("other framework: %v", got)
			}
			st = r.state()
			if len(st.Slaves) != 1 || len(st.Frameworks[0].Tasks) != 1 || st.Frameworks[0].CompletedTasks[0].State != "TASK_LOST" {
				t.Errorf("state after removal: %+v", st)
			}
		})
	}
}

func TestPongCancelsRemoval(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.master(masterIP, nil, "--agent_ping_timeout=1secs", "--max_agent_ping_timeouts=3")
		a, _, s := running(r, framework("f"))
		for range 20 { // never three in a row
			a.setMute(true)
			time.Sleep(1700 * time.Millisecond)
			a.setMute(false)
			time.Sleep(1600 * time.Millisecond)
		}
		for _, e := range brief(s.new()) {
			if e != "HEARTBEAT" {
				t.Errorf("unexpected %s", e)
			}
		}
		if st := r.state(); st.Activated != 2 {
			t.Errorf("activated %v", st.Activated)
		}
	})
}

func TestNoCheckpointLosesAtOnce(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.master(masterIP, nil, "--compat=1.3")
		info := framework("f")
		info.Checkpoint = nil
		a, _, s := running(r, info)
		a.die()
		want := []string{`ta TASK_LOST REASON_AGENT_DISCONNECTED "Agent agent-10.0.0.2 disconnected"`}
		if d := cmp.Diff(want, brief(s.new())); d != "" {
			t.Fatalf("(-want +got):\n%s", d)
		}
		// It was only the connection: the agent still runs it, and must stop.
		a.connect(masterAddr)
		if got := brief(s.new()); !slices.Contains(got, "ta TASK_KILLED") {
			t.Errorf("after return: %v", got)
		}
	})
}

func TestAgentReturnsInTime(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.master(masterIP, nil)
		a, _, s := running(r, framework("f"))
		id := a.agentID()
		a.die()
		time.Sleep(30 * time.Second)
		a.connect(masterAddr)
		for _, e := range brief(s.new()) {
			if e != "HEARTBEAT" {
				t.Errorf("unexpected %s", e)
			}
		}
		st := r.state()
		if st.Activated != 2 || a.agentID() != id || len(st.Frameworks[0].Tasks) != 2 {
			t.Errorf("state: %+v", st)
		}
		s.call(calls.Revive())
		if o := s.offers(); len(o) != 2 {
			t.Errorf("offers after revive: %d", len(o))
		}
	})
}

func TestKillWhileAgentIsAway(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.master(masterIP, nil)
		a, _, s := running(r, framework("f"))
		a.die()
		s.call(calls.Kill("ta", ""))
		if got := brief(s.new()); len(got) != 0 {
			t.Fatalf("before return: %v", got)
		}
		a.connect(masterAddr)
		if got := brief(s.new()); !slices.Equal(got, []string{"ta TASK_KILLED"}) {
			t.Errorf("after return: %v", got)
		}
	})
}

func TestTaskForgottenByAgentIsReconciled(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.master(masterIP, nil)
		a, _, _ := running(r, framework("f"))
		a.die()
		a.mu.Lock()
		clear(a.tasks)
		a.mu.Unlock()
		a.connect(masterAddr)
		synctest.Wait()
		a.mu.Lock()
		defer a.mu.Unlock()
		var missing []string
		for _, m := range a.received {
			if m, ok := m.(*wire.Reregistered); ok {
				for _, ref := range m.Reconcile {
					missing = append(missing, ref.TaskID)
				}
			}
		}
		if !slices.Equal(missing, []string{"ta"}) {
			t.Errorf("asked about %v", missing)
		}
	})
}

// TestRemovedAgentReturns is where 0.26 and 1.3 differ.
func TestRemovedAgentReturns(t *testing.T) {
	t.Run("0.26", func(t *testing.T) {
		bubble.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.master(masterIP, nil, "--agent_ping_timeout=1secs", "--max_agent_ping_timeouts=2")
			a, _, s := running(r, framework("f"))
			a.die()
			time.Sleep(4 * time.Second)
			s.new()
			a.connect(masterAddr)
			synctest.Wait()
			if want := "Slave attempted to re-register after removal"; a.shutdown != want {
				t.Fatalf("told %q, want %q", a.shutdown, want)
			}
			a.die()
			old := a.agentID()
			fresh := newAgentDouble(r, a.ip)
			fresh.connect(masterAddr)
			synctest.Wait()
			if id := fresh.agentID(); id == old || !strings.HasSuffix(id, "-S2") {
				t.Errorf("new id %s after %s", id, old)
			}
			if st := r.state(); st.Activated != 2 {
				t.Errorf("activated %v", st.Activated)
			}
		})
	})
	t.Run("1.3", func(t *testing.T) {
		bubble.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.master(masterIP, nil, "--compat=1.3", "--agent_ping_timeout=1secs", "--max_agent_ping_timeouts=2")
			aware := framework("aware")
			aware.Capabilities = []mesos.FrameworkInfo_Capability{{Type: mesos.FrameworkInfo_Capability_PARTITION_AWARE}}
			a, _, s := running(r, aware)
			plain := r.scheduler(framework("plain"))
			offer := plain.offers()[a.agentID()]
			plain.call(launch(offer, time.Second, task("tp", a.agentID(), 1, 64)))
			plain.new()
			a.setMute(true) // silent, then cut off
			time.Sleep(4 * time.Second)
			if got := brief(s.new()); len(got) != 2 || !strings.HasPrefix(got[0], "ta TASK_UNREACHABLE REASON_AGENT_REMOVED") {
				t.Fatalf("aware: %v", got)
			}
			if got := brief(plain.new()); !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "tp TASK_LOST REASON_AGENT_REMOVED") }) {
				t.Fatalf("plain: %v", got)
			}
			s.call(calls.Reconcile(calls.ReconcileTasks(map[string]string{"ta": a.agentID()})))
			if got := brief(s.new()); !slices.Equal(got, []string{`ta TASK_UNREACHABLE REASON_RECONCILIATION "Reconciliation: Task is unreachable"`}) {
				t.Errorf("reconcile: %v", got)
			}
			a.setMute(false)
			a.die()
			a.connect(masterAddr)
			synctest.Wait()
			if _, runs := a.tasks["tp"]; runs || a.tasks["ta"] == nil || a.shutdown != "" {
				t.Errorf("on the agent after its return: %v, shutdown %q", a.tasks, a.shutdown)
			}
			s.call(calls.Reconcile())
			if got := brief(s.new()); !slices.Contains(got, `ta TASK_RUNNING REASON_RECONCILIATION "Reconciliation: Latest task state"`) {
				t.Errorf("reconcile after return: %v", got)
			}
		})
	})
}

// TestNewProcessAtOldAddress: the old agent is gone when a new one registers
// where it was.
func TestNewProcessAtOldAddress(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.master(masterIP, nil)
		a, _, s := running(r, framework("f"))
		a.die()
		fresh := newAgentDouble(r, a.ip)
		fresh.connect(masterAddr)
		want := `ta TASK_LOST REASON_AGENT_REMOVED "Slave agent-10.0.0.2 removed: a new slave registered at the same address"`
		if got := brief(s.new()); len(got) < 2 || got[0] != want || got[1] != "FAILURE" {
			t.Errorf("got %v", got)
		}
	})
}
