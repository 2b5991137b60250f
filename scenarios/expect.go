package scenarios

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/mesoslab/lab"
)

// tolerance is what a judgement by the law of pings allows on top: sampling,
// the event's way, a loaded computer (criteria of the scenario failover).
const tolerance = time.Second

// expectations are the second words of "expect".
func expectations() map[string]verb {
	list := []verb{
		{name: "silence", summary: "a peer gets no answer at all from the machine, not even a refusal",
			args:    []param{{name: "machine", kind: kindNode}},
			options: []param{{"from", kindNode, "master"}, {"within", kindDuration, "10s"}}, do: expectSilence},
		{name: "lost", summary: "Mesos loses the machine's slave and its tasks by the law of pings",
			args: []param{{name: "machine", kind: kindNode}}, do: expectLost},
		{name: "replaced", summary: "for each lost task a new one, with a new id, runs on another machine",
			args: []param{{name: "app", kind: kindApp}}, options: []param{{"within", kindDuration, "60s"}}, do: expectReplaced},
		{name: "serving", summary: "each new task answers requests through the load balancer",
			args:    []param{{name: "app", kind: kindApp}},
			options: []param{{"requests", kindCount, "10"}, {"within", kindDuration, "30s"}}, do: expectServing},
		{name: "agents", summary: "Mesos has a slave on every slave machine again",
			args: []param{{name: "all", kind: kindWord}}, options: []param{{"within", kindDuration, "60s"}}, do: expectAgents},
		{name: "whole", summary: "the app has exactly its instances, by Marathon and by every engine's own count",
			args: []param{{name: "app", kind: kindApp}}, options: []param{{"within", kindDuration, "30s"}}, do: expectWhole},
	}
	out := map[string]verb{}
	for _, v := range list {
		name := v.name
		v.name = "expect " + name
		out[name] = v
	}
	return out
}

func expectation(words []string) (verb, error) {
	all := expectations()
	var names []string
	for n := range all {
		names = append(names, n)
	}
	slices.Sort(names)
	if len(words) == 0 {
		return verb{}, fmt.Errorf("expect what? one of %s", strings.Join(names, ", "))
	}
	v, ok := all[words[0]]
	if !ok {
		return verb{}, fmt.Errorf("expect %q: must be one of %s%s", words[0], strings.Join(names, ", "), lab.DidYouMean(words[0], names))
	}
	return v, nil
}

// expectSilence is rule R2: the fault is seen by someone else than the one
// who did it.
func expectSilence(ctx context.Context, r *run, a arguments) error {
	to, err := r.node(a["machine"])
	if err != nil {
		return err
	}
	from, err := r.node(a["from"])
	if err != nil {
		return err
	}
	c := r.criterion("silence", fmt.Sprintf("%s gets no answer from %s", from.Name, to.Name))
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	err = r.await(ctx, to.Name+" to fall silent", func(ctx context.Context) error {
		switch err := r.lab.Reach(ctx, from.Name, to.Name); {
		case err == nil:
			return fmt.Errorf("%s still answers %s", to.Name, from.Name)
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return err
		}
		return nil
	})
	if err != nil {
		return c.unseen(err)
	}
	r.moment(fmt.Sprintf("◆ %s gets no answer from %s", from.Name, to.Name))
	return c.pass("cut seen from %s", from.Name)
}

func expectLost(ctx context.Context, r *run, a arguments) error {
	m, err := r.node(a["machine"])
	if err != nil {
		return err
	}
	early, late := r.lab.Settings().Law()
	c := r.criterion("lost", fmt.Sprintf("slave and tasks lost %s–%s after the fault, by the law of pings (+%s)", seconds(early), seconds(late), seconds(tolerance)))
	ctx, cancel := context.WithDeadline(ctx, r.faultTime().Add(late+5*time.Second))
	defer cancel()
	err = r.await(ctx, "Mesos to lose "+m.Name, func(context.Context) error {
		if !slices.ContainsFunc(r.history.Agents(), func(h AgentHistory) bool {
			return h.Node == m.Name && h.Gone.After(r.faultTime())
		}) {
			return fmt.Errorf("mesos still counts the slave on %s", m.Name)
		}
		for _, v := range r.victims {
			if t := r.history.Task(v.ID); t.EndState == "" {
				return fmt.Errorf("marathon has not told the end of %s", t.Name)
			}
		}
		return nil
	})
	if err != nil {
		return c.unseen(err)
	}
	var took []string
	for _, v := range r.victims {
		t := r.history.Task(v.ID)
		d := t.Ended.Sub(r.faultTime())
		if t.EndState != "TASK_LOST" {
			return c.broken("%s (%s) ended as %s, not TASK_LOST", t.Name, t.ID, t.EndState)
		}
		if d < early || d > late+tolerance {
			return c.broken("%s was lost after %.2f s, the law says %s–%s", t.Name, d.Seconds(), seconds(early), seconds(late))
		}
		took = append(took, fmt.Sprintf("%s after %.2f s", t.Name, d.Seconds()))
	}
	return c.pass("%s, by the law %s–%s", strings.Join(took, ", "), seconds(early), seconds(late))
}

