package stack

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab"
)

// inRunningWorld runs fn where the platform is up and the app's port answers
// as port says.
func inRunningWorld(t *testing.T, port http.Handler, fn func(t *testing.T, w *world)) {
	inWorld(t, lab.Spec{}, func(t *testing.T, w *world) {
		if _, err := w.converge(t.Context(), Options{}); err != nil {
			t.Fatal(err)
		}
		if port != nil {
			w.serve(w.platform.Master().IP.String(), 10000, port)
		}
		w.marathon.launch = time.Second
		fn(t, w)
	})
}

var answers200 = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})

func TestDeploy(t *testing.T) {
	inRunningWorld(t, answers200, func(t *testing.T, w *world) {
		p, c := w.platform, w.clients()
		for _, step := range []struct {
			what string
			app  Definition
			want DeployAction
			sent []string
		}{
			{"first", p.SampleApp(false), DeployCreated, []string{"POST /v2/apps"}},
			{"again", p.SampleApp(false), DeployUnchanged, nil},
			{"the article's check", p.SampleApp(true), DeployUpdated, []string{"PUT /v2/apps/nginx"}},
			{"ours again", p.SampleApp(false), DeployUpdated, []string{"PUT /v2/apps/nginx"}},
			{"more instances", edit(t, p.SampleApp(false), "instances", 3), DeployUpdated, []string{"PUT /v2/apps/nginx"}},
		} {
			start := time.Now()
			app, did, err := p.Deploy(t.Context(), c, step.app, Options{})
			if err != nil || did != step.want || !slices.Equal(w.marathon.requests, step.sent) {
				t.Errorf("%s: %s, %v, sent %q", step.what, did, err, w.marathon.requests)
			}
			if did != DeployUnchanged && time.Since(start) < time.Second {
				t.Errorf("%s: returned before the instances ran", step.what)
			}
			if app.ID != "/nginx" || len(app.Tasks) != app.Instances {
				t.Errorf("%s: app %+v", step.what, app)
			}
			w.marathon.requests = nil
		}
	})
}

// edit changes one value of a definition.
func edit(t *testing.T, d Definition, key string, value any) Definition {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(d.JSON, &m); err != nil {
		t.Fatal(err)
	}
	m[key] = value
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return Definition{ID: d.ID, JSON: data}
}

func TestDeployWaitsForLock(t *testing.T) {
	inRunningWorld(t, answers200, func(t *testing.T, w *world) {
		w.marathon.locked = 3
		waits := 0
		_, did, err := w.platform.Deploy(t.Context(), w.clients(), w.platform.SampleApp(false), Options{Report: func(e lab.Event) {
			if e.Kind == lab.EventWait && strings.Contains(e.Text, "another deployment") {
				waits++
			}
		}})
		if err != nil || did != DeployCreated || waits != 1 || w.marathon.locked != 0 {
			t.Errorf("%s, %v, told %d times of the lock, %d refusals left", did, err, waits, w.marathon.locked)
		}
	})
}

func TestDeployRefused(t *testing.T) {
	inRunningWorld(t, answers200, func(t *testing.T, w *world) {
		w.marathon.refuse = `{"message":"Object is not valid","details":[{"path":"/cpus","errors":["must be positive","x"]}]}`
		_, _, err := w.platform.Deploy(t.Context(), w.clients(), w.platform.SampleApp(false), Options{})
		if lab.ErrorID(err) != "app-refused" || !strings.Contains(err.Error(), "Object is not valid; /cpus: must be positive, x") {
			t.Errorf("error %v", err)
		}
		if len(w.marathon.requests) != 1 {
			t.Errorf("asked %d times", len(w.marathon.requests))
		}
	})
}

// TestDeployOfASpoiltApp: what the load balancer says of the version that was
// deployed ends the wait; what it says of another version or app does not.
func TestDeployOfASpoiltApp(t *testing.T) {
	inRunningWorld(t, answers200, func(t *testing.T, w *world) {
		c := w.clients()
		w.marathon.spoilt = func(version string) string {
			return `[{"app":"/other","version":"` + version + `","problem":"app /other: x"},{"app":"/nginx","version":"2016-07-06T13:18:47.123Z","problem":"app /nginx: old"}]`
		}
		if _, _, err := w.platform.Deploy(t.Context(), c, w.platform.SampleApp(false), Options{}); err != nil {
			t.Fatal(err)
		}
		w.marathon.spoilt = func(version string) string {
			return `[{"app":"/nginx","version":"` + version + `","port_index":0,"problem":"app /nginx: label HAPROXY_0_MODE=\"htp\": no","served_by":"earlier labels"}]`
		}
		_, _, err := w.platform.Deploy(t.Context(), c, w.platform.SampleApp(true), Options{})
		if want := `app /nginx: label HAPROXY_0_MODE="htp": no; it is served by its earlier labels`; lab.ErrorID(err) != "app-spoilt" || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
		if s := Observe(t.Context(), w.platform, nil, c); len(s.LB.Spoilt) != 1 || s.LB.Spoilt[0].App != "/nginx" || s.LB.Error != "" {
			t.Errorf("load balancer %+v", s.LB)
		}
	})
}

