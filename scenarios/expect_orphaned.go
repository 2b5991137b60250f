package scenarios

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mesoslab/lab"
)

// expectOrphaned is about a Marathon that has lost its memory: Mesos knows its
// old tasks, and nobody who owns them.
func expectOrphaned(ctx context.Context, r *run, a arguments) error {
	c := r.criterion("orphaned", "Marathon leads as another framework and knows no "+a["app"]+"; the old framework is gone, its tasks run on in the same containers")
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	old := r.known.scheduler.Framework
	now, wrong := "", ""
	var master Master
	err := r.await(ctx, "a Marathon without a memory", func(ctx context.Context) (err error) {
		if now, master, err = r.orphaning(ctx, a["app"]); err != nil {
			return err
		}
		wrong, err = r.survived(ctx)
		return err
	})
	if err := c.unless(wrong, err); err != nil {
		return err
	}
	r.known.master = master // the one that is to be replaced next
	r.moment(fmt.Sprintf("◆ Marathon leads as framework %s and knows no app: %d orphans", now, len(r.before)))
	return c.pass("framework %s instead of %s, no app; %d orphans of the old one run on: %s", now, old, len(r.before), r.containerWords(*r.known))
}

// orphaning returns the framework as which Marathon has begun anew, and its
// master; the error says what is not so.
func (r *run) orphaning(ctx context.Context, app string) (framework string, m Master, err error) {
	s, err := r.cluster.Scheduler(ctx)
	if err != nil {
		return "", m, err
	}
	old := r.known.scheduler.Framework
	switch {
	case s.Framework == "":
		return "", m, errors.New("marathon has no framework id yet")
	case s.Framework == old:
		return "", m, errors.New("marathon is still framework " + old)
	}
	m, err = r.cluster.Master(ctx)
	switch {
	case err != nil:
		return "", m, err
	case !slices.Contains(m.Frameworks, s.Framework):
		return "", m, errors.New("the new framework is not connected to Mesos")
	case slices.Contains(m.Frameworks, old):
		return "", m, errors.New("the old framework is still connected")
	case len(m.Agents) < len(r.known.master.Agents):
		return "", m, fmt.Errorf("%d of %d slaves have registered with the master that leads now", len(m.Agents), len(r.known.master.Agents))
	}
	_, err = r.cluster.App(ctx, app)
	switch {
	case errors.Is(err, lab.ErrNotFound):
		return s.Framework, m, nil
	case err == nil:
		err = errors.New("marathon still knows " + app)
	}
	return "", m, err
}

// survived says which task of the baseline no longer runs as it did, by the
// engines.
func (r *run) survived(ctx context.Context) (wrong string, err error) {
	for _, t := range r.before {
		now, err := r.containerOf(ctx, t)
		was := r.known.containers[t.ID]
		switch {
		case errors.Is(err, errNoContainer):
			return "the container of " + t.Name + " is gone", nil
		case err != nil:
			return "", err
		case now.ID != was.ID || !now.Started.Equal(was.Started):
			return fmt.Sprintf("%s has another container, or a new start: %s at %s", t.Name, briefID(now.ID), now.Started.Format(time.TimeOnly)), nil
		}
	}
	return "", nil
}
