package flow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
	"golang.org/x/sync/errgroup"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/stack"
)

// containers removes task containers that no task of Marathon's owns, once
// Mesos has had the time to end those of apps that were removed. Others that
// are not lab's are somebody's own, and are only told.
func (r *reset) containers(ctx context.Context) error {
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	for _, n := range r.live.plan.Nodes {
		group.Go(func() error {
			docker, err := r.live.docker(ctx, n.Name)
			if err != nil {
				return err
			}
			removed, kept, err := r.sweep(ctx, docker, n.Name)
			mu.Lock()
			defer mu.Unlock()
			r.kept = append(r.kept, kept...)
			for _, id := range removed {
				r.did.add("removed the container of %s on %s", id, n.Name)
			}
			return err
		})
	}
	err := group.Wait()
	slices.Sort(r.kept)
	return err
}

// orphanPatience is how long Mesos may take to end what was removed.
const orphanPatience = 700 * time.Millisecond

// sweep removes containers that have ended without a word: Mesos keeps them for
// people who want to look.
func (r *reset) sweep(ctx context.Context, docker *client.Client, node string) (removed, kept []string, err error) {
	var found leftovers
	waiting, cancel := context.WithTimeout(ctx, orphanPatience)
	defer cancel()
	_ = lab.Until(waiting, 50*time.Millisecond, "no task containers without an owner", func(context.Context) error {
		if found, err = r.leftovers(ctx, docker, node); err != nil {
			return lab.Permanent(err)
		}
		if len(found.orphans) > 0 {
			return fmt.Errorf("%d on %s", len(found.orphans), node)
		}
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	for id, task := range found.orphans {
		if err := removeContainer(ctx, docker, node, id); err != nil {
			return removed, found.kept, err
		}
		removed = append(removed, task)
	}
	for _, id := range found.ended {
		if err := removeContainer(ctx, docker, node, id); err != nil {
			return removed, found.kept, err
		}
	}
	return removed, found.kept, nil
}

func removeContainer(ctx context.Context, docker *client.Client, node, id string) error {
	_, err := docker.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("%s: remove container %s: %w", node, id, err)
	}
	return nil
}

// leftovers are what a machine's engine has beside the platform.
type leftovers struct {
	orphans map[string]string // containers of tasks that run and that Marathon does not have, by id; their tasks
	ended   []string          // ids of containers of tasks that have ended
	kept    []string          // names of what is neither Mesos' nor lab's
}

func (r *reset) leftovers(ctx context.Context, docker *client.Client, node string) (leftovers, error) {
	list, err := docker.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		return leftovers{}, fmt.Errorf("%s: list containers: %w", node, err)
	}
	out := leftovers{orphans: map[string]string{}}
	for _, c := range list.Items {
		switch {
		case c.Labels[stack.LabelName] == r.live.platform.Label || slices.ContainsFunc(c.Names, isExecutor):
			continue
		case !slices.ContainsFunc(c.Names, isTask):
			if len(c.Names) > 0 {
				out.kept = append(out.kept, strings.TrimPrefix(c.Names[0], "/")+" on "+node)
			}
			continue
		}
		info, err := docker.ContainerInspect(ctx, c.ID, client.ContainerInspectOptions{})
		if errdefs.IsNotFound(err) {
			continue
		} else if err != nil {
			return leftovers{}, fmt.Errorf("%s: %w", node, err)
		}
		if st := info.Container.State; st != nil && !st.Running && !st.Paused {
			out.ended = append(out.ended, c.ID)
			continue
		}
		task := taskOf(info.Container.Config.Env)
		owned, err := r.owned(ctx, task)
		if err != nil {
			return leftovers{}, err
		}
		if !owned {
			out.orphans[c.ID] = task
		}
	}
	return out, nil
}

// isExecutor tells the containers in which Mesos runs executors.
func isExecutor(name string) bool {
	return strings.HasPrefix(name, "/mesos-") && strings.HasSuffix(name, ".executor")
}

// taskOf is the task that a container's environment names.
func taskOf(env []string) string {
	for _, kv := range env {
		if id, ok := strings.CutPrefix(kv, "MESOS_TASK_ID="); ok {
			return id
		}
	}
	return ""
}

// owned asks Marathon whether it has the task.
func (r *reset) owned(ctx context.Context, task string) (bool, error) {
	app, _, ok := strings.Cut(task, ".")
	if !ok {
		return false, nil
	}
	tasks, err := r.live.clients.Marathon.Tasks(ctx, strings.ReplaceAll(app, "_", "/"))
	if errors.Is(err, lab.ErrNotFound) {
		return false, nil
	}
	return slices.ContainsFunc(tasks, func(t stack.Task) bool { return t.ID == task }), err
}
