package agent

import (
	"cmp"
	"maps"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/mini/mesos/agent/updates"
	"github.com/mesoslab/lab/mini/mesos/mjson"
)

// What the real agent adds to a task's resources for its executor.
const (
	executorCPUs = 0.1
	executorMem  = 32.0
)

// version adds what /version says. The build is lab's own, as far as the
// binary knows when that was.
func version(o mjson.Object) mjson.Object {
	at := time.Unix(0, 0)
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if t, err := time.Parse(time.RFC3339, s.Value); err == nil && s.Key == "vcs.time" {
				at = t
			}
		}
	}
	return o.Put("build_date", at.UTC().Format(time.DateTime)).Put("build_time", float64(at.Unix())).
		Put("build_user", "").Put("version", Version)
}

func (a *agent) flags() mjson.Object {
	var o mjson.Object
	for _, name := range slices.Sorted(maps.Keys(a.cfg.Flags)) {
		o = o.Put(name, a.cfg.Flags[name])
	}
	return o
}

// describe is /state, in the real 1.3.2's order of keys.
func (a *agent) describe() any {
	v := version(mjson.Object{})
	total, reserved, unreserved, full := a.resourcesNow()
	o := mjson.Object{}.Put("version", Version).
		Put("build_date", v.Get("build_date")).Put("build_time", v.Get("build_time")).Put("build_user", v.Get("build_user")).
		Put("start_time", seconds(a.started)).
		Put("id", a.id()).Put("pid", a.pid()).Put("hostname", a.info.Hostname).
		Put("capabilities", []string{"MULTI_ROLE"}).
		Put("resources", total).
		Put("reserved_resources", reserved).
		Put("unreserved_resources", unreserved).
		Put("reserved_resources_full", full).
		Put("attributes", attributes(a.info.Attributes)).
		PutIf(a.master != "", "master_hostname", a.master).
		PutIf(a.cfg.Flags["log_dir"] != "", "log_dir", a.cfg.Flags["log_dir"]).
		Put("flags", a.flags())
	frameworks, done := []mjson.Object{}, []mjson.Object{}
	for _, id := range slices.Sorted(maps.Keys(a.frameworks)) {
		frameworks = append(frameworks, a.framework(a.frameworks[id], a.tasksOf(id)))
	}
	for _, f := range a.done {
		done = append(done, a.framework(f, nil))
	}
	return o.Put("frameworks", frameworks).Put("completed_frameworks", done)
}

func (a *agent) framework(f *framework, live []*task) mjson.Object {
	i := f.info
	o := mjson.Object{}.Put("id", i.GetID().GetValue()).Put("name", i.Name).Put("user", i.User).
		Put("failover_timeout", i.GetFailoverTimeout()).Put("checkpoint", i.GetCheckpoint()).
		Put("hostname", i.GetHostname()).
		PutIf(i.Principal != nil, "principal", i.GetPrincipal())
	if len(i.Roles) > 0 {
		o = o.Put("roles", i.Roles)
	} else {
		o = o.Put("role", i.GetRole())
	}
	executors, completed := []mjson.Object{}, []mjson.Object{}
	for _, t := range live {
		executors = append(executors, a.executor(t))
	}
	for _, t := range f.completed {
		completed = append(completed, a.executor(t))
	}
	return o.Put("executors", executors).Put("completed_executors", completed)
}

// executor is a task's entry: every task has a command executor to itself.
func (a *agent) executor(t *task) mjson.Object {
	running, queued, completed := []mjson.Object{}, []mjson.Object{}, []mjson.Object{}
	held := t.info.Resources
	switch {
	case t.state == mesos.TASK_STAGING:
		queued = append(queued, a.queuedTask(t))
	case updates.Terminal(t.state): // acknowledged or not
		completed, held = append(completed, a.taskObject(t)), nil
	default:
		running = append(running, a.taskObject(t))
	}
	o := mjson.Object{}.Put("id", t.ref.TaskID).Put("name", executorName(t.info)).Put("source", t.ref.TaskID).
		Put("container", t.container).Put("directory", t.sandbox).
		Put("resources", withExecutor(resources(held))).Put("role", a.roleOf(t))
	return o.PutIf(t.info.Labels != nil, "labels", labels(t.info.Labels)).
		Put("tasks", running).Put("queued_tasks", queued).Put("completed_tasks", completed)
}

func (a *agent) roleOf(t *task) string {
	for _, r := range t.info.Resources {
		if role := r.GetAllocationInfo().GetRole(); role != "" {
			return role
		}
	}
	if f := a.frameworks[t.ref.FrameworkID]; f != nil && f.info.Role != nil {
		return *f.info.Role
	}
	return "*"
}

