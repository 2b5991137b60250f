package endpoints

import (
	"maps"
	"slices"
	"strings"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/mini/mesos/master/cluster"
	"github.com/mesoslab/lab/mini/mesos/mjson"
)

// counters are the metrics that only ever grow; the cluster counts those it
// has a use for, the others stay 0.
var counters = [...]string{
	"dropped_messages",
	"invalid_executor_to_framework_messages", "invalid_framework_to_executor_messages",
	"invalid_status_update_acknowledgements", "invalid_status_updates",
	"messages_authenticate", "messages_deactivate_framework", "messages_decline_offers",
	"messages_executor_to_framework", "messages_exited_executor", "messages_framework_to_executor",
	"messages_kill_task", "messages_launch_tasks", "messages_reconcile_tasks", "messages_register_framework",
	"messages_register_slave", "messages_reregister_framework", "messages_reregister_slave",
	"messages_resource_request", "messages_revive_offers", "messages_status_update",
	"messages_status_update_acknowledgement", "messages_suppress_offers", "messages_unregister_framework",
	"messages_unregister_slave", "messages_update_slave",
	"recovery_slave_removals", "slave_registrations", "slave_removals", "slave_removals/reason_registered",
	"slave_removals/reason_unhealthy", "slave_removals/reason_unregistered", "slave_reregistrations",
	"slave_shutdowns_canceled", "slave_shutdowns_completed", "slave_shutdowns_scheduled",
	"slave_unreachable_canceled", "slave_unreachable_completed", "slave_unreachable_scheduled",
	"tasks_dropped", "tasks_error", "tasks_failed", "tasks_finished", "tasks_gone", "tasks_gone_by_operator",
	"tasks_killed", "tasks_lost",
	"valid_executor_to_framework_messages", "valid_framework_to_executor_messages",
	"valid_status_update_acknowledgements", "valid_status_updates",
}

// Metrics is the answer of /metrics/snapshot, sorted by name. leading is
// false for a master that only waits; then all is 0 but the uptime.
func Metrics(m Master, leading bool, s cluster.Snapshot) mjson.Object {
	all := map[string]float64{}
	for _, c := range counters {
		all["master/"+c] = s.Counters["master/"+c]
	}
	all["master/uptime_secs"] = time.Since(m.Started).Seconds()
	all["master/elected"] = number(leading)
	all["master/outstanding_offers"] = float64(s.Offers)
	for _, q := range []string{"dispatches", "http_requests", "messages"} {
		all["master/event_queue_"+q] = 0
	}
	all["registrar/log/recovered"] = number(leading)
	all["registrar/queued_operations"] = 0
	for name, v := range system() {
		all["system/"+name] = v
	}
	for _, name := range []string{"allocation_runs", "allocation_run_ms", "event_queue_dispatches"} {
		all["allocator/mesos/"+name] = s.Counters["allocator/mesos/"+name]
	}
	populations(all, s)
	usage(all, s)
	tasks(all, s)
	quotas(all, s)
	o := mjson.Object{}
	for _, k := range sortedKeys(all) {
		o = o.Put(k, all[k])
	}
	return o
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func populations(all map[string]float64, s cluster.Snapshot) {
	active := float64(activeAgents(s))
	gone := float64(len(s.Agents)) - active
	all["master/slaves_active"], all["master/slaves_connected"] = active, active
	all["master/slaves_inactive"], all["master/slaves_disconnected"] = gone, gone
	all["master/slaves_unreachable"] = float64(len(s.Unreachable))
	connected := 0.0
	for _, f := range s.Frameworks {
		connected += number(f.Connected)
	}
	gone = float64(len(s.Frameworks)) - connected
	all["master/frameworks_active"], all["master/frameworks_connected"] = connected, connected
	all["master/frameworks_inactive"], all["master/frameworks_disconnected"] = gone, gone
}

func usage(all map[string]float64, s cluster.Snapshot) {
	for _, name := range []string{"cpus", "mem", "disk", "gpus"} {
		used, total := 0.0, s.Total.Scalar(name)
		for _, a := range s.Agents {
			used += a.Used.Scalar(name)
		}
		all["master/"+name+"_total"], all["master/"+name+"_used"] = total, used
		all["master/"+name+"_percent"] = 0
		if total > 0 {
			all["master/"+name+"_percent"] = used / total
		}
		for _, x := range []string{"percent", "total", "used"} {
			all["master/"+name+"_revocable_"+x] = 0
		}
		if name != "gpus" {
			all["allocator/mesos/resources/"+name+"/total"] = total
			all["allocator/mesos/resources/"+name+"/offered_or_allocated"] = s.Allocated.Scalar(name)
		}
	}
}

// quotas tells of each role with a quota what is guaranteed and what it has.
func quotas(all map[string]float64, s cluster.Snapshot) {
	if len(s.Quotas) == 0 {
		return
	}
	for _, r := range RoleList(s) {
		for _, name := range s.Quotas[r.Name].Scalars() {
			prefix := "allocator/mesos/quota/roles/" + r.Name + "/resources/" + name
			all[prefix+"/guarantee"] = s.Quotas[r.Name].Scalar(name)
			all[prefix+"/offered_or_allocated"] = r.Held.Scalar(name)
		}
	}
}

// tasks counts the live ones by state; the ended ones are counters.
func tasks(all map[string]float64, s cluster.Snapshot) {
	live := []mesos.TaskState{mesos.TASK_STAGING, mesos.TASK_STARTING, mesos.TASK_RUNNING, mesos.TASK_KILLING, mesos.TASK_UNREACHABLE}
	metric := func(t mesos.TaskState) string {
		return "master/tasks_" + strings.ToLower(strings.TrimPrefix(t.String(), "TASK_"))
	}
	for _, t := range live {
		all[metric(t)] = 0
	}
	for _, f := range s.Frameworks {
		for _, t := range slices.Concat(f.Tasks, f.Unreachable) {
			if slices.Contains(live, *t.State) {
				all[metric(*t.State)]++
			}
		}
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
