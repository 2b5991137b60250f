package agent

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/internal/proctab"
	"github.com/mesoslab/lab/mini/mesos/wire"
	"github.com/mesoslab/lab/mini/supervise"
)

// cmdTask is what Marathon makes of an app with a cmd.
func cmdTask(id string) mesos.TaskInfo {
	t := dockerTask(id0, id)
	t.Container = nil
	t.Command.Shell, t.Command.Value = nil, ptr("echo hello") // a shell is the default
	return t
}

// commanded gets a command to where its RUNNING update is acknowledged.
func (m *fakeMaster) commanded(w *world, t mesos.TaskInfo) (name string) {
	m.t.Helper()
	before := len(w.launcher.Started())
	m.run(t)
	m.update(t.TaskID.Value, mesos.TASK_RUNNING)
	synctest.Wait()
	started := w.launcher.Started()
	if len(started) != before+1 {
		m.t.Fatalf("%d commands were started, want %d", len(started), before+1)
	}
	return started[before]
}

func TestCommandGetsWhatTheExecutorGives(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		m, _ := registered(w)
		m.run(cmdTask("loop.1"))
		s := m.update("loop.1", mesos.TASK_RUNNING)
		cs := s.ContainerStatus
		if s.GetSource() != mesos.SOURCE_EXECUTOR || s.Message != nil || len(s.Data) != 0 || cs.GetExecutorPID() == 0 ||
			cs.NetworkInfos[0].IPAddresses[0].GetIPAddress() != agentIP {
			t.Errorf("%+v", s)
		}
		o, _ := w.launcher.OrderOf(w.launcher.Started()[0])
		run := cs.ContainerID.GetValue()
		sandbox, err := filepath.EvalSymlinks(filepath.Join(w.root, "tmp/mesos/slaves", id0, "frameworks/fw-0/executors/loop.1/runs", run))
		if err != nil {
			t.Fatal(err)
		}
		if o.Path != "/bin/sh" || !slices.Equal(o.Argv, []string{"sh", "-c", "echo hello"}) || o.Dir != sandbox ||
			o.Stdout != sandbox+"/stdout" || o.Stderr != sandbox+"/stderr" || o.Grace != 3*time.Second {
			t.Errorf("%+v", o)
		}
		for _, want := range []string{
			"MESOS_SANDBOX=" + sandbox, "MESOS_DIRECTORY=" + sandbox, "LIBPROCESS_IP=" + agentIP, "LIBPROCESS_PORT=0",
			"MESOS_SLAVE_ID=" + id0, "MESOS_FRAMEWORK_ID=fw-0", "MESOS_EXECUTOR_ID=loop.1", "MESOS_SLAVE_PID=slave(1)@10.0.0.2:5051",
			"MESOS_AGENT_ENDPOINT=10.0.0.2:5051", "MESOS_CHECKPOINT=1", "MESOS_RECOVERY_TIMEOUT=15mins",
			"MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD=5secs", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "PORT=31005",
		} {
			if !slices.Contains(o.Environ, want) {
				t.Errorf("%s is missing in %q", want, o.Environ)
			}
		}
		if to, err := os.Readlink(filepath.Join(filepath.Dir(sandbox), "latest")); err != nil || to != run {
			t.Errorf("latest run: %s, %v", to, err)
		}
		_, state := w.get("/state")
		if !strings.Contains(string(state), "Command Executor (Task: loop.1) (Command: sh -c 'echo hello')") {
			t.Errorf("/state says %s", state)
		}
	})
}

func TestHowCommandsEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		m, _ := registered(w)
		for i, c := range []struct {
			result  supervise.Result
			state   mesos.TaskState
			message string
		}{
			{supervise.Result{}, mesos.TASK_FINISHED, "Command exited with status 0"},
			{supervise.Result{Exit: 3}, mesos.TASK_FAILED, "Command exited with status 3"},
			{supervise.Result{Signal: int(syscall.SIGKILL)}, mesos.TASK_FAILED, "Command terminated with signal Killed"},
			{supervise.Result{Signal: int(syscall.SIGSEGV), Core: true}, mesos.TASK_FAILED, "Command terminated with signal Segmentation fault (core dumped)"},
			{supervise.Result{Failed: "no such program"}, mesos.TASK_FAILED, "Command could not be started: no such program"},
		} {
			id := string(rune('a' + i))
			w.launcher.Exit(m.commanded(w, cmdTask(id)), c.result)
			if s := m.update(id, c.state); s.GetMessage() != c.message || s.GetSource() != mesos.SOURCE_EXECUTOR || s.Reason != nil {
				t.Errorf("%+v, want %q", s, c.message)
			}
		}
		w.launcher.Kill(m.commanded(w, cmdTask("killed")))
		s := m.update("killed", mesos.TASK_FAILED)
		if s.GetMessage() != "Executor terminated" || s.GetSource() != mesos.SOURCE_AGENT || s.GetReason() != mesos.REASON_EXECUTOR_TERMINATED {
			t.Errorf("%+v", s)
		}
		m.quiet(time.Hour)
	})
}

