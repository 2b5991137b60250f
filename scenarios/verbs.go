package scenarios

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mesoslab/lab"
)

// verbs returns the language. "expect" is a family: see expectations.
func verbs() map[string]verb {
	list := []verb{
		{name: "rules", summary: "say which settings rule the times", do: verbRules},
		{name: "spread", summary: "bring an app's tasks onto different slaves, without constraints that would block failover",
			args: []param{{name: "app", kind: kindApp}}, options: []param{{"within", kindDuration, "60s"}}, do: verbSpread},
		{name: "traffic", summary: "send steady requests to an app through the load balancer, and watch the platform",
			args: []param{{name: "app", kind: kindApp}}, options: []param{{"rate", kindCount, "50"}}, do: verbTraffic},
		{name: "baseline", summary: "see that nothing fails before anything is broken",
			args: []param{{name: "app", kind: kindApp}}, options: []param{{"requests", kindCount, "100"}, {"within", kindDuration, "30s"}}, do: verbBaseline},
		{name: "victim", summary: "choose whom to break: a machine's name, or the first slave that runs a task of an app",
			args: []param{{name: "who", kind: kindNode}}, options: []param{{"running", kindApp, ""}}, do: verbVictim},
		{name: "kill", summary: "cut a machine's power, silently", args: []param{{name: "machine", kind: kindNode}}, do: verbPower(lab.PowerCut, "loses power")},
		{name: "crash", summary: "end all processes of a machine at once", args: []param{{name: "machine", kind: kindNode}}, do: verbPower(lab.PowerCrash, "crashes")},
		{name: "restore", summary: "undo what was done to a machine", args: []param{{name: "machine", kind: kindNode}}, do: verbRestore},
		{name: "heal", summary: "undo every fault", do: func(ctx context.Context, r *run, _ arguments) error { return r.heal(ctx) }},
		{name: "expect", summary: "wait for something to be seen, and judge it"},
	}
	out := map[string]verb{}
	for _, v := range list {
		out[v.name] = v
	}
	return out
}

func verbRules(_ context.Context, r *run, _ arguments) error {
	s := r.lab.Settings()
	early, late := s.Law()
	r.note(fmt.Sprintf("Rules   pings %s × %d: a silent slave is lost after %s–%s (Mesos' own: 75–90 s) · back-off 1 s (Marathon's first)",
		s.PingTimeout, s.PingTimeouts, seconds(early), seconds(late)))
	return nil
}

// verbSpread scales up until every slave in reach has a task, then removes
// the surplus where it is crowded. Constraints would do it in one call, but
// UNIQUE and GROUP_BY with a number block the very failover that is to be
// shown (marathon#4288).
func verbSpread(ctx context.Context, r *run, a arguments) error {
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	app, err := r.settled(ctx, a["app"], 0)
	if err != nil {
		return err
	}
	want := app.Instances
	groups := min(want, len(r.slaves()))
	if want < 2 {
		return fmt.Errorf("%s has %d instance: nothing to spread, scale it to 2 or more first", a["app"], want)
	}
	for instances := want + 1; len(byNode(r, app)) < groups; instances++ {
		if instances > 4*want {
			return fmt.Errorf("%s stays on %d of %d slaves with %d instances", a["app"], len(byNode(r, app)), groups, app.Instances)
		}
		if err := r.cluster.Scale(ctx, a["app"], instances); err != nil {
			return err
		}
		if app, err = r.settled(ctx, a["app"], instances); err != nil {
			return err
		}
	}
	if surplus := surplusTasks(r, app, want); len(surplus) > 0 {
		if err := r.cluster.KillTasks(ctx, surplus); err != nil {
			return err
		}
		if app, err = r.settled(ctx, a["app"], want); err != nil {
			return err
		}
	}
	var on []string
	for node, ids := range byNode(r, app) {
		on = append(on, fmt.Sprintf("%d on %s", len(ids), node))
	}
	slices.Sort(on)
	r.note(fmt.Sprintf("Before  %s: %s", a["app"], strings.Join(on, ", ")))
	return nil
}

// settled waits until Marathon owes the app nothing: no deployment, nothing
// queued, all instances running and, with checks, healthy. instances 0 means
// whatever the app asks for.
func (r *run) settled(ctx context.Context, id string, instances int) (App, error) {
	var app App
	err := r.await(ctx, id+" to settle", func(ctx context.Context) error {
		var err error
		if app, err = r.cluster.App(ctx, id); err != nil {
			return err
		}
		return unsettled(app, instances)
	})
	return app, err
}

// unsettled says what Marathon still owes the app, or nil.
func unsettled(app App, instances int) error {
	running, healthy := 0, 0
	for _, t := range app.Tasks {
		if !t.Started.IsZero() {
			running++
		}
		if t.Healthy {
			healthy++
		}
	}
	switch {
	case instances > 0 && app.Instances != instances:
		return fmt.Errorf("it asks for %d instances, not %d", app.Instances, instances)
	case app.Deployments > 0:
		return fmt.Errorf("%d deployments run", app.Deployments)
	case app.Queued > 0:
		return fmt.Errorf("%d launches are queued", app.Queued)
	case len(app.Tasks) != app.Instances || running != app.Instances:
		return fmt.Errorf("%d of %d instances run", running, app.Instances)
	case app.HasChecks && healthy != app.Instances:
		return fmt.Errorf("%d of %d instances are healthy", healthy, app.Instances)
	}
	return nil
}

