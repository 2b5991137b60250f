package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mesoslab/lab"
)

// DeployAction says what Deploy did.
type DeployAction string

// What Deploy does.
const (
	DeployCreated   DeployAction = "created"
	DeployUpdated   DeployAction = "updated"
	DeployUnchanged DeployAction = "unchanged"
)

// soonChecked is the longest health check interval for which Deploy waits; the
// first check comes one interval after the start (contracts 2.4).
const soonChecked = 10 * time.Second

// Deploy makes Marathon run an app as its definition says: it creates it,
// updates it where Marathon shows something else, or leaves it. It returns
// when all instances run, pass their health checks (where those come within 10
// s) and, for an app behind the load balancer, the service port answers. Error
// ids: app-refused, app-timeout, app-spoilt, root-cmd.
func (p Platform) Deploy(ctx context.Context, c Clients, d Definition, o Options) (App, DeployAction, error) {
	o = o.filled()
	var app App
	var did DeployAction
	err := o.Report.Step(o.Op, "", "app", func(wait func(string)) error {
		waitCtx, cancel := context.WithTimeout(ctx, o.Wait)
		defer cancel()
		var err error
		if did, err = put(waitCtx, c.Marathon, d, wait); err == nil {
			app, err = p.awaitApp(waitCtx, c, d.ID, did, wait)
		}
		if e, ok := errors.AsType[*lab.Error](err); ok && (e.ID == "root-cmd" || e.ID == "app-spoilt") {
			return e // no wait that failed, but a wait that makes no sense
		}
		if _, timedOut := errors.AsType[*lab.WaitError](err); timedOut && ctx.Err() == nil {
			return &lab.Error{ID: "app-timeout", Op: "deploy " + d.ID, Err: err,
				Advice: "look at the app in Marathon's web page: are there resources for it, do its tasks fail?"}
		}
		return err
	})
	if err == nil {
		o.Report.Emit(lab.Event{Op: o.Op, Kind: lab.EventNote, Step: "ready",
			Text: fmt.Sprintf("%s %d of %[2]d", d.ID[1:], app.Instances), Data: map[string]any{"gate": "app", "app": d.ID}})
	}
	return app, did, err
}

// put creates or updates the app. While a deployment locks it, it waits.
func put(ctx context.Context, m *Marathon, d Definition, wait func(string)) (DeployAction, error) {
	did := DeployUnchanged
	err := await(ctx, "Marathon to accept "+d.ID, func(ctx context.Context) error {
		app, err := m.App(ctx, d.ID)
		switch {
		case errors.Is(err, lab.ErrNotFound):
			did = DeployCreated
			_, err = m.Create(ctx, d)
		case err != nil:
		case satisfies(app.Raw, d):
			return nil
		default:
			did = DeployUpdated
			_, err = m.Update(ctx, d, false)
		}
		if id := lab.ErrorID(err); id == "app-refused" {
			return lab.Permanent(err)
		} else if id == "app-locked" {
			wait("another deployment is running")
		}
		return err
	})
	return did, err
}

// awaitApp waits until the app is as it shall be, or never will be.
func (p Platform) awaitApp(ctx context.Context, c Clients, id string, did DeployAction, wait func(string)) (App, error) {
	var app App
	refusal := refusals{known: did != DeployUnchanged}
	err := await(ctx, id+" to run", func(ctx context.Context) error {
		var err error
		if app, err = c.Marathon.App(ctx, id); err == nil {
			if err = complete(app); err != nil {
				if refused := refusal.in(app); refused != nil {
					return lab.Permanent(refused)
				}
			}
		}
		if err == nil {
			if port := app.ServicePort(); port != 0 && app.Instances > 0 {
				err = c.answers(ctx, p.Master().IP.String(), port, speaksHTTP(app))
				if spoilt := c.spoilt(ctx, app); spoilt != nil {
					return lab.Permanent(spoilt)
				}
			}
		}
		if err != nil {
			wait(err.Error())
		}
		return err
	})
	return app, err
}

// rootCmdKey is in the agent's words when it runs no commands for root.
const rootCmdKey = "local.allow_root_cmd"

