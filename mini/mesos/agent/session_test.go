package agent

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/mini/mesos/agent/docker"
	"github.com/mesoslab/lab/mini/mesos/wire"
)

// states names the tasks that an agent brings along.
func states(r *wire.Reregister) map[string]mesos.TaskState {
	out := map[string]mesos.TaskState{}
	for _, t := range r.Tasks {
		out[t.V.TaskID.Value] = t.V.GetState()
	}
	return out
}

func expectTasks(t *testing.T, r *wire.Reregister, want map[string]mesos.TaskState) {
	t.Helper()
	got := states(r)
	if len(got) != len(want) {
		t.Errorf("brings %v, want %v", got, want)
	}
	for id, s := range want {
		if got[id] != s {
			t.Errorf("task %s is %s, want %s", id, got[id], s)
		}
	}
	if id := r.Agent.V.GetID().GetValue(); id != id0 {
		t.Errorf("comes as %q", id)
	}
}

func TestLostConnection(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		m, _ := registered(w)
		m.running(w, id0, "a")
		m.run(dockerTask(id0, "b"))
		b := m.unacknowledged("b", mesos.TASK_RUNNING)
		began := time.Now()
		m.drop()
		r := expect[*wire.Reregister](m)
		if d := time.Since(began); d > time.Second {
			t.Errorf("back after %v", d)
		}
		expectTasks(t, r, map[string]mesos.TaskState{"a": mesos.TASK_RUNNING, "b": mesos.TASK_RUNNING})
		if len(r.Frameworks) != 1 || r.Frameworks[0].V.GetName() != "marathon" {
			t.Errorf("frameworks %v", r.Frameworks)
		}
		for _, task := range r.Tasks {
			if task.V.TaskID.Value == "b" && string(task.V.StatusUpdateUUID) != string(b.UUID) {
				t.Error("the update that is under way is not named")
			}
		}
		// The unacknowledged update comes again at once, and then again.
		began = time.Now()
		for _, want := range []time.Duration{0, 10 * time.Second} {
			u := m.unacknowledged("b", mesos.TASK_RUNNING)
			if string(u.UUID) != string(b.UUID) || time.Since(began) != want {
				t.Errorf("%v after %v, want %v", u.UUID, time.Since(began), want)
			}
		}
		m.ack(b)
		m.quiet(time.Hour)
		if n := len(w.engine.Running()); n != 2 {
			t.Errorf("%d containers run", n)
		}
	})
}

func TestMasterFailover(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		m, _ := registered(w)
		other := w.newMaster(2)
		name := m.running(w, id0, "a")
		m.resign()
		expectTasks(t, expect[*wire.Reregister](other), map[string]mesos.TaskState{"a": mesos.TASK_RUNNING})
		synctest.Wait()
		if s := w.state(); s["master_hostname"] != "10.0.1.2" {
			t.Errorf("master %v", s["master_hostname"])
		}
		// Nobody leads for a while, and a task ends meanwhile.
		w.group.SetDown(true)
		time.Sleep(time.Minute)
		w.engine.Exit(name, 0)
		time.Sleep(time.Minute)
		w.group.SetDown(false)
		third := w.newMaster(3)
		r := expect[*wire.Reregister](third)
		expectTasks(t, r, map[string]mesos.TaskState{"a": mesos.TASK_FINISHED})
		third.update("a", mesos.TASK_FINISHED)
		third.quiet(time.Hour)
	})
}

