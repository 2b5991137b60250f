package stack

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// observePatience bounds each question of Observe.
const observePatience = 2 * time.Second

// Observe looks at everything at once and never fails as a whole: what does
// not answer within 2 s says so in its Error. Engines are by node name; one
// that is missing is reported as not reachable.
func Observe(ctx context.Context, p Platform, engines map[string]Docker, c Clients) Status {
	s := Status{Machines: make([]MachineView, len(p.Nodes)), Endpoints: p.Endpoints()}
	var tasks map[string]string // Mesos' states, by task id
	var wg sync.WaitGroup
	ask := func(fn func(ctx context.Context)) {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, observePatience)
			defer cancel()
			fn(ctx)
		})
	}
	for i := range p.Nodes {
		ask(func(ctx context.Context) { s.Machines[i] = p.observeEngine(ctx, i, engines[p.Nodes[i].Name]) })
	}
	ask(func(ctx context.Context) {
		var err error
		s.ZooKeeper.ServerInfo, err = c.ZooKeeper.Server(ctx)
		s.ZooKeeper.Error = text(err)
	})
	ask(func(ctx context.Context) { s.Mesos, tasks = p.observeMesos(ctx, c.Mesos) })
	ask(func(ctx context.Context) { s.Marathon = p.observeMarathon(ctx, c.Marathon) })
	ask(func(ctx context.Context) { s.LB = observeLB(ctx, c.LB) })
	wg.Wait()
	for i, t := range s.Marathon.Tasks {
		s.Marathon.Tasks[i].Mesos = tasks[t.ID]
		s.Marathon.Tasks[i].LB = s.LB.status(t)
	}
	return s
}

