package flow

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/scenarios"
	"github.com/mesoslab/lab/stack"
)

// cluster shows the stack's clients to scenarios in their own words.
type cluster struct {
	stack.Clients
	platform stack.Platform
}

var _ scenarios.Cluster = (*cluster)(nil)

// Leader is the address in the pid of the elected master: master@10.0.0.1:5050.
func (c *cluster) Leader(ctx context.Context) (string, error) {
	pid, err := c.Mesos.Leader(ctx)
	if err != nil {
		return "", err
	}
	_, address, _ := strings.Cut(pid, "@")
	ip, _, err := net.SplitHostPort(address)
	if err != nil {
		return "", fmt.Errorf("address of the leading master %q: %w", pid, err)
	}
	return ip, nil
}

// Agents lists the slaves of the leading master.
func (c *cluster) Agents(ctx context.Context) ([]scenarios.Agent, error) {
	slaves, err := c.Mesos.Slaves(ctx)
	if err != nil {
		return nil, err
	}
	return agents(slaves), nil
}

func agents(slaves []stack.Slave) []scenarios.Agent {
	var out []scenarios.Agent
	for _, s := range slaves {
		registered := time.UnixMicro(int64(max(s.RegisteredTime, s.ReregisteredTime) * 1e6))
		out = append(out, scenarios.Agent{ID: s.ID, IP: s.IP(), Active: s.Active, Registered: registered,
			FreeCPUs: s.Resources.CPUs - s.UsedResources.CPUs, FreeMem: s.Resources.Mem - s.UsedResources.Mem})
	}
	return out
}

// App reads an app, its tasks, and what Marathon still owes it.
func (c *cluster) App(ctx context.Context, id string) (scenarios.App, error) {
	var app stack.App
	var queue []stack.QueueItem
	var appErr, queueErr error
	var both sync.WaitGroup
	both.Go(func() { app, appErr = c.Marathon.App(ctx, id) })
	both.Go(func() { queue, queueErr = c.Marathon.Queue(ctx) })
	both.Wait()
	if errors.Is(appErr, lab.ErrNotFound) {
		return c.groupApp(ctx, id, appErr)
	}
	if appErr != nil {
		return scenarios.App{}, appErr
	}
	if queueErr != nil {
		return scenarios.App{}, queueErr
	}
	out := scenarios.App{
		ID: strings.TrimPrefix(app.ID, "/"), URL: serviceURL(c.platform, app), Instances: app.Instances,
		Version: app.Version, CPUs: app.CPUs, Mem: app.Mem,
		HasChecks: len(app.HealthChecks) > 0, Deployments: len(app.Deployments), Backoff: backoff(app),
	}
	if out.HasChecks {
		out.CheckEvery = time.Duration(app.HealthChecks[0].IntervalSeconds) * time.Second
		out.MaxFailures = app.HealthChecks[0].MaxConsecutiveFailures
	}
	for _, q := range queue {
		if q.App.ID == app.ID {
			out.Queued += q.Count
			out.Overdue = q.Delay.Overdue
		}
	}
	for _, t := range app.Tasks {
		out.Tasks = append(out.Tasks, taskOfApp(t))
	}
	return out, nil
}

// unknownApp names the apps that there are.
func (c *cluster) unknownApp(ctx context.Context, id string, cause error) error {
	apps, err := c.Marathon.Apps(ctx)
	if err != nil {
		return err
	}
	var names []string
	for _, a := range apps {
		names = append(names, strings.TrimPrefix(a.ID, "/"))
	}
	return &lab.Error{
		ID: "unknown-app", Op: "find app", Err: fmt.Errorf("%w: no app %q: %w", lab.ErrUsage, id, cause),
		Advice: "apps are " + strings.Join(names, ", ") + lab.DidYouMean(id, names) + "; lab deploy FILE brings another one",
	}
}

// Backends lists the load balancer's servers for an app. Their names are made
// of address and port (192_168_59_2_31005).
func (c *cluster) Backends(ctx context.Context, app string) ([]scenarios.Backend, error) {
	stats, err := c.LB.Stats(ctx)
	if err != nil {
		return nil, err
	}
	prefix := strings.ReplaceAll(strings.Trim(app, "/"), "/", "_") + "_"
	var out []scenarios.Backend
	for _, s := range stats {
		if addr, ok := serverAddress(s); ok && strings.HasPrefix(s.Proxy, prefix) {
			out = append(out, backend(s, addr))
		}
	}
	return out, nil
}

// BalancerConfig reads haproxy.cfg as the load balancer has it.
func (c *cluster) BalancerConfig(ctx context.Context) (string, error) {
	text, err := c.LB.Config(ctx)
	return string(text), err
}

// serverAddress is the host:port that a server's name is made of.
func serverAddress(s stack.Stat) (string, bool) {
	i := strings.LastIndex(s.Server, "_")
	if !s.IsServer() || i <= 0 {
		return "", false
	}
	return net.JoinHostPort(strings.ReplaceAll(s.Server[:i], "_", "."), s.Server[i+1:]), true
}