func byNode(r *run, app App) map[string][]string {
	out := map[string][]string{}
	for _, t := range app.Tasks {
		n := r.nodeOf(t.IP)
		out[n] = append(out[n], t.ID)
	}
	return out
}

// surplusTasks picks the tasks to remove so that want stay, as evenly spread
// as the placement allows: always one from the most crowded node.
func surplusTasks(r *run, app App, want int) []string {
	groups := byNode(r, app)
	var surplus []string
	for left := len(app.Tasks); left > want; left-- {
		crowded := ""
		for node, ids := range groups {
			if crowded == "" || len(ids) > len(groups[crowded]) || (len(ids) == len(groups[crowded]) && node < crowded) {
				crowded = node
			}
		}
		ids := groups[crowded]
		surplus = append(surplus, ids[len(ids)-1])
		groups[crowded] = ids[:len(ids)-1]
	}
	return surplus
}

func verbTraffic(ctx context.Context, r *run, a arguments) error {
	if r.probe != nil {
		return errors.New("traffic runs already")
	}
	r.app = a["app"]
	r.probe = NewProbe(r.lab.Settings().AppURL, a.count("rate"), r.opt.Dial)
	w := &watcher{cluster: r.cluster, app: r.app, history: r.history, nodeOf: r.nodeOf}
	r.observed.Go(func() { r.probe.Run(r.watchCtx, r.stop) })
	r.observed.Go(func() { w.run(r.watchCtx) })
	return nil
}

// verbBaseline is rule R1.
func verbBaseline(ctx context.Context, r *run, a arguments) error {
	if r.probe == nil {
		return errors.New("no traffic runs: give the verb traffic first")
	}
	c := r.criterion("baseline", fmt.Sprintf("at least %s requests, none failed, every instance answered", a["requests"]))
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	err := r.await(ctx, "a baseline", func(context.Context) error {
		app, t := r.history.App(), r.probe.Traffic()
		if t.Failed > 0 {
			return lab.Permanent(fmt.Errorf("%d of %d requests failed before anything was broken (%v)", t.Failed, t.Done, t.Errors))
		}
		if t.Done < a.count("requests") {
			return fmt.Errorf("%d of %s requests answered", t.Done, a["requests"])
		}
		if err := unsettled(app, 0); err != nil {
			return err
		}
		for _, task := range app.Tasks {
			if t.ByTask[task.ID] == 0 {
				return fmt.Errorf("instance %s has answered nothing yet", task.ID)
			}
		}
		return nil
	})
	if err != nil {
		return c.unseen(err)
	}
	app := r.history.App()
	for _, t := range app.Tasks {
		r.before = append(r.before, r.history.Task(t.ID))
	}
	r.agents = r.history.Agents()
	t := r.probe.Traffic()
	var shares []string
	for _, b := range r.before {
		shares = append(shares, fmt.Sprintf("%s on %s %.0f %%", b.Name, b.Node, 100*float64(t.ByTask[b.ID])/float64(t.Done)))
	}
	return c.pass("%d requests, 0 failed, %s", t.Done, strings.Join(shares, ", "))
}

func verbVictim(_ context.Context, r *run, a arguments) error {
	if app := a["running"]; app != "" && app != r.app {
		return fmt.Errorf("%w: running=%s, but traffic goes to %q", lab.ErrUsage, app, r.app)
	}
	if a["who"] != "slave" {
		m, err := r.node(a["who"])
		if err != nil {
			return err
		}
		r.victim = m.Name
	} else {
		for _, t := range r.before {
			if r.victim == "" {
				r.victim = t.Node
			}
		}
		if r.victim == "" {
			return errors.New("no slave is known to run a task: give the verb baseline first")
		}
	}
	var names []string
	r.victims = nil
	for _, t := range r.before {
		if t.Node == r.victim {
			r.victims = append(r.victims, t)
			names = append(names, t.Name)
		}
	}
	c := r.criterion("victim", r.victim+" runs a task, and another slave does, too")
	if len(r.victims) == 0 || len(r.victims) == len(r.before) {
		return c.unseen(fmt.Errorf("%d of %d tasks are on %s", len(r.victims), len(r.before), r.victim))
	}
	return c.pass("%s was on %s, %d elsewhere", strings.Join(names, ", "), r.victim, len(r.before)-len(r.victims))
}

func verbPower(how lab.Power, text string) func(context.Context, *run, arguments) error {
	return func(ctx context.Context, r *run, a arguments) error {
		m, err := r.node(a["machine"])
		if err != nil {
			return err
		}
		return r.breakNode(ctx, m.Name, how, m.Name+" "+text)
	}
}

func verbRestore(ctx context.Context, r *run, a arguments) error {
	m, err := r.node(a["machine"])
	if err != nil {
		return err
	}
	if err := r.mend(ctx, m.Name); err != nil {
		return err
	}
	r.moment("↺ " + m.Name + " powered on")
	return nil
}

func seconds(d time.Duration) string { return fmt.Sprintf("%g s", d.Seconds()) }
