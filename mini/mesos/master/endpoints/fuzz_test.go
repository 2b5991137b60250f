package endpoints

import (
	"testing"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/mesoslab/lab/mini/mesos/master/cluster"
	"github.com/mesoslab/lab/mini/mesos/master/resource"
	"github.com/mesoslab/lab/mini/mesos/mjson"
	"github.com/mesoslab/lab/mini/mesos/wire"
)

type link struct{ _ byte } // each has an address of its own

func (*link) Send(wire.Message) {}
func (*link) Close()            {}

type stream struct{ _ byte }

func (*stream) Send(*scheduler.Event) {}
func (*stream) Close()                {}

// FuzzAgent sends what two agents might say to a living cluster: nothing
// panics, no invariant breaks, and the state can be printed afterwards.
func FuzzAgent(f *testing.F) {
	state := mesos.TASK_RUNNING
	agent := mesos.AgentInfo{Hostname: "x", ID: &mesos.AgentID{Value: "m-S7"}, Resources: resource.CPUMem(2, 512).Proto("")}
	info := mesos.FrameworkInfo{User: "u", Name: "f", ID: &mesos.FrameworkID{Value: "m-0000"}}
	t := mesos.Task{TaskID: mesos.TaskID{Value: "t"}, FrameworkID: *info.ID, AgentID: *agent.ID, State: &state,
		Resources: resource.CPUMem(1, 64).Proto(""), Statuses: []mesos.TaskStatus{{State: &state}}}
	messages := []wire.Message{
		&wire.Register{Agent: wire.Of(agent), PID: "slave(1)@10.0.0.7:5051", Version: "1.3.2"},
		&wire.Reregister{Agent: wire.Of(agent), PID: "slave(1)@10.0.0.7:5051", Tasks: []wire.Task{wire.Of(t), wire.Of(mesos.Task{State: &state})},
			Completed: []wire.Task{wire.Of(t)}, Frameworks: []wire.FrameworkInfo{wire.Of(info), wire.Of(mesos.FrameworkInfo{})}},
		&wire.StatusUpdate{FrameworkID: "m-0000", Status: wire.Of(mesos.TaskStatus{TaskID: t.TaskID, State: &state, UUID: []byte("u")}), LatestState: state},
		&wire.Pong{Seq: 7}, &wire.Unregister{}, &wire.Shutdown{},
	}
	for _, x := range messages {
		for _, y := range messages {
			a, err := wire.Marshal(x)
			b, err2 := wire.Marshal(y)
			if err != nil || err2 != nil {
				f.Fatal(err, err2)
			}
			f.Add(a, b)
		}
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		x, err := wire.Unmarshal(first)
		y, err2 := wire.Unmarshal(second)
		if err != nil || err2 != nil {
			return
		}
		c, err := cluster.New(cluster.Options{Master: mesos.MasterInfo{ID: "m"}, Compat: cluster.V13, PingTimeout: time.Hour, MaxPings: 5,
			AllocationInterval: time.Hour, ReregisterTimeout: time.Hour, MaxCompletedTasks: 10, MaxCompletedFrameworks: 10, MaxUnreachableTasks: 10,
			Audit: func(err error) {
				if err != nil {
					t.Errorf("invariant broken: %v", err)
				}
			}})
		if err != nil {
			t.Fatal(err)
		}
		c.Subscribe(mesos.FrameworkInfo{User: "root", Name: "f"}, nil, &stream{}, "s")
		for range 2 {
			l := &link{}
			for _, m := range []wire.Message{x, y, x, y} {
				if c.Receive(l, m) != nil {
					c.Disconnected(l)
					break
				}
			}
		}
		s := c.Snapshot()
		for _, v := range []mjson.Object{State(Master{}, s), Summary(Master{}, s), Slaves(s, ""), Tasks(s, nil), Roles(s), Metrics(Master{}, true, s)} {
			if b := mjson.Marshal(v); len(b) == 0 {
				t.Error("nothing is printed")
			}
		}
	})
}
