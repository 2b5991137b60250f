package master

import (
	"fmt"
	"testing"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"github.com/mesoslab/lab/mini/mesos/master/cluster"
	"github.com/mesoslab/lab/mini/mesos/master/endpoints"
	"github.com/mesoslab/lab/mini/mesos/master/resource"
	"github.com/mesoslab/lab/mini/mesos/mjson"
	"github.com/mesoslab/lab/mini/mesos/wire"
)

// offered keeps the offers of a stream.
type offered struct{ list []mesos.Offer }

func (o *offered) Send(e *scheduler.Event) { o.list = append(o.list, e.GetOffers().GetOffers()...) }
func (o *offered) Close()                  {}

// deafLink has a size, so that each has an address of its own.
type deafLink struct{ _ byte }

func (*deafLink) Send(wire.Message) {}
func (*deafLink) Close()            {}

// crowd is a cluster of n agents with one task on each, and what its one
// framework is offered.
func crowd(b *testing.B, n int) (*cluster.Cluster, *offered) {
	c, err := cluster.New(cluster.Options{Master: mesos.MasterInfo{ID: "m"}, Compat: cluster.V13, PingTimeout: time.Hour, MaxPings: 5,
		AllocationInterval: time.Hour, ReregisterTimeout: time.Hour, MaxCompletedTasks: 10, MaxCompletedFrameworks: 10})
	if err != nil {
		b.Fatal(err)
	}
	ports := resource.Of(resource.Item{Name: "ports", Role: "*", Kind: resource.Ranges, Ranges: []resource.Range{{Begin: 31000, End: 32000}}})
	for i := range n {
		info := mesos.AgentInfo{Hostname: fmt.Sprintf("agent%d", i), Resources: resource.CPUMem(4, 8192).Add(ports).Proto("")}
		if err := c.Receive(&deafLink{}, &wire.Register{Agent: wire.Of(info), PID: fmt.Sprintf("slave(1)@10.0.0.2:%d", 10000+i), Version: "1.3.2", Checkpoint: true}); err != nil {
			b.Fatal(err)
		}
	}
	s := &offered{}
	checkpoint := true
	c.Subscribe(mesos.FrameworkInfo{User: "root", Name: "f", Checkpoint: &checkpoint}, nil, s, "s")
	for _, o := range s.list {
		must(b, c.Call(launch(o, 0, task("t-"+o.AgentID.Value, o.AgentID.Value, 0.1, 32)).With(calls.Framework("m-0000")), "s"))
	}
	s.list = nil
	return c, s
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// BenchmarkRegister is a thousand agents' registration, one by one.
func BenchmarkRegister(b *testing.B) {
	for b.Loop() {
		crowd(b, 1000)
	}
}

// BenchmarkAllocate offers a thousand agents and takes them all back.
func BenchmarkAllocate(b *testing.B) {
	c, s := crowd(b, 1000)
	for b.Loop() {
		must(b, c.Call(calls.Revive().With(calls.Framework("m-0000")), "s"))
		b.StopTimer()
		if len(s.list) != 1000 {
			b.Fatalf("%d offers", len(s.list))
		}
		var ids []mesos.OfferID
		for _, o := range s.list {
			ids = append(ids, o.ID)
		}
		s.list = nil
		must(b, c.Call(calls.Decline(ids...).With(calls.RefuseSeconds(0)).With(calls.Framework("m-0000")), "s"))
		b.StartTimer()
	}
}

// BenchmarkState prints a thousand agents and tasks.
func BenchmarkState(b *testing.B) {
	c, _ := crowd(b, 1000)
	for b.Loop() {
		mjson.Marshal(endpoints.State(endpoints.Master{}, c.Snapshot()))
	}
}
