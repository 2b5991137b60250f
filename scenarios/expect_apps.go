package scenarios

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// expectShares compares who answered how often with what chance would allow:
// a fair choice among n strays from 1/n by more than 3 σ once in 370 times.
func expectShares(ctx context.Context, r *run, a arguments) error {
	want := a.count("requests")
	c := r.criterion("shares", fmt.Sprintf("of %d requests each instance answers the same share, within 3 σ", want))
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	var start time.Time
	var then map[string]int // the load balancer's counters at the start
	var among []string      // task ids
	var t Traffic
	err := r.await(ctx, fmt.Sprintf("%d requests", want), func(context.Context) error {
		app, err := r.current(0)
		if err != nil {
			start = time.Time{}
			return err
		}
		ids := r.inBalancer(app)
		switch {
		case len(ids) != len(app.Tasks):
			start = time.Time{}
			return fmt.Errorf("%d of %d instances are in the load balancer", len(ids), len(app.Tasks))
		case len(ids) < 2:
			return fmt.Errorf("%d instance: there is nothing to share", len(ids))
		case start.IsZero() || !slices.Equal(ids, among):
			start, among, then = time.Now(), ids, r.served()
		}
		t = r.between(start, then)
		if n := t.Done - t.Failed; n < want {
			return fmt.Errorf("%d requests answered by %d instances", n, len(ids))
		}
		return nil
	})
	if err != nil {
		return c.unseen(err)
	}
	return r.judgeShares(c, among, t)
}

func (r *run) judgeShares(c pending, among []string, t Traffic) error {
	n, fair := float64(t.Done-t.Failed), 1/float64(len(among))
	allowed := 3 * math.Sqrt(fair*(1-fair)/n)
	var words []string
	for _, id := range slices.Sorted(maps.Keys(t.ByTask)) {
		if !slices.Contains(among, id) {
			return c.broken("%d requests were answered by %q, which is no instance any more", t.ByTask[id], r.history.Task(id).Name)
		}
	}
	for _, id := range among {
		share := float64(t.ByTask[id]) / n
		if math.Abs(share-fair) > allowed {
			return c.broken("%s answered %.1f %% of %.0f requests; a fair share is %.1f %% ± %.1f", r.history.Task(id).Name, 100*share, n, 100*fair, 100*allowed)
		}
		words = append(words, fmt.Sprintf("%s %.1f %%", r.history.Task(id).Name, 100*share))
	}
	return c.pass("%s of %.0f requests; fair is %.1f %% ± %.1f", strings.Join(words, ", "), n, 100*fair, 100*allowed)
}

// inBalancer lists the app's tasks that the load balancer has, by id.
func (r *run) inBalancer(app App) []string {
	var ids []string
	for _, t := range app.Tasks {
		if h := r.history.Task(t.ID); !h.InLB.IsZero() && h.OutOfLB.IsZero() {
			ids = append(ids, t.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

func expectPlaced(ctx context.Context, r *run, a arguments) error {
	want := a.count("machines")
	c := r.criterion("placed", fmt.Sprintf("the tasks run on %d machines", want))
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	err := r.await(ctx, fmt.Sprintf("tasks on %d machines", want), func(context.Context) error {
		app, err := r.current(0)
		if err != nil {
			return err
		}
		if n := len(byNode(r, app)); n != want {
			return fmt.Errorf("they run on %d: %s", n, perNode(r))
		}
		return nil
	})
	if err != nil {
		return c.unseen(err)
	}
	return c.pass("%s", perNode(r))
}

// expectQueued sees that Marathon waits for Mesos, not for its own back-off.
func expectQueued(ctx context.Context, r *run, a arguments) error {
	length := a.duration("for")
	c := r.criterion("queued", fmt.Sprintf("for %s Marathon waits for offers (overdue), and launches nothing", seconds(length)))
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	known := -1
	var app App
	err := r.hold(ctx, "Marathon to wait for offers", length, func(context.Context) error {
		app = r.history.App()
		seen := len(r.history.Tasks())
		switch {
		case app.Queued == 0:
			return errors.New("nothing is queued")
		case !app.Overdue:
			return fmt.Errorf("%d launches are queued, but Marathon still backs off", app.Queued)
		case app.Queued+len(app.Tasks) != app.Instances:
			return fmt.Errorf("%d are queued and %d run, of %d instances", app.Queued, len(app.Tasks), app.Instances)
		case known != seen:
			known = seen
			return errors.New("a task was launched just now")
		}
		return nil
	})
	if err != nil {
		return c.unseen(err)
	}
	return c.pass("%d launches queued and overdue, %d of %d instances run", app.Queued, len(app.Tasks), app.Instances)
}

// expectOutage looks for a stretch in which every request that was sent has
// failed.
func expectOutage(ctx context.Context, r *run, a arguments) error {
	length := a.duration("for")
	c := r.criterion("outage", fmt.Sprintf("for %s no client gets an answer", seconds(length)))
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	began := time.Now()
	var t Traffic
	err := r.await(ctx, "clients to get no answer", func(context.Context) error {
		var err error
		t, err = r.silentFor(length, began, time.Now())
		return err
	})
	if err != nil {
		return c.unseen(err)
	}
	return c.pass("%d requests in %s, all failed: %s", t.Sent, seconds(length), errorWords(t.Errors))
}

// silentFor finds a stretch of a length in which requests were sent, all have an
// end, and none was answered. A balancer that tries again and again may end them
// when others have long been answered, so that every stretch since then counts.
func (r *run) silentFor(length time.Duration, began, now time.Time) (Traffic, error) {
	starts := []time.Time{began}
	for _, a := range r.probe.Since(began) {
		if a.Err == "" {
			starts = append(starts, a.Due.Add(time.Nanosecond))
		}
	}
	slices.SortFunc(starts, time.Time.Compare)
	last := starts[len(starts)-1]
	pending := fmt.Errorf("no answer for %.1f s so far", now.Sub(last).Seconds())
	for i, start := range starts {
		end := start.Add(length)
		if i+1 < len(starts) && !starts[i+1].After(end) || now.Before(end) {
			continue
		}
		t := r.probe.Between(start, end)
		if t.Sent > 0 && t.Done == t.Sent && t.Failed == t.Done {
			return t, nil
		}
		pending = fmt.Errorf("%d of %d requests have an end", t.Done, t.Sent)
	}
	return Traffic{}, pending
}

func errorWords(errs map[string]int) string {
	var words []string
	for _, text := range slices.Sorted(maps.Keys(errs)) {
		words = append(words, fmt.Sprintf("%d × %s", errs[text], text))
	}
	return strings.Join(words, ", ")
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
// Those of other apps are none of this app's.
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
			if c.TaskID != "" && !app.owns(c.TaskID) {
				continue
			}
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
