package stack

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/labtest/bubble"
)

// inWorld runs fn in a bubble with a default lab's world.
func inWorld(t *testing.T, spec lab.Spec, fn func(t *testing.T, w *world)) {
	t.Helper()
	bubble.Test(t, func(t *testing.T) {
		w := newWorld(t, mustPlatform(t, spec, localFeatures, nodesAt("127.168.59.0/24", 2)))
		fn(t, w)
		w.stop()
		time.Sleep(time.Minute) // idle connections and last timers end
	})
}

func (w *world) converge(ctx context.Context, o Options) (Result, error) {
	return Converge(ctx, w.platform, w.machines(), w.clients(), o)
}

func (w *world) logged() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := slices.Clone(w.log)
	w.log = nil
	return out
}

// before reports whether a stands before b in the log.
func before(log []string, a, b string) bool {
	i, j := slices.Index(log, a), slices.Index(log, b)
	return i >= 0 && j >= 0 && i < j
}

func TestConvergeFromNothing(t *testing.T) {
	inWorld(t, lab.Spec{}, func(t *testing.T, w *world) {
		var mu sync.Mutex
		var events []lab.Event
		start := time.Now()
		r, err := w.converge(t.Context(), Options{Report: func(e lab.Event) { mu.Lock(); events = append(events, e); mu.Unlock() }})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Created) != 6 || !r.Changed() {
			t.Errorf("created %q", r.Created)
		}
		log := w.logged()
		for _, order := range [][2]string{
			{"zookeeper up", "start mesos_master"}, {"mesos_master up", "start mesos_slave1"}, {"mesos_master up", "start mesos_slave2"},
			{"mesos_master up", "start marathon"}, {"marathon up", "start marathon-lb"}, {"create marathon-lb", "zookeeper up"},
		} {
			if !before(log, order[0], order[1]) {
				t.Errorf("%q does not come before %q in %q", order[0], order[1], log)
			}
		}
		// ZooKeeper 0.3, master 0.3 + election 0.3, Marathon 0.3, LB 0.3; each
		// gate notices within one pause of 20 ms.
		if took := time.Since(start); took > 1600*time.Millisecond {
			t.Errorf("took %s: the waiting itself costs too much", took)
		}
		checkEvents(t, events)
		if again, err := w.converge(t.Context(), Options{}); err != nil || again.Changed() || len(again.Kept) != 6 {
			t.Errorf("the second time: %+v, %v", again, err)
		}
	})
}

// checkEvents: every step that starts ends well, and waits say for what.
func checkEvents(t *testing.T, events []lab.Event) {
	t.Helper()
	open := map[string]bool{}
	gates := map[string]bool{}
	for _, e := range events {
		key := e.Node + "/" + e.Step
		switch e.Kind {
		case lab.EventStart:
			open[key] = true
		case lab.EventDone:
			delete(open, key)
		case lab.EventFail:
			t.Errorf("%s failed: %s", key, e.Err)
		case lab.EventWait:
			if e.Text == "" || !open[key] {
				t.Errorf("wait event %+v", e)
			}
		case lab.EventNote:
			gates[e.Data["gate"].(string)] = true
		}
	}
	if len(open) > 0 || len(gates) != 6 {
		t.Errorf("open steps %v, gates %v", open, gates)
	}
}

