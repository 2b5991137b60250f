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

func expectFair(ctx context.Context, r *run, a arguments) error {
	length := a.duration("for")
	c := r.criterion("fair", "each framework's dominant share is within one task of what dominant resource fairness predicts")
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	var h Holdings
	known, since := "", time.Time{}
	err := r.await(ctx, "nobody to get a task any more", func(ctx context.Context) error {
		now, tasks, err := r.held(ctx)
		if err != nil {
			return err
		}
		h = now
		if text := countWords(r.guests, tasks); text != known || since.IsZero() {
			known, since = text, time.Now()
		}
		for _, g := range r.guests {
			if tasks[g.demand.Name] == 0 {
				return fmt.Errorf("%s: %s has none", known, g.demand.Name)
			}
		}
		if len(r.guests) < 2 {
			return errors.New("fewer than two frameworks run")
		}
		if time.Since(since) < length {
			return fmt.Errorf("%s; for %s nobody must get one more", known, seconds(length))
		}
		return nil
	})
	if err != nil {
		return c.unseen(err)
	}
	return r.judgeFair(c, h)
}

func countWords(guests []*guest, tasks map[string]int) string {
	var out []string
	for _, g := range guests {
		out = append(out, fmt.Sprintf("%s %d tasks", g.demand.Name, tasks[g.demand.Name]))
	}
	return strings.Join(out, ", ")
}

func (r *run) judgeFair(c pending, h Holdings) error {
	var demands []Demand
	for _, g := range r.guests {
		demands = append(demands, g.demand)
	}
	predicted := fairTasks(h, demands)
	cpus, mem := h.total()
	result := map[string]int{}
	var words, off []string
	for _, d := range demands {
		i := slices.IndexFunc(h.Frameworks, func(f Holding) bool { return f.Name == d.Name })
		f := h.Frameworks[i]
		result[d.Name] = f.Tasks
		share, rule, one := max(f.CPUs/cpus, f.Mem/mem), d.dominant(float64(predicted[d.Name]), cpus, mem), d.dominant(1, cpus, mem)
		words = append(words, fmt.Sprintf("%s (weight %g) holds %d tasks, %.1f %% of its dominant resource; the rule says %d, %.1f %%",
			d.Name, h.weight(d.Role), f.Tasks, 100*share, predicted[d.Name], 100*rule))
		if diff := share - rule; diff > one+1e-6 || diff < -one-1e-6 {
			off = append(off, d.Name)
		}
	}
	r.fair = append(r.fair, result)
	if len(off) > 0 {
		return c.broken("%s: more than one task (%s)", strings.Join(words, "; "), strings.Join(off, ", "))
	}
	return c.pass("%s", strings.Join(words, "; "))
}

func expectOffers(ctx context.Context, r *run, a arguments) error {
	c := r.criterion("offers", a["name"]+" has taken offers and refused others, and says why")
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	taken, refused, why := 0, 0, ""
	err := r.await(ctx, "an offer to be refused", func(context.Context) error {
		i := slices.IndexFunc(r.guests, func(g *guest) bool { return g.demand.Name == a["name"] })
		if i < 0 {
			return fmt.Errorf("no framework %s runs", a["name"])
		}
		list, err := r.guests[i].seen()
		if err != nil {
			return lab.Permanent(err)
		}
		taken, refused = 0, 0
		for _, d := range list {
			if d.Task != "" {
				taken++
			} else {
				refused++
				why = d.Why
			}
		}
		if taken == 0 || refused == 0 {
			return fmt.Errorf("%d taken, %d refused", taken, refused)
		}
		return nil
	})
	if err != nil {
		return c.unseen(err)
	}
	return c.pass("%d offers taken, one task of each; %d refused, the last for %s", taken, refused, why)
}

func expectShifted(_ context.Context, r *run, a arguments) error {
	c := r.criterion("shifted", fmt.Sprintf("%s has at least %s tasks more than before", a["name"], a["by"]))
	n := len(r.fair)
	if n < 2 {
		return c.unseen(errors.New("shares were not compared twice: give expect fair before and after"))
	}
	before, now := r.fair[n-2][a["name"]], r.fair[n-1][a["name"]]
	if now-before < a.count("by") {
		return c.broken("%s had %d tasks, and has %d", a["name"], before, now)
	}
	return c.pass("%s had %d tasks, and has %d", a["name"], before, now)
}

// expectParted counts on the engines themselves (rule R7).
func expectParted(ctx context.Context, r *run, a arguments) error {
	c := r.criterion("parted", "Mesos has no framework any more that has left, no engine a task of one")
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	err := r.await(ctx, "the frameworks to be gone", r.parted)
	if err != nil {
		return c.unseen(err)
	}
	return c.pass("%s: no framework, no task", strings.Join(slices.Compact(slices.Sorted(slices.Values(r.left))), ", "))
}

// parted says what is left of the frameworks that have left, or nil.
func (r *run) parted(ctx context.Context) error {
	if len(r.left) == 0 {
		return errors.New("no framework has left")
	}
	h, err := r.cluster.Holdings(ctx, r.left)
	if err != nil {
		return err
	}
	for _, f := range h.Frameworks {
		if slices.Contains(r.left, f.Name) {
			return fmt.Errorf("framework %s is still in Mesos, with %d tasks", f.Name, f.Tasks)
		}
	}
	for _, m := range r.slaves() {
		containers, err := r.lab.Containers(ctx, m.Name)
		if err != nil {
			return fmt.Errorf("ask the engine of %s: %w", m.Name, err)
		}
		for _, k := range containers {
			if name, _, _ := strings.Cut(k.TaskID, "."); slices.Contains(r.left, name) {
				return fmt.Errorf("task %s still runs on %s", k.TaskID, m.Name)
			}
		}
	}
	return nil
}
