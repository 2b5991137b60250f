package operatorapi

import (
	"maps"
	"slices"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/master"

	"github.com/mesoslab/lab/mini/mesos/master/cluster"
	"github.com/mesoslab/lab/mini/mesos/master/endpoints"
)

// get answers a call that only asks; nil if this master has no such thing.
func (a API) get(call master.Call_Type) *master.Response {
	r := &master.Response{Type: master.Response_Type(master.Response_Type_value[call.String()])}
	switch call {
	case master.Call_GET_HEALTH:
		r.GetHealth = &master.Response_GetHealth{Healthy: true}
	case master.Call_GET_FLAGS:
		r.GetFlags = a.flags()
	case master.Call_GET_VERSION:
		r.GetVersion = version()
	case master.Call_GET_METRICS:
		r.GetMetrics = a.metrics()
	case master.Call_GET_LOGGING_LEVEL:
		r.GetLoggingLevel = &master.Response_GetLoggingLevel{Level: a.Logging.Level()}
	case master.Call_GET_STATE:
		r.GetState = state(a.Cluster.Snapshot())
	case master.Call_GET_AGENTS:
		r.GetAgents = agents(a.Cluster.Snapshot())
	case master.Call_GET_FRAMEWORKS:
		r.GetFrameworks = frameworks(a.Cluster.Snapshot())
	case master.Call_GET_EXECUTORS: // a command executor is its task
		r.GetExecutors = &master.Response_GetExecutors{}
	case master.Call_GET_TASKS:
		r.GetTasks = tasks(a.Cluster.Snapshot())
	case master.Call_GET_ROLES:
		r.GetRoles = roles(a.Cluster.Snapshot())
	case master.Call_GET_WEIGHTS:
		r.GetWeights = weights(a.Cluster.Snapshot())
	case master.Call_GET_MASTER:
		info := a.Cluster.Master()
		r.GetMaster = &master.Response_GetMaster{MasterInfo: &info}
	case master.Call_GET_MAINTENANCE_STATUS:
		r.GetMaintenanceStatus = &master.Response_GetMaintenanceStatus{Status: a.Cluster.MaintenanceStatus()}
	case master.Call_GET_MAINTENANCE_SCHEDULE:
		r.GetMaintenanceSchedule = &master.Response_GetMaintenanceSchedule{Schedule: a.Cluster.Schedule()}
	case master.Call_GET_QUOTA:
		r.GetQuota = &master.Response_GetQuota{Status: a.Cluster.Quotas()}
	default:
		return nil
	}
	return r
}

func (a API) flags() *master.Response_GetFlags {
	list := &master.Response_GetFlags{}
	for _, name := range slices.Sorted(maps.Keys(a.Master.Flags)) {
		list.Flags = append(list.Flags, mesos.Flag{Name: name, Value: ptr(a.Master.Flags[name])})
	}
	return list
}

func version() *master.Response_GetVersion {
	b := endpoints.Built()
	return &master.Response_GetVersion{VersionInfo: mesos.VersionInfo{
		Version: endpoints.Version, BuildDate: ptr(b.Format(endpoints.BuildDate)),
		BuildTime: ptr(float64(b.Unix())), BuildUser: ptr(""),
	}}
}

func (a API) metrics() *master.Response_GetMetrics {
	list := &master.Response_GetMetrics{}
	for _, m := range endpoints.Metrics(a.Master, true, a.Cluster.Snapshot()) {
		if v, ok := m.Value.(float64); ok {
			list.Metrics = append(list.Metrics, mesos.Metric{Name: m.Key, Value: &v})
		}
	}
	return list
}

func state(s cluster.Snapshot) *master.Response_GetState {
	return &master.Response_GetState{
		GetTasks: tasks(s), GetExecutors: &master.Response_GetExecutors{},
		GetFrameworks: frameworks(s), GetAgents: agents(s),
	}
}

// roles lists what /roles does: roles with frameworks or a weight.
func roles(s cluster.Snapshot) *master.Response_GetRoles {
	list := &master.Response_GetRoles{}
	for _, r := range endpoints.RoleList(s) {
		role := mesos.Role{Name: r.Name, Weight: r.Weight, Resources: r.Held.Proto(r.Name)}
		for _, id := range r.Frameworks {
			role.Frameworks = append(role.Frameworks, mesos.FrameworkID{Value: id})
		}
		list.Roles = append(list.Roles, role)
	}
	return list
}

// weights is nil where none was set: 1.3.2 leaves the part out then.
func weights(s cluster.Snapshot) *master.Response_GetWeights {
	if len(s.Weights) == 0 {
		return nil
	}
	list := &master.Response_GetWeights{}
	for _, role := range slices.Sorted(maps.Keys(s.Weights)) {
		list.WeightInfos = append(list.WeightInfos, mesos.WeightInfo{Role: &role, Weight: s.Weights[role]})
	}
	return list
}

func ptr[T any](v T) *T { return &v }