// replacements are the tasks that were first seen after the fault and have
// not ended.
func (r *run) replacements() []TaskHistory {
	var out []TaskHistory
	fault := r.faultTime()
	for _, t := range r.history.Tasks() {
		if t.Seen.After(fault) && t.Ended.IsZero() && t.Address != "" {
			out = append(out, t)
		}
	}
	return out
}

func (r *run) faultTime() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fault
}

// expectReplaced is rule R3: the effect is told by identity.
func expectReplaced(ctx context.Context, r *run, a arguments) error {
	c := r.criterion("replaced", "per lost task a new id on another machine")
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	err := r.await(ctx, "new tasks to run", func(context.Context) error {
		running := 0
		for _, t := range r.replacements() {
			if !t.Running.IsZero() {
				running++
			}
		}
		if running < len(r.victims) {
			return fmt.Errorf("%d of %d new tasks run", running, len(r.victims))
		}
		return nil
	})
	if err != nil {
		return c.unseen(err)
	}
	var words []string
	for _, t := range r.replacements() {
		if t.Node == r.victim {
			return c.broken("%s runs on %s, which has no power", t.Name, t.Node)
		}
		words = append(words, fmt.Sprintf("%s new id, on %s", t.Name, t.Node))
	}
	return c.pass("%s", strings.Join(words, "; "))
}

// expectServing is rule R4: answers through the load balancer count, not what
// a scheduler says of its own work.
func expectServing(ctx context.Context, r *run, a arguments) error {
	c := r.criterion("serving", "each new task answers "+a["requests"]+" requests through the load balancer")
	hasChecks := r.history.App().HasChecks
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	answered := func(t TaskHistory) int { return r.probe.Traffic().ByTask[t.ID] }
	err := r.await(ctx, "answers of the new tasks", func(context.Context) error {
		for _, t := range r.replacements() {
			switch {
			case t.InLB.IsZero():
				return fmt.Errorf("%s is not in the load balancer", t.Name)
			case hasChecks && t.Healthy.IsZero():
				return fmt.Errorf("%s is not healthy", t.Name)
			case answered(t) < a.count("requests"):
				return fmt.Errorf("%s has answered %d requests", t.Name, answered(t))
			}
		}
		return nil
	})
	if err != nil {
		return c.unseen(err)
	}
	var words []string
	for _, t := range r.replacements() {
		words = append(words, fmt.Sprintf("%s answered %d requests", t.Name, answered(t)))
	}
	return c.pass("%s", strings.Join(words, ", "))
}

func expectAgents(ctx context.Context, r *run, a arguments) error {
	c := r.criterion("agents", "a slave in Mesos on every slave machine")
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	var seen []Agent
	err := r.await(ctx, "all slaves in Mesos", func(ctx context.Context) error {
		var err error
		if seen, err = r.cluster.Agents(ctx); err != nil {
			return err
		}
		for _, m := range r.slaves() {
			if !slices.ContainsFunc(seen, func(s Agent) bool { return s.Active && s.IP == m.IP.String() }) {
				return fmt.Errorf("no active slave on %s", m.Name)
			}
		}
		return nil
	})
	if err != nil {
		return c.unseen(err)
	}
	text := fmt.Sprintf("%d of %d slaves active", len(seen), len(r.slaves()))
	for _, s := range seen {
		if r.nodeOf(s.IP) == r.victim {
			kind := "as a new slave, " + shortAgent(s.ID)
			if slices.ContainsFunc(r.agents, func(h AgentHistory) bool { return h.ID == s.ID }) {
				kind = "with its old id, " + shortAgent(s.ID)
			}
			text += "; " + r.victim + " is back " + kind
		}
	}
	return c.pass("%s", text)
}

// expectWhole is rule R7: at the end every engine is asked itself.
func expectWhole(ctx context.Context, r *run, a arguments) error {
	c := r.criterion("whole", "exactly the wanted instances, by Marathon and by every engine's own count")
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	var counted int
	err := r.await(ctx, a["app"]+" to be whole", func(ctx context.Context) error {
		app, err := r.cluster.App(ctx, a["app"])
		if err != nil {
			return err
		}
		if err := unsettled(app, 0); err != nil {
			return err
		}
		counted, err = r.count(ctx, app)
		return err
	})
	switch {
	case err != nil && errors.Is(err, errSurplus):
		return c.broken("%v", err)
	case err != nil:
		return c.unseen(err)
	}
	return c.pass("%d containers on the engines, none too many", counted)
}

var errSurplus = errors.New("the engines run other tasks than Marathon lists")

// count compares the engines' containers with Marathon's tasks by task id.
func (r *run) count(ctx context.Context, app App) (int, error) {
	want := map[string]bool{}
	for _, t := range app.Tasks {
		want[t.ID] = true
	}
	counted := 0
	for _, m := range r.slaves() {
		containers, err := r.lab.Containers(ctx, m.Name)
		if err != nil {
			return counted, fmt.Errorf("ask the engine of %s: %w", m.Name, err)
		}
		for _, c := range containers {
			if !want[c.TaskID] {
				return counted, fmt.Errorf("%w: container %.12s on %s belongs to task %q", errSurplus, c.ID, m.Name, c.TaskID)
			}
			delete(want, c.TaskID)
			counted++
		}
	}
	for id := range want {
		return counted, fmt.Errorf("task %s has no container on any engine", id)
	}
	return counted, nil
}
