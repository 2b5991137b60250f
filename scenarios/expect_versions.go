package scenarios

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// onVersions are expectations on updates and on what Marathon does about tasks
// that fail.
func onVersions() []verb {
	app := []param{{name: "app", kind: kindApp}}
	changed := []fact{factBaseline, factChange}
	updated := []fact{factBaseline, factUpdate}
	return []verb{
		{name: "release", summary: "Marathon and the load balancer are done, and so many requests in a row are answered by that release, none fails",
			args: []param{app[0], {name: "release", kind: kindWord}}, options: []param{{"requests", kindCount, "100"}, within("60s")},
			after: changed, watched: true, sane: enoughTime, do: expectRelease},
		{name: "moved", summary: "every task has another address: the old ones are refused, haproxy.cfg has the new ones, clients notice nothing any more",
			args: app, options: []param{{"requests", kindCount, "100"}, within("60s")}, after: changed, watched: true, sane: enoughTime, do: expectMoved},
		{name: "stuck", summary: "the deployment of an update does not end, for a while: old tasks live, no new one is healthy",
			args: app, options: []param{{"for", kindDuration, "8s"}, within("60s")}, after: updated, watched: true, do: expectStuck},
		{name: "errors", summary: "clients get error pages, all of them from tasks of the new version",
			args: app, options: []param{{"requests", kindCount, "10"}, within("30s")}, after: updated, watched: true, sane: enoughTime, do: expectErrors},
		{name: "crashing", summary: "a task fails again and again, and Marathon waits longer after each time",
			args: app, options: []param{{"crashes", kindCount, "4"}, within("60s")}, after: updated, watched: true, do: expectCrashing},
		{name: "unhealthy", summary: "Marathon kills a running task at the failed check that follows maxConsecutiveFailures",
			args: app, options: []param{within("60s")}, after: updated, watched: true, do: expectUnhealthy},
	}
}

// expectRelease begins to count when no old task is left in the load balancer:
// from then on one answer by anybody else, or none, is a finding.
func expectRelease(ctx context.Context, r *run, a arguments) error {
	want := a.count("requests")
	c := r.criterion("release", fmt.Sprintf("%d requests in a row are answered by %s, none fails", want, a["release"]))
	changed, _ := r.lastChange()
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	var start time.Time
	var wrong string
	err := r.await(ctx, fmt.Sprintf("%d requests answered by %s", want, a["release"]), func(context.Context) error {
		if start.IsZero() {
			if err := r.taken(); err != nil {
				return err
			}
			start = time.Now()
		}
		answers := r.probe.Since(start)
		for _, w := range answers {
			switch {
			case w.Err != "":
				wrong = "a request failed: " + w.Err
			case w.Release == "":
				return errors.New("answers name no release: that takes lab's own web server")
			case w.Release != a["release"]:
				wrong = fmt.Sprintf("%s still answered, from %s", w.Release, r.history.NameOf(w.Task))
			}
		}
		if wrong == "" && len(answers) < want {
			return fmt.Errorf("%d requests answered by %s", len(answers), a["release"])
		}
		return nil
	})
	switch {
	case err != nil:
		return c.unseen(err)
	case wrong != "":
		return c.broken("%s, after Marathon and the load balancer were done", wrong)
	}
	t := r.probe.Between(changed, start)
	return c.pass("%d requests in a row, 0 failed; before that %d of %d since the change failed", want, t.Failed, t.Sent)
}

// taken says what Marathon and the load balancer still have to do about the
// last change, or nil.
func (r *run) taken() error {
	app, err := r.current(0)
	if err != nil {
		return err
	}
	for _, t := range r.history.Tasks() {
		listed := slices.ContainsFunc(app.Tasks, func(k Task) bool { return k.ID == t.ID })
		switch {
		case listed && t.InLB.IsZero():
			return fmt.Errorf("%s is not in the load balancer", t.Name)
		case listed && t.Down:
			return fmt.Errorf("%s is down in the load balancer, by its own checks", t.Name)
		case !listed && !t.InLB.IsZero() && t.OutOfLB.IsZero():
			return fmt.Errorf("%s is still in the load balancer", t.Name)
		}
	}
	return nil
}

// newer splits the tasks that Marathon lists: those of the app's version now,
// and the others.
func newer(app App) (fresh, old []Task) {
	for _, t := range app.Tasks {
		if t.Version == app.Version {
			fresh = append(fresh, t)
		} else {
			old = append(old, t)
		}
	}
	return fresh, old
}

// expectStuck: in Marathon 1.1.1 no step of a deployment ever times out.
func expectStuck(ctx context.Context, r *run, a arguments) error {
	length := a.duration("for")
	c := r.criterion("stuck", fmt.Sprintf("for %s the deployment is listed, old tasks live and no new one is healthy", seconds(length)))
	changed, _ := r.lastChange()
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	var fresh, old []Task
	var healthy string
	err := r.hold(ctx, "the deployment to go on", length, func(context.Context) error {
		app, asked := r.history.AppAsked()
		fresh, old = newer(app)
		for _, t := range fresh {
			if t.Healthy {
				healthy = r.history.NameOf(t.ID)
				return fmt.Errorf("%s is healthy", healthy)
			}
		}
		switch {
		case asked.Before(changed):
			return errors.New("no sample of Marathon since the change")
		case app.Deployments == 0:
			return errors.New("no deployment runs")
		case len(fresh) == 0 || len(old) == 0:
			return fmt.Errorf("%d old tasks and %d new ones", len(old), len(fresh))
		}
		return nil
	})
	switch {
	case err != nil && healthy != "":
		return c.broken("%s of the new version became healthy", healthy)
	case err != nil:
		return c.unseen(err)
	}
	return c.pass("watched for %s: %d old tasks live, of %d new ones none is healthy, nothing ends it", seconds(length), len(old), len(fresh))
}

func expectErrors(ctx context.Context, r *run, a arguments) error {
	want := a.count("requests")
	c := r.criterion("errors", fmt.Sprintf("at least %d error pages, all from tasks of the new version", want))
	changed, _ := r.lastChange()
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	bad, old := map[string]int{}, ""
	errs, all := 0, 0
	err := r.await(ctx, fmt.Sprintf("%d error pages", want), func(context.Context) error {
		clear(bad)
		errs, all = 0, 0
		for _, w := range r.probe.Since(changed) {
			all++
			if w.Err == "" || w.Task == "" {
				continue
			}
			errs++
			bad[w.Task]++
			if slices.ContainsFunc(r.before, func(t TaskHistory) bool { return t.ID == w.Task }) {
				old = r.history.NameOf(w.Task)
				return nil
			}
		}
		if errs < want {
			return fmt.Errorf("%d error pages", errs)
		}
		return nil
	})
	switch {
	case err != nil:
		return c.unseen(err)
	case old != "":
		return c.broken("%s, of the old version, answered with an error page", old)
	}
	var names []string
	for id := range bad {
		names = append(names, r.history.NameOf(id))
	}
	slices.Sort(names)
	return c.pass("%d of %d requests since the change got one (%.0f %%), all from %s", errs, all, 100*float64(errs)/float64(all), strings.Join(names, ", "))
}
