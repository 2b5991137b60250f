package master

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
	"github.com/mesoslab/lab/mini/mesos/mjson"
)

// eventClass tells events apart by what they say, not by the values.
func eventClass(t *testing.T, doc []byte) string {
	var e struct {
		Type   string
		Update struct {
			Status struct {
				State, Source, Reason, UUID string
			}
		}
	}
	if err := json.Unmarshal(doc, &e); err != nil {
		t.Fatalf("%v in %s", err, doc)
	}
	if e.Type != "UPDATE" {
		return e.Type
	}
	s := e.Update.Status
	return fmt.Sprintf("UPDATE %s %s %s uuid=%v", s.State, s.Source, s.Reason, s.UUID != "")
}

// classes are the shapes in which each class of events was seen.
type classes map[string]map[string]bool

func (c classes) add(t *testing.T, doc []byte) {
	class := eventClass(t, doc)
	if c[class] == nil {
		c[class] = map[string]bool{}
	}
	c[class][strings.Join(shape(t, doc), "\n")] = true
}

// realEvents reads the events of every captured scheduler stream of a version.
func realEvents(t *testing.T, version string) classes {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(labtest.Contracts(t), "captures-mesos", version, "streams", "*-v1sched-*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d streams: %v", len(files), err)
	}
	record := regexp.MustCompile(`(?s)^[^\n]*<<< EVENT \w+[^\n]*\n(\{.*\})\s*$`)
	seen := classes{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for part := range strings.SplitSeq(string(b), "\n##### ") {
			if m := record.FindStringSubmatch(part); m != nil {
				seen.add(t, []byte(m[1]))
			}
		}
	}
	return seen
}

// refusals brings about the updates that a master makes for what cannot be
// done.
func (r *rig) refusals() {
	a, _, s := r.capTaskRunning()
	offer := s.latestOffer(a.agentID())
	gone := offer
	gone.ID = mesos.OfferID{Value: "no-such-offer"}
	s.call(launch(gone, 0, task("t-badoffer", a.agentID(), 0.1, 32)))
	s.call(launch(offer, 0, task("t-toobig", a.agentID(), 100, 32), task("t-run", a.agentID(), 0.1, 32)))
	s.call(calls.Kill("t-nosuch", ""))
	s.call(calls.Reconcile())
	s.call(calls.Reconcile(calls.ReconcileTasks(map[string]string{"t-run": a.agentID(), "t-neverexisted": "", "t-x": a.agentID()})))
	synctest.Wait()
	r.scheduler(again(s, capA())) // the old stream gets ERROR
}

// reconciled asks about tasks on a lost agent in every way.
func (r *rig) reconciled() {
	l := r.lossDead(true)
	time.Sleep(10 * time.Second)
	for _, name := range []string{"ckpt", "nockpt", "pa"} {
		s := l.frameless[name]
		for _, agent := range []string{"", l.a.agentID(), l.b.agentID()} {
			s.call(calls.Reconcile(calls.ReconcileTasks(map[string]string{name + "-a1": agent, name + "-a2": agent})))
		}
		s.call(calls.Reconcile())
	}
	synctest.Wait()
}

// unhealthy is a task whose health check fails until it is killed for it.
func (r *rig) unhealthy() {
	r.realMaster()
	a := r.agent("10.0.0.2")
	s := r.scheduler(capA())
	t := task("t-hc", a.agentID(), 0.1, 32)
	t.HealthCheck = &mesos.HealthCheck{Type: mesos.HealthCheck_COMMAND, Command: t.Command}
	s.call(launch(s.latestOffer(a.agentID()), 0, t))
	synctest.Wait()
	healthy := func(is bool) func(*mesos.TaskStatus) {
		return func(st *mesos.TaskStatus) { st.Healthy = &is }
	}
	a.report("t-hc", mesos.TASK_RUNNING, healthy(true))
	a.report("t-hc", mesos.TASK_RUNNING, healthy(false))
	a.report("t-hc", mesos.TASK_KILLED, healthy(false), says("Command terminated with signal Terminated"))
	synctest.Wait()
}

// ourEvents are those of all stories and situations.
func ourEvents(t *testing.T, generation string) classes {
	t.Helper()
	ours := classes{}
	stories := []func(*rig){(*rig).refusals, (*rig).reconciled, (*rig).unhealthy}
	for _, s := range situations() {
		stories = append(stories, func(r *rig) { s.bring(r) })
	}
	for _, story := range stories {
		bubble.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.generation = generation
			story(r)
			synctest.Wait()
			for _, s := range r.scheds {
				s.mu.Lock()
				for _, e := range s.events {
					ours.add(t, mjson.Marshal(mjson.Proto(e)))
				}
				s.mu.Unlock()
			}
		})
	}
	return ours
}

// scalars are the lines of a class's shapes that tell of a value.
func (c classes) scalars(class string) map[string]bool {
	all := map[string]bool{}
	for shape := range c[class] {
		for line := range strings.SplitSeq(shape, "\n") {
			if _, form, _ := strings.Cut(line, " "); !strings.HasPrefix(form, "{") && !strings.HasPrefix(form, "list") {
				all[line] = true
			}
		}
	}
	return all
}

// TestStreams026: with --compat=0.26 every class of events that 0.26.2 sent is
// sent, with every value that it told, in its form.
func TestStreams026(t *testing.T) {
	real, ours := realEvents(t, "0.26.2"), ourEvents(t, "0.26")
	known := replayed026{used: map[difference]bool{}}
	for _, class := range slices.Sorted(maps.Keys(real)) {
		if ours[class] == nil {
			t.Errorf("%s is never sent", class)
			continue
		}
		have := ours.scalars(class)
		for _, line := range slices.Sorted(maps.Keys(real.scalars(class))) {
			if !have[line] && !known.allowed("scheduler", class, line) {
				t.Errorf("%s: 0.26.2 tells %s, which is missing here", class, line)
			}
		}
	}
	for _, d := range since026() {
		if d.in == "scheduler" && !known.used[d] {
			t.Errorf("%s: %s is there now (%s)", d.request, d.what, d.why)
		}
	}
}

// TestStreams: every class of events that a real 1.3.2 sent on a scheduler's
// stream is sent here too, in no other shape.
func TestStreams(t *testing.T) {
	real, ours := realEvents(t, "1.3.2"), ourEvents(t, "1.3")
	for _, class := range slices.Sorted(maps.Keys(real)) {
		if ours[class] == nil {
			t.Errorf("%s is never sent", class)
		}
	}
	for _, class := range slices.Sorted(maps.Keys(ours)) {
		if real[class] == nil {
			t.Logf("%s was not captured", class)
			continue
		}
		for s := range ours[class] {
			if !real[class][s] {
				t.Errorf("%s is sent in a shape that the real one never sent:\n%s", class, s)
			}
		}
	}
}