// Events follows Marathon's stream.
func (c *cluster) Events(ctx context.Context, fn func(scenarios.StreamEvent)) error {
	stream, err := c.Marathon.Subscribe(ctx)
	if err != nil {
		return err
	}
	defer stream.Close()
	for e, err := range stream.All() {
		if err != nil {
			return err
		}
		out := scenarios.StreamEvent{
			Type: e.Type, App: strings.TrimPrefix(e.AppID, "/"), TaskID: e.TaskID, TaskStatus: e.TaskStatus,
			IP: e.Host, Alive: e.Alive != nil && *e.Alive,
		}
		if len(e.Ports) > 0 {
			out.Port = e.Ports[0]
		}
		fn(out)
	}
	return nil
}

// backoff is the first delay after a failure, which stack's App leaves out.
func backoff(app stack.App) time.Duration {
	var more struct {
		BackoffSeconds float64 `json:"backoffSeconds"`
	}
	if json.Unmarshal(app.Raw, &more) != nil {
		return 0
	}
	return time.Duration(more.BackoffSeconds * float64(time.Second))
}

// Scale asks Marathon for another number of instances.
func (c *cluster) Scale(ctx context.Context, app string, instances int, force bool) error {
	return unlocked(ctx, "Marathon to scale "+app, func(ctx context.Context) error {
		_, err := c.Marathon.Scale(ctx, app, instances, force)
		return err
	})
}

// Restart asks Marathon to replace all tasks of an app.
func (c *cluster) Restart(ctx context.Context, app string) error {
	return unlocked(ctx, "Marathon to restart "+app, func(ctx context.Context) error {
		_, err := c.Marathon.Restart(ctx, app)
		return err
	})
}

// Deploy creates an app, or updates one that the same script has created.
func (c *cluster) Deploy(ctx context.Context, app scenarios.AppFile) error {
	d, err := c.definition(app)
	if err != nil {
		return err
	}
	return unlocked(ctx, "Marathon to take "+app.ID, func(ctx context.Context) error {
		_, err := c.Marathon.Update(ctx, d, false) // makes it where it is missing
		return err
	})
}

// definition is an app as it goes to Marathon.
func (c *cluster) definition(app scenarios.AppFile) (stack.Definition, error) {
	d := stack.Definition{ID: "/" + app.ID, JSON: app.JSON}
	if !app.Builtin {
		return d, nil
	}
	err := c.understands(app)
	if err == nil {
		d.JSON, err = withImage(app.JSON, c.platform.Images.Nginx)
	}
	if err != nil {
		return d, fmt.Errorf("deploy %s: %w", app.ID, err)
	}
	return d, nil
}

// Rollback brings an old version back. It forces: the deployment that is to be
// undone holds the app.
func (c *cluster) Rollback(ctx context.Context, app, version string) error {
	body, err := json.Marshal(map[string]string{"version": version})
	if err != nil {
		return fmt.Errorf("roll back %s: %w", app, err)
	}
	_, err = c.Marathon.Update(ctx, stack.Definition{ID: "/" + app, JSON: body}, true)
	return err
}

// withImage fills the platform's image into an app of lab's own. An update
// that does not name a container leaves it alone.
func withImage(app []byte, image string) ([]byte, error) {
	var doc map[string]any
	if err := json.Unmarshal(app, &doc); err != nil {
		return nil, err
	}
	if doc["container"] == nil {
		return app, nil
	}
	container, _ := doc["container"].(map[string]any)
	docker, ok := container["docker"].(map[string]any)
	if !ok {
		return nil, errors.New("it has no container.docker")
	}
	docker["image"] = image
	return json.Marshal(doc)
}

// Remove deletes an app with its tasks.
func (c *cluster) Remove(ctx context.Context, app string) error {
	_, err := c.Marathon.Delete(ctx, app)
	return err
}

// KillTasks ends tasks and scales their app down with each.
func (c *cluster) KillTasks(ctx context.Context, ids []string) error {
	for _, id := range ids {
		app, _, _ := strings.Cut(id, ".")
		if err := c.killOne(ctx, strings.ReplaceAll(app, "_", "/"), id); err != nil {
			return err
		}
	}
	return nil
}

func (c *cluster) killOne(ctx context.Context, app, id string) error {
	return unlocked(ctx, "Marathon to kill "+id, func(ctx context.Context) error { return c.Marathon.KillTask(ctx, app, id, true) })
}

// unlocked does a change as soon as no other deployment holds the app.
func unlocked(ctx context.Context, what string, change func(context.Context) error) error {
	return lab.Until(ctx, 100*time.Millisecond, what, func(ctx context.Context) error {
		err := change(ctx)
		if lab.ErrorID(err) == "app-locked" {
			return err
		}
		return lab.Permanent(err)
	})
}

// understands refuses what only lab's own web server can do where the platform
// runs another image.
func (c *cluster) understands(app scenarios.AppFile) error {
	// A release's name does no harm where nobody says it.
	modes := bytes.Count(app.JSON, []byte(`"LAB_WEB_`)) - bytes.Count(app.JSON, []byte(`"LAB_WEB_RELEASE"`))
	if c.platform.Images.Mini || modes == 0 {
		return nil
	}
	return &lab.Error{ID: "app-needs-lab-web", Op: "deploy " + app.ID, Err: fmt.Errorf("%w: %s runs as lab/web only, this lab runs %s", lab.ErrUsage, app.ID, c.platform.Images.Nginx),
		Advice: "use the mini stack (stack: mini), or deploy an app of your own: deploy ./FILE.json"}
}
