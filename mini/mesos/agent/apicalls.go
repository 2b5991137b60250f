package agent

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"path"
	"slices"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	magent "github.com/mesos/mesos-go/api/v1/lib/agent"

	"github.com/mesoslab/lab/mini/mesos/agent/updates"
	"github.com/mesoslab/lab/mini/mesos/mjson"
)

// answer is what a call asks for; the caller sets its type.
func (a *agent) answer(ctx context.Context, call *magent.Call) (*magent.Response, error) {
	out := new(magent.Response)
	switch call.Type {
	case magent.Call_LIST_FILES:
		return out, a.listFiles(call.ListFiles.Path, out)
	case magent.Call_READ_FILE:
		return out, a.readFile(call.ReadFile, out)
	case magent.Call_GET_CONTAINERS:
		list, ok := a.measure(ctx)
		if !ok {
			return nil, terminating()
		}
		// The answer without containers is its type alone.
		if len(list) > 0 {
			out.GetContainers = new(magent.Response_GetContainers)
		}
		for _, m := range list {
			out.GetContainers.Containers = append(out.GetContainers.Containers, m.Response_GetContainers_Container)
		}
		return out, nil
	}
	var err error
	if !a.ask(func() { err = a.tell(call, out) }) {
		return nil, terminating()
	}
	return out, err
}

// tell answers the calls about what the loop has.
func (a *agent) tell(call *magent.Call, out *magent.Response) error {
	switch call.Type {
	case magent.Call_GET_HEALTH:
		out.GetHealth = &magent.Response_GetHealth{Healthy: true}
	case magent.Call_GET_FLAGS:
		out.GetFlags = new(magent.Response_GetFlags)
		for _, name := range slices.Sorted(maps.Keys(a.cfg.Flags)) {
			value := a.cfg.Flags[name]
			out.GetFlags.Flags = append(out.GetFlags.Flags, mesos.Flag{Name: name, Value: &value})
		}
	case magent.Call_GET_VERSION:
		out.GetVersion = &magent.Response_GetVersion{VersionInfo: versionInfo()}
	case magent.Call_GET_METRICS:
		out.GetMetrics = new(magent.Response_GetMetrics)
		for _, m := range a.metrics().(mjson.Object) {
			value, _ := m.Value.(float64)
			out.GetMetrics.Metrics = append(out.GetMetrics.Metrics, mesos.Metric{Name: m.Key, Value: &value})
		}
	case magent.Call_GET_LOGGING_LEVEL:
		out.GetLoggingLevel = new(magent.Response_GetLoggingLevel) // there is one level
	case magent.Call_GET_STATE:
		out.GetState = &magent.Response_GetState{GetTasks: a.tasksAsked(), GetExecutors: a.executorsAsked(), GetFrameworks: a.frameworksAsked()}
	case magent.Call_GET_FRAMEWORKS:
		out.GetFrameworks = a.frameworksAsked()
	case magent.Call_GET_EXECUTORS:
		out.GetExecutors = a.executorsAsked()
	case magent.Call_GET_TASKS:
		out.GetTasks = a.tasksAsked()
	default:
		return &refusal{http.StatusNotImplemented, "this agent does not do " + call.Type.String() + " calls"}
	}
	return nil
}

func versionInfo() mesos.VersionInfo {
	v := version(mjson.Object{})
	date, _ := v.Get("build_date").(string)
	at, _ := v.Get("build_time").(float64)
	user := ""
	return mesos.VersionInfo{Version: Version, BuildDate: &date, BuildTime: &at, BuildUser: &user}
}

func (a *agent) frameworksAsked() *magent.Response_GetFrameworks {
	out := new(magent.Response_GetFrameworks)
	for _, id := range slices.Sorted(maps.Keys(a.frameworks)) {
		out.Frameworks = append(out.Frameworks, magent.Response_GetFrameworks_Framework{FrameworkInfo: a.frameworks[id].info})
	}
	for _, f := range a.done {
		out.CompletedFrameworks = append(out.CompletedFrameworks, magent.Response_GetFrameworks_Framework{FrameworkInfo: f.info})
	}
	return out
}

// remembered are the tasks that ended and are acknowledged, oldest first.
func (a *agent) remembered() []*task {
	var out []*task
	for _, id := range slices.Sorted(maps.Keys(a.frameworks)) {
		out = append(out, a.frameworks[id].completed...)
	}
	for _, f := range a.done {
		out = append(out, f.completed...)
	}
	return out
}