func TestCommandWithoutShell(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		m, _ := registered(w)
		for _, c := range []struct{ args, want []string }{
			{nil, []string{"sleep"}},
			{[]string{"sleep", "1 000"}, []string{"sleep", "1 000"}},
		} {
			task := cmdTask("a" + strings.Join(c.args, ""))
			task.Command.Shell, task.Command.Value, task.Command.Arguments = ptr(false), ptr("sleep"), c.args
			task.Command.User = ptr("nobody")
			o, _ := w.launcher.OrderOf(m.commanded(w, task))
			if o.Path != "sleep" || !slices.Equal(o.Argv, c.want) || o.User != "nobody" {
				t.Errorf("%+v", o)
			}
		}
	})
}

func TestKillOfCommands(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		m, _ := registered(w)
		var mu sync.Mutex
		var asked []time.Duration
		takes, ends := 4*time.Second, supervise.Result{Signal: int(syscall.SIGTERM)}
		w.launcher.OnStop = func(_ string, grace time.Duration) (time.Duration, supervise.Result) {
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, grace)
			return takes, ends
		}
		kill := func(id string, policy, own *time.Duration) {
			task := cmdTask(id)
			if policy != nil {
				task.KillPolicy = &mesos.KillPolicy{GracePeriod: &mesos.DurationInfo{Nanoseconds: int64(*policy)}}
			}
			m.commanded(w, task)
			m.send(&wire.KillTask{FrameworkID: "fw-0", TaskID: id, GracePeriod: own})
			m.send(&wire.KillTask{FrameworkID: "fw-0", TaskID: id, GracePeriod: own}) // twice is once
		}
		for _, c := range []struct {
			id          string
			policy, own *time.Duration
			message     string
		}{
			{"a", nil, nil, "Command terminated with signal Killed"},
			{"b", ptr(5 * time.Second), nil, "Command terminated with signal Terminated"},
			{"c", ptr(5 * time.Second), ptr(time.Second), "Command terminated with signal Killed"},
		} {
			kill(c.id, c.policy, c.own)
			if s := m.update(c.id, mesos.TASK_KILLED); s.GetMessage() != c.message || s.Healthy != nil {
				t.Errorf("%+v, want %q", s, c.message)
			}
		}
		// One that ends by itself, and well, has finished: so says the real one.
		mu.Lock()
		ends = supervise.Result{}
		mu.Unlock()
		kill("d", ptr(5*time.Second), nil)
		m.update("d", mesos.TASK_FINISHED)
		// A second kill can only hasten.
		kill("e", ptr(time.Hour), nil)
		m.quiet(time.Second)
		m.send(&wire.KillTask{FrameworkID: "fw-0", TaskID: "e", GracePeriod: ptr(2 * time.Hour)})
		m.send(&wire.KillTask{FrameworkID: "fw-0", TaskID: "e", GracePeriod: ptr(time.Duration(0))})
		if s := m.update("e", mesos.TASK_KILLED); s.GetMessage() != "Command terminated with signal Killed" {
			t.Errorf("%+v", s)
		}
		mu.Lock()
		defer mu.Unlock()
		if want := []time.Duration{3e9, 5e9, 1e9, 5e9, time.Hour, 0}; !slices.Equal(asked, want) {
			t.Errorf("stopped with grace %v, want %v", asked, want)
		}
	})
}

