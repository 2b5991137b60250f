package agent

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/mini/mesos/wire"
	"github.com/mesoslab/lab/mini/supervise"
)

// said is what an executor or an agent says of a task.
func said(state, source, reason, message string, healthy *bool) string {
	text := strings.Join([]string{state, source, reason, message}, " | ")
	if healthy != nil {
		text += fmt.Sprintf(" | healthy=%v", *healthy)
	}
	return text
}

// recordedReasons reads what executors and agents said in the captured streams
// of a version.
func recordedReasons(t *testing.T, version string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(labtest.Contracts(t), "captures-mesos", version, "streams", "*-v1sched-*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d streams: %v", len(files), err)
	}
	record := regexp.MustCompile(`(?s)^[^\n]*<<< EVENT UPDATE[^\n]*\n(\{.*\})\s*$`)
	all := map[string]bool{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for part := range strings.SplitSeq(string(b), "\n##### ") {
			m := record.FindStringSubmatch(part)
			if m == nil {
				continue
			}
			var e struct {
				Update struct {
					Status struct {
						State, Source, Reason, Message string
						Healthy                        *bool
					}
				}
			}
			if err := json.Unmarshal([]byte(m[1]), &e); err != nil {
				t.Fatalf("%s: %v", f, err)
			}
			if s := e.Update.Status; s.Source != "SOURCE_MASTER" {
				all[said(s.State, s.Source, s.Reason, s.Message, s.Healthy)] = true
			}
		}
	}
	return all
}

// TestReasons: whatever a captured executor or agent of either generation said
// of a task, this agent says in the same words. The two say the same.
func TestReasons(t *testing.T) {
	ours := map[string]bool{}
	inBubble(t, func(t *testing.T, w *world) {
		m, _ := registered(w)
		hear := func(id string, state mesos.TaskState) {
			t.Helper()
			s := m.update(id, state)
			reason := ""
			if s.Reason != nil {
				reason = s.Reason.String()
			}
			ours[said(state.String(), s.GetSource().String(), reason, s.GetMessage(), s.Healthy)] = true
		}
		start := func(task mesos.TaskInfo) string {
			m.run(task)
			hear(task.TaskID.Value, mesos.TASK_RUNNING)
			started := w.launcher.Started()
			return started[len(started)-1]
		}
		for i, end := range []supervise.Result{{}, {Exit: 1}, {Exit: 3}, {Signal: int(syscall.SIGKILL)}} {
			id, state := fmt.Sprintf("ends%d", i), mesos.TASK_FAILED
			if i == 0 {
				state = mesos.TASK_FINISHED
			}
			w.launcher.Exit(start(cmdTask(id)), end)
			hear(id, state)
		}
		w.launcher.Kill(start(cmdTask("orphan")))
		hear("orphan", mesos.TASK_FAILED)
		for id, takes := range map[string]time.Duration{"obeys": time.Second, "traps": time.Hour} {
			w.launcher.OnStop = func(string, time.Duration) (time.Duration, supervise.Result) {
				return takes, supervise.Result{Signal: int(syscall.SIGTERM)}
			}
			start(cmdTask(id))
			m.kill(id)
			hear(id, mesos.TASK_KILLED)
		}
		w.launcher.OnStop = nil
		sick(w, func(task mesos.TaskInfo) { start(task) }, hear)
	})
	for _, version := range []string{"0.26.2", "1.3.2"} {
		real := recordedReasons(t, version)
		if len(real) < 10 {
			t.Fatalf("%s: only %d texts in the captures", version, len(real))
		}
		for _, s := range slices.Sorted(maps.Keys(real)) {
			if !ours[s] {
				t.Errorf("%s, not said here: %s", version, s)
			}
		}
		for _, s := range slices.Sorted(maps.Keys(ours)) {
			if !real[s] {
				t.Logf("%s, not captured: %s", version, s)
			}
		}
	}
}

// sick is a task whose check succeeds once and fails from then on, until it is
// killed for that.
func sick(w *world, start func(mesos.TaskInfo), hear func(string, mesos.TaskState)) {
	var mu sync.Mutex
	checks := 0
	w.launcher.OnStart = func(name string, _ supervise.Order) (supervise.Result, bool) {
		if !strings.Contains(name, ".check.") {
			return supervise.Result{}, false
		}
		mu.Lock()
		defer mu.Unlock()
		checks++
		return supervise.Result{Exit: min(checks-1, 1)}, true
	}
	task := cmdTask("sick")
	task.HealthCheck = &mesos.HealthCheck{Type: mesos.HealthCheck_COMMAND, DelaySeconds: ptr(0.5), IntervalSeconds: ptr(1.0),
		TimeoutSeconds: ptr(1.0), GracePeriodSeconds: ptr(0.0), ConsecutiveFailures: ptr(uint32(2)),
		Command: &mesos.CommandInfo{Value: ptr("test -e up")}}
	start(task)
	for range 3 { // true, false, false
		hear("sick", mesos.TASK_RUNNING)
	}
	hear("sick", mesos.TASK_KILLED)
}

func (m *fakeMaster) kill(id string) {
	m.send(&wire.KillTask{FrameworkID: "fw-0", TaskID: id})
}