func TestSilentMaster(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		m := w.newMaster(1)
		m.timeout, m.pings = 6*time.Second, 2*time.Second
		w.start()
		expect[*wire.Register](m)
		name := m.running(w, id0, "a")
		m.quiet(time.Minute)
		began := time.Now()
		w.net.CutBetween(agentIP, "10.0.1.1")
		w.engine.Exit(name, 1)
		time.Sleep(time.Minute)
		if !strings.Contains(w.out.text(), "no pings from master received within 6s") {
			t.Errorf("the silence of %v was not noticed", time.Since(began))
		}
		w.net.MendBetween(agentIP, "10.0.1.1")
		mended := time.Now()
		// What was under way in the old connection may still arrive.
		for {
			msg := <-m.in
			if r, ok := msg.(*wire.Reregister); ok && len(r.Tasks) == 1 {
				break
			}
		}
		if d := time.Since(mended); d > dialTimeout+time.Second {
			t.Errorf("back after %v", d)
		}
		m.update("a", mesos.TASK_FAILED)
	})
}

func TestMuteMasterIsAskedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		m := w.newMaster(1)
		m.mute = true
		w.start()
		expect[*wire.Register](m)
		began := time.Now()
		expect[*wire.Register](m)
		if d := time.Since(began); d < answerTimeout || d > answerTimeout+time.Second {
			t.Errorf("asked again after %v", d)
		}
	})
}

func TestAgentRestart(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		m, p := registered(w)
		stays := m.running(w, id0, "stays")
		ends := m.running(w, id0, "ends")
		vanishes := m.running(w, id0, "vanishes")
		m.run(dockerTask(id0, "untold"))
		untold := m.unacknowledged("untold", mesos.TASK_RUNNING)
		p.end()
		if n := len(w.engine.Running()); n != 4 {
			t.Fatalf("%d containers run after the agent's end", n)
		}
		w.engine.Exit(ends, 7)
		if err := w.engine.Remove(t.Context(), vanishes); err != nil {
			t.Fatal(err)
		}
		orphan := "mesos-" + id0 + ".orphan"
		if err := w.engine.Create(t.Context(), docker.Spec{Name: orphan, Image: image}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		w.start()
		r := expect[*wire.Reregister](m)
		if len(r.Tasks) != 4 {
			t.Errorf("brings %v", states(r))
		}
		got := map[string]mesos.TaskStatus{}
		for range 3 {
			u := expect[*wire.StatusUpdate](m).Status.V
			got[u.TaskID.Value] = u
			m.ack(u)
		}
		if u := got["ends"]; u.GetState() != mesos.TASK_FAILED || u.GetMessage() != "Container exited with status 7" {
			t.Errorf("%+v", u)
		}
		if u := got["vanishes"]; u.GetState() != mesos.TASK_LOST {
			t.Errorf("%+v", u)
		}
		if u := got["untold"]; string(u.UUID) != string(untold.UUID) {
			t.Errorf("the update was made anew: %+v", u)
		}
		m.quiet(time.Hour)
		if names, _ := w.engine.List(t.Context(), orphan); len(names) != 0 {
			t.Error("the orphan is still there")
		}
		// The task that went on is the agent's as before.
		m.send(&wire.KillTask{FrameworkID: "fw-0", TaskID: "stays"})
		m.update("stays", mesos.TASK_KILLED)
		if slices.Contains(w.engine.Running(), stays) {
			t.Error("killed, but it runs")
		}
		if n := len(w.engine.Started()); n != 4 {
			t.Errorf("%d containers were started for 4 tasks", n)
		}
	})
}

func TestRestartInTheMiddleOfALaunch(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		m, p := registered(w)
		w.engine.Publish("slow:1", time.Minute)
		task := dockerTask(id0, "slow")
		task.Container.Docker.Image = "slow:1"
		m.run(task)
		m.quiet(10 * time.Second)
		p.end()
		w.start()
		expectTasks(t, expect[*wire.Reregister](m), map[string]mesos.TaskState{"slow": mesos.TASK_LOST})
		m.update("slow", mesos.TASK_LOST)
		m.quiet(time.Hour)
		if n := len(w.engine.Started()); n != 0 {
			t.Errorf("%d containers were started", n)
		}
	})
}