func TestHealthCheckOfCommands(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		m, _ := registered(w)
		var mu sync.Mutex
		answer, hangs := supervise.Result{}, false
		var check supervise.Order
		w.launcher.OnStart = func(name string, o supervise.Order) (supervise.Result, bool) {
			if !strings.Contains(name, ".check.") {
				return supervise.Result{}, false
			}
			mu.Lock()
			defer mu.Unlock()
			check = o
			return answer, !hangs
		}
		task := cmdTask("a")
		task.HealthCheck = &mesos.HealthCheck{Type: mesos.HealthCheck_COMMAND, DelaySeconds: ptr(0.5), IntervalSeconds: ptr(1.0),
			TimeoutSeconds: ptr(1.0), GracePeriodSeconds: ptr(0.0), ConsecutiveFailures: ptr(uint32(3)),
			Command: &mesos.CommandInfo{Value: ptr("test -e up"), Environment: &mesos.Environment{Variables: []mesos.Environment_Variable{{Name: "PORT", Value: ptr("1")}}}}}
		name := m.commanded(w, task)
		set := func(r supervise.Result, hang bool) {
			mu.Lock()
			defer mu.Unlock()
			answer, hangs = r, hang
		}
		health := func(want bool) {
			t.Helper()
			if s := m.update("a", mesos.TASK_RUNNING); s.Healthy == nil || *s.Healthy != want {
				t.Errorf("healthy %v, want %v", s.Healthy, want)
			}
		}
		health(true)
		m.quiet(10 * time.Second)
		own, _ := w.launcher.OrderOf(name)
		mu.Lock()
		if check.Dir != own.Dir || check.Stdout != own.Stderr || check.Stderr != own.Stderr || !slices.Equal(check.Argv, []string{"sh", "-c", "test -e up"}) ||
			!slices.Contains(check.Environ, "MESOS_SANDBOX="+own.Dir) || !slices.Contains(check.Environ, "PORT=1") || slices.Contains(check.Environ, "PORT=31005") {
			t.Errorf("check %+v", check)
		}
		mu.Unlock()
		set(supervise.Result{Exit: 1}, false)
		health(false)
		set(supervise.Result{}, true) // one that does not end in time has failed, and is ended
		health(false)
		health(false)
		if s := m.update("a", mesos.TASK_KILLED); s.Healthy == nil || *s.Healthy || s.GetMessage() != "Command terminated with signal Terminated" {
			t.Errorf("%+v", s)
		}
		m.quiet(time.Hour)
		if r := w.launcher.Running(); len(r) != 0 {
			t.Errorf("left running: %v", r)
		}
	})
}

// TestCommandsOutliveTheAgent: what ends while no agent runs is told by the
// next one, how it ended included.
func TestCommandsOutliveTheAgent(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		m, p := registered(w)
		names := map[string]string{}
		for _, id := range []string{"stays", "ends", "crashes", "orphaned"} {
			names[id] = m.commanded(w, cmdTask(id))
		}
		p.end()
		if n := len(w.launcher.Running()); n != 4 {
			t.Fatalf("%d commands run without an agent", n)
		}
		w.launcher.Exit(names["ends"], supervise.Result{})
		w.launcher.Exit(names["crashes"], supervise.Result{Exit: 3})
		w.launcher.Kill(names["orphaned"])
		w.start()
		if r := expect[*wire.Reregister](m); len(r.Tasks) != 4 || r.Agent.V.GetID().GetValue() != id0 {
			t.Errorf("%+v", r)
		}
		got := map[string]string{}
		for range 3 {
			s := expect[*wire.StatusUpdate](m).Status.V
			m.ack(s)
			got[s.TaskID.Value] = s.GetState().String() + " " + s.GetMessage()
		}
		for id, want := range map[string]string{"ends": "TASK_FINISHED Command exited with status 0",
			"crashes": "TASK_FAILED Command exited with status 3", "orphaned": "TASK_FAILED Executor terminated"} {
			if got[id] != want {
				t.Errorf("%s: %s, want %s", id, got[id], want)
			}
		}
		m.quiet(time.Hour)
		m.send(&wire.KillTask{FrameworkID: "fw-0", TaskID: "stays"})
		m.update("stays", mesos.TASK_KILLED)
		if n := len(w.launcher.Started()); n != 4 {
			t.Errorf("%d starts", n)
		}
	})
}