// refusals tells an app that no agent will run from one that was refused
// before the key was set: only a failure that came while we looked counts.
type refusals struct {
	known  bool // what was before is known, or nothing was
	before time.Time
}

func (r *refusals) in(a App) error {
	f := a.LastTaskFailure
	if !r.known {
		if r.known = true; f != nil {
			r.before = f.Timestamp
		}
	}
	if f == nil || f.Version != a.Version || f.Timestamp.Equal(r.before) || !strings.Contains(f.Message, rootCmdKey) {
		return nil
	}
	return &lab.Error{ID: "root-cmd", Op: "deploy " + a.ID, Machine: f.Host, Err: errors.New(f.State + ": " + f.Message),
		Advice: "set local: {allow_root_cmd: true} in lab.yaml, give lab create and deploy again; or give the app a docker container"}
}

// spoilt is why the load balancer does not serve an app as its newest version
// asks, or nil; also if it cannot tell.
func (c Clients) spoilt(ctx context.Context, a App) error {
	list, err := c.LB.Spoilt(ctx)
	if err != nil {
		return nil // the service port says more
	}
	for _, s := range list {
		if s.App == a.ID && s.Version == a.Version {
			return &lab.Error{ID: "app-spoilt", Op: "deploy " + a.ID, Err: errors.New(s.String()),
				Advice: "mend it in the app's file and deploy it again; its tasks run, and all other apps are served"}
		}
	}
	return nil
}

// complete returns nil for an app whose instances all run and are healthy, as
// far as that shows soon.
func complete(a App) error {
	failed := ""
	if f := a.LastTaskFailure; f != nil && f.Version == a.Version {
		failed = "; last failure: " + f.State + " " + f.Message
	}
	if running := a.current(); running != a.Instances {
		return fmt.Errorf("%d of %d instances run%s", running, a.Instances, failed)
	}
	if checkedSoon(a) && a.TasksHealthy != a.Instances {
		return fmt.Errorf("%d of %d instances are healthy%s", a.TasksHealthy, a.Instances, failed)
	}
	// An update keeps the count while it replaces tasks; a deployment that
	// waits for a late first health check is done as far as we can see.
	if len(a.Deployments) > 0 && (checkedSoon(a) || len(a.HealthChecks) == 0) {
		return fmt.Errorf("all %d instances run, the deployment is ending", a.Instances)
	}
	return nil
}

// current counts the running tasks that an update in progress will not
// replace. Versions are times in one format, so that they compare as text.
func (a App) current() int {
	replaced := 0
	for _, t := range a.Tasks {
		if !t.StartedAt.IsZero() && t.Version < a.VersionInfo.LastConfigChangeAt {
			replaced++
		}
	}
	return a.TasksRunning - replaced
}

// checkedSoon says whether the app has health checks and the first comes soon.
func checkedSoon(a App) bool {
	for _, h := range a.HealthChecks {
		if time.Duration(h.IntervalSeconds)*time.Second > soonChecked {
			return false
		}
	}
	return len(a.HealthChecks) > 0
}

// speaksHTTP says whether the app's service port can be asked by HTTP.
func speaksHTTP(a App) bool {
	for _, h := range a.HealthChecks {
		if h.Protocol == "HTTP" || h.Protocol == "" || h.Protocol == "MESOS_HTTP" {
			return true
		}
	}
	return false
}

// answers asks a service port once. An HTTP answer counts unless the load
// balancer itself says that nobody is behind it.
func (c Clients) answers(ctx context.Context, ip string, port int, byHTTP bool) error {
	at := net.JoinHostPort(ip, strconv.Itoa(port))
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if !byHTTP {
		conn, err := c.ZooKeeper.Dial(ctx, "tcp", at)
		if err != nil {
			return fmt.Errorf("service port: %w", err)
		}
		return conn.Close()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at+"/", nil)
	if err != nil {
		return lab.Permanent(err)
	}
	req.Close = true
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return fmt.Errorf("service port: %w", err)
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
	switch resp.StatusCode {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return fmt.Errorf("service port %d answers %s", port, resp.Status)
	}
	return nil
}
