package endpoints

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/mini/mesos/master/cluster"
	"github.com/mesoslab/lab/mini/mesos/master/resource"
	"github.com/mesoslab/lab/mini/mesos/mjson"
)

// resources prints a set in the order of the real master's hash table. The
// four well-known scalars are always there.
func resources(s resource.Set) mjson.Object {
	o := make(mjson.Object, 0, 6)
	always := [...]string{"disk", "mem", "gpus", "cpus"}
	for _, name := range always {
		o = o.Put(name, s.Scalar(name))
	}
	for _, it := range s.Flat().Items() {
		switch {
		case slices.Contains(always[:], it.Name):
		case it.Kind == resource.Scalar:
			o = o.Put(it.Name, s.Scalar(it.Name))
		default:
			o = o.Put(it.Name, it.Value())
		}
	}
	return o
}

func attributes(list []mesos.Attribute) mjson.Object {
	o := mjson.Object{}
	for i := range list {
		a := &list[i]
		switch a.Type {
		case mesos.SCALAR:
			o = o.Put(a.Name, a.GetScalar().GetValue())
		case mesos.RANGES:
			var parts []string
			for _, r := range a.GetRanges().GetRange() {
				parts = append(parts, fmt.Sprintf("%d-%d", r.Begin, r.End))
			}
			o = o.Put(a.Name, "["+strings.Join(parts, ", ")+"]")
		case mesos.SET:
			o = o.Put(a.Name, "{"+strings.Join(a.GetSet().GetItem(), ", ")+"}")
		default:
			o = o.Put(a.Name, a.GetText().GetValue())
		}
	}
	return o
}

// recovered prints an agent of the registry that has not come back yet.
func recovered(a mesos.AgentInfo) mjson.Object {
	return mjson.Object{}.
		Put("id", a.GetID().GetValue()).
		Put("hostname", a.Hostname).
		Put("port", a.GetPort()).
		Put("attributes", attributes(a.Attributes))
}

func agent(a cluster.AgentView) mjson.Object {
	reserved := mjson.Object{}
	for _, role := range a.Total.Roles() {
		reserved = reserved.Put(role, resources(a.Total.Reserved(role)))
	}
	return make(mjson.Object, 0, 20).
		Put("id", a.ID).
		Put("hostname", a.Info.Hostname).
		Put("port", a.Info.GetPort()).
		Put("attributes", attributes(a.Info.Attributes)).
		Put("pid", a.PID).
		Put("registered_time", epoch(a.Registered)).
		PutIf(!a.Reregistered.IsZero(), "reregistered_time", epoch(a.Reregistered)).
		Put("resources", resources(a.Total)).
		Put("used_resources", resources(a.Used)).
		Put("offered_resources", resources(a.Offered)).
		Put("reserved_resources", reserved).
		Put("unreserved_resources", resources(a.Total.Unreserved())).
		Put("active", a.Connected).
		Put("version", a.Version).
		Put("capabilities", []string{"MULTI_ROLE"})
}

func agentFull(a cluster.AgentView) mjson.Object {
	reserved := mjson.Object{}
	for _, role := range a.Total.Roles() {
		reserved = reserved.Put(role, full(map[string]resource.Set{"": a.Total.Reserved(role)}))
	}
	return agent(a).
		Put("reserved_resources_full", reserved).
		Put("used_resources_full", full(a.UsedBy)).
		Put("offered_resources_full", full(a.OfferedTo))
}

// full prints resources one by one, with the role that each is allocated to.
func full(byRole map[string]resource.Set) mjson.Array {
	list := mjson.Array{}
	for _, role := range slices.Sorted(maps.Keys(byRole)) {
		for _, r := range byRole[role].Proto(role) {
			o := mjson.Object{}.Put("name", r.Name).Put("type", r.Type.String())
			switch *r.Type {
			case mesos.SCALAR:
				o = o.Put("scalar", mjson.ProtoByNumber(r.Scalar))
			case mesos.RANGES:
				o = o.Put("ranges", mjson.ProtoByNumber(r.Ranges))
			case mesos.SET:
				o = o.Put("set", mjson.ProtoByNumber(r.Set))
			}
			o = o.Put("role", *r.Role)
			if r.Reservation != nil {
				o = o.Put("reservation", mjson.ProtoByNumber(r.Reservation))
			}
			if r.Disk != nil {
				o = o.Put("disk", mjson.ProtoByNumber(r.Disk))
			}
			list = append(list, o.
				PutIf(role != "", "allocation_info", mjson.Object{}.Put("role", role)))
		}
	}
	return list
}

