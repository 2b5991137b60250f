package scenarios

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// expectRemoved is for faults that hit the tasks themselves: whether the slave
// could still tell that they failed is a race.
func expectRemoved(ctx context.Context, r *run, a arguments) error {
	machines, err := r.nodes(a["machine"])
	if err != nil {
		return err
	}
	early, late := r.lab.Settings().Law()
	c := r.criterion("removed", fmt.Sprintf("the slave is removed %s–%s after the fault, by the law of pings (+%s); its tasks are lost, or failed before", seconds(early), seconds(late), seconds(tolerance)))
	gone, err := r.awaitLoss(ctx, machines)
	if err != nil {
		return c.unseen(err)
	}
	if err := r.lawless(machines, gone); err != nil {
		return c.broken("%v", err)
	}
	var words []string
	for _, m := range machines {
		words = append(words, fmt.Sprintf("%s after %.2f s", m.Name, r.afterFault(m.Name, gone[m.Name])))
	}
	for _, v := range r.victimsOn(machines) {
		t := r.history.Task(v.ID)
		if t.EndState != "TASK_LOST" && t.EndState != "TASK_FAILED" {
			return c.broken("%s ended as %s", t.Name, t.EndState)
		}
		words = append(words, fmt.Sprintf("%s %s after %.2f s", t.Name, t.EndState, r.afterFault(t.Node, t.Ended)))
	}
	return c.pass("%s, by the law %s–%s", strings.Join(words, ", "), seconds(early), seconds(late))
}

// expectRenewed compares with the containers that are known.
func expectRenewed(ctx context.Context, r *run, a arguments) error {
	machines, err := r.nodes(a["machine"])
	if err != nil {
		return err
	}
	c := r.criterion("renewed", "the slave's process is a new one, no container that a task had there runs")
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	wrong := ""
	var words []string
	err = r.await(ctx, "the engines of "+nodeNames(machines), func(ctx context.Context) error {
		words = nil
		for _, n := range machines {
			word, alive, err := r.renewed(ctx, n.Name)
			if err != nil {
				return err
			}
			if wrong = alive; wrong != "" {
				return nil
			}
			words = append(words, word)
		}
		return nil
	})
	if err := c.unless(wrong, err); err != nil {
		return err
	}
	return c.pass("%s", strings.Join(words, "; "))
}

func (r *run) renewed(ctx context.Context, node string) (word, alive string, err error) {
	i := slices.IndexFunc(r.lab.Components(), func(c Component) bool { return c.Node == node })
	if i < 0 {
		return "", "", fmt.Errorf("no component runs on %s", node)
	}
	comp := r.lab.Components()[i]
	p, err := r.lab.Process(ctx, comp)
	if err != nil {
		return "", "", err
	}
	if !p.Running || !p.Started.After(r.known.processes[comp.Name].Started) {
		return "", "", fmt.Errorf("%s was not started anew", comp.Name)
	}
	all, err := r.lab.Containers(ctx, node)
	if err != nil {
		return "", "", err
	}
	var gone []string
	for _, t := range r.before {
		was := r.known.containers[t.ID]
		switch {
		case t.Node != node:
		case slices.ContainsFunc(all, func(c Container) bool { return c.ID == was.ID }):
			return "", fmt.Sprintf("container %s of %s runs again on %s", briefID(was.ID), t.Name, node), nil
		default:
			gone = append(gone, fmt.Sprintf("container %s of %s is gone", briefID(was.ID), t.Name))
		}
	}
	return fmt.Sprintf("%s on %s was started anew, %s", comp.Name, node, strings.Join(gone, ", ")), "", nil
}
