package master

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mesos/mesos-go/api/v1/lib/encoding/codecs"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"github.com/mesoslab/lab/internal/labtest/bubble"
)

// TestForeignClient leads mesos-go's scheduler client through a framework's
// life, in both encodings.
func TestForeignClient(t *testing.T) {
	for _, media := range []string{codecs.MediaTypeJSON.ContentType(), codecs.MediaTypeProtobuf.ContentType()} {
		t.Run(media, func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.master(masterIP, nil, "--compat=1.3")
				a := r.agent("10.0.0.2")
				s := r.schedulerWith(framework("foreign"), media, masterAddr)
				events := s.new()
				want := []string{"SUBSCRIBED", "HEARTBEAT", "OFFERS 1"}
				if d := cmp.Diff(want, brief(events)); d != "" {
					t.Fatalf("first events (-want +got):\n%s", d)
				}
				offer := events[2].Offers.Offers[0]
				s.call(launch(offer, time.Second, task("t1", a.agentID(), 0.5, 64), task("t2", a.agentID(), 100, 64)))
				want = []string{
					`t2 TASK_ERROR REASON_TASK_INVALID "Total resources cpus(*)(allocated: *):100; mem(*)(allocated: *):64 required by task and its executor is more than available cpus(*)(allocated: *):3.5; mem(*)(allocated: *):1984; disk(*)(allocated: *):1024; ports(*)(allocated: *):[31000-31099]"`,
					"t1 TASK_RUNNING",
				}
				got := brief(s.new())
				if d := cmp.Diff(want, got); d != "" {
					t.Fatalf("after launch (-want +got):\n%s", d)
				}
				if !slices.Equal(a.acks, []string{"t1"}) {
					t.Errorf("acknowledged to the agent: %v", a.acks)
				}
				s.call(calls.Reconcile(calls.ReconcileTasks(map[string]string{"t1": "", "nope": ""})))
				got = brief(s.new())
				slices.Sort(got)
				want = []string{
					`nope TASK_LOST REASON_RECONCILIATION "Reconciliation: Task is unknown"`,
					`t1 TASK_RUNNING REASON_RECONCILIATION "Reconciliation: Latest task state"`,
				}
				if d := cmp.Diff(want, got); d != "" {
					t.Errorf("reconcile (-want +got):\n%s", d)
				}
				s.call(calls.Kill("t1", ""))
				if got := brief(s.new()); !slices.Equal(got, []string{"t1 TASK_KILLED"}) {
					t.Errorf("kill: %v", got)
				}
				if st := r.state(); len(st.Frameworks[0].Tasks) != 0 || st.Frameworks[0].CompletedTasks[0].State != "TASK_KILLED" {
					t.Errorf("after kill: %+v", st.Frameworks)
				}
				s.call(calls.Kill("t9", ""))
				s.call(calls.Message(a.agentID(), "t1", []byte("hello")))
				if got := brief(s.new()); len(got) != 1 || !strings.HasPrefix(got[0], "t9 TASK_LOST") {
					t.Errorf("kill of an unknown task: %v", got)
				}
				s.call(&scheduler.Call{Type: scheduler.Call_TEARDOWN})
				<-s.done
				if st := r.state(); len(st.Frameworks) != 0 || len(st.CompletedFrameworks) != 1 {
					t.Errorf("after teardown: %+v", st)
				}
			})
		})
	}
}
