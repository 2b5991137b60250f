package scenarios

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// backoffFactor is Marathon's default; apps of lab's own leave it alone.
const backoffFactor = 1.15

// offerWait is by how much a launch may come later than its back-off ends:
// Marathon asks for offers at most every 5 s (min_revive_offers_interval).
const offerWait = 5*time.Second + tolerance

// early is by how much a launch may seem to come too early: two clocks of one
// computer, and the event's way.
const early = 100 * time.Millisecond

// expectCrashing holds Marathon to its back-off: after the n-th failure in a
// row the next launch waits backoffSeconds × 1.15ⁿ⁻¹. A task that runs does not
// end it; but a back-off that is over is forgotten when Marathon cleans up, and
// then the row begins anew.
func expectCrashing(ctx context.Context, r *run, a arguments) error {
	want := a.count("crashes")
	c := r.criterion("crashing", fmt.Sprintf("%d failures in a row, after each of which Marathon waits longer", want))
	changed, _ := r.lastChange()
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	var row []time.Duration
	var fault error
	var queued bool
	err := r.await(ctx, fmt.Sprintf("%d crashes", want), func(context.Context) error {
		app := r.history.App()
		queued = queued || app.Queued > 0 && !app.Overdue
		var crashes int
		crashes, row, fault = r.crashes(changed, app.Backoff)
		switch {
		case fault != nil:
			return nil
		case crashes < want || len(row) < want-1:
			return fmt.Errorf("%d crashes, %d in a row", crashes, len(row)+1)
		case !queued:
			return fmt.Errorf("%d crashes, but the queue was not seen backing off", crashes)
		}
		return nil
	})
	switch {
	case err != nil:
		return c.unseen(err)
	case fault != nil:
		return c.broken("%v", fault)
	}
	var words []string
	for _, gap := range row {
		words = append(words, fmt.Sprintf("%.2f s", gap.Seconds()))
	}
	return c.pass("TASK_FAILED %d times; from failure to launch %s", len(row)+1, strings.Join(words, ", "))
}

// crashes lists the waits of the longest row up to now, and what breaks the
// rule. Each task that failed is followed by the one that was seen next.
func (r *run) crashes(since time.Time, first time.Duration) (failed int, best []time.Duration, err error) {
	var tasks []TaskHistory
	for _, t := range r.history.Tasks() {
		if t.Seen.After(since) {
			tasks = append(tasks, t)
		}
	}
	var row []time.Duration
	for i, t := range tasks {
		if t.EndState == "" {
			continue
		}
		if t.EndState != "TASK_FAILED" {
			return failed, best, fmt.Errorf("%s ended as %s, which is no crash", t.Name, t.EndState)
		}
		if failed++; i+1 == len(tasks) {
			continue
		}
		gap := launched(tasks[i+1], t.Ended).Sub(t.Ended)
		due := time.Duration(float64(first) * math.Pow(backoffFactor, float64(len(row))))
		switch {
		case gap < first-early:
			return failed, best, fmt.Errorf("%s was launched %.2f s after %s failed; backoffSeconds is %s", tasks[i+1].Name, gap.Seconds(), t.Name, seconds(first))
		case gap < due-early: // forgotten in between: this is a first wait again
			row = []time.Duration{gap}
		case gap > due+offerWait:
			return failed, best, fmt.Errorf("%s was launched only %.2f s after %s failed", tasks[i+1].Name, gap.Seconds(), t.Name)
		default:
			row = append(row, gap)
		}
		if len(row) > len(best) {
			best = slices.Clone(row)
		}
	}
	return failed, best, nil
}

// expectUnhealthy: 1.1.1 decides on the counter before the failure is added, so
// that with maxConsecutiveFailures n a task dies of failure n+1.
func expectUnhealthy(ctx context.Context, r *run, a arguments) error {
	n := r.history.App().MaxFailures
	c := r.criterion("unhealthy", fmt.Sprintf("a task that runs, and was healthy, is killed at its failed check %d: maxConsecutiveFailures %d, and one", n+1, n))
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	changed, _ := r.lastChange()
	var dead TaskHistory
	pages := 0
	err := r.await(ctx, "Marathon to kill an unhealthy task", func(context.Context) error {
		for _, t := range r.history.Tasks() {
			if t.Seen.After(changed) && !t.UnhealthyKill.IsZero() && !t.Ended.IsZero() {
				dead = t
				break
			}
		}
		if dead.ID == "" {
			return fmt.Errorf("no task was killed for its health")
		}
		pages = 0
		for _, w := range r.probe.Since(changed) {
			if w.Task == dead.ID && w.Err != "" {
				pages++
			}
		}
		if pages == 0 {
			return fmt.Errorf("no client has seen %s alive and failing", dead.Name)
		}
		return nil
	})
	switch {
	case err != nil:
		return c.unseen(err)
	case dead.Healthy.IsZero():
		return c.broken("%s was killed without ever having been healthy", dead.Name)
	case dead.EndState != "TASK_KILLED":
		return c.broken("%s ended as %s by itself", dead.Name, dead.EndState)
	case dead.FailedChecks != n+1:
		return c.broken("%s was killed after %d failed checks, not %d", dead.Name, dead.FailedChecks, n+1)
	}
	return c.pass("%s ran and gave %d clients an error page; killed after %d failed checks, TASK_KILLED", dead.Name, pages, dead.FailedChecks)
}