// current are the tasks that are not, by framework and id.
func (a *agent) current() []*task {
	return slices.SortedFunc(maps.Values(a.tasks), func(x, y *task) int {
		return cmp.Or(cmp.Compare(x.ref.FrameworkID, y.ref.FrameworkID), cmp.Compare(x.ref.TaskID, y.ref.TaskID))
	})
}

func (a *agent) executorsAsked() *magent.Response_GetExecutors {
	out := new(magent.Response_GetExecutors)
	for _, t := range a.current() {
		out.Executors = append(out.Executors, magent.Response_GetExecutors_Executor{ExecutorInfo: a.executorInfo(t)})
	}
	for _, t := range a.remembered() {
		out.CompletedExecutors = append(out.CompletedExecutors, magent.Response_GetExecutors_Executor{ExecutorInfo: a.executorInfo(t)})
	}
	return out
}

// executorInfo describes the command executor that a real agent would start for
// the task.
func (a *agent) executorInfo(t *task) mesos.ExecutorInfo {
	dir := a.cfg.Flags["launcher_dir"]
	name, program, noShell := executorName(t.info), path.Join(dir, "mesos-executor"), false
	role := a.roleOf(t)
	share := func(name string, amount float64) mesos.Resource {
		any := "*"
		return mesos.Resource{Name: name, Type: mesos.SCALAR.Enum(), Scalar: &mesos.Value_Scalar{Value: amount}, Role: &any,
			AllocationInfo: &mesos.Resource_AllocationInfo{Role: &role}}
	}
	return mesos.ExecutorInfo{
		ExecutorID:  mesos.ExecutorID{Value: t.ref.TaskID},
		FrameworkID: &mesos.FrameworkID{Value: t.ref.FrameworkID},
		Name:        &name, Source: &t.ref.TaskID, Labels: t.info.Labels, Discovery: t.info.Discovery,
		Command:   &mesos.CommandInfo{Value: &program, Shell: &noShell, Arguments: []string{"mesos-executor", "--launcher_dir=" + dir}},
		Resources: []mesos.Resource{share("cpus", executorCPUs), share("mem", executorMem)},
	}
}

// tasksAsked sorts tasks as the real one does: queued before they run, launched
// while they do, terminated until their end is acknowledged (for ever if their
// framework was shut down before), completed then.
func (a *agent) tasksAsked() *magent.Response_GetTasks {
	out := new(magent.Response_GetTasks)
	for _, t := range a.current() {
		switch s := a.taskAsked(t); {
		case t.state == mesos.TASK_STAGING:
			out.QueuedTasks = append(out.QueuedTasks, s)
		case updates.Terminal(t.state):
			out.TerminatedTasks = append(out.TerminatedTasks, s)
		default:
			out.LaunchedTasks = append(out.LaunchedTasks, s)
		}
	}
	for _, t := range a.remembered() {
		if s := a.taskAsked(t); t.silent {
			out.TerminatedTasks = append(out.TerminatedTasks, s)
		} else {
			out.CompletedTasks = append(out.CompletedTasks, s)
		}
	}
	return out
}

// taskAsked is a task with what 1.3.2's message has of it.
func (a *agent) taskAsked(t *task) mesos.Task {
	s := a.snapshot(t)
	s.HealthCheck, s.KillPolicy = nil, nil
	if c := t.info.Command; c != nil {
		s.User = c.User
	}
	return s
}

func (a *agent) listFiles(name string, out *magent.Response) error {
	f, err := a.find(name)
	if err != nil {
		return err
	}
	defer f.root.Close()
	list, err := f.listing()
	if err != nil {
		return err
	}
	out.ListFiles = new(magent.Response_ListFiles)
	for _, i := range list {
		o := ownerOf(i)
		links, size, mode := int32(o.links), uint64(i.Size()), unixMode(i.Mode())
		out.ListFiles.FileInfos = append(out.ListFiles.FileInfos, mesos.FileInfo{
			Path: path.Join(f.full, i.Name()), Nlink: &links, Size_: &size, Mode: &mode, UID: &o.user, GID: &o.group,
			Mtime: &mesos.TimeInfo{Nanoseconds: i.ModTime().UnixNano()},
		})
	}
	return nil
}

func (a *agent) readFile(call *magent.Call_ReadFile, out *magent.Response) error {
	f, err := a.find(call.Path)
	if err != nil {
		return err
	}
	defer f.root.Close()
	length := int64(pageLimit)
	if call.Length != nil {
		length = int64(min(*call.Length, pageLimit))
	}
	size, data, err := f.page(int64(min(call.Offset, 1<<62)), length)
	if err != nil {
		return err
	}
	out.ReadFile = &magent.Response_ReadFile{Size_: uint64(size), Data: append([]byte{}, data...)}
	return nil
}
