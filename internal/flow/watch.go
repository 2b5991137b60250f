package flow

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/state"
	"github.com/mesoslab/lab/scenarios/watch"
	"github.com/mesoslab/lab/stack"
)

// Watch keeps a board up to date with a lab until ctx ends. It takes no lock
// and changes nothing but for the probe's requests.
func (f *Flow) Watch(ctx context.Context, l *state.Lab, board *watch.Board, opt watch.Options) error {
	v, err := f.open(l, "lab watch")
	if err != nil {
		return err
	}
	defer v.close()
	c := &cluster{v.clients, v.platform}
	if opt.App != "" {
		app, err := c.App(ctx, opt.App)
		if err != nil {
			return err
		}
		if app.URL == "" {
			return &lab.Error{ID: "app-unserved", Op: "watch", Err: fmt.Errorf("%w: %s is not behind the load balancer", lab.ErrUsage, opt.App), Advice: "give it the label HAPROXY_GROUP=external and a service port"}
		}
	}
	board.Run(ctx, &watched{cluster: c, live: v}, v.plan.Nodes, opt)
	return nil
}

// watched is a lab as a board looks at it.
type watched struct {
	*cluster
	live *live
}

var _ watch.Source = (*watched)(nil)

// Power asks the provider.
func (w *watched) Power(ctx context.Context) ([]lab.MachineStatus, error) {
	return w.live.provider.Status(ctx, w.live.plan)
}

// Faults reads the journal.
func (w *watched) Faults() ([]string, error) {
	faults, err := w.live.lab.Faults()
	out := []string{}
	for _, f := range faults {
		out = append(out, fmt.Sprintf("%s; %s mends it", f, f.Mends()))
	}
	return out, err
}

// Apps asks Marathon for everything that it runs or owes.
func (w *watched) Apps(ctx context.Context) ([]watch.AppState, error) {
	var apps []stack.App
	var queue []stack.QueueItem
	var appsErr, queueErr error
	var both sync.WaitGroup
	both.Go(func() { apps, appsErr = w.Marathon.Apps(ctx) })
	both.Go(func() { queue, queueErr = w.Marathon.Queue(ctx) })
	both.Wait()
	if err := errors.Join(appsErr, queueErr); err != nil {
		return nil, err
	}
	var out []watch.AppState
	for _, a := range apps {
		s := watch.AppState{URL: serviceURL(w.platform, a), App: watch.App{
			ID: strings.TrimPrefix(a.ID, "/"), Instances: a.Instances, Running: a.TasksRunning, Healthy: a.TasksHealthy,
			Checked: len(a.HealthChecks) > 0, Deploying: len(a.Deployments) > 0,
		}}
		for _, q := range queue {
			if q.App.ID == a.ID {
				s.Queued, s.Overdue = s.Queued+q.Count, q.Delay.Overdue
			}
		}
		for _, t := range a.Tasks {
			s.Tasks = append(s.Tasks, taskState(s.ID, t))
		}
		out = append(out, s)
	}
	return out, nil
}

func taskState(app string, t stack.Task) watch.TaskState {
	state := "staging"
	switch healthy, known := t.Healthy(); {
	case t.StartedAt.IsZero():
	case known && healthy:
		state = "healthy"
	case known:
		state = "unhealthy"
	default:
		state = "running"
	}
	out := watch.TaskState{Task: watch.Task{ID: t.ID, App: app, State: state}, IP: t.Host}
	if len(t.Ports) > 0 {
		out.Address = net.JoinHostPort(t.Host, strconv.Itoa(t.Ports[0]))
	}
	return out
}

// Servers asks the load balancer for all its servers.
func (w *watched) Servers(ctx context.Context) ([]string, error) {
	stats, err := w.LB.Stats(ctx)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, s := range stats {
		if addr, ok := serverAddress(s); ok {
			out = append(out, addr)
		}
	}
	return out, nil
}

// Happenings follows the lab's own log and Marathon's event stream.
func (w *watched) Happenings(ctx context.Context, fn func(time.Time, string)) {
	var both sync.WaitGroup
	both.Go(func() {
		// A log that cannot be read is missed, but the rest is seen.
		w.live.lab.Events(ctx, 5, true, func(e state.PastEvent) error {
			if text := news(e); text != "" {
				fn(e.Time, text)
			}
			return nil
		})
	})
	both.Go(func() {
		heard := func(error) {} // the board asks Marathon, too, and shows when it does not answer
		followMarathon(ctx, w.cluster, heard, func(e stack.Event) {
			if text := marathonNews(w.platform, e); text != "" {
				fn(e.Received, text)
			}
		})
	})
	both.Wait()
}

// news is what people want to hear of the lab's log: what was done, and what
// failed, but not what is seen on the board anyway.
func news(e state.PastEvent) string {
	text := strings.TrimSpace(e.Text)
	switch {
	case e.Err != nil || e.Kind == lab.EventStart || e.Kind == lab.EventWait || e.Kind == lab.EventDone && e.Data["quiet"] == true:
		return ""
	case e.Kind == lab.EventFail:
		return strings.TrimSpace(e.Op+" "+e.Node) + " " + e.Step + ": " + e.Event.Err
	case e.Kind == lab.EventDone:
		return ""
	case strings.Contains(text, "◆"):
		return ""
	}
	return e.Op + ": " + text
}
