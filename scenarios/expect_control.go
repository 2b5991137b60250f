package scenarios

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mesoslab/lab/stack"
)

// onControl are expectations on what leads the platform, and on what its tasks
// notice of that.
func onControl() []verb {
	app := param{name: "app", kind: kindApp}
	component := param{name: "target", kind: kindTarget}
	known := []fact{factKnown, factChange}
	return []verb{
		{name: "ended", summary: "its engine has seen a component's process end since the fault, with that exit code where one is given",
			args: []param{component}, options: []param{{name: "on", kind: kindTargetMachine}, {name: "code", kind: kindWord}, within("30s")}, after: known, sane: saneEnded, do: expectEnded},
		{name: "unanswered", summary: "mesos_master, marathon or marathon-lb gives no good answer, for a while; status= is the code that its answers have to have",
			args: []param{component}, options: []param{{"for", kindDuration, "2s"}, {name: "status", kind: kindCount}, within("60s")}, after: known, sane: saneUnanswered, do: expectUnanswered},
		{name: "reelected", summary: "a new Mesos master leads; the same slaves have registered with it again, and the same framework",
			options: []param{within("60s")}, after: known, do: expectReelected},
		{name: "resumed", summary: "Marathon leads again as the same framework, and lists its apps",
			options: []param{within("60s")}, after: known, do: expectResumed},
		{name: "orphaned", summary: "Marathon leads as another framework and knows nothing of an app; its tasks run on, and nobody owns them",
			args: []param{app}, options: []param{within("60s")}, after: known, watched: true, do: expectOrphaned},
		{name: "untouched", summary: "tasks that nobody has broken are the same by id, container and start, and no request has failed (failed=any: that is not judged)",
			args: []param{app}, options: []param{{"failed", kindWord, "none"}, within("30s")}, after: known, watched: true, sane: saneUntouched, do: expectUntouched},
		{name: "unreplaced", summary: "a task that was broken is gone, and by the engines' count nobody replaces it, for a while",
			args: []param{app}, options: []param{{"for", kindDuration, "3s"}, within("30s")}, after: known, watched: true, do: expectUnreplaced},
		{name: "unnoticed", summary: "the same master, slaves and Marathon lead on and answer, for a while",
			options: []param{{"for", kindDuration, "4s"}, within("60s")}, after: known, do: expectUnnoticed},
		{name: "waiting", summary: "Marathon owes an app all of its instances and can launch none, for a while",
			args: []param{app}, options: []param{{"for", kindDuration, "2s"}, within("60s")}, after: known, do: expectWaiting},
		{name: "launched", summary: "an app that had to wait runs, and was launched under the new master",
			args: []param{app}, options: []param{within("60s")}, after: known, do: expectLaunched},
		{name: "answering", summary: "every task of the baseline answers again, so many requests in a row, and none fails",
			args: []param{app}, options: []param{{"requests", kindCount, "50"}, within("60s")}, after: known, watched: true, sane: enoughTime, do: expectAnswering},
	}
}

func saneEnded(a arguments, _ *knowledge) error {
	switch {
	case partOf(a["target"]) != PartComponent:
		return fmt.Errorf("expect ended %s: it must be one of %s", a["target"], strings.Join(components, ", "))
	case a["target"] == "mesos_slave" && a["on"] == "":
		return errors.New("expect ended mesos_slave: which slave's? give on=slave1, or mesos_slave1")
	case a["code"] == "":
		return nil
	}
	if n, err := strconv.Atoi(a["code"]); err != nil || n < 0 || n > 255 {
		return fmt.Errorf("code=%q must be an exit code from 0 to 255", a["code"])
	}
	return nil
}

// answering are the components whose answers an expectation can ask for.
var answering = []string{"mesos_master", "marathon", "marathon-lb"}

func saneUnanswered(a arguments, _ *knowledge) error {
	if !slices.Contains(answering, a["target"]) {
		return fmt.Errorf("expect unanswered %s: it must be one of %s", a["target"], strings.Join(answering, ", "))
	}
	return nil
}

func saneUntouched(a arguments, _ *knowledge) error {
	return param{name: "failed", kind: kindWord}.oneOf(a["failed"], "none", "any")
}

// expectEnded is rule R2 for processes: the engine tells of their end.
func expectEnded(ctx context.Context, r *run, a arguments) error {
	list, err := r.aim().component(ctx, Fault{Part: PartComponent}, a)
	if err != nil {
		return err
	}
	comp := Component{Name: list[0].Container, Node: list[0].Node}
	rule := "the engine has seen the process of " + comp.Name + " end"
	if a["code"] != "" {
		rule += " with exit code " + a["code"]
	}
	c := r.criterion("ended", rule)
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	var codes []string
	err = r.await(ctx, comp.Name+" to end", func(ctx context.Context) error {
		p, err := r.lab.Process(ctx, comp)
		if err != nil {
			return err
		}
		codes = nil
		for _, e := range p.Ends {
			if !e.At.After(r.known.processes[comp.Name].lastEnd()) {
				continue
			}
			codes = append(codes, strconv.Itoa(e.Code))
		}
		if len(codes) == 0 {
			return fmt.Errorf("the engine of %s has seen no end of %s", comp.Node, comp.Name)
		}
		if a["code"] != "" && !slices.Contains(codes, a["code"]) {
			return fmt.Errorf("%s ended with exit code %s", comp.Name, strings.Join(codes, ", "))
		}
		return nil
	})
	if err != nil {
		return c.unseen(err)
	}
	r.moment(fmt.Sprintf("◆ %s: its engine saw it end, exit code %s", comp.Name, strings.Join(codes, ", ")))
	return c.pass("%s ended with exit code %s, by the engine of %s", comp.Name, strings.Join(codes, ", "), comp.Node)
}

