package agent

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	magent "github.com/mesos/mesos-go/api/v1/lib/agent"

	"github.com/mesoslab/lab/internal/proctab"
	"github.com/mesoslab/lab/mini/mesos/agent/docker"
	"github.com/mesoslab/lab/mini/mesos/mjson"
	"github.com/mesoslab/lab/mini/mesos/wire"
	"github.com/mesoslab/lab/mini/supervise"
)

const (
	// measureTimeout bounds one measurement: an engine may stand still.
	measureTimeout = 2 * time.Second
	// measurers is how many measurements are made at once.
	measurers = 8
)

// measured is a container with what it uses.
type measured struct {
	magent.Response_GetContainers_Container
	in container
}

// measure tells what all live containers use, in the order of their tasks' ids.
// One that cannot be measured (it is coming up, or has just gone) shows its
// limits only. false if the agent has ended.
func (a *agent) measure(ctx context.Context) ([]measured, bool) {
	var list []measured
	if !a.ask(func() { list = a.limits() }) {
		return nil, false
	}
	ctx, cancel := context.WithTimeout(ctx, measureTimeout)
	defer cancel()
	var all sync.WaitGroup
	free := make(chan struct{}, measurers)
	for i := range list {
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			if u, err := list[i].in.usage(ctx); err == nil {
				record(list[i].ResourceStatistics, u)
			}
		})
	}
	all.Wait()
	return list, true
}

func record(s *mesos.ResourceStatistics, u docker.Usage) {
	user, system := u.User.Seconds(), u.System.Seconds()
	s.CPUsUserTimeSecs, s.CPUsSystemTimeSecs, s.MemRSSBytes = &user, &system, &u.RSS
	s.Timestamp = seconds(time.Now())
}

// limits are the live containers with what they may use.
func (a *agent) limits() []measured {
	var out []measured
	for _, ref := range a.liveRefs() {
		t := a.tasks[ref]
		sums := withExecutor(resources(t.info.Resources))
		cpus, _ := sums.Get("cpus").(float64)
		mem, _ := sums.Get("mem").(float64)
		bytes, name := uint64(mem*(1<<20)), executorName(t.info)
		status := a.containerStatus(t)
		status.NetworkInfos = nil // the executor's to tell
		m := measured{in: t.in}
		m.FrameworkID, m.ExecutorID = &mesos.FrameworkID{Value: ref.FrameworkID}, &mesos.ExecutorID{Value: ref.TaskID}
		m.ExecutorName, m.ContainerID, m.ContainerStatus = &name, mesos.ContainerID{Value: t.container}, status
		m.ResourceStatistics = &mesos.ResourceStatistics{Timestamp: seconds(time.Now()), CPUsLimit: &cpus, MemLimitBytes: &bytes}
		out = append(out, m)
	}
	return out
}

// containersList is /containers, and without status /monitor/statistics.
func (a *agent) containersList(status bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		list, ok := a.measure(r.Context())
		if !ok {
			refuse(w, terminating())
			return
		}
		out := []mjson.Object{}
		for _, m := range list {
			var o mjson.Object
			o = o.PutIf(status, "container_id", m.ContainerID.Value).
				Put("executor_id", m.ExecutorID.Value).Put("executor_name", *m.ExecutorName).
				Put("framework_id", m.FrameworkID.Value).Put("source", m.ExecutorID.Value).
				Put("statistics", mjson.Proto(m.ResourceStatistics))
			out = append(out, o.PutIf(status, "status", mjson.Proto(m.ContainerStatus)))
		}
		reply(w, r, out)
	}
}

// liveRefs are the tasks whose containers may exist, in order.
func (a *agent) liveRefs() []wire.TaskRef {
	var out []wire.TaskRef
	for ref, t := range a.tasks {
		if t.live {
			out = append(out, ref)
		}
	}
	slices.SortFunc(out, func(x, y wire.TaskRef) int {
		return cmp.Or(cmp.Compare(x.FrameworkID, y.FrameworkID), cmp.Compare(x.TaskID, y.TaskID))
	})
	return out
}

// meter is a launcher that measures by itself, as that of tests does.
type meter interface {
	Usage(ctx context.Context, id proctab.ID) (supervise.Usage, error)
}

// usage counts the supervisor in, which stands for the executor.
func (c *command) usage(ctx context.Context) (docker.Usage, error) {
	id, err := c.supervisor()
	if err != nil {
		return docker.Usage{}, err
	}
	measure := supervise.UsageOf
	if m, ok := c.a.env.Launcher.(meter); ok {
		measure = m.Usage
	}
	u, err := measure(ctx, id)
	if errors.Is(err, proctab.ErrGone) {
		err = docker.ErrNotFound
	}
	return docker.Usage{User: u.User, System: u.System, RSS: u.RSS}, err
}