func (a *agent) taskObject(t *task) mjson.Object {
	o := mjson.Object{}.Put("id", t.ref.TaskID).Put("name", t.info.Name).Put("framework_id", t.ref.FrameworkID).
		Put("executor_id", "").Put("slave_id", t.info.AgentID.Value).Put("state", t.state.String()).
		Put("resources", resources(t.info.Resources)).Put("role", a.roleOf(t))
	statuses := []mjson.Object{}
	for i := range t.statuses {
		statuses = append(statuses, statusObject(&t.statuses[i]))
	}
	return o.Put("statuses", statuses).
		PutIf(t.info.Labels != nil, "labels", labels(t.info.Labels)).
		PutIf(t.info.Discovery != nil, "discovery", protoOf(t.info.Discovery)).
		PutIf(t.info.Container != nil, "container", protoOf(t.info.Container)).
		PutIf(t.info.Command != nil && t.info.Command.User != nil, "user", t.info.GetCommand().GetUser())
}

func (a *agent) queuedTask(t *task) mjson.Object {
	return mjson.Object{}.Put("id", t.ref.TaskID).Put("name", t.info.Name).Put("slave_id", t.info.AgentID.Value).
		Put("resources", resources(t.info.Resources)).Put("data", "")
}

func statusObject(s *mesos.TaskStatus) mjson.Object {
	o := mjson.Object{}.Put("state", s.GetState().String()).Put("timestamp", s.GetTimestamp()).
		PutIf(s.Labels != nil, "labels", labels(s.Labels))
	cs := s.ContainerStatus
	if cs != nil {
		shown := *cs
		shown.ExecutorPID = nil // the classic endpoints do not show it
		cs = &shown
	}
	return o.PutIf(cs != nil, "container_status", protoOf(cs)).
		PutIf(s.Healthy != nil, "healthy", s.GetHealthy())
}

// protoOf prints a mesos-go message; nil for none.
func protoOf[T any](m *T) any {
	if m == nil {
		return nil
	}
	return mjson.Proto(m)
}

func labels(l *mesos.Labels) []mjson.Object {
	out := []mjson.Object{}
	for _, x := range l.GetLabels() {
		out = append(out, mjson.Object{}.Put("key", x.Key).PutIf(x.Value != nil, "value", x.GetValue()))
	}
	return out
}

func orEmpty(o mjson.Object) mjson.Object {
	if o == nil {
		return mjson.Object{}
	}
	return o
}

func roles(rs []mesos.Resource) []string {
	seen := map[string]bool{}
	for _, r := range rs {
		seen[r.GetRole()] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

func ofRole(rs []mesos.Resource, role string) []mesos.Resource {
	return slices.DeleteFunc(slices.Clone(rs), func(r mesos.Resource) bool { return r.GetRole() != role })
}

// resources prints sums: disk, mem, gpus and cpus always, then the others by
// name.
func resources(rs []mesos.Resource) mjson.Object {
	sums := map[string]float64{"disk": 0, "mem": 0, "gpus": 0, "cpus": 0}
	texts := map[string][]string{}
	var ranges = map[string][]mesos.Value_Range{}
	for _, r := range rs {
		switch {
		case r.Scalar != nil:
			sums[r.Name] += r.Scalar.Value
		case r.Ranges != nil:
			ranges[r.Name] = append(ranges[r.Name], r.Ranges.Range...)
		case r.Set != nil:
			texts[r.Name] = append(texts[r.Name], r.Set.Item...)
		}
	}
	var o mjson.Object
	for _, name := range []string{"disk", "mem", "gpus", "cpus"} {
		o = o.Put(name, sums[name])
		delete(sums, name)
	}
	for _, name := range slices.Sorted(maps.Keys(ranges)) {
		o = o.Put(name, rangesText(ranges[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		o = o.Put(name, "{"+strings.Join(texts[name], ", ")+"}")
	}
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		o = o.Put(name, sums[name])
	}
	return o
}

// rangesText prints ranges as "[1-2, 5-9]", neighbours joined.
func rangesText(in []mesos.Value_Range) string {
	in = slices.Clone(in)
	slices.SortFunc(in, func(x, y mesos.Value_Range) int { return cmp.Compare(x.Begin, y.Begin) })
	var out []mesos.Value_Range
	for _, r := range in {
		if n := len(out); n > 0 && (r.Begin <= out[n-1].End || r.Begin-out[n-1].End == 1) {
			out[n-1].End = max(out[n-1].End, r.End)
			continue
		}
		out = append(out, r)
	}
	var parts []string
	for _, r := range out {
		parts = append(parts, strconv.FormatUint(r.Begin, 10)+"-"+strconv.FormatUint(r.End, 10))
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

func withExecutor(o mjson.Object) mjson.Object {
	for i, m := range o {
		switch v, _ := m.Value.(float64); m.Key {
		case "cpus":
			o[i].Value = v + executorCPUs
		case "mem":
			o[i].Value = v + executorMem
		}
	}
	return o
}

func attributes(as []mesos.Attribute) mjson.Object {
	o := mjson.Object{}
	for _, a := range as {
		switch {
		case a.Scalar != nil:
			o = o.Put(a.Name, a.Scalar.Value)
		case a.Ranges != nil:
			o = o.Put(a.Name, rangesText(a.Ranges.Range))
		case a.Set != nil:
			o = o.Put(a.Name, "{"+strings.Join(a.Set.Item, ", ")+"}")
		default:
			o = o.Put(a.Name, a.GetText().GetValue())
		}
	}
	return o
}