// TestDeployOfACommandThatRootMayNotRun fails at once, and says what to do; an
// app that was refused before the key was set is given its time.
func TestDeployOfACommandThatRootMayNotRun(t *testing.T) {
	inRunningWorld(t, answers200, func(t *testing.T, w *world) {
		w.marathon.launch = time.Hour
		w.marathon.failure = "Failed to launch container: root runs this lab: set local: {allow_root_cmd: true} in lab.yaml (local.allow_root_cmd)"
		d := Definition{ID: "/loop", JSON: json.RawMessage(`{"id":"loop","cmd":"sleep 1"}`)}
		deploy := func() error {
			_, _, err := w.platform.Deploy(t.Context(), w.clients(), d, Options{Wait: time.Minute})
			return err
		}
		start := time.Now()
		err := deploy()
		e, ok := errors.AsType[*lab.Error](err)
		if !ok || e.ID != "root-cmd" || e.Machine != "127.168.59.2" || !strings.Contains(e.Advice, "allow_root_cmd: true") || !strings.Contains(err.Error(), "TASK_FAILED: Failed to launch") {
			t.Errorf("%v", err)
		}
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("it took %v to say so", d)
		}
		if err := deploy(); lab.ErrorID(err) != "root-cmd" {
			t.Errorf("the same app again: %v", err)
		}
		w.marathon.mu.Lock()
		w.marathon.failedAt = time.Now()
		w.marathon.mu.Unlock()
		if err := deploy(); lab.ErrorID(err) != "app-timeout" {
			t.Errorf("an old failure: %v", err)
		}
		w.marathon.mu.Lock()
		w.marathon.launch = 0
		w.marathon.mu.Unlock()
		if err := deploy(); err != nil {
			t.Errorf("now it runs: %v", err)
		}
	})
}

func TestDeployTimesOut(t *testing.T) {
	for _, tt := range []struct {
		name   string
		port   http.Handler
		launch time.Duration
		says   string
	}{
		{"no instances", answers200, time.Hour, "0 of 2 instances run"},
		{"nobody listens", nil, time.Second, "refused"},
		{"nobody behind the load balancer", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }), time.Second, "503"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inRunningWorld(t, tt.port, func(t *testing.T, w *world) {
				w.marathon.launch = tt.launch
				_, _, err := w.platform.Deploy(t.Context(), w.clients(), w.platform.SampleApp(false), Options{Wait: time.Minute})
				if lab.ErrorID(err) != "app-timeout" || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("error %v, want app-timeout that says %q", err, tt.says)
				}
			})
		})
	}
}