// TestAnOrderIsCarriedOutOnceOrNever: the agent dies after it has asked for a
// supervisor, and that comes late.
func TestAnOrderIsCarriedOutOnceOrNever(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		m, p := registered(w)
		name := m.commanded(w, cmdTask("a"))
		o, _ := w.launcher.OrderOf(name)
		p.end()
		w.launcher.Kill(name)
		if err := os.Remove(o.Claim); err != nil { // as if it had not come so far
			t.Fatal(err)
		}
		w.start()
		expect[*wire.Reregister](m)
		m.update("a", mesos.TASK_LOST)
		before := len(w.launcher.Started())
		order := filepath.Join(filepath.Dir(o.Claim), "order")
		if _, err := os.Stat(order); err == nil { // else it is gone with its task
			if _, err := w.launcher.Start(t.Context(), name, order); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
		}
		if n := len(w.launcher.Started()); n != before || len(w.launcher.Running()) != 0 {
			t.Errorf("it was carried out: %d starts, running %v", n, w.launcher.Running())
		}
	})
}

func TestCommandsThatCannotBeStarted(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		m, _ := registered(w)
		w.launcher.SetDown(errors.New("root runs this lab"))
		m.run(cmdTask("a"))
		s := m.update("a", mesos.TASK_FAILED)
		if s.GetReason() != mesos.REASON_CONTAINER_LAUNCH_FAILED || s.GetMessage() != "Failed to launch container: root runs this lab" {
			t.Errorf("%+v", s)
		}
		w.launcher.SetDown(nil)
		m.quiet(time.Hour)
		if n := len(w.launcher.Started()); n != 0 {
			t.Errorf("%d starts", n)
		}
	})
}

// TestCommandsEndWithTheirAgentsID: told to shut down, or under a new id,
// nothing of the old one lives on.
func TestCommandsEndWithTheirAgentsID(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, w *world, m *fakeMaster, p *agentRun){
		"shutdown": func(_ *testing.T, _ *world, m *fakeMaster, p *agentRun) {
			m.send(&wire.Shutdown{Message: "Slave attempted to re-register after removal"})
			p.wait(0)
		},
		"other resources": func(t *testing.T, w *world, m *fakeMaster, p *agentRun) {
			p.end()
			w.start("--resources=cpus:1;mem:512")
			expect[*wire.Register](m)
		},
		"cleanup": func(_ *testing.T, w *world, _ *fakeMaster, p *agentRun) {
			p.end()
			w.start("--recover=cleanup").wait(0)
		},
		"unreadable": func(t *testing.T, w *world, m *fakeMaster, p *agentRun) {
			p.end()
			if err := os.WriteFile(filepath.Join(w.root, "tmp/mesos/meta/slaves", id0, "slave.info"), []byte("{"), 0o600); err != nil {
				t.Fatal(err)
			}
			w.start("--no-strict")
			expect[*wire.Register](m)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				m, p := registered(w)
				m.commanded(w, cmdTask("a"))
				change(t, w, m, p)
				synctest.Wait()
				if r := w.launcher.Running(); len(r) != 0 {
					t.Errorf("left running: %v", r)
				}
			})
		})
	}
}

func TestFrameworkShutdownEndsCommands(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		m, _ := registered(w)
		m.commanded(w, cmdTask("a"))
		m.send(&wire.ShutdownFramework{FrameworkID: "fw-0"})
		m.quiet(time.Minute)
		if r := w.launcher.Running(); len(r) != 0 {
			t.Errorf("left running: %v", r)
		}
	})
}

func TestNoEngineIsNeededForCommands(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.engine.SetDown(errors.New("no such file or directory"))
		w.flags = []string{"--containerizers=mesos"}
		m, _ := registered(w)
		w.launcher.Exit(m.commanded(w, cmdTask("a")), supervise.Result{})
		m.update("a", mesos.TASK_FINISHED)
		m.run(dockerTask(id0, "b"))
		if s := m.update("b", mesos.TASK_FAILED); !strings.Contains(s.GetMessage(), "docker containerizer") {
			t.Errorf("%q", s.GetMessage())
		}
	})
}

