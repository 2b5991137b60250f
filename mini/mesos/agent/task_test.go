package agent

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/mini/mesos/wire"
)

const id0 = "master1-S0"

// registered starts a master and an agent and gets them acquainted.
func registered(w *world, args ...string) (*fakeMaster, *agentRun) {
	w.t.Helper()
	m := w.newMaster(1)
	p := w.start(args...)
	expect[*wire.Register](m)
	synctest.Wait()
	return m, p
}

func TestRegister(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		m := w.newMaster(1)
		began := time.Now()
		w.start()
		r := expect[*wire.Register](m)
		if d := time.Since(began); d > time.Second {
			t.Errorf("it took %v", d)
		}
		if r.PID != "slave(1)@10.0.0.2:5051" || r.Agent.V.Hostname != agentIP || r.Version != Version || !r.Checkpoint {
			t.Errorf("%+v", r)
		}
		if len(r.Agent.V.Resources) != 4 || r.Agent.V.Attributes[0].Name != "rack" || r.Agent.V.ID != nil {
			t.Errorf("%+v", r.Agent.V)
		}
		synctest.Wait()
		if s := w.state(); s["id"] != id0 || s["master_hostname"] != "10.0.1.1" {
			t.Errorf("id %v, master %v", s["id"], s["master_hostname"])
		}
	})
}

func TestRunAndFinish(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		m, _ := registered(w)
		m.run(dockerTask(id0, "nginx.1"))
		s := m.update("nginx.1", mesos.TASK_RUNNING)
		name := w.engine.Started()[0]
		container := s.ContainerStatus.ContainerID.GetValue()
		if name != "mesos-"+id0+"."+container {
			t.Errorf("container %s for %s", name, container)
		}
		if s.GetSource() != mesos.SOURCE_EXECUTOR || s.GetExecutorID().GetValue() != "nginx.1" || !strings.Contains(string(s.Data), name) {
			t.Errorf("%+v", s)
		}
		if ip := s.ContainerStatus.NetworkInfos[0].IPAddresses[0].GetIPAddress(); ip != "172.17.0.2" {
			t.Errorf("address %s", ip)
		}
		spec, _ := w.engine.SpecOf(name)
		for _, want := range []string{"PORT=31005", "MESOS_TASK_ID=nginx.1", "MESOS_SANDBOX=/mnt/mesos/sandbox", "MESOS_CONTAINER_NAME=" + name} {
			if !slices.Contains(spec.Env, want) {
				t.Errorf("%s is missing in %q", want, spec.Env)
			}
		}
		w.engine.Exit(name, 0)
		if s := m.update("nginx.1", mesos.TASK_FINISHED); s.GetMessage() != "Container exited with status 0" {
			t.Errorf("message %q", s.GetMessage())
		}
		m.quiet(time.Minute)
		if done := w.state()["completed_frameworks"].([]any); len(done) != 1 {
			t.Errorf("completed: %v", done)
		}
		if names, _ := w.engine.List(t.Context(), "mesos-"); len(names) != 1 {
			t.Errorf("the ended container is gone too soon: %v", names)
		}
		time.Sleep(6 * time.Hour) // --docker_remove_delay
		synctest.Wait()
		if names, _ := w.engine.List(t.Context(), "mesos-"); len(names) != 0 {
			t.Errorf("left behind: %v", names)
		}
	})
}

func TestCrash(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		m, _ := registered(w)
		w.engine.Exit(m.running(w, id0, "a"), 3)
		if s := m.update("a", mesos.TASK_FAILED); s.GetMessage() != "Container exited with status 3" {
			t.Errorf("message %q", s.GetMessage())
		}
		name := m.running(w, id0, "b")
		if err := w.engine.Remove(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		m.update("b", mesos.TASK_FAILED)
	})
}

func TestKill(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		m, _ := registered(w)
		var asked []time.Duration
		w.engine.OnStop = func(_ string, grace time.Duration) (time.Duration, int) {
			asked = append(asked, grace)
			return 3 * time.Second, 0
		}
		for i, c := range []struct {
			policy, kill *time.Duration
			message      string
		}{
			{nil, nil, "Container exited with status 137"},
			{ptr(5 * time.Second), nil, "Container exited with status 0"},
			{ptr(5 * time.Second), ptr(time.Second), "Container exited with status 137"},
		} {
			id := string(rune('a' + i))
			task := dockerTask(id0, id)
			if c.policy != nil {
				task.KillPolicy = &mesos.KillPolicy{GracePeriod: &mesos.DurationInfo{Nanoseconds: int64(*c.policy)}}
			}
			m.run(task)
			m.update(id, mesos.TASK_RUNNING)
			kill := &wire.KillTask{FrameworkID: "fw-0", TaskID: id, GracePeriod: c.kill}
			m.send(kill)
			m.send(kill) // twice is once
			if s := m.update(id, mesos.TASK_KILLED); s.GetMessage() != c.message || s.Healthy != nil {
				t.Errorf("%d: %q, healthy %v", i, s.GetMessage(), s.Healthy)
			}
		}
		if want := []time.Duration{0, 5 * time.Second, time.Second}; !slices.Equal(asked, want) {
			t.Errorf("stopped with grace %v, want %v", asked, want)
		}
		m.send(&wire.KillTask{FrameworkID: "fw-0", TaskID: "nobody"})
		if s := m.update("nobody", mesos.TASK_LOST); s.GetReason() != mesos.REASON_EXECUTOR_TERMINATED || s.GetSource() != mesos.SOURCE_AGENT {
			t.Errorf("%+v", s)
		}
	})
}

