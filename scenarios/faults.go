package scenarios

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// breaking are the verbs that do faults, and undo them.
func breaking() []verb {
	var out []verb
	for _, k := range Kinds() {
		out = append(out, faultVerb(k))
	}
	where := []param{{name: "on", kind: kindTargetMachine}, {name: "of", kind: kindApp}}
	return append(out,
		verb{name: "restore", summary: "undo what was done to a machine and in it, or to one thing", args: []param{{name: "target", kind: kindTarget}}, options: where,
			after: []fact{factChange}, sane: saneRestore, do: verbRestore},
		verb{name: "heal", summary: "undo every fault", do: func(ctx context.Context, r *run, _ arguments) error { return r.healFaults(ctx) }})
}

// faultVerb is the verb of a kind. Marathon restarts apps by the same word.
func faultVerb(k Kind) verb {
	v := verb{
		name: k.Verb, summary: k.Summary, args: []param{{name: "target", kind: kindTarget}}, options: aiming(k), fault: k.Verb,
		gives: []fact{factChange}, sane: saneTarget(k), do: func(ctx context.Context, r *run, a arguments) error { return r.breakAll(ctx, k, a) },
	}
	switch {
	case k.network():
		v.args[0].kind = kindTargetMachine
	case k.Verb == "restart":
		v.args[0].kind = kindTargetOrApp
		v.options = append(v.options, within("60s"))
		v.summary += "; of an app, Marathon replaces all tasks"
		v.sane = saneRestart(k)
		v.do = func(ctx context.Context, r *run, a arguments) error {
			if partOf(a["target"]) == "" {
				return verbRestart(ctx, r, a)
			}
			return r.breakAll(ctx, k, a)
		}
	}
	return v
}

// isFault says whether a line of the verb breaks something, or asks Marathon.
func (v verb) isFault(a arguments) bool {
	return v.fault != "" && (v.args[0].kind != kindTargetOrApp || partOf(a["target"]) != "")
}

func saneRestart(k Kind) func(arguments, *knowledge) error {
	return func(a arguments, known *knowledge) error {
		if partOf(a["target"]) != "" {
			return saneTarget(k)(a, known)
		}
		for _, p := range aiming(k) {
			if a[p.name] != p.fallback {
				return fmt.Errorf("restart %s: %s= goes with machines, docker and containers, not with apps", a["target"], p.name)
			}
		}
		return nil
	}
}

func saneRestore(a arguments, _ *knowledge) error {
	if part := partOf(a["target"]); part == PartMachine && (a["on"] != "" || a["of"] != "") {
		return fmt.Errorf("restore %s: on= and of= go with docker, mesos_slave and task only", a["target"])
	}
	return nil
}

func (r *run) aim() aim {
	return aim{lab: r.lab, cluster: lastKnown{r.cluster, r}, victims: r.victimNodes}
}

func (r *run) breakAll(ctx context.Context, k Kind, a arguments) error {
	faults, err := r.aim().faults(ctx, k, a)
	if err != nil {
		return err
	}
	for _, f := range faults {
		if err := r.breakOne(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// breakOne does a fault, and has it undone where it has an end.
func (r *run) breakOne(ctx context.Context, f Fault) error {
	r.victims = append(r.victims, r.victimsOf(f)...)
	r.takeAway(f)
	err := r.change(f.Text(), []string{f.Node}, func() error {
		if !f.Passing() {
			r.mu.Lock()
			r.broken = append(r.broken, f)
			r.mu.Unlock()
		}
		return r.lab.Break(ctx, f)
	})
	if err != nil || f.Passing() {
		if err == nil {
			r.ended(f.Node)
		}
		return err
	}
	if f.Length > 0 && !r.opt.Placebo {
		r.later.Go(func() { r.endOf(ctx, f) })
	}
	return nil
}

// endOf undoes a fault when its time has come, unless the run ends before.
func (r *run) endOf(ctx context.Context, f Fault) {
	t := time.NewTimer(f.Length)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.watchCtx.Done():
		return
	}
	healed, err := r.mend(ctx, f.Same)
	for _, h := range healed {
		r.moment("↺ " + h.undone())
	}
	if err != nil {
		r.note(err.Error()) // it is still broken: heal at the end tries again
	}
}

// victimsOf are the tasks that a fault is meant to hit, which run at that
// moment.
func (r *run) victimsOf(f Fault) []TaskHistory {
	switch {
	case f.Part == PartTask:
		return []TaskHistory{r.history.Task(f.Task)}
	case f.Part == PartComponent && !slaveComponent().MatchString(f.Container):
		return nil
	}
	return r.tasksOn(f.Node)
}

func verbRestore(ctx context.Context, r *run, a arguments) error {
	match, err := r.restorable(ctx, a)
	if err != nil {
		return err
	}
	mended, err := r.mend(ctx, match)
	if err != nil {
		return err
	}
	if r.opt.Placebo && len(mended) == 0 {
		r.moment("↺ " + a["target"] + " restored")
		return nil
	}
	var texts []string
	for _, f := range mended {
		texts = append(texts, f.undone())
	}
	if len(texts) > 0 {
		r.moment("↺ " + strings.Join(texts, ", "))
	}
	return nil
}

// restorable tells which faults a line means.
func (r *run) restorable(ctx context.Context, a arguments) (func(Fault) bool, error) {
	part, on := partOf(a["target"]), a["on"]
	if part == PartMachine {
		on = a["target"]
	}
	if on == wordSlave || on == wordLeader {
		return nil, errors.New("restore " + on + ": name the machine, or give victim")
	}
	var nodes []string
	if on != "" {
		machines, err := r.aim().machines(ctx, on, a)
		if err != nil {
			return nil, err
		}
		for _, m := range machines {
			nodes = append(nodes, m.Name)
		}
	}
	return func(f Fault) bool {
		switch {
		case len(nodes) > 0 && !slices.Contains(nodes, f.Node):
			return false
		case part == PartMachine:
			return true
		case part == PartComponent:
			return f.Part == part && (f.Container == a["target"] || a["target"] == "mesos_slave" && slaveComponent().MatchString(f.Container))
		case part == PartTask && a["of"] != "":
			return f.Part == part && strings.HasPrefix(f.Task, strings.ReplaceAll(strings.Trim(a["of"], "/"), "/", "_")+".")
		}
		return f.Part == part
	}, nil
}
