package core_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mesos/mesos-go/api/v1/lib/scheduler"

	"github.com/mesoslab/lab/mini/marathon/task"
	"github.com/mesoslab/lab/mini/marathon/view"
)

const checked = `{"id":"web","cmd":"serve","cpus":0.1,"mem":32,"instances":2,
 "healthChecks":[{"path":"/","gracePeriodSeconds":10,"intervalSeconds":5,"timeoutSeconds":1,"maxConsecutiveFailures":3}]}`

// address is where a task of a view can be probed.
func address(v task.View) string { return v.Host + ":" + itoa(v.Ports[0]) }

func TestFirstProbeComesOneIntervalAfterTheStart(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		l.create(checked)
		l.pass(4900 * time.Millisecond)
		v := l.view("/web")
		if *v.TasksRunning != 2 || *v.TasksHealthy != 0 || v.Tasks[0].HealthCheckResults != nil || len(v.Deployments) != 1 {
			t.Errorf("before the first probe: %+v", v)
		}
		l.pass(200 * time.Millisecond)
		v = l.view("/web")
		if *v.TasksHealthy != 2 || len(v.Deployments) != 0 || !v.Tasks[0].HealthCheckResults[0].Alive {
			t.Errorf("after it: healthy %d, deployments %v", *v.TasksHealthy, v.Deployments)
		}
		if l.log.count("add_health_check_event") != 1 || l.log.count("health_status_changed_event") != 2 {
			t.Errorf("events %v", l.log.kinds())
		}
	})
}

func TestSickTaskIsKilledAtTheFailureAfterTheLast(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		l.create(checked)
		l.pass(6 * time.Second) // one success
		sick := l.view("/web").Tasks[0]
		l.sick.set(address(sick), 500)
		l.pass(15 * time.Second) // three failures
		v := l.view("/web")
		r := v.Tasks[0].HealthCheckResults[0]
		if r.Alive || r.ConsecutiveFailures != 3 || *v.TasksUnhealthy != 1 || r.LastFailureCause == nil || !strings.HasPrefix(*r.LastFailureCause, "500") {
			t.Errorf("after three failures: %+v", r)
		}
		if n := len(l.twin.Calls(scheduler.Call_KILL)); n != 0 {
			t.Fatalf("killed after %d failures", r.ConsecutiveFailures)
		}
		l.pass(5 * time.Second)
		if slices.Contains(l.running("/web"), sick.ID) || len(l.running("/web")) != 2 {
			t.Errorf("after the fourth %v run", l.running("/web"))
		}
		if l.log.count("unhealthy_task_kill_event") != 1 || l.log.count("failed_health_check_event") != 4 {
			t.Errorf("events %v", l.log.kinds())
		}
	})
}

func TestFailuresInTheGracePeriodDoNotCount(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		l.sick.all = 503
		l.create(checked)
		l.pass(10 * time.Second) // started after 0.2 s: grace until 10.2
		if v := l.view("/web"); v.Tasks[0].HealthCheckResults != nil {
			t.Errorf("in the grace period: %+v", v.Tasks[0].HealthCheckResults)
		}
		l.pass(6 * time.Second)
		if v := l.view("/web"); len(v.Tasks[0].HealthCheckResults) != 1 || v.Tasks[0].HealthCheckResults[0].ConsecutiveFailures != 1 {
			t.Errorf("after it: %+v", v.Tasks[0].HealthCheckResults)
		}
	})
}

func TestCommandCheckIsLeftToTheExecutor(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		l.create(`{"id":"c","cmd":"x","cpus":0.1,"mem":32,"healthChecks":[{"protocol":"COMMAND","command":{"value":"true"},"intervalSeconds":7}]}`)
		l.pass(time.Minute)
		info := l.twin.Tasks()[0].Info
		if h := info.HealthCheck; h == nil || h.Command.GetValue() != "true" || h.GetIntervalSeconds() != 7 {
			t.Fatalf("task's health check: %v", info.HealthCheck)
		}
		if l.deploying() != 1 {
			t.Error("deployed before a result came")
		}
		l.twin.Healthy(info.TaskID.Value, true)
		l.pass(0)
		if v := l.view("/c"); *v.TasksHealthy != 1 || l.deploying() != 0 {
			t.Errorf("healthy %d", *v.TasksHealthy)
		}
		l.twin.Healthy(info.TaskID.Value, false)
		l.pass(0)
		if v := l.view("/c"); *v.TasksUnhealthy != 1 {
			t.Errorf("unhealthy %d", *v.TasksUnhealthy)
		}
	})
}

func TestReadinessHoldsADeployment(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		l.sick.all = 503
		l.create(`{"id":"r","cmd":"x","cpus":0.1,"mem":32,"portDefinitions":[{"port":0,"name":"http"}],
		 "readinessChecks":[{"portName":"http","intervalSeconds":5,"timeoutSeconds":1,"preserveLastResponse":true}]}`)
		l.pass(time.Minute)
		ds, _ := view.Deployments(l.Core)
		if len(ds) != 1 || len(ds[0].CurrentActions[0].ReadinessCheckResults) != 1 || ds[0].CurrentActions[0].ReadinessCheckResults[0].LastResponse.Status != 503 {
			t.Fatalf("deployments %+v", ds)
		}
		l.sick.mu.Lock()
		l.sick.all = 200
		l.sick.mu.Unlock()
		l.pass(6 * time.Second)
		if l.deploying() != 0 {
			t.Error("ready, and still deploying")
		}
	})
}

func TestHealthIsForgottenByTheNextLeader(t *testing.T) {
	run(t, func(t *testing.T, l *lab) {
		l.create(checked)
		l.pass(6 * time.Second)
		before := l.running("/web")
		l.stop()
		l.start()
		if v := l.view("/web"); v.Tasks[0].HealthCheckResults != nil || *v.TasksRunning != 2 {
			t.Errorf("right after the change: %+v", v.Tasks)
		}
		l.pass(6 * time.Second)
		if v := l.view("/web"); *v.TasksHealthy != 2 || !slices.Equal(l.running("/web"), before) {
			t.Errorf("healthy %d, tasks %v, before %v", *v.TasksHealthy, l.running("/web"), before)
		}
	})
}