func TestKillingStateForThoseWhoWantIt(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		m, _ := registered(w)
		f := framework1()
		f.Capabilities = []mesos.FrameworkInfo_Capability{{Type: mesos.FrameworkInfo_Capability_TASK_KILLING_STATE}}
		m.send(&wire.RunTask{Framework: wire.Of(f), Task: wire.Of(dockerTask(id0, "a"))})
		m.update("a", mesos.TASK_RUNNING)
		m.send(&wire.KillTask{FrameworkID: "fw-0", TaskID: "a"})
		m.update("a", mesos.TASK_KILLING)
		m.update("a", mesos.TASK_KILLED)
	})
}

func TestPull(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		m, _ := registered(w, "--executor_registration_timeout=2mins")
		pull := func(id, image string) {
			task := dockerTask(id0, id)
			task.Container.Docker.Image = image
			m.run(task)
		}
		pull("missing", "nobody/has:this")
		s := m.update("missing", mesos.TASK_FAILED)
		if s.GetReason() != mesos.REASON_CONTAINER_LAUNCH_FAILED || !strings.Contains(s.GetMessage(), "pull access denied for nobody/has:this") {
			t.Errorf("%v %q", s.GetReason(), s.GetMessage())
		}
		w.engine.Publish("slow:1", time.Minute)
		pull("slow", "slow:1")
		m.quiet(59 * time.Second)
		m.update("slow", mesos.TASK_RUNNING)

		w.engine.Publish("slower:1", time.Hour)
		pull("slower", "slower:1")
		m.quiet(119 * time.Second)
		s = m.update("slower", mesos.TASK_FAILED)
		if s.GetReason() != mesos.REASON_EXECUTOR_REGISTRATION_TIMEOUT || s.GetMessage() != "Executor did not register within 2mins" {
			t.Errorf("%v %q", s.GetReason(), s.GetMessage())
		}
		pull("killed", "slower:1")
		m.quiet(time.Minute)
		m.send(&wire.KillTask{FrameworkID: "fw-0", TaskID: "killed"})
		if s := m.update("killed", mesos.TASK_KILLED); s.GetReason() != mesos.REASON_EXECUTOR_UNREGISTERED {
			t.Errorf("%v", s.GetReason())
		}
		m.quiet(2 * time.Hour)
		if n := len(w.engine.Started()); n != 1 {
			t.Errorf("%d containers were started", n)
		}
	})
}

func TestRefusedTasks(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		m, _ := registered(w)
		for want, change := range map[string]func(*mesos.TaskInfo){
			"names no program":     func(t *mesos.TaskInfo) { t.Container = nil },
			"no container of type": func(t *mesos.TaskInfo) { t.Container.Type = mesos.ContainerInfo_MESOS.Enum() },
			"custom executors":     func(t *mesos.TaskInfo) { t.Executor = &mesos.ExecutorInfo{} },
			"not included":         func(t *mesos.TaskInfo) { t.Container.Docker.PortMappings[0].HostPort = 1 },
			"only COMMAND":         func(t *mesos.TaskInfo) { t.HealthCheck = &mesos.HealthCheck{Type: mesos.HealthCheck_HTTP} },
			`"privileged"`:         func(t *mesos.TaskInfo) { t.Container.Docker.Parameters = []mesos.Parameter{{Key: "privileged"}} },
		} {
			task := dockerTask(id0, "refused")
			change(&task)
			m.run(task)
			s := m.update("refused", mesos.TASK_FAILED)
			if !strings.Contains(s.GetMessage(), want) || s.GetReason() != mesos.REASON_CONTAINER_LAUNCH_FAILED {
				t.Errorf("%q, want something with %q", s.GetMessage(), want)
			}
		}
		task := dockerTask(id0, "../../etc")
		m.run(task)
		m.update("../../etc", mesos.TASK_ERROR)
		m.run(dockerTask("another-S0", "astray"))
		m.quiet(time.Hour)
		if len(w.engine.Started()) != 0 {
			t.Errorf("started %v", w.engine.Started())
		}
	})
}

func TestTheSameTaskTwiceRunsOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		m, _ := registered(w)
		m.run(dockerTask(id0, "a"))
		m.run(dockerTask(id0, "a"))
		u := m.unacknowledged("a", mesos.TASK_RUNNING)
		m.run(dockerTask(id0, "a"))
		m.ack(u)
		w.engine.Exit(w.engine.Started()[0], 1)
		u = m.unacknowledged("a", mesos.TASK_FAILED)
		m.run(dockerTask(id0, "a"))
		m.quiet(5 * time.Second)
		m.ack(u)
		m.quiet(time.Hour)
		if n := len(w.engine.Started()); n != 1 {
			t.Errorf("started %d times", n)
		}
	})
}

func TestUpdatesAreResentInOrderUntilAcknowledged(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		m, _ := registered(w)
		m.run(dockerTask(id0, "a"))
		first := m.unacknowledged("a", mesos.TASK_RUNNING)
		w.engine.Exit(w.engine.Started()[0], 0)
		last := time.Now()
		for _, want := range []time.Duration{10, 20, 40, 80, 160, 320, 600, 600} {
			u := expect[*wire.StatusUpdate](m)
			if d := time.Since(last); d != want*time.Second {
				t.Errorf("resent after %v, want %vs", d, want)
			}
			if string(u.Status.V.UUID) != string(first.UUID) || u.LatestState != mesos.TASK_FINISHED {
				t.Errorf("resent %+v, latest %s", u.Status.V, u.LatestState)
			}
			last = time.Now()
		}
		m.send(&wire.Ack{FrameworkID: "fw-0", TaskID: "a", UUID: []byte("stray")})
		m.quiet(time.Second)
		m.ack(first)
		second := m.unacknowledged("a", mesos.TASK_FINISHED)
		m.quiet(9 * time.Second)
		m.ack(second)
		m.ack(second)
		m.quiet(time.Hour)
	})
}

func TestHealthCheck(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		m, _ := registered(w)
		var healthy atomic.Bool
		healthy.Store(true)
		w.engine.OnExec = func(_ context.Context, _ string, cmd []string) (int, error) {
			if strings.Join(cmd, " ") != "/bin/sh -c curl -f localhost" {
				t.Errorf("executed %q", cmd)
			}
			if healthy.Load() {
				return 0, nil
			}
			return 22, nil
		}
		task := dockerTask(id0, "a")
		task.HealthCheck = &mesos.HealthCheck{Type: mesos.HealthCheck_COMMAND, Command: &mesos.CommandInfo{Value: ptr("curl -f localhost")},
			DelaySeconds: ptr(0.5), IntervalSeconds: ptr(1.0), TimeoutSeconds: ptr(1.0), GracePeriodSeconds: ptr(0.0), ConsecutiveFailures: ptr(uint32(3))}
		m.run(task)
		if s := m.update("a", mesos.TASK_RUNNING); s.Healthy != nil {
			t.Error("healthy before the first check")
		}
		health := func(want bool) {
			t.Helper()
			if s := m.update("a", mesos.TASK_RUNNING); s.Healthy == nil || *s.Healthy != want {
				t.Errorf("healthy %v, want %v", s.Healthy, want)
			}
		}
		health(true)
		m.quiet(10 * time.Second)
		healthy.Store(false)
		health(false)
		health(false)
		health(false)
		if s := m.update("a", mesos.TASK_KILLED); s.Healthy == nil || *s.Healthy {
			t.Errorf("%+v", s)
		}
		m.quiet(time.Hour)
	})
}

func TestEngineComesBack(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		m, _ := registered(w)
		m.running(w, id0, "a")
		w.engine.SetDown(errors.New("cannot connect to the docker daemon"))
		m.run(dockerTask(id0, "b"))
		m.send(&wire.KillTask{FrameworkID: "fw-0", TaskID: "a"})
		m.quiet(time.Minute)
		w.engine.SetDown(nil)
		got := map[string]mesos.TaskState{}
		for range 2 {
			u := expect[*wire.StatusUpdate](m).Status.V
			m.ack(u)
			got[u.TaskID.Value] = u.GetState()
		}
		if got["a"] != mesos.TASK_KILLED || got["b"] != mesos.TASK_FAILED {
			t.Errorf("%v", got)
		}
	})
}

func TestNoEngineAtAll(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.engine.SetDown(errors.New("no such file or directory"))
		began := time.Now()
		w.start().wait(1)
		if d := time.Since(began); d < engineWait {
			t.Errorf("gave up after %v", d)
		}
		if !strings.Contains(w.out.text(), "failed to create a containerizer: no such file") {
			t.Error("it did not say why")
		}
	})
}
