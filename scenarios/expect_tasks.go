package scenarios

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// replacements are the tasks that were first seen after the fault of this leg
// and have not ended.
func (r *run) replacements() []TaskHistory {
	var out []TaskHistory
	fault := r.legFault()
	for _, t := range r.history.Tasks() {
		if !t.Seen.Before(fault) && t.Ended.IsZero() && t.Address != "" {
			out = append(out, t)
		}
	}
	return out
}

// expectReplaced is rule R3: the effect is told by identity.
func expectReplaced(ctx context.Context, r *run, a arguments) error {
	rule := "per lost task a new id on another machine"
	if a["on"] == "any" {
		rule = "per lost task a new id"
	}
	c := r.criterion("replaced", rule)
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	err := r.await(ctx, "new tasks to run", func(context.Context) error {
		running := 0
		for _, t := range r.replacements() {
			if !t.Running.IsZero() {
				running++
			}
		}
		if len(r.victims) == 0 || running < len(r.victims) {
			return fmt.Errorf("%d of %d new tasks run", running, len(r.victims))
		}
		return nil
	})
	if err != nil {
		return c.unseen(err)
	}
	var words []string
	for _, t := range r.replacements() {
		if a["on"] == "other" && slices.Contains(r.brokenNodes(), t.Node) {
			return c.broken("%s runs on %s, which is broken", t.Name, t.Node)
		}
		words = append(words, fmt.Sprintf("%s new id, on %s", t.Name, t.Node))
	}
	return c.pass("%s", strings.Join(words, "; "))
}