func TestComplete(t *testing.T) {
	slow := []HealthCheck{{IntervalSeconds: 60}}
	soon := []HealthCheck{{IntervalSeconds: 1}}
	running := []DeploymentRef{{ID: "d"}}
	for _, tt := range []struct {
		name string
		app  App
		ok   bool
	}{
		{"nothing runs", App{Instances: 2}, false},
		{"runs, no checks", App{Instances: 2, TasksRunning: 2}, true},
		{"runs, not yet healthy", App{Instances: 2, TasksRunning: 2, TasksHealthy: 1, HealthChecks: soon}, false},
		{"runs and healthy", App{Instances: 2, TasksRunning: 2, TasksHealthy: 2, HealthChecks: soon}, true},
		{"the article's check comes after 60 s", App{Instances: 2, TasksRunning: 2, HealthChecks: slow, Deployments: running}, true},
		{"an update in progress", App{Instances: 2, TasksRunning: 2, TasksHealthy: 2, HealthChecks: soon, Deployments: running}, false},
		{"one too many", App{Instances: 2, TasksRunning: 3}, false},
		{"none wanted", App{}, true},
	} {
		if err := complete(tt.app); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestSatisfies(t *testing.T) {
	app := `{"id":"/nginx","cmd":null,"instances":2,"cpus":0.2,"labels":{"A":"1"},"ports":[10003],"uris":[],"env":{},
		"container":{"type":"DOCKER","docker":{"image":"nginx:1.10","privileged":false,"portMappings":[{"containerPort":80,"servicePort":10000,"labels":{}}]}},
		"healthChecks":[{"path":"/","protocol":"HTTP","portIndex":0}]}`
	for _, tt := range []struct {
		want string
		ok   bool
	}{
		{`{"id":"nginx"}`, true},
		{`{"id":"nginx","instances":2,"cpus":0.2}`, true},
		{`{"id":"nginx","instances":3}`, false},
		{`{"id":"nginx","labels":{"A":"1"}}`, true},
		{`{"id":"nginx","labels":{}}`, false}, // would take the label away
		{`{"id":"nginx","ports":[0]}`, true},
		{`{"id":"nginx","ports":[10004]}`, false},
		{`{"id":"nginx","container":{"docker":{"image":"nginx:1.10","forcePullImage":false,"portMappings":[{"containerPort":80,"hostPort":0,"servicePort":0}]}}}`, true},
		{`{"id":"nginx","container":{"docker":{"image":"nginx:1.11"}}}`, false},
		{`{"id":"nginx","healthChecks":[]}`, false},
		{`{"id":"nginx","healthChecks":[{"path":"/x"}]}`, false},
		{`{"id":"nginx","healthChecks":[{"protocol":"HTTP"}]}`, true},
		{`{"id":"nginx","healthChecks":[{"path":"/","intervalSeconds":5}]}`, false},
		{`{"id":"nginx","constraints":[],"uris":[],"cmd":""}`, true},
		{`{"id":"nginx","constraints":[["hostname","UNIQUE"]]}`, false},
		{`{"id":"nginx","cmd":"sleep 1"}`, false},
		{`no json`, false},
	} {
		if got := satisfies([]byte(app), Definition{JSON: []byte(tt.want)}); got != tt.ok {
			t.Errorf("%s: %v", tt.want, got)
		}
	}
}

func TestObserve(t *testing.T) {
	inRunningWorld(t, answers200, func(t *testing.T, w *world) {
		if _, _, err := w.platform.Deploy(t.Context(), w.clients(), w.platform.SampleApp(false), Options{}); err != nil {
			t.Fatal(err)
		}
		engines := map[string]Docker{}
		for name, e := range w.engines {
			engines[name] = e
		}
		s := Observe(t.Context(), w.platform, engines, w.clients())
		if !s.Healthy() {
			data, _ := json.MarshalIndent(s, "", " ")
			t.Fatalf("a complete lab is not healthy: %s", data)
		}
		if len(s.Machines) != 3 || len(s.Machines[0].Containers) != 4 || s.Machines[1].Alias != "slave1" || s.ZooKeeper.Version != "3.4.8" || s.ZooKeeper.Nodes != 12 {
			t.Errorf("%+v", s)
		}
		if len(s.Mesos.Slaves) != 2 || s.Mesos.Slaves[1].Node != "node3" || s.Mesos.Since.Unix() != 1467811127 {
			t.Errorf("mesos %+v", s.Mesos)
		}
		task := s.Marathon.Tasks[0]
		if task.Node != "node2" || task.LB != "UP" || task.State != "running" || task.Alive == nil || !*task.Alive || task.Ports[0] != 31001 {
			t.Errorf("task %+v", task)
		}
		if len(s.Marathon.Waiting) != 1 || s.Marathon.Waiting[0].App != "/big" {
			t.Errorf("waiting %+v", s.Marathon.Waiting)
		}
	})
}

func TestObserveToleratesSilence(t *testing.T) {
	inRunningWorld(t, answers200, func(t *testing.T, w *world) {
		w.network.Cut(w.platform.Master().IP.String())
		w.engines["node3"].silent = true
		engines := map[string]Docker{"node1": w.engines["node1"], "node3": w.engines["node3"]} // node2 has no ssh
		start := time.Now()
		s := Observe(t.Context(), w.platform, engines, w.clients())
		if took := time.Since(start); took > observePatience {
			t.Errorf("took %s", took)
		}
		for what, e := range map[string]string{"zookeeper": s.ZooKeeper.Error, "mesos": s.Mesos.Error, "marathon": s.Marathon.Error, "lb": s.LB.Error,
			"node2": s.Machines[1].Error, "node3": s.Machines[2].Error} {
			if e == "" {
				t.Errorf("%s: no error", what)
			}
		}
		if s.Machines[0].Error != "" || s.Healthy() || len(s.Endpoints) != 4 {
			t.Errorf("%+v", s)
		}
		w.network.Mend(w.platform.Master().IP.String())
	})
}

func TestObserveMissing(t *testing.T) {
	inWorld(t, lab.Spec{}, func(t *testing.T, w *world) {
		v := w.platform.observeEngine(context.Background(), 1, w.engines["node2"])
		if len(v.Containers) != 1 || v.Containers[0].State != "missing" || v.Containers[0].Name != "mesos_slave1" {
			t.Errorf("%+v", v)
		}
	})
}