// Unreachable is what is seen where nothing can answer, and why.
func Unreachable(p Platform, why string) Status {
	s := Status{Endpoints: p.Endpoints()}
	for _, n := range p.Nodes {
		s.Machines = append(s.Machines, MachineView{Node: n.Name, Alias: n.Alias(), IP: n.IP.String(), Error: why})
	}
	s.ZooKeeper.Error, s.Mesos.Error, s.Marathon.Error, s.LB.Error = why, why, why, why
	return s
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func (p Platform) observeEngine(ctx context.Context, i int, d Docker) MachineView {
	n := p.Nodes[i]
	v := MachineView{Node: n.Name, Alias: n.Alias(), IP: n.IP.String()}
	if d == nil {
		v.Error = "not reachable"
		return v
	}
	found, err := list(ctx, d)
	if err != nil {
		v.Error = text(err)
		return v
	}
	wanted := p.Containers()
	for _, e := range found {
		cv := ContainerView{ID: e.id, Name: e.name, Image: e.image, State: string(e.state), Status: e.status,
			Ours: e.labels[LabelName] == p.Label, Task: strings.HasPrefix(e.name, taskPrefix)}
		cv.Stale = cv.Ours && !slices.ContainsFunc(wanted, func(w Container) bool {
			return w.Node == n.Name && w.Name == e.name && w.Labels[LabelSpec] == e.labels[LabelSpec]
		})
		v.Containers = append(v.Containers, cv)
	}
	slices.SortFunc(v.Containers, func(a, b ContainerView) int { return strings.Compare(a.Name, b.Name) })
	for _, w := range wanted {
		if w.Node == n.Name && !slices.ContainsFunc(v.Containers, func(c ContainerView) bool { return c.Name == w.Name && c.Ours }) {
			v.Containers = append(v.Containers, ContainerView{Name: w.Name, Image: w.Image, State: "missing", Ours: true})
		}
	}
	return v
}

func (p Platform) observeMesos(ctx context.Context, m *Mesos) (MesosView, map[string]string) {
	s, err := m.State(ctx)
	if err != nil {
		return MesosView{Error: text(err)}, nil
	}
	v := MesosView{Version: s.Version, Leader: s.Leader, Since: epoch(s.ElectedTime), ActiveSlaves: int(s.ActivatedSlaves)}
	if s.Leader == "" {
		v.Error = errNoLeader.Error()
	}
	for _, slave := range s.Slaves {
		sv := SlaveView{ID: slave.ID, IP: slave.IP(), Node: p.NodeAt(slave.IP()), Active: slave.Active,
			Since: epoch(max(slave.RegisteredTime, slave.ReregisteredTime)), Attributes: slave.Attributes,
			CPUs: slave.Resources.CPUs, Mem: slave.Resources.Mem, UsedCPUs: slave.UsedResources.CPUs, UsedMem: slave.UsedResources.Mem}
		v.Slaves = append(v.Slaves, sv)
	}
	slices.SortFunc(v.Slaves, func(a, b SlaveView) int { return strings.Compare(a.Node+" "+a.ID, b.Node+" "+b.ID) })
	tasks := map[string]string{}
	for _, f := range s.Frameworks {
		for _, t := range f.Tasks {
			tasks[t.ID] = t.State
		}
	}
	return v, tasks
}

func (p Platform) observeMarathon(ctx context.Context, m *Marathon) MarathonView {
	var v MarathonView
	var wg sync.WaitGroup
	var infoErr, appsErr error
	var info MarathonInfo
	var apps []App
	var queue []QueueItem
	wg.Go(func() { info, infoErr = m.Info(ctx) })
	wg.Go(func() { apps, appsErr = m.Apps(ctx) })
	wg.Go(func() { v.Deployments, _ = m.Deployments(ctx) })
	wg.Go(func() { queue, _ = m.Queue(ctx) })
	wg.Wait()
	if infoErr != nil || appsErr != nil {
		if infoErr == nil {
			infoErr = appsErr
		}
		return MarathonView{Error: text(infoErr)}
	}
	v.Version, v.Leader, v.FrameworkID = info.Version, info.Leader, info.FrameworkID
	for _, a := range apps {
		v.Apps = append(v.Apps, appView(a))
		for _, t := range a.Tasks {
			v.Tasks = append(v.Tasks, p.taskView(t, a.ID))
		}
	}
	for _, q := range queue {
		v.Waiting = append(v.Waiting, WaitingView{App: q.App.ID, Count: q.Count, DelaySeconds: q.Delay.TimeLeftSeconds, Overdue: q.Delay.Overdue})
	}
	slices.SortFunc(v.Apps, func(a, b AppView) int { return strings.Compare(a.ID, b.ID) })
	slices.SortFunc(v.Tasks, func(a, b TaskView) int { return strings.Compare(a.App+" "+a.ID, b.App+" "+b.ID) })
	return v
}

func appView(a App) AppView {
	v := AppView{ID: a.ID, Instances: a.Instances, Staged: a.TasksStaged, Running: a.TasksRunning, Healthy: a.TasksHealthy,
		Unhealthy: a.TasksUnhealthy, Checked: len(a.HealthChecks) > 0, ServicePort: a.ServicePort(), Deploying: len(a.Deployments) > 0}
	if f := a.LastTaskFailure; f != nil {
		v.LastFailure = fmt.Sprintf("%s %s at %s: %s", f.TaskID, f.State, f.Timestamp.Format(time.RFC3339), f.Message)
	}
	return v
}

func (p Platform) taskView(t Task, app string) TaskView {
	v := TaskView{ID: t.ID, App: app, Host: t.Host, Node: p.NodeAt(t.Host), Ports: t.Ports, Slave: t.SlaveID, State: "staging", Since: t.StagedAt}
	if t.Running() {
		v.State, v.Since = "running", t.StartedAt
	}
	if alive, known := t.Healthy(); known {
		v.Alive = &alive
	}
	return v
}

func observeLB(ctx context.Context, l *LoadBalancer) LBView {
	stats, err := l.Stats(ctx)
	if err != nil {
		return LBView{Error: text(err)}
	}
	var v LBView
	if v.Spoilt, err = l.Spoilt(ctx); err != nil {
		v.Error = text(err)
	}
	for _, s := range stats {
		if s.IsServer() {
			v.Servers = append(v.Servers, ServerView{Proxy: s.Proxy, Name: s.Server, Status: s.Status, Requests: int64(s.Total)})
		}
	}
	return v
}

var notWord = regexp.MustCompile(`[^0-9a-zA-Z]`)

// status finds a task among the servers, by the name that marathon-lb gives
// it: host and port, everything else an underscore (contracts 11.3).
func (v LBView) status(t TaskView) string {
	for _, port := range t.Ports {
		name := fmt.Sprintf("%s_%d", notWord.ReplaceAllString(t.Host, "_"), port)
		for _, s := range v.Servers {
			if s.Name == name {
				return s.Status
			}
		}
	}
	return ""
}
