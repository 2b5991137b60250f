package scenarios

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// onSides are expectations on what each side of a cut sees.
func onSides() []verb {
	return []verb{
		{name: "overlap", summary: "a task that Marathon has lost still answers on its own port, asked from a machine on its side, while the new one runs, for a while",
			args: []param{{name: "app", kind: kindApp}}, options: []param{{"from", kindNode, wordVictim}, {"for", kindDuration, "2s"}, within("30s")},
			after: []fact{factBaseline, factChange}, watched: true, do: expectOverlap},
	}
}

// expectOverlap: a partition is no crash. The port alone would not do: whoever
// answers has to be the old task, by its own word or by the engine's.
func expectOverlap(ctx context.Context, r *run, a arguments) error {
	length := a.duration("for")
	c := r.criterion("overlap", fmt.Sprintf("for %s every lost task answers on its own port, while its replacement runs", seconds(length)))
	from, err := r.node(a["from"])
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	answers, other := 0, ""
	var since time.Time
	err = r.hold(ctx, "old tasks to answer beside the new ones", length, func(ctx context.Context) error {
		if err := r.doubled(); err != nil {
			return err
		}
		for _, v := range r.victims {
			reply, err := r.lab.Ask(ctx, from.Name, "http://"+v.Address+"/")
			switch {
			case err != nil:
				return fmt.Errorf("%s does not answer %s: %v", v.Name, from.Name, err)
			case reply.Task != "" && reply.Task != v.ID:
				other = fmt.Sprintf("%s answers on %s, the address of %s", r.history.NameOf(reply.Task), v.Address, v.Name)
				return nil
			}
			answers++
		}
		if since.IsZero() {
			since = time.Now()
			r.moment(fmt.Sprintf("◆ %s: lost, and answers %s", victimNames(r.victims), from.Name))
		}
		return nil
	})
	switch {
	case other != "":
		return c.broken("%s", other)
	case err != nil:
		return c.unseen(err)
	}
	counted, err := r.bothSides(ctx)
	if err != nil {
		return c.unseen(err)
	}
	return c.pass("%s: TASK_LOST, and answered %s %d times in %s; in place of that runs %s: %d containers for %d instances", victimNames(r.victims), from.Name, answers, seconds(length),
		victimNames(r.replacements()), counted, r.history.App().Instances)
}

// doubled says why the tasks that a cut took away are not both lost and
// replaced yet, or nil.
func (r *run) doubled() error {
	if len(r.victims) == 0 {
		return errors.New("no task was cut off")
	}
	for _, v := range r.victims {
		if t := r.history.Task(v.ID); t.EndState != "TASK_LOST" {
			return fmt.Errorf("%s is not lost yet", t.Name)
		}
	}
	running := slices.DeleteFunc(r.replacements(), func(t TaskHistory) bool { return t.Running.IsZero() })
	if len(running) < len(r.victims) {
		return fmt.Errorf("%d of %d new tasks run", len(running), len(r.victims))
	}
	return nil
}

// bothSides asks the engines: each has to have the container that it is said
// to run.
func (r *run) bothSides(ctx context.Context) (int, error) {
	counted := 0
	for _, t := range slices.Concat(r.victims, r.replacements()) {
		containers, err := r.lab.Containers(ctx, t.Node)
		if err != nil {
			return 0, fmt.Errorf("ask the engine of %s: %w", t.Node, err)
		}
		if !slices.ContainsFunc(containers, func(c Container) bool { return c.TaskID == t.ID }) {
			return 0, fmt.Errorf("the engine of %s has no container of %s", t.Node, t.Name)
		}
	}
	for _, m := range r.slaves() {
		containers, err := r.lab.Containers(ctx, m.Name)
		if err != nil {
			return 0, fmt.Errorf("ask the engine of %s: %w", m.Name, err)
		}
		for _, c := range containers {
			if strings.HasPrefix(c.TaskID, taskPrefix(r.history.App().ID)) {
				counted++
			}
		}
	}
	return counted, nil
}

// taskPrefix is how the ids of an app's tasks begin.
func taskPrefix(app string) string {
	return strings.ReplaceAll(strings.Trim(app, "/"), "/", "_") + "."
}

func victimNames(tasks []TaskHistory) string {
	var names []string
	for _, t := range tasks {
		names = append(names, t.Name+" on "+t.Node)
	}
	return strings.Join(names, ", ")
}