// expectServing is rule R4: answers through the load balancer count, not what
// a scheduler says of its own work.
func expectServing(ctx context.Context, r *run, a arguments) error {
	c := r.criterion("serving", "each new task answers "+a["requests"]+" requests through the load balancer")
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	err := r.await(ctx, "answers of the new tasks", func(ctx context.Context) error {
		fresh := r.replacements()
		if len(fresh) == 0 {
			return fmt.Errorf("there is no new task")
		}
		for _, t := range fresh {
			if err := r.serves(ctx, t, a.count("requests"), Traffic{}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return c.unseen(err)
	}
	var words []string
	for _, t := range r.replacements() {
		words = append(words, fmt.Sprintf("%s answered %d requests", t.Name, r.traffic().ByTask[t.ID]))
	}
	return c.pass("%s", strings.Join(words, ", "))
}

// serves says what a task lacks to be of use to clients, or nil. What it had
// answered before counts for nothing.
func (r *run) serves(ctx context.Context, t TaskHistory, requests int, before Traffic) error {
	answered := r.traffic().ByTask[t.ID] - before.ByTask[t.ID]
	switch {
	case t.InLB.IsZero():
		return fmt.Errorf("%s is not in the load balancer", t.Name)
	case r.history.App().HasChecks && t.Healthy.IsZero():
		return fmt.Errorf("%s is not healthy", t.Name)
	case answered < requests:
		return fmt.Errorf("%s has answered %d requests", t.Name, answered)
	}
	return r.logged(ctx, t, before.ByTask[t.ID]+requests)
}

// lastChange is when the lab was broken or changed last, and what clients had
// seen by then.
func (r *run) lastChange() (time.Time, Traffic) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.latest, r.sinceThen
}

// expectInstances counts those who answered, by id.
func expectInstances(ctx context.Context, r *run, a arguments) error {
	want := a.count("count")
	c := r.criterion("instances", fmt.Sprintf("%d different instances run, each has answered %s requests since the change", want, a["requests"]))
	changed, before := r.lastChange()
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	err := r.await(ctx, fmt.Sprintf("%d instances", want), func(ctx context.Context) error {
		app, err := r.current(want)
		if err != nil {
			return err
		}
		for _, t := range app.Tasks {
			if err := r.serves(ctx, r.history.Task(t.ID), a.count("requests"), before); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return c.unseen(err)
	}
	fresh := 0
	for _, t := range r.history.App().Tasks {
		if !r.history.Task(t.ID).Seen.Before(changed) {
			fresh++
		}
	}
	return c.pass("%d ids have answered, %d of them new, %s", want, fresh, perNode(r))
}

// current is Marathon's view of the app, if it is one from after the last
// change and the app has settled.
func (r *run) current(instances int) (App, error) {
	changed, _ := r.lastChange()
	app, asked := r.history.AppAsked()
	if asked.Before(changed) {
		return app, errors.New("no sample of Marathon since the change")
	}
	return app, unsettled(app, instances)
}

func perNode(r *run) string {
	var words []string
	for node, ids := range byNode(r, r.history.App()) {
		words = append(words, fmt.Sprintf("%d on %s", len(ids), node))
	}
	slices.Sort(words)
	return strings.Join(words, ", ")
}

// expectYoungest holds Marathon 1.1.1 to its choice (contracts 2.5): staged
// ones apart, the youngest go first.
func expectYoungest(ctx context.Context, r *run, a arguments) error {
	c := r.criterion("youngest", "scaling down kills the youngest tasks; they are out of the load balancer")
	changed, _ := r.lastChange()
	before := r.scaledFrom
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	var killed, kept []TaskHistory
	err := r.await(ctx, "the surplus to end", func(context.Context) error {
		app, err := r.current(r.wanted)
		if err != nil {
			return err
		}
		killed, kept = nil, nil
		for _, t := range before.Tasks {
			h := r.history.Task(t.ID)
			if h.Ended.IsZero() {
				kept = append(kept, h)
				continue
			}
			killed = append(killed, h)
			if h.OutOfLB.IsZero() {
				return fmt.Errorf("%s has ended, but is still in the load balancer", h.Name)
			}
		}
		if want := len(before.Tasks) - app.Instances; len(killed) < max(1, want) {
			return fmt.Errorf("%d of %d tasks have ended", len(killed), want)
		}
		return nil
	})
	if err != nil {
		return c.unseen(err)
	}
	return r.judgeYoungest(c, changed, killed, kept)
}

func (r *run) judgeYoungest(c pending, changed time.Time, killed, kept []TaskHistory) error {
	var names []string
	for _, t := range killed {
		if t.EndState != "TASK_KILLED" || t.Ended.Before(changed) {
			return c.broken("%s ended as %s, which scaling down does not explain", t.Name, t.EndState)
		}
		for _, k := range kept {
			if k.Started.After(t.Started) {
				return c.broken("%s was killed, but %s is younger and lives", t.Name, k.Name)
			}
		}
		names = append(names, t.Name)
	}
	if n := len(r.history.App().Tasks); n != len(kept) {
		return c.broken("%d tasks were kept, but %d run: some are new", len(kept), n)
	}
	var left []string
	for _, t := range kept {
		left = append(left, t.Name)
	}
	failed := r.probe.Between(changed, time.Now()).Failed
	return c.pass("%s killed, the older %s kept; %d requests failed meanwhile", strings.Join(names, ", "), strings.Join(left, ", "), failed)
}

// expectRestarted is told by identity, too.
func expectRestarted(ctx context.Context, r *run, a arguments) error {
	c := r.criterion("restarted", "every task has been replaced by one with a new id")
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	err := r.await(ctx, "all tasks to be replaced", func(context.Context) error {
		for _, t := range r.before {
			if h := r.history.Task(t.ID); h.Ended.IsZero() {
				return fmt.Errorf("%s still runs", h.Name)
			}
		}
		_, err := r.current(0)
		return err
	})
	if err != nil {
		return c.unseen(err)
	}
	changed, _ := r.lastChange()
	return c.pass("%d old ids ended, %d new ones run; %d requests failed meanwhile", len(r.before), len(r.history.App().Tasks), r.probe.Between(changed, time.Now()).Failed)
}

// expectSteady watches that nothing happens. What does is a finding.
func expectSteady(ctx context.Context, r *run, a arguments) error {
	length := a.duration("for")
	c := r.criterion("steady", fmt.Sprintf("for %s no task comes, goes or moves", seconds(length)))
	start, known := time.Now(), len(r.history.Tasks())
	want := byNode(r, r.history.App())
	ctx, cancel := context.WithTimeout(ctx, length+10*time.Second)
	defer cancel()
	err := r.hold(ctx, "nothing to move", length, func(context.Context) error { return r.moved(start, known) })
	if err != nil {
		if moved := r.moved(start, known); moved != nil {
			return c.broken("%v", moved)
		}
		return c.unseen(err)
	}
	var words []string
	for _, m := range r.slaves() {
		words = append(words, fmt.Sprintf("%d on %s", len(want[m.Name]), m.Name))
	}
	return c.pass("watched for %s: %s, the same ids", seconds(length), strings.Join(words, ", "))
}

// moved says which task has come or gone since a moment.
func (r *run) moved(since time.Time, known int) error {
	all := r.history.Tasks()
	if len(all) > known {
		return fmt.Errorf("a new task %s came, on %s", all[known].Name, all[known].Node)
	}
	for _, t := range all {
		if t.Ended.After(since) {
			return fmt.Errorf("%s on %s ended as %s", t.Name, t.Node, t.EndState)
		}
	}
	if n := r.history.App().Deployments; n > 0 {
		return fmt.Errorf("%d deployments run", n)
	}
	return nil
}
