package scenarios

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// identity is what a run noted before it broke anything: by these words it is
// told afterwards what is the same and what is another.
type identity struct {
	master     Master
	scheduler  Scheduler
	processes  map[string]Process   // by component
	containers map[string]Container // by task id
}

func remembering() []verb {
	return []verb{
		{name: "remember", summary: "note who leads, the framework's id, the platform's processes, the app's tasks and their containers: what must be the same afterwards, or another",
			args: []param{{name: "app", kind: kindApp}}, options: []param{{"within", kindDuration, "30s"}},
			after: []fact{factBaseline}, gives: []fact{factKnown}, watched: true, do: verbRemember},
	}
}

func verbRemember(ctx context.Context, r *run, a arguments) error {
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	var id identity
	err := r.await(ctx, "a platform whose identity is known", func(ctx context.Context) (err error) {
		id, err = r.identify(ctx)
		return err
	})
	if err != nil {
		return err
	}
	r.known = &id
	r.note(fmt.Sprintf("Known   master %s · framework %s · %s", briefID(id.master.ID), shortAgent(id.scheduler.Framework), r.containerWords(id)))
	return nil
}

func (r *run) containerWords(id identity) string {
	var words []string
	for _, t := range r.before {
		words = append(words, fmt.Sprintf("%s in container %s", t.Name, briefID(id.containers[t.ID].ID)))
	}
	return strings.Join(words, ", ")
}

// briefID is enough of an id to tell two apart.
func briefID(id string) string { return id[:min(8, len(id))] }

func (r *run) identify(ctx context.Context) (identity, error) {
	id := identity{processes: map[string]Process{}, containers: map[string]Container{}}
	var err error
	if id.master, err = r.cluster.Master(ctx); err != nil {
		return id, err
	}
	if id.scheduler, err = r.cluster.Scheduler(ctx); err != nil {
		return id, err
	}
	switch {
	case !id.master.Leads:
		return id, errors.New("no Mesos master leads")
	case id.scheduler.Framework == "" || !slices.Contains(id.master.Frameworks, id.scheduler.Framework):
		return id, errors.New("marathon is not connected to Mesos")
	case len(id.master.Agents) < len(r.slaves()):
		return id, fmt.Errorf("%d of %d slaves are in Mesos", len(id.master.Agents), len(r.slaves()))
	}
	for _, c := range r.lab.Components() {
		if id.processes[c.Name], err = r.lab.Process(ctx, c); err != nil {
			return id, err
		}
	}
	for _, t := range r.before {
		if id.containers[t.ID], err = r.containerOf(ctx, t); err != nil {
			return id, err
		}
	}
	return id, nil
}

// containerOf asks the engine of a task's machine for its container.
func (r *run) containerOf(ctx context.Context, t TaskHistory) (Container, error) {
	all, err := r.lab.Containers(ctx, t.Node)
	if err != nil {
		return Container{}, fmt.Errorf("ask the engine of %s: %w", t.Node, err)
	}
	i := slices.IndexFunc(all, func(c Container) bool { return c.TaskID == t.ID })
	if i < 0 {
		return Container{}, fmt.Errorf("%w: %s has none on %s", errNoContainer, t.Name, t.Node)
	}
	return all[i], nil
}

var errNoContainer = errors.New("no container of the task runs")
