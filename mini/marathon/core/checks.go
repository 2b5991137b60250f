package core

import (
	"context"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/mesoslab/lab/mini/marathon/app"
	"github.com/mesoslab/lab/mini/marathon/event"
	"github.com/mesoslab/lab/mini/marathon/health"
	"github.com/mesoslab/lab/mini/marathon/task"
)

// checkKey is one health check of one configuration of an app.
type checkKey struct {
	app, config string
	index       int
}

// startChecks lets the probing of an app's checks begin, once for each
// configuration. The first probe comes one interval later.
func (c *Core) startChecks(a app.App) {
	for i, h := range a.HealthChecks {
		k := checkKey{a.ID, a.ConfigVersion().String(), i}
		if c.checks[k] != nil {
			continue
		}
		ctx, stop := context.WithCancel(c.ctx)
		c.checks[k] = stop
		c.Bus.Publish("add_health_check_event", event.AddHealthCheck{AppID: a.ID, Version: a.Version, HealthCheck: h})
		if h.Protocol != "COMMAND" {
			c.wg.Go(func() { c.probeLoop(ctx, k, h) })
		}
	}
}

// startOldChecks takes up the checks of tasks that still run with an older
// configuration when leadership begins.
func (c *Core) startOldChecks(appID string) {
	current := c.root.Apps[appID].ConfigVersion()
	for _, t := range c.tasksOf(appID) {
		if t.ConfigVersion.Equal(current) {
			continue
		}
		if a, err := c.book.App(c.ctx, appID, t.Version); err == nil {
			c.startChecks(a)
		}
	}
}

// stopUnusedChecks ends the checks of configurations without tasks.
func (c *Core) stopUnusedChecks(appID string) {
	used := map[string]bool{c.root.Apps[appID].ConfigVersion().String(): true}
	for _, t := range c.tasksOf(appID) {
		used[t.ConfigVersion.String()] = true
	}
	c.stopChecksIf(func(k checkKey) bool { return k.app == appID && !used[k.config] })
}

func (c *Core) stopChecks(appID string) {
	c.stopChecksIf(func(k checkKey) bool { return k.app == appID })
}

func (c *Core) stopChecksIf(match func(checkKey) bool) {
	for k, stop := range c.checks {
		if match(k) {
			stop()
			delete(c.checks, k)
			c.Bus.Publish("remove_health_check_event", event.RemoveHealthCheck{AppID: k.app})
		}
	}
}

// target is a task as a probe sees it.
type target struct {
	id, host string
	ports    []int
}

// probeLoop probes all running tasks of a configuration once an interval.
func (c *Core) probeLoop(ctx context.Context, k checkKey, h app.HealthCheck) {
	tick := time.NewTicker(max(time.Duration(h.IntervalSeconds)*time.Second, time.Second))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, t := range c.targets(k) {
			c.wg.Go(func() {
				cause := "the task has no such port"
				if port, ok := health.Port(h, t.ports); ok {
					cause = c.Probe.Probe(ctx, h, t.host, port)
				}
				if ctx.Err() == nil {
					c.probed(k, h, t.id, cause)
				}
			})
		}
	}
}

func (c *Core) targets(k checkKey) []target {
	if !c.enter() {
		return nil
	}
	defer c.leave()
	var ts []target
	for _, t := range c.tasksOf(k.app) {
		if t.Running() && t.ConfigVersion.String() == k.config {
			ts = append(ts, target{t.ID, t.Host, slices.Clone(t.Ports)})
		}
	}
	return ts
}

// probed takes in the result of one probe; "" is a pass.
func (c *Core) probed(k checkKey, h app.HealthCheck, taskID, cause string) {
	if !c.enter() {
		return
	}
	defer c.leave()
	if t := c.tasks[taskID]; t != nil {
		c.record(t, k.index, h, cause)
	}
}

// commandResult takes in what the executor says about the COMMAND check.
// The executor kills by itself.
func (c *Core) commandResult(t *task.Task, healthy bool, message string) {
	a := c.root.Apps[t.AppID]
	i := slices.IndexFunc(a.HealthChecks, func(h app.HealthCheck) bool { return h.Protocol == "COMMAND" })
	if i < 0 || !t.Runs(a) {
		return
	}
	h := a.HealthChecks[i]
	h.MaxConsecutiveFailures = 0
	switch {
	case healthy:
		c.record(t, i, h, "")
	case message == "":
		c.record(t, i, h, "the command failed")
	default:
		c.record(t, i, h, message)
	}
}

// record updates a task's health and does what that calls for.
func (c *Core) record(t *task.Task, index int, h app.HealthCheck, cause string) {
	if t.Health == nil {
		t.Health = map[int]health.State{}
	}
	var s health.State
	var out health.Outcome
	if cause == "" {
		s, out = t.Health[index].Pass(time.Now())
	} else {
		s, out = t.Health[index].Fail(time.Now(), h, t.StartedAt.Time, cause)
		if out.Ignored {
			return
		}
		c.Bus.Publish("failed_health_check_event", event.FailedHealthCheck{AppID: t.AppID, TaskID: t.ID, HealthCheck: h})
	}
	t.Health[index] = s
	if out.Kill && !t.Doomed() {
		c.Bus.Publish("unhealthy_task_kill_event", event.UnhealthyKill{AppID: t.AppID, TaskID: t.ID, Version: t.Version,
			Reason: cause, Host: t.Host, SlaveID: t.AgentID})
		c.kill(t, "unhealthy: "+cause)
	}
	if out.Changed {
		c.Bus.Publish(event.HealthStatusChanged, event.HealthChanged{AppID: t.AppID, TaskID: t.ID, Version: t.Version, Alive: s.Alive()})
		c.evaluate(t.AppID)
	}
}

// startReadiness asks a new task until it is ready, while a deployment
// waits for it.
func (c *Core) startReadiness(t *task.Task) {
	a := c.root.Apps[t.AppID]
	if len(a.ReadinessChecks) == 0 || c.lockedBy(t.AppID) == nil || !t.Runs(a) {
		return
	}
	r := a.ReadinessChecks[0]
	i, ok := a.NamedPort(r.PortName)
	if !ok || i >= len(t.Ports) {
		return
	}
	c.readiness[t.ID] = health.Readiness{Name: r.Name, TaskID: t.ID}
	id, address := t.ID, net.JoinHostPort(t.Host, strconv.Itoa(t.Ports[i]))
	c.wg.Go(func() {
		for !c.askReady(r, id, address) {
			select {
			case <-c.ctx.Done():
				return
			case <-time.After(max(time.Duration(r.IntervalSeconds)*time.Second, time.Second)):
			}
		}
	})
}

// askReady asks once; true means that there is no need to ask again.
func (c *Core) askReady(r app.ReadinessCheck, taskID, address string) bool {
	res := c.Probe.Ready(c.ctx, r, taskID, address)
	if !c.enter() {
		return true
	}
	defer c.leave()
	t := c.tasks[taskID]
	if t == nil {
		return true
	}
	c.readiness[taskID] = res
	if res.Ready {
		c.evaluate(t.AppID)
	}
	return res.Ready || c.lockedBy(t.AppID) == nil
}