func TestRefusedCommands(t *testing.T) {
	for want, c := range map[string]struct {
		world func(*world)
		task  func(*mesos.TaskInfo)
	}{
		"neither a docker container nor a command": {task: func(t *mesos.TaskInfo) { t.Command = nil }},
		"has no value": {task: func(t *mesos.TaskInfo) { t.Command.Value = nil }},
		"missing path": {task: func(t *mesos.TaskInfo) { t.Command.URIs = []mesos.CommandInfo_URI{{Value: "http://x"}} }},
		"no images, no volumes": {task: func(t *mesos.TaskInfo) {
			t.Container = &mesos.ContainerInfo{Type: mesos.ContainerInfo_MESOS.Enum(), Volumes: []mesos.Volume{{ContainerPath: "x", Mode: mesos.RO.Enum()}}}
		}},
		"only COMMAND":            {task: func(t *mesos.TaskInfo) { t.HealthCheck = &mesos.HealthCheck{Type: mesos.HealthCheck_TCP} }},
		"the mesos containerizer": {world: func(w *world) { w.flags = []string{"--containerizers=docker"} }},
		"no way to start":         {world: func(w *world) { w.launcher = nil }},
	} {
		inBubble(t, func(t *testing.T, w *world) {
			launcher := w.launcher
			if c.world != nil {
				c.world(w)
			}
			m, _ := registered(w)
			task := cmdTask("refused")
			if c.task != nil {
				c.task(&task)
			}
			m.run(task)
			s := m.update("refused", mesos.TASK_FAILED)
			if !strings.Contains(s.GetMessage(), want) || s.GetReason() != mesos.REASON_CONTAINER_LAUNCH_FAILED {
				t.Errorf("%q, want something with %q", s.GetMessage(), want)
			}
			if n := launcher.Started(); len(n) != 0 {
				t.Errorf("started %v", n)
			}
		})
	}
}

// TestRootNeedsLeave: the key of lab.yaml is named where it is missing.
func TestRootNeedsLeave(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.environ = nil
		m, _ := registered(w)
		m.run(cmdTask("a"))
		if os.Geteuid() != 0 {
			m.update("a", mesos.TASK_RUNNING)
			return
		}
		s := m.update("a", mesos.TASK_FAILED)
		if !strings.Contains(s.GetMessage(), "local.allow_root_cmd") || len(w.launcher.Started()) != 0 {
			t.Errorf("%q, started %v", s.GetMessage(), w.launcher.Started())
		}
	})
}

// TestCheckLeftByAKilledAgent is ended by the next one.
func TestCheckLeftByAKilledAgent(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		m, p := registered(w)
		name := m.commanded(w, cmdTask("a"))
		own, _ := w.launcher.OrderOf(name)
		p.end()
		dir := filepath.Dir(own.Claim)
		check := own
		check.Claim, check.Result = filepath.Join(dir, "check-pid"), filepath.Join(dir, "check-exit")
		if err := check.Write(filepath.Join(dir, "check-order")); err != nil {
			t.Fatal(err)
		}
		id, err := w.launcher.Start(t.Context(), "check", filepath.Join(dir, "check-order"))
		if err != nil || id == (proctab.ID{}) {
			t.Fatal(id, err)
		}
		w.start()
		expect[*wire.Reregister](m)
		synctest.Wait()
		if r := w.launcher.Running(); !slices.Equal(r, []string{name}) {
			t.Errorf("running: %v, want %s alone", r, name)
		}
	})
}

// Only --isolation=cgroups/mem makes mem a limit, as in the real one.
func TestMemoryLimitOfCommands(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		m, _ := registered(w, "--isolation=cgroups/cpu,cgroups/mem")
		name := m.commanded(w, cmdTask("a"))
		if o, _ := w.launcher.OrderOf(name); o.MemoryLimit != 96<<20 {
			t.Errorf("%+v", o)
		}
		w.launcher.Exit(name, supervise.Result{Signal: int(syscall.SIGKILL), Memory: 101 << 20})
		s := m.update("a", mesos.TASK_FAILED)
		if s.GetReason() != mesos.REASON_CONTAINER_LIMITATION_MEMORY || s.GetSource() != mesos.SOURCE_AGENT ||
			s.GetMessage() != "Memory limit exceeded: Requested: 96MB Maximum Used: 101MB" {
			t.Errorf("%+v", s)
		}
	})
	inBubble(t, func(t *testing.T, w *world) {
		m, _ := registered(w)
		if o, _ := w.launcher.OrderOf(m.commanded(w, cmdTask("a"))); o.MemoryLimit != 0 {
			t.Errorf("%+v", o)
		}
	})
}