// What had ended is still listed after a restart, and its sandbox shown, until
// the sandbox is too old or there are too many.
func TestEndedTasksAreRemembered(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		m, p := registered(w, "--max_completed_executors_per_framework=2")
		for _, id := range []string{"a", "b", "c"} {
			name := m.running(w, id0, id)
			w.engine.Print(name, "output of "+id)
			synctest.Wait()
			w.engine.Exit(name, 3)
			m.update(id, mesos.TASK_FAILED)
			synctest.Wait()
			time.Sleep(time.Second)
		}
		before := w.state()["completed_frameworks"]
		p.end()
		w.start("--max_completed_executors_per_framework=2")
		r := expect[*wire.Reregister](m)
		if len(r.Tasks) != 0 || len(r.Completed) != 2 || r.Completed[0].V.TaskID.Value != "b" {
			t.Errorf("%+v", r.Completed)
		}
		synctest.Wait()
		if after := w.state()["completed_frameworks"]; !reflect.DeepEqual(before, after) || before == nil {
			t.Errorf("before: %v\nafter: %v", before, after)
		}
		_, b := w.get("/files/debug")
		var dirs map[string]string
		if err := json.Unmarshal(b, &dirs); err != nil || len(dirs) != 2 {
			t.Fatalf("%v in %s", err, b)
		}
		for dir := range dirs {
			if code, b := w.get("/files/read?path=" + dir + "/stdout&offset=0"); code != 200 || !strings.Contains(string(b), "output of ") {
				t.Errorf("%s: %d %s", dir, code, b)
			}
		}
		m.running(w, id0, "d") // its framework is not another one
		if n := len(w.state()["completed_frameworks"].([]any)); n != 0 {
			t.Errorf("%d completed frameworks", n)
		}
	})
}

func TestKillOutlivesTheAgent(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		m, p := registered(w, "--docker_stop_timeout=1mins")
		m.running(w, id0, "a")
		w.engine.OnStop = func(_ string, grace time.Duration) (time.Duration, int) { return grace, 0 }
		m.send(&wire.KillTask{FrameworkID: "fw-0", TaskID: "a"})
		m.quiet(10 * time.Second)
		p.end()
		w.start("--docker_stop_timeout=1mins")
		expect[*wire.Reregister](m)
		m.update("a", mesos.TASK_KILLED)
	})
}

func TestShutdownAfterRemoval(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		m, p := registered(w)
		m.running(w, id0, "a")
		w.engine.Publish("slow:1", time.Minute)
		task := dockerTask(id0, "slow")
		task.Container.Docker.Image = "slow:1"
		m.run(task)
		m.quiet(time.Second)
		m.mute = true
		m.greeting = []wire.Message{&wire.Shutdown{Message: "Slave attempted to re-register after removal"}}
		m.drop()
		expect[*wire.Reregister](m)
		p.wait(0)
		if names, _ := w.engine.List(t.Context(), "mesos-"); len(names) != 0 {
			t.Errorf("left behind: %v", names)
		}
		if _, err := os.Lstat(filepath.Join(w.root, "tmp/mesos/meta/slaves/latest")); !os.IsNotExist(err) {
			t.Errorf("the link is still there: %v", err)
		}
		m.mute, m.greeting = false, nil
		w.start()
		if r := expect[*wire.Register](m); r.Agent.V.ID != nil {
			t.Errorf("it comes as %v", r.Agent.V.ID)
		}
		synctest.Wait()
		if id := w.state()["id"]; id != "master1-S1" {
			t.Errorf("its id is %v", id)
		}
		m.running(w, "master1-S1", "a")
	})
}

// TestASchedulerThatReturnsIsToldAtOnce: what was not acknowledged does not wait
// for the next of its longer and longer pauses.
func TestASchedulerThatReturnsIsToldAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		m, _ := registered(w)
		w.engine.Exit(m.running(w, id0, "a"), 3)
		first := m.unacknowledged("a", mesos.TASK_FAILED)
		time.Sleep(4 * time.Second)
		m.send(&wire.UpdateFramework{FrameworkID: "another"})
		m.quiet(time.Second)
		began := time.Now()
		m.send(&wire.UpdateFramework{FrameworkID: "fw-0"})
		for _, want := range []time.Duration{0, 10 * time.Second} {
			again := m.unacknowledged("a", mesos.TASK_FAILED)
			if string(again.UUID) != string(first.UUID) || time.Since(began) != want {
				t.Errorf("%v after %v, want %v", again.UUID, time.Since(began), want)
			}
		}
	})
}

