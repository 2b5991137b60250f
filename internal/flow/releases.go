package flow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/scenarios"
	"github.com/mesoslab/lab/stack"
)

// Labels of a deployment group (contracts 11.4).
const (
	deploymentGroup   = "HAPROXY_DEPLOYMENT_GROUP"
	deploymentColour  = "HAPROXY_DEPLOYMENT_COLOUR"
	deploymentStarted = "HAPROXY_DEPLOYMENT_STARTED_AT"
	deploymentTarget  = "HAPROXY_DEPLOYMENT_TARGET_INSTANCES"
	portLabel         = "HAPROXY_0_PORT"
)

// Group lists the apps of a deployment group, the oldest first.
func (c *cluster) Group(ctx context.Context, group string) ([]scenarios.GroupApp, error) {
	apps, err := c.Marathon.AppsLabelled(ctx, deploymentGroup, group)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(apps, func(x, y stack.App) int {
		return cmp.Or(cmp.Compare(x.Labels[deploymentStarted], y.Labels[deploymentStarted]), cmp.Compare(x.ID, y.ID))
	})
	var out []scenarios.GroupApp
	for _, a := range apps {
		g := scenarios.GroupApp{
			ID: strings.TrimPrefix(a.ID, "/"), Colour: a.Labels[deploymentColour], Instances: a.Instances, Target: a.Instances,
			Service: a.ServicePort(), Port: a.ServicePort(), Deploying: len(a.Deployments) > 0,
		}
		for label, number := range map[string]*int{deploymentTarget: &g.Target, portLabel: &g.Port} {
			if text, ok := a.Labels[label]; ok {
				if *number, err = strconv.Atoi(text); err != nil {
					return nil, fmt.Errorf("app %s: label %s=%q is no number", a.ID, label, text)
				}
			}
		}
		for _, t := range a.Tasks {
			g.Tasks = append(g.Tasks, taskOfApp(t))
		}
		out = append(out, g)
	}
	return out, nil
}

// groupApp shows a deployment group as one app: the newer one's version, the
// tasks of both. It returns cause where there is no such group.
func (c *cluster) groupApp(ctx context.Context, id string, cause error) (scenarios.App, error) {
	group, err := c.Group(ctx, strings.Trim(id, "/"))
	if err != nil {
		return scenarios.App{}, err
	}
	if len(group) == 0 {
		return scenarios.App{}, c.unknownApp(ctx, id, cause)
	}
	var out scenarios.App
	for _, g := range group {
		app, err := c.App(ctx, g.ID)
		if errors.Is(err, lab.ErrNotFound) {
			continue // it went in between
		}
		if err != nil {
			return scenarios.App{}, err
		}
		app.Members = append(out.Members, app.ID)
		app.Instances += out.Instances
		app.Deployments += out.Deployments
		app.Queued += out.Queued
		app.Overdue = app.Overdue || out.Overdue
		app.Tasks = append(out.Tasks, app.Tasks...)
		out = app
	}
	if len(out.Members) == 0 {
		return scenarios.App{}, c.unknownApp(ctx, id, cause)
	}
	out.ID = strings.Trim(id, "/")
	out.URL = fmt.Sprintf("http://%s:%d/", c.platform.Master().IP, group[0].Port)
	return out, nil
}

// Create makes an app that is not there yet.
func (c *cluster) Create(ctx context.Context, app scenarios.AppFile) error {
	d, err := c.definition(app)
	if err != nil {
		return err
	}
	_, err = c.Marathon.Create(ctx, d)
	return err
}

// Dismiss kills tasks in one request, and scales their app down.
func (c *cluster) Dismiss(ctx context.Context, ids []string) error {
	return unlocked(ctx, "Marathon to kill "+strings.Join(ids, ", "), func(ctx context.Context) error {
		return c.Marathon.KillTasks(ctx, ids, true)
	})
}

// Listeners are the servers of a group's backend.
func (c *cluster) Listeners(ctx context.Context, group string, port int) ([]scenarios.Backend, error) {
	stats, err := c.LB.Stats(ctx)
	if err != nil {
		return nil, err
	}
	var out []scenarios.Backend
	for _, s := range stats {
		if addr, ok := serverAddress(s); ok && s.Proxy == fmt.Sprintf("%s_%d", group, port) {
			out = append(out, backend(s, addr))
		}
	}
	return out, nil
}

// Reloading says whether an old process of the load balancer still lives.
func (c *cluster) Reloading(ctx context.Context) (bool, error) {
	pids, err := c.LB.Pids(ctx)
	return len(pids) > 1, err
}

// backend is a line of the statistics in the words of scenarios.
func backend(s stack.Stat, address string) scenarios.Backend {
	return scenarios.Backend{Service: s.Proxy, Address: address, Requests: int(s.Total), Current: int(s.Current), Queued: int(s.Queued), Status: s.Status}
}

// taskOfApp is a task in the words of scenarios.
func taskOfApp(t stack.Task) scenarios.Task {
	healthy, _ := t.Healthy()
	task := scenarios.Task{ID: t.ID, IP: t.Host, Staged: t.StagedAt, Started: t.StartedAt, Healthy: healthy, Version: t.Version}
	if len(t.Ports) > 0 {
		task.Port = t.Ports[0]
	}
	return task
}

// ConfiguredAs says whether an app has the configuration that it had in one of
// its versions.
func (c *cluster) ConfiguredAs(ctx context.Context, app, version string) (bool, error) {
	now, err := c.Marathon.App(ctx, app)
	if err != nil {
		return false, err
	}
	then, err := c.Marathon.Version(ctx, app, version)
	if err != nil {
		return false, err
	}
	a, err := now.Config()
	if err != nil {
		return false, err
	}
	b, err := then.Config()
	return stack.SameConfig(a, b), err
}
