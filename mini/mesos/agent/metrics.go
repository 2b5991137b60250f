package agent

import (
	"cmp"
	"runtime"
	"slices"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/mini/mesos/agent/config"
	"github.com/mesoslab/lab/mini/mesos/agent/updates"
	"github.com/mesoslab/lab/mini/mesos/mjson"
)

// counters are the counts since the agent's start.
type counters struct {
	terminal     map[mesos.TaskState]int
	updates      int
	launchErrors int
	removeErrors int // of containers
}

func (c *counters) update(s mesos.TaskState) {
	c.updates++
	if updates.Terminal(s) {
		c.terminal[s]++
	}
}

// metrics is /metrics/snapshot: the real agent's names as far as they mean
// something here. Percentages are fractions, sizes MiB.
func (a *agent) metrics() any {
	now := map[mesos.TaskState]int{}
	used := map[string]float64{}
	live := 0
	for _, t := range a.tasks {
		if updates.Terminal(t.state) {
			continue
		}
		now[t.state]++
		live++
		for _, m := range withExecutor(resources(t.info.Resources)) {
			if v, ok := m.Value.(float64); ok {
				used[m.Key] += v
			}
		}
	}
	registered := 0.0
	if a.registered {
		registered = 1
	}
	o := a.system(mjson.Object{})
	put := func(name string, v float64) { o = o.Put("slave/"+name, v) }
	put("registered", registered)
	put("uptime_secs", time.Since(a.started).Seconds())
	put("frameworks_active", float64(len(a.frameworks)))
	put("container_launch_errors", float64(a.counts.launchErrors))
	put("recovery_errors", 0)
	put("executor_directory_max_allowed_age_secs", a.sandboxAge().Seconds())
	put("valid_status_updates", float64(a.counts.updates))
	put("invalid_status_updates", 0)
	put("valid_framework_messages", 0)
	put("invalid_framework_messages", 0)
	put("executors_running", float64(now[mesos.TASK_RUNNING]+now[mesos.TASK_KILLING]))
	put("executors_registering", float64(now[mesos.TASK_STAGING]))
	put("executors_terminating", 0)
	put("executors_terminated", float64(total(a.counts.terminal)))
	put("executors_preempted", 0)
	put("tasks_staging", float64(now[mesos.TASK_STAGING]))
	put("tasks_starting", float64(now[mesos.TASK_STARTING]))
	put("tasks_running", float64(now[mesos.TASK_RUNNING]))
	put("tasks_killing", float64(now[mesos.TASK_KILLING]))
	put("tasks_finished", float64(a.counts.terminal[mesos.TASK_FINISHED]))
	put("tasks_failed", float64(a.counts.terminal[mesos.TASK_FAILED]))
	put("tasks_killed", float64(a.counts.terminal[mesos.TASK_KILLED]))
	put("tasks_lost", float64(a.counts.terminal[mesos.TASK_LOST]))
	put("tasks_gone", 0)
	o = a.shares(o, used).Put("containerizer/mesos/container_destroy_errors", float64(a.counts.removeErrors))
	slices.SortFunc(o, func(x, y mjson.Member) int { return cmp.Compare(x.Key, y.Key) })
	return o
}

// shares adds how much there is of each resource and how much of it is used.
func (a *agent) shares(o mjson.Object, used map[string]float64) mjson.Object {
	put := func(name string, v float64) { o = o.Put("slave/"+name, v) }
	sums := resources(a.info.Resources)
	for _, name := range []string{"cpus", "mem", "disk", "gpus"} {
		most, _ := sums.Get(name).(float64)
		share := 0.0
		if most > 0 {
			share = used[name] / most
		}
		put(name+"_total", most)
		put(name+"_used", used[name])
		put(name+"_percent", share)
		put(name+"_revocable_total", 0)
		put(name+"_revocable_used", 0)
		put(name+"_revocable_percent", 0)
	}
	return o
}

func total(m map[mesos.TaskState]int) (n int) {
	for _, v := range m {
		n += v
	}
	return n
}

func (a *agent) system(o mjson.Object) mjson.Object {
	mem, free := config.Memory(a.env)
	o = o.Put("system/cpus_total", float64(runtime.NumCPU())).
		Put("system/mem_total_bytes", mem).Put("system/mem_free_bytes", free)
	for i, l := range config.Loads(a.env) {
		o = o.Put("system/load_"+loadNames[i], l)
	}
	return o
}

// loadNames are those of the three numbers of /proc/loadavg.
var loadNames = [3]string{"1min", "5min", "15min"}

func (a *agent) systemStats() any {
	o := mjson.Object{}
	for i, l := range config.Loads(a.env) {
		o = o.Put("avg_load_"+loadNames[i], l)
	}
	slices.SortFunc(o, func(x, y mjson.Member) int { return cmp.Compare(x.Key, y.Key) })
	mem, free := config.Memory(a.env)
	return o.Put("cpus_total", runtime.NumCPU()).Put("mem_free_bytes", int64(free)).Put("mem_total_bytes", int64(mem))
}
