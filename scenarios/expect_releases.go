package scenarios

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// onReleases are expectations on upgrades that clients must not notice.
func onReleases() []verb {
	app := param{name: "app", kind: kindApp}
	changed := []fact{factBaseline, factChange}
	return []verb{
		{name: "drained", summary: "every old task was taken out of turn, answered what was under way and got nothing new before it was killed",
			args: []param{app}, options: []param{within("30s")}, after: changed, watched: true, do: expectDrained},
		{name: "seamless", summary: "since the change not one of so many requests has failed, both releases have answered, and the old one never after the new one alone did",
			args: []param{app}, options: []param{{name: "from", kind: kindWord, fallback: "v1"}, {name: "to", kind: kindWord, fallback: "v2"}, {"requests", kindCount, "500"}, within("60s")},
			after: changed, watched: true, sane: enoughTime, do: expectSeamless},
		{name: "spared", summary: "for a while the deployment of an update does not end, new tasks run but are not healthy, and no client meets one",
			args: []param{app}, options: []param{{"for", kindDuration, "8s"}, {"requests", kindCount, "100"}, within("60s")},
			after: []fact{factBaseline, factUpdate}, watched: true, sane: enoughTime, do: expectSpared},
		{name: "restored", summary: "after a rollback the app has its old configuration, under a version id of its own",
			args: []param{app}, options: []param{within("30s")}, after: []fact{factBaseline, factUpdate}, watched: true, do: expectRestored},
	}
}

// endedBusy says that no look at the load balancer has found the task without
// requests to answer between its being taken out of turn and its end.
func (t TaskHistory) endedBusy() bool {
	return !t.Draining.IsZero() && (t.Drained.IsZero() || t.Drained.After(t.Ended))
}

// expectDrained holds the load balancer and the upgrade to it task by task. A
// task may be killed as soon as it has answered, between two looks at the load
// balancer: then the clients tell whether it had.
func expectDrained(ctx context.Context, r *run, a arguments) error {
	c := r.criterion("drained", "each old task answers its last request out of turn, before it is killed")
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	var old []TaskHistory
	err := r.await(ctx, "old tasks to end", func(context.Context) error {
		old = old[:0]
		for _, b := range r.before {
			t := r.history.Task(b.ID)
			if t.Ended.IsZero() {
				return fmt.Errorf("%s has not ended", t.Name)
			}
			if t.endedBusy() {
				last, pending, failed := r.probe.Landed(t.Draining, t.ID)
				if pending > 0 {
					return fmt.Errorf("%d requests that were under way when %s was taken out of turn have no end yet", pending, t.Name)
				}
				if failed == 0 && !last.IsZero() {
					t.Drained = last
					if last.After(t.Ended) { // it was read later than it was written
						t.Drained = t.Ended
					}
				}
			}
			old = append(old, t)
		}
		return nil
	})
	if err != nil {
		return c.unseen(err)
	}
	flying := 0
	var words []string
	for _, t := range old {
		switch {
		case t.EndState != "TASK_KILLED":
			return c.broken("%s ended as %s", t.Name, t.EndState)
		case t.Draining.IsZero():
			return c.broken("%s was killed without having been taken out of turn", t.Name)
		case t.Leaked > 0:
			return c.broken("%s got %d requests although it was being drained", t.Name, t.Leaked)
		case t.endedBusy():
			return c.broken("%s was killed while it had requests to answer", t.Name)
		}
		underWay := t.Flying
		if t.Handed { // only the clients can tell
			underWay = max(underWay, r.probe.FlyingAt(t.Draining, t.ID))
		}
		flying += underWay
		words = append(words, fmt.Sprintf("%s had %d requests under way, the last was answered %.1f s after it was taken out of turn, it was killed %.1f s later",
			t.Name, underWay, t.Drained.Sub(t.Draining).Seconds(), t.Ended.Sub(t.Drained).Seconds()))
	}
	if flying == 0 {
		return c.unseen(errors.New("no task had a request under way when it was taken out of turn: that shows nothing"))
	}
	return c.pass("%s", strings.Join(words, "; "))
}