func TestConvergeRepairs(t *testing.T) {
	inWorld(t, lab.Spec{}, func(t *testing.T, w *world) {
		if _, err := w.converge(t.Context(), Options{}); err != nil {
			t.Fatal(err)
		}
		w.logged()
		master, slave := w.engines["node1"], w.engines["node3"]
		find := func(e *engine, name string) *fakeContainer { c, _ := e.find(name); return c }
		find(master, "marathon-lb").state = container.StatePaused
		find(master, "marathon").state = container.StateExited
		slave.ContainerRemove(t.Context(), "mesos_slave2", client.ContainerRemoveOptions{})
		find(slave, "mesos_slave2")
		old := find(w.engines["node2"], "mesos_slave1")
		old.options.Config.Labels[LabelSpec] = "another"
		old.state = container.StateRunning
		_, err := master.ContainerCreate(t.Context(), client.ContainerCreateOptions{Name: "mesos_slave9",
			Config: &container.Config{Image: "lab/x", Labels: map[string]string{LabelName: w.platform.Label}}})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"somebody-elses", "mesos-1.task"} { // not ours
			master.ContainerCreate(t.Context(), client.ContainerCreateOptions{Name: name, Config: &container.Config{Image: "lab/x"}})
		}
		node2 := w.engines["node2"]
		node2.latest = "/tmp/mesos/meta/slaves/abc-S1\n"
		for _, name := range []string{"mesos-abc-S1.task", "mesos-abc-S11.task", "mesos-other-S1.task"} {
			node2.ContainerCreate(t.Context(), client.ContainerCreateOptions{Name: name, Config: &container.Config{Image: "lab/x"}})
		}
		w.logged()
		r, err := w.converge(t.Context(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		for name, stays := range map[string]bool{"mesos-abc-S1.task": false, "mesos-abc-S11.task": true, "mesos-other-S1.task": true} {
			if _, err := node2.find(name); (err == nil) != stays {
				t.Errorf("%s: still there %v, want %v", name, err == nil, stays)
			}
		}
		want := Result{Created: []string{"mesos_slave2"}, Recreated: []string{"mesos_slave1"}, Started: []string{"marathon", "marathon-lb"},
			Removed: []string{"mesos_slave9"}, Kept: []string{"zookeeper", "mesos_master"}}
		for _, list := range [][2][]string{{r.Created, want.Created}, {r.Recreated, want.Recreated}, {r.Started, want.Started}, {r.Removed, want.Removed}, {r.Kept, want.Kept}} {
			if !slices.Equal(list[0], list[1]) {
				t.Errorf("got %+v, want %+v", r, want)
			}
		}
		log := w.logged()
		if !before(log, "stop mesos_slave1", "remove mesos_slave1") || !before(log, "remove mesos_slave1", "create mesos_slave1") || !slices.Contains(log, "unpause marathon-lb") {
			t.Errorf("log %q", log)
		}
		for _, name := range []string{"somebody-elses", "mesos-1.task"} {
			if _, err := master.find(name); err != nil {
				t.Errorf("%s was removed: %v", name, err)
			}
		}
		if cmds := w.engines["node2"].commands; len(cmds) != 1 || !strings.Contains(cmds[0], "rm -f /tmp/mesos/meta/slaves/latest") {
			t.Errorf("the slave with another definition: commands %q", cmds)
		}
		if cmds := slave.commands; len(cmds) != 0 {
			t.Errorf("the slave that was merely missing: commands %q", cmds)
		}
	})
}

// TestConvergeBringsNewImages: a newer lab has loaded images under the old
// names. The slave goes on as the one it was, with its tasks.
func TestConvergeBringsNewImages(t *testing.T) {
	inWorld(t, lab.Spec{}, func(t *testing.T, w *world) {
		if _, err := w.converge(t.Context(), Options{}); err != nil {
			t.Fatal(err)
		}
		node2 := w.engines["node2"]
		node2.latest = "/tmp/mesos/meta/slaves/abc-S1\n"
		if _, err := node2.ContainerCreate(t.Context(), client.ContainerCreateOptions{Name: "mesos-abc-S1.task", Config: &container.Config{Image: "lab/x"}}); err != nil {
			t.Fatal(err)
		}
		slave, err := node2.find("mesos_slave1")
		if err != nil {
			t.Fatal(err)
		}
		slave.shows = "sha256:0123"
		r, err := w.converge(t.Context(), Options{})
		if err != nil || !slices.Equal(r.Recreated, []string{"mesos_slave1"}) || len(r.Kept) != 5 {
			t.Errorf("%+v, %v", r, err)
		}
		if _, err := node2.find("mesos-abc-S1.task"); err != nil || len(node2.commands) > 0 {
			t.Errorf("the slave's task: %v; commands %q", err, node2.commands)
		}
		if again, err := w.converge(t.Context(), Options{}); err != nil || again.Changed() {
			t.Errorf("the second time: %+v, %v", again, err)
		}
	})
}

func TestConvergeForeign(t *testing.T) {
	for _, labels := range []map[string]string{nil, {LabelName: "other/99999999"}} {
		inWorld(t, lab.Spec{}, func(t *testing.T, w *world) {
			e := w.engines["node2"]
			e.ContainerCreate(t.Context(), client.ContainerCreateOptions{Name: "mesos_slave1", Config: &container.Config{Image: "lab/x", Labels: labels}})
			w.logged()
			_, err := w.converge(t.Context(), Options{})
			if lab.ErrorID(err) != "container-foreign" {
				t.Errorf("error %v", err)
			}
			if log := w.logged(); len(log) != 0 {
				t.Errorf("something was changed: %q", log)
			}
		})
	}
}

func TestConvergeImages(t *testing.T) {
	spec := lab.Spec{Images: lab.ImagesSpec{Mesos: "kiwenlau/mesos:0.26.0"}}
	inWorld(t, spec, func(t *testing.T, w *world) {
		_, err := w.converge(t.Context(), Options{})
		if lab.ErrorID(err) != "image-missing" || !strings.Contains(err.Error(), "kiwenlau/mesos:0.26.0") {
			t.Errorf("an engine without the image: %v", err)
		}
		for _, e := range w.engines {
			e.images["kiwenlau/mesos:0.26.0"] = true
		}
		if _, err := w.converge(t.Context(), Options{}); err != nil {
			t.Errorf("with the image: %v", err)
		}
	})
}

func TestConvergeGivesUpOnCrashLoop(t *testing.T) {
	inWorld(t, lab.Spec{}, func(t *testing.T, w *world) {
		w.engines["node1"].exits = "mesos_master"
		start := time.Now()
		_, err := w.converge(t.Context(), Options{Wait: time.Hour})
		if lab.ErrorID(err) != "container-exits" || !strings.Contains(err.Error(), "mesos_master") {
			t.Errorf("error %v", err)
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("noticed after %s", took)
		}
	})
}

func TestConvergeTimesOut(t *testing.T) {
	inWorld(t, lab.Spec{}, func(t *testing.T, w *world) {
		w.marathon.frameworkID = ""
		_, err := w.converge(t.Context(), Options{Wait: 20 * time.Second})
		e, ok := errors.AsType[*lab.Error](err)
		if !ok || e.ID != "stack-timeout" || !strings.Contains(err.Error(), "not registered Marathon") || e.Advice == "" {
			t.Errorf("error %v, want one that tells what was seen last", err)
		}
	})
}

func TestConvergeStopsWithContext(t *testing.T) {
	inWorld(t, lab.Spec{}, func(t *testing.T, w *world) {
		w.delay = time.Hour
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(5*time.Second, cancel)
		start := time.Now()
		_, err := w.converge(ctx, Options{})
		if !errors.Is(err, context.Canceled) || time.Since(start) > 5*time.Second {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
		w.logged()
		time.Sleep(time.Hour)
	})
}

func TestGateWantsExactlyThisMaster(t *testing.T) {
	inWorld(t, lab.Spec{}, func(t *testing.T, w *world) {
		if _, err := w.converge(t.Context(), Options{}); err != nil {
			t.Fatal(err)
		}
		w.mu.Lock()
		w.slaves["10.9.9.9"] = time.Now() // a third one that is not ours
		w.mu.Unlock()
		_, err := w.converge(t.Context(), Options{Wait: 10 * time.Second})
		if lab.ErrorID(err) != "stack-timeout" || !strings.Contains(err.Error(), "3 of 2 slaves") {
			t.Errorf("error %v", err)
		}
	})
}