// askPatience is how long a question may take: Marathon says after 2.5 s that
// it knows no leader (contracts 1).
const askPatience = 5 * time.Second

// ask puts one question to a component.
func (r *run) ask(ctx context.Context, component string) error {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	switch component {
	case "mesos_master":
		m, err := r.cluster.Master(ctx)
		if err == nil && !m.Leads {
			return errors.New("this master does not lead")
		}
		return err
	case "marathon":
		_, err := r.cluster.App(ctx, r.app)
		return err
	}
	_, err := r.cluster.Backends(ctx, r.app)
	return err
}

func expectUnanswered(ctx context.Context, r *run, a arguments) error {
	length := a.duration("for")
	c := r.criterion("unanswered", fmt.Sprintf("for %s %s gives no good answer", seconds(length), a["target"]))
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	want, refused, said := a.count("status"), false, ""
	err := r.hold(ctx, a["target"]+" to be silent", length, func(ctx context.Context) error {
		err := r.ask(ctx, a["target"])
		if err == nil {
			return fmt.Errorf("%s answers", a["target"])
		}
		said = err.Error()
		var status *stack.StatusError
		refused = errors.As(err, &status) && status.Status == want
		if want > 0 && !refused {
			return fmt.Errorf("it says %s, not status %d", said, want)
		}
		return nil
	})
	if err != nil {
		return c.unseen(err)
	}
	r.moment("◆ " + a["target"] + " gives no answer: " + said)
	return c.pass("watched for %s: %s", seconds(length), said)
}

// same compares a task with what is known of it.
func (r *run) same(ctx context.Context, app App, t TaskHistory) (wrong string, err error) {
	i := slices.IndexFunc(app.Tasks, func(k Task) bool { return k.ID == t.ID })
	if i < 0 {
		return fmt.Sprintf("Marathon no longer lists %s (%s)", t.Name, t.ID), nil
	}
	if app.Tasks[i].Started.IsZero() {
		return "", fmt.Errorf("marathon does not say when %s was started", t.Name)
	}
	now, err := r.containerOf(ctx, t)
	was := r.known.containers[t.ID]
	switch {
	case errors.Is(err, errNoContainer):
		return fmt.Sprintf("the container of %s is gone", t.Name), nil
	case err != nil:
		return "", err
	case now.ID != was.ID:
		return fmt.Sprintf("%s has another container: %s instead of %s", t.Name, briefID(now.ID), briefID(was.ID)), nil
	case !now.Started.Equal(was.Started):
		return fmt.Sprintf("the container of %s was started again", t.Name), nil
	}
	return "", nil
}

// expectUntouched is rule R3 where survival is claimed.
func expectUntouched(ctx context.Context, r *run, a arguments) error {
	rule := "the same task ids, container ids and starts"
	if a["failed"] == "none" {
		rule += ", and 0 failed requests"
	}
	c := r.criterion("untouched", rule)
	ctx, cancel := context.WithTimeout(ctx, a.duration("within"))
	defer cancel()
	since := r.faultTime()
	var judged []TaskHistory
	wrong := ""
	err := r.await(ctx, "the tasks to be asked for", func(ctx context.Context) error {
		// While Marathon is away, what it listed last is held against the engines.
		app, err := lastKnown{r.cluster, r}.App(ctx, a["app"])
		if err != nil {
			return err
		}
		judged = nil
		for _, t := range r.before {
			if r.brokenTask(t.ID) {
				continue
			}
			if wrong, err = r.same(ctx, app, t); err != nil || wrong != "" {
				return err
			}
			judged = append(judged, t)
		}
		return nil
	})
	t := r.probe.Between(since, time.Now())
	switch {
	case err != nil:
		return c.unseen(err)
	case wrong != "":
		return c.broken("%s", wrong)
	case len(judged) == 0:
		return c.unseen(errors.New("there is no task that nobody has broken"))
	case t.Done == 0:
		return c.unseen(errors.New("no request was answered since the fault"))
	case a["failed"] == "none" && t.Failed > 0:
		return c.broken("%d of %d requests failed since the fault: %s", t.Failed, t.Done, errorWords(t.Errors))
	}
	// Whom a fault has not touched is no victim of it.
	r.victims = slices.DeleteFunc(r.victims, func(v TaskHistory) bool {
		return slices.ContainsFunc(judged, func(j TaskHistory) bool { return j.ID == v.ID })
	})
	var words []string
	for _, j := range judged {
		words = append(words, fmt.Sprintf("%s in container %s", j.Name, briefID(r.known.containers[j.ID].ID)))
	}
	return c.pass("%s; %d of %d requests failed since the fault", strings.Join(words, ", "), t.Failed, t.Done)
}

// brokenTask says whether the run has broken a task itself.
func (r *run) brokenTask(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.brokenParts, id)
}