// expectSeamless judges every request since the change by itself.
func expectSeamless(ctx context.Context, r *run, a arguments) error {
	want := a.count("requests")
	c := r.criterion("seamless", fmt.Sprintf("of at least %d requests since the change none fails, %s and %s answer, %s never after a second that was %s's alone",
		want, a["from"], a["to"], a["from"], a["to"]))
	changed, _ := r.lastChange()
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	var t turnover
	err := r.await(ctx, fmt.Sprintf("%d requests since the change", want), func(context.Context) error {
		t = turn(r.probe.Since(changed), changed, a["from"], a["to"])
		switch {
		case t.wrong != "":
			return nil
		case t.nameless:
			return errors.New("answers name no release: that takes lab's own web server")
		case t.answered < want:
			return fmt.Errorf("%d requests answered", t.answered)
		case t.old == 0 || t.fresh == 0:
			return fmt.Errorf("%s has answered %d, %s %d", a["from"], t.old, a["to"], t.fresh)
		case t.alone.IsZero() || time.Since(t.alone) < aloneFor:
			return fmt.Errorf("no %s in which %s alone answers", seconds(aloneFor), a["to"])
		}
		if s := r.probe.Between(changed, time.Now().Add(-aloneFor)); s.Done < s.Sent {
			return fmt.Errorf("%d requests have no end yet", s.Sent-s.Done)
		}
		return nil
	})
	switch {
	case err != nil:
		return c.unseen(err)
	case t.wrong != "":
		return c.broken("%s", t.wrong)
	}
	sent := r.probe.Between(changed, t.latest.Add(time.Nanosecond))
	return c.pass("%d requests, 0 failed, none quicker than %.1f s; %s answered %d, %s %d, alone from %.1f s after the change on",
		sent.Done, t.quickest.Seconds(), a["from"], t.old, a["to"], t.fresh, t.alone.Sub(changed).Seconds())
}

// aloneFor is how long the new release has to have been alone for its being
// alone to be believed.
const aloneFor = 5 * time.Second

// turnover is how one release took over from another.
type turnover struct {
	answered, old, fresh int
	alone                time.Time // the first second that was the new one's alone
	latest               time.Time // when the latest of these requests was due
	quickest             time.Duration
	nameless             bool
	wrong                string
}

// turn sums up answers, in whole seconds since the change by when they were due.
func turn(answers []Answer, changed time.Time, from, to string) turnover {
	out := turnover{quickest: time.Hour}
	type second struct{ old, fresh int }
	by := map[int]second{}
	last := 0 // the latest second in which an old one answered
	for _, w := range answers {
		if w.Err != "" {
			out.wrong = fmt.Sprintf("a request failed %.1f s after the change: %s", w.Due.Sub(changed).Seconds(), w.Err)
			return out
		}
		i := int(w.Due.Sub(changed) / time.Second)
		s := by[i]
		out.answered++
		switch w.Release {
		case from:
			s.old++
			out.old++
			last = max(last, i)
		case to:
			s.fresh++
			out.fresh++
		case "":
			out.nameless = true
		default:
			out.wrong = fmt.Sprintf("%s answered, which is neither %s nor %s", w.Release, from, to)
		}
		by[i] = s
		out.quickest = min(out.quickest, w.Latency)
		out.latest = later(out.latest, w.Due)
	}
	first := -1
	for i, s := range by {
		if s.old == 0 && s.fresh > 0 && (first < 0 || i < first) {
			first = i
		}
	}
	if first < 0 {
		return out
	}
	out.alone = changed.Add(time.Duration(first) * time.Second)
	if last > first && out.wrong == "" {
		out.wrong = fmt.Sprintf("%s answered %d s after the change, after %s had been alone in second %d", from, last, to, first)
	}
	return out
}
