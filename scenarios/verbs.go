package scenarios

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mesoslab/lab"
)

// verbs returns the language. "expect" is a family: see expectations.
func verbs() map[string]verb {
	out := map[string]verb{"expect": {name: "expect", summary: "wait for something to be seen, and judge it"}}
	for _, list := range [][]verb{speaking(), preparing(), breaking(), changing(), updating(), remembering(), pinning(), chaotic(), upgrading(), flagging(), sharing()} {
		for _, v := range list {
			out[v.name] = v
		}
	}
	return out
}

// preparing are the verbs of the time before.
func preparing() []verb {
	app := []param{{name: "app", kind: kindApp}}
	return []verb{
		{name: "spread", summary: "bring an app's tasks onto different slaves, without constraints that would block failover",
			args: app, options: []param{{"within", kindDuration, "60s"}}, do: verbSpread},
		{name: "traffic", summary: "send steady requests to an app through the load balancer, and watch the platform",
			args: app, options: []param{{"rate", kindRate, "50"}, {"connections", kindConnections, string(ConnectionsNew)}}, gives: []fact{factTraffic}, sane: onlyOnce, do: verbTraffic},
		{name: "baseline", summary: "see that nothing fails before anything is broken",
			args: app, options: []param{{"requests", kindCount, "100"}, {"within", kindDuration, "30s"}},
			after: []fact{factTraffic}, gives: []fact{factBaseline}, watched: true, sane: enoughTime, do: verbBaseline},
		{name: "victim", summary: "choose whom to break: a machine, a slave that runs a task of the app (the first, the one with most, a random one), or all slaves",
			args: []param{{name: "who", kind: kindWho}}, options: picking(),
			after: []fact{factBaseline}, gives: []fact{factVictim}, sane: saneVictim, do: verbVictim},
	}
}

func onlyOnce(a arguments, k *knowledge) error {
	if k.facts[factTraffic] {
		return fmt.Errorf("traffic: it runs already, to %s; one app is watched at a time", k.app)
	}
	return nil
}

// enoughTime finds waits that end before enough requests can have been sent.
func enoughTime(a arguments, k *knowledge) error {
	if most := a.duration("within").Seconds() * float64(k.rate); k.rate > 0 && float64(a.count("requests")) > most {
		return fmt.Errorf("requests=%s within=%s can never hold: traffic is %d requests a second", a["requests"], a["within"], k.rate)
	}
	return nil
}

func sameApp(a arguments, k *knowledge) error {
	if app := a["running"]; app != "" && k.app != "" && app != k.app {
		return fmt.Errorf("running=%s, but traffic goes to %s, and only that is watched", app, k.app)
	}
	return nil
}

func saneVictim(a arguments, k *knowledge) error {
	if err := saneOptions(Kind{}, PartMachine, a["who"], a); err != nil {
		return fmt.Errorf("victim %s: %w", a["who"], err)
	}
	return sameApp(a, k)
}

func verbTraffic(ctx context.Context, r *run, a arguments) error {
	if r.probe != nil {
		return errors.New("traffic runs already")
	}
	app, err := r.cluster.App(ctx, a["app"])
	if err != nil {
		return err
	}
	if app.URL == "" {
		return &lab.Error{ID: "app-unserved", Op: "send traffic", Err: fmt.Errorf("%w: %s is not behind the load balancer", lab.ErrUsage, a["app"]), Advice: "give it the label HAPROXY_GROUP=external and a service port"}
	}
	if err := r.balanced(ctx, a["app"]); err != nil {
		return err
	}
	probe, err := NewProbe(app.URL, a.count("rate"), Connections(a["connections"]), r.opt.Dial)
	if err != nil {
		return err
	}
	r.app, r.url, r.probe = a["app"], app.URL, probe
	w := &watcher{cluster: r.cluster, app: r.app, history: r.history, nodeOf: r.nodeOf}
	r.observed.Go(func() { r.probe.Run(r.watchCtx, r.stop) })
	r.observed.Go(func() { w.run(r.watchCtx) })
	return nil
}

// verbBaseline is rule R1.
func verbBaseline(ctx context.Context, r *run, a arguments) error {
	c := r.criterion("baseline", fmt.Sprintf("at least %s requests, none failed, every instance answered", a["requests"]))
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	err := r.await(ctx, "a baseline", func(ctx context.Context) error {
		app, t := r.history.App(), r.traffic()
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
			if err := r.logged(ctx, r.history.Task(task.ID), 1); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return c.unseen(err)
	}
	for _, t := range r.history.App().Tasks {
		r.before = append(r.before, r.history.Task(t.ID))
	}
	r.agents = r.history.Agents()
	t := r.traffic()
	var shares []string
	for _, b := range r.before {
		shares = append(shares, fmt.Sprintf("%s on %s %.0f %%", b.Name, b.Node, 100*float64(t.ByTask[b.ID])/float64(t.Done)))
	}
	return c.pass("%d requests, 0 failed, %s", t.Done, strings.Join(shares, ", "))
}

// verbVictim chooses the machines to break, and knows their tasks by id.
func verbVictim(ctx context.Context, r *run, a arguments) error {
	nodes, err := r.choose(ctx, a)
	if err != nil {
		return err
	}
	r.nextLeg()
	r.victimNodes = nodes
	tasks := r.running()
	var names []string
	for _, t := range tasks {
		if slices.Contains(nodes, t.Node) {
			names = append(names, t.Name+" on "+t.Node)
		}
	}
	if len(nodes) > 1 {
		c := r.criterion("victim", "all slaves are to go, and with them every task")
		if len(names) == 0 || len(names) < len(tasks) {
			return c.unseen(fmt.Errorf("%d of %d tasks are on %s", len(names), len(tasks), strings.Join(nodes, ", ")))
		}
		return c.pass("%s: all %d", strings.Join(names, ", "), len(tasks))
	}
	if r.history.App().Instances == 1 {
		c := r.criterion("victim", nodes[0]+" runs the only task")
		if len(names) == 0 {
			return c.unseen(fmt.Errorf("it does not run on %s", nodes[0]))
		}
		return c.pass("%s, the only one", names[0])
	}
	c := r.criterion("victim", nodes[0]+" runs a task, and another slave does, too")
	if len(names) == 0 || len(names) == len(tasks) {
		return c.unseen(fmt.Errorf("%d of %d tasks are on %s", len(names), len(tasks), nodes[0]))
	}
	return c.pass("%s, %d elsewhere", strings.Join(names, ", "), len(tasks)-len(names))
}

// choose finds the victims. The first slave is that of the first task, as the
// baseline lists them.
func (r *run) choose(ctx context.Context, a arguments) ([]string, error) {
	if a["who"] == wordSlave && a["pick"] == pickFirst {
		tasks := r.running()
		if len(tasks) == 0 {
			return nil, errors.New("no slave is known to run a task")
		}
		return []string{tasks[0].Node}, nil
	}
	machines, err := r.aim().machines(ctx, a["who"], a)
	var nodes []string
	for _, m := range machines {
		nodes = append(nodes, m.Name)
	}
	return nodes, err
}

func seconds(d interface{ Seconds() float64 }) string { return fmt.Sprintf("%g s", d.Seconds()) }