func TestShutdownFramework(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		m, _ := registered(w)
		m.running(w, id0, "a")
		w.engine.Exit(m.running(w, id0, "ended"), 0)
		m.unacknowledged("ended", mesos.TASK_FINISHED)
		other := framework1()
		other.ID = &mesos.FrameworkID{Value: "fw-1"}
		m.send(&wire.RunTask{Framework: wire.Of(other), Task: wire.Of(dockerTask(id0, "other"))})
		u := m.unacknowledged("other", mesos.TASK_RUNNING)
		m.send(&wire.Ack{FrameworkID: "fw-1", TaskID: "other", UUID: u.UUID})
		m.send(&wire.ShutdownFramework{FrameworkID: "fw-0"})
		m.quiet(time.Hour)
		if n := len(w.engine.Running()); n != 1 {
			t.Errorf("%d containers run, want the other framework's", n)
		}
		s := w.state()
		if n := len(s["frameworks"].([]any)); n != 1 {
			t.Errorf("%d frameworks", n)
		}
		done := s["completed_frameworks"].([]any)
		if len(done) != 1 || len(done[0].(map[string]any)["completed_executors"].([]any)) != 2 {
			t.Errorf("completed %v", done)
		}
	})
}

func TestReconciliation(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		m, _ := registered(w)
		m.running(w, id0, "a")
		refs := []wire.TaskRef{{FrameworkID: "fw-0", TaskID: "a"}, {FrameworkID: "fw-0", TaskID: "ghost"}}
		m.send(&wire.Reconcile{Tasks: refs})
		if s := m.update("ghost", mesos.TASK_LOST); s.GetReason() != mesos.REASON_RECONCILIATION {
			t.Errorf("%v", s.GetReason())
		}
		m.quiet(time.Hour)
	})
}

// restartChanged starts an agent, gives it a task, and starts it again after
// a change under which the old id cannot go on.
func restartChanged(t *testing.T, w *world, change func(), args ...string) {
	m, p := registered(w)
	m.running(w, id0, "a")
	p.end()
	change()
	w.start(args...)
	expect[*wire.Register](m)
	if n := len(w.engine.Running()); n != 0 {
		t.Errorf("%d containers of the old id run", n)
	}
}

func TestChangedResourcesMeanANewID(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		restartChanged(t, w, func() {}, "--resources=cpus:8")
		if !strings.Contains(w.out.text(), "had other resources: starting under a new id") {
			t.Error("it did not say so")
		}
	})
}

func TestRebootMeansANewID(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		boot := func(id string) {
			file := filepath.Join(w.root, "proc/sys/kernel/random/boot_id")
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(id), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		boot("first")
		restartChanged(t, w, func() { boot("second") })
	})
}

func TestDamagedMemory(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		_, p := registered(w)
		p.end()
		err := filepath.WalkDir(w.root, func(name string, _ fs.DirEntry, err error) error {
			if filepath.Base(name) == "slave.info" {
				return os.Truncate(name, 3)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		w.start().wait(1)
		if !strings.Contains(w.out.text(), "remove /tmp/mesos/meta/slaves/latest") {
			t.Error("no advice")
		}
		p = w.start("--no-strict")
		synctest.Wait()
		p.end()
	})
}

func TestCleanup(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		m, p := registered(w)
		m.running(w, id0, "a")
		p.end()
		w.start("--recover=cleanup").wait(0)
		if n := len(w.engine.Running()); n != 0 {
			t.Errorf("%d containers run", n)
		}
		w.start()
		expect[*wire.Register](m)
	})
}
