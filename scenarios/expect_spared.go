package scenarios

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// expectSpared is the other half of expectErrors: bad tasks run, the deployment
// goes on, and their share of the answers is nothing.
func expectSpared(ctx context.Context, r *run, a arguments) error {
	length, want := a.duration("for"), a.count("requests")
	c := r.criterion("spared", fmt.Sprintf("for %s bad tasks run, and of at least %d requests none gets to one or fails", seconds(length), want))
	changed, _ := r.lastChange()
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	wrong, bad, answered := "", map[string]bool{}, 0
	err := r.hold(ctx, "bad tasks to run", length, func(context.Context) error {
		if wrong != "" {
			return nil
		}
		app, asked := r.history.AppAsked()
		if asked.Before(changed) {
			return errors.New("no sample of Marathon since the change")
		}
		fresh, old := newer(app)
		if len(fresh) > 0 && r.ofBefore(fresh[0].ID) {
			return errors.New("no new version is listed yet")
		}
		for _, t := range fresh {
			if !t.Started.IsZero() {
				bad[t.ID] = true
			}
			if t.Healthy {
				wrong = r.history.NameOf(t.ID) + " of the new version became healthy"
			}
		}
		if wrong == "" {
			wrong = r.metBad(changed, bad)
		}
		switch answered = len(r.probe.Since(changed)); {
		case app.Deployments == 0:
			return errors.New("no deployment runs")
		case len(bad) == 0 || len(old) == 0:
			return fmt.Errorf("%d old tasks, %d new ones have run", len(old), len(bad))
		case answered < want:
			return fmt.Errorf("%d requests answered", answered)
		}
		return nil
	})
	if err := c.unless(wrong, err); err != nil {
		return err
	}
	return c.pass("%d bad tasks ran meanwhile; of %d requests since the change 0 (0 %%) got to one, 0 failed; the deployment is still listed", len(bad), answered)
}

// ofBefore says whether a task was there at the baseline.
func (r *run) ofBefore(id string) bool {
	return slices.ContainsFunc(r.before, func(b TaskHistory) bool { return b.ID == id })
}

// metBad says which client met one of the tasks, or nobody.
func (r *run) metBad(changed time.Time, bad map[string]bool) string {
	for _, w := range r.probe.Since(changed) {
		switch {
		case bad[w.Task]:
			return fmt.Sprintf("%s answered a request %.1f s after the change", r.history.NameOf(w.Task), w.Due.Sub(changed).Seconds())
		case w.Err != "":
			return fmt.Sprintf("a request failed %.1f s after the change: %s", w.Due.Sub(changed).Seconds(), w.Err)
		}
	}
	return ""
}

// expectRestored: a rollback in Marathon 1.1.1 is an update like any, to a
// configuration that it had before. The version is a new one
// (GroupVersioningUtil.updateVersionInfoForChangedApps: a changed configuration
// gets the change's own time stamp), the old one stays in the list of versions.
func expectRestored(ctx context.Context, r *run, a arguments) error {
	c := r.criterion("restored", "the configuration is the old one, the version id is new, and nobody has met a bad task since")
	changed, _ := r.lastChange()
	old := r.previous[a["app"]]
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	var app App
	err := r.await(ctx, "the old configuration", func(ctx context.Context) error {
		var err error
		if app, err = r.current(0); err != nil {
			return err
		}
		same, err := r.cluster.ConfiguredAs(ctx, a["app"], old)
		if err == nil && !same {
			err = fmt.Errorf("it is configured otherwise than in version %s", old)
		}
		return err
	})
	if err != nil {
		return c.unseen(err)
	}
	for _, w := range r.probe.Since(changed) {
		if t := r.history.Task(w.Task); w.Task != "" && t.Seen.Before(changed) && !r.ofBefore(w.Task) {
			return c.broken("%s, of the bad version, answered %.1f s after the rollback was asked for", t.Name, w.Due.Sub(changed).Seconds())
		}
	}
	kept := 0
	for _, t := range r.history.Tasks() {
		if r.ofBefore(t.ID) && t.Ended.IsZero() {
			kept++
		}
	}
	if strings.EqualFold(app.Version, old) {
		return c.broken("the version is %s again: Marathon 1.1.1 gives a rollback an id of its own", old)
	}
	return c.pass("configured as in version %s, as version %s; %d of %d old tasks are still the same ones", old, app.Version, kept, len(r.before))
}