// frameworkHead is what /frameworks and /state-summary have in common.
func frameworkHead(f cluster.FrameworkView) mjson.Object {
	capabilities := []string{}
	for _, c := range f.Info.Capabilities {
		capabilities = append(capabilities, c.Type.String())
	}
	return mjson.Object{}.
		Put("id", f.ID).
		Put("name", f.Info.Name).
		Put("used_resources", resources(f.Used)).
		Put("offered_resources", resources(f.Offered)).
		Put("capabilities", capabilities).
		Put("hostname", f.Info.GetHostname()).
		Put("webui_url", f.Info.GetWebUiURL()).
		Put("active", f.Connected).
		Put("connected", f.Connected).
		Put("recovered", f.Recovered)
}

func framework(f cluster.FrameworkView) mjson.Object {
	o := frameworkHead(f).
		Put("user", f.Info.User).
		Put("failover_timeout", f.Info.GetFailoverTimeout()).
		Put("checkpoint", f.Info.GetCheckpoint()).
		Put("registered_time", epoch(f.Registered)).
		Put("unregistered_time", epoch(f.Unregistered)).
		PutIf(f.Info.Principal != nil, "principal", f.Info.GetPrincipal()).
		Put("resources", resources(f.Used.Add(f.Offered))).
		PutIf(!f.Reregistered.IsZero(), "reregistered_time", epoch(f.Reregistered))
	if f.MultiRole {
		o = o.Put("roles", f.Roles)
	} else {
		o = o.Put("role", f.Roles[0])
	}
	return o.
		Put("tasks", each(f.Tasks, task)).
		Put("unreachable_tasks", each(f.Unreachable, task)).
		Put("completed_tasks", each(f.Done, task)).
		Put("offers", each(f.Offers, offer)).
		Put("executors", mjson.Array{}).
		PutIf(f.Info.Labels != nil, "labels", labels(f.Info.Labels))
}

func offer(o cluster.OfferView) mjson.Object {
	return mjson.Object{}.
		Put("id", o.ID.Value).
		Put("framework_id", o.FrameworkID.Value).
		Put("allocation_info", mjson.Object{}.Put("role", o.Role)).
		Put("slave_id", o.AgentID.Value).
		Put("resources", resources(o.Resources))
}

func task(t cluster.TaskView) mjson.Object {
	r := t.Resources()
	o := make(mjson.Object, 0, 16).
		Put("id", t.TaskID.Value).
		Put("name", t.Name).
		Put("framework_id", t.FrameworkID.Value).
		Put("executor_id", t.GetExecutorID().GetValue()).
		Put("slave_id", t.AgentID.Value).
		Put("state", t.State.String()).
		Put("resources", resources(r)).
		Put("role", t.Role).
		Put("statuses", each(t.Statuses, status))
	o = o.PutIf(t.User != nil, "user", t.GetUser()).
		PutIf(t.Labels != nil, "labels", labels(t.Labels))
	if t.Discovery != nil {
		o = o.Put("discovery", mjson.ProtoByNumber(t.Discovery))
	}
	if t.Container != nil {
		o = o.Put("container", mjson.ProtoByNumber(t.Container))
	}
	return o
}

func status(s mesos.TaskStatus) mjson.Object {
	o := mjson.Object{}.
		Put("state", s.State.String()).
		Put("timestamp", s.GetTimestamp()).
		PutIf(s.Labels != nil, "labels", labels(s.Labels))
	if s.ContainerStatus != nil {
		c := mjson.Object{}
		if s.ContainerStatus.ContainerID != nil {
			c = c.Put("container_id", mjson.Proto(s.ContainerStatus.ContainerID))
		}
		infos := s.ContainerStatus.NetworkInfos
		if len(infos) > 0 {
			c = c.Put("network_infos", each(infos, func(n mesos.NetworkInfo) mjson.Object { return mjson.Proto(n) }))
		}
		o = o.Put("container_status", c)
	}
	return o.PutIf(s.Healthy != nil, "healthy", s.GetHealthy())
}

func labels(l *mesos.Labels) []mjson.Object {
	return each(l.GetLabels(), func(x mesos.Label) mjson.Object {
		return mjson.Object{}.Put("key", x.Key).PutIf(x.Value != nil, "value", x.GetValue())
	})
}
