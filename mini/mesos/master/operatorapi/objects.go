package operatorapi

import (
	"maps"
	"slices"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/master"

	"github.com/mesoslab/lab/mini/mesos/master/cluster"
	"github.com/mesoslab/lab/mini/mesos/master/resource"
)

func agents(s cluster.Snapshot) *master.Response_GetAgents {
	list := &master.Response_GetAgents{RecoveredAgents: s.Recovered}
	for _, a := range s.Agents {
		list.Agents = append(list.Agents, agent(a))
	}
	return list
}

func agent(a cluster.AgentView) master.Response_GetAgents_Agent {
	return master.Response_GetAgents_Agent{
		AgentInfo: a.Info, Active: a.Connected, Version: a.Version, PID: &a.PID,
		RegisteredTime: when(a.Registered), ReregisteredTime: when(a.Reregistered),
		TotalResources: a.Total.Proto(""), AllocatedResources: allocated(a.UsedBy), OfferedResources: allocated(a.OfferedTo),
		Capabilities: []mesos.AgentInfo_Capability{{Type: mesos.AgentInfo_Capability_MULTI_ROLE}},
	}
}

func frameworks(s cluster.Snapshot) *master.Response_GetFrameworks {
	list := &master.Response_GetFrameworks{}
	for _, f := range s.Frameworks {
		list.Frameworks = append(list.Frameworks, framework(f))
	}
	for _, f := range s.Completed {
		list.CompletedFrameworks = append(list.CompletedFrameworks, framework(f))
	}
	return list
}

func framework(f cluster.FrameworkView) master.Response_GetFrameworks_Framework {
	again := f.Reregistered
	if again.IsZero() { // 1.3.2 tells the time of the registration then
		again = f.Registered
	}
	v := master.Response_GetFrameworks_Framework{
		FrameworkInfo: f.Info, Active: f.Connected, Connected: f.Connected, Recovered: f.Recovered,
		RegisteredTime: when(f.Registered), ReregisteredTime: when(again), UnregisteredTime: when(f.Unregistered),
	}
	used, offered := map[string]resource.Set{}, map[string]resource.Set{}
	for _, t := range f.Tasks {
		if !t.Over() {
			used[t.Role] = used[t.Role].Add(t.Resources())
		}
	}
	for _, o := range f.Offers {
		offered[o.Role] = offered[o.Role].Add(o.Resources)
		offer := o.Offer
		offer.AllocationInfo = &mesos.Resource_AllocationInfo{Role: &o.Role}
		offer.Resources = o.Resources.Proto(o.Role)
		v.Offers = append(v.Offers, offer)
	}
	v.AllocatedResources, v.OfferedResources = allocated(used), allocated(offered)
	return v
}

func tasks(s cluster.Snapshot) *master.Response_GetTasks {
	list := &master.Response_GetTasks{}
	for _, f := range slices.Concat(s.Frameworks, s.Completed) {
		for _, t := range f.Tasks {
			list.Tasks = append(list.Tasks, task(t))
		}
		for _, t := range f.Unreachable {
			list.UnreachableTasks = append(list.UnreachableTasks, task(t))
		}
		for _, t := range f.Done {
			list.CompletedTasks = append(list.CompletedTasks, task(t))
		}
	}
	return list
}

// task tells also to which role the resources are allocated.
func task(t cluster.TaskView) mesos.Task {
	v := t.Task
	v.Resources = t.Resources().Proto(t.Role)
	return v
}

// allocated lists resources with the role that they are allocated to.
func allocated(byRole map[string]resource.Set) []mesos.Resource {
	var list []mesos.Resource
	for _, role := range slices.Sorted(maps.Keys(byRole)) {
		list = append(list, byRole[role].Proto(role)...)
	}
	return list
}

func when(t time.Time) *mesos.TimeInfo {
	if t.IsZero() {
		return nil
	}
	return &mesos.TimeInfo{Nanoseconds: t.UnixNano()}
}
