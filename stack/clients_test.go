package stack

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
)

// serveFiles answers each path with a file's content.
func serveBodies(t *testing.T, bodies map[string]string) (*httptest.Server, *http.Client) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, ok := bodies[r.URL.RequestURI()]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return s, s.Client()
}

// capture reads what a real Mesos answered. Answers that were the same under
// several paths are stored under one of them.
func capture(t *testing.T, version, situation string, endpoints ...string) string {
	t.Helper()
	dir := filepath.Join(labtest.Contracts(t), "captures-mesos", version, situation)
	for _, e := range endpoints {
		data, err := os.ReadFile(filepath.Join(dir, version+"-"+situation+"-"+e+".json"))
		if err == nil {
			return string(data)
		}
	}
	t.Fatalf("no capture of %q in %s", endpoints, dir)
	return ""
}

func TestMesosReadsRealAnswers(t *testing.T) {
	for _, version := range []string{"0.26.2", "1.3.2"} {
		t.Run(version, func(t *testing.T) {
			read := func(situation string) MesosState {
				s, h := serveBodies(t, map[string]string{
					"/state":  capture(t, version, situation, "master-master_state", "master-state", "leader-master_state"),
					"/slaves": capture(t, version, situation, "master-master_slaves", "master-slaves", "leader-master_slaves", "leader-slaves"),
				})
				m := &Mesos{Base: s.URL, HTTP: h}
				state, err := m.State(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				slaves, err := m.Slaves(t.Context())
				if err != nil || len(slaves) != len(state.Slaves) {
					t.Errorf("%s: %d slaves, %v; the state has %d", situation, len(slaves), err, len(state.Slaves))
				}
				return state
			}
			idle := read("agents-idle")
			if idle.ActivatedSlaves != 2 || len(idle.Slaves) != 2 || !strings.HasPrefix(idle.Version, version[:3]) || idle.StartTime == 0 {
				t.Errorf("idle: %+v", idle)
			}
			for _, s := range idle.Slaves {
				if net.ParseIP(s.IP()) == nil || s.Resources.CPUs == 0 || s.Resources.Ports == "" || !s.Active || epoch(s.RegisteredTime).Year() < 2020 {
					t.Errorf("slave %+v, ip %q", s, s.IP())
				}
			}
			running := read("task-running")
			tasks := 0
			for _, f := range running.Frameworks {
				for _, task := range f.Tasks {
					tasks++
					if task.State != "TASK_RUNNING" || task.SlaveID == "" || len(task.Statuses) == 0 || task.Statuses[0].Timestamp == 0 {
						t.Errorf("task %+v", task)
					}
				}
			}
			if tasks == 0 {
				t.Error("no task seen")
			}
			dead := read("loss-fast-agent1-dead-before-timeout")
			if dead.ActivatedSlaves >= float64(len(dead.Slaves)) {
				t.Errorf("a dead slave is still listed and not activated: %g of %d", dead.ActivatedSlaves, len(dead.Slaves))
			}
			zk := read("zk")
			if !zk.Leads() || zk.ElectedTime == 0 {
				t.Errorf("leader %q, pid %q, elected %g", zk.Leader, zk.PID, zk.ElectedTime)
			}
		})
	}
}

func TestMesosMetrics(t *testing.T) {
	s, h := serveBodies(t, map[string]string{"/metrics/snapshot": capture(t, "0.26.2", "agents-idle", "master-metrics_snapshot")})
	got, err := (&Mesos{Base: s.URL, HTTP: h}).Metrics(t.Context())
	if err != nil || got["master/slaves_active"] != 2 {
		t.Errorf("%v, %v", got["master/slaves_active"], err)
	}
}

func TestMesosLeader(t *testing.T) {
	s, h := serveBodies(t, map[string]string{"/state": `{"pid":"master@10.0.0.1:5050"}`})
	if _, err := (&Mesos{Base: s.URL, HTTP: h}).Leader(t.Context()); !errors.Is(err, errNoLeader) {
		t.Errorf("no leader: %v", err)
	}
	if (MesosState{PID: "a", Leader: "b"}).Leads() || (MesosState{}).Leads() {
		t.Error("a master that is not elected leads")
	}
}

// TestMesosRedirectsToItself: a master that has been killed and started again
// is not the leader yet, and sends people to the one that ZooKeeper names: to
// its own address.
func TestMesosRedirectsToItself(t *testing.T) {
	asked := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		w.Header().Set("Location", "//"+r.Host+"/master/state")
		w.WriteHeader(http.StatusTemporaryRedirect)
	}))
	t.Cleanup(s.Close)
	at := netip.MustParseAddrPort(s.Listener.Addr().String())
	clients := Platform{Nodes: []lab.Node{{Name: "node1", Role: lab.RoleMaster, IP: at.Addr()}}, Spec: lab.Spec{Ports: lab.PortsSpec{Mesos: int(at.Port())}}}.Clients(nil)
	_, err := clients.Mesos.State(t.Context())
	if err == nil || !strings.Contains(err.Error(), "earlier master") {
		t.Errorf("error %v, want what ZooKeeper still believes", err)
	}
	if asked != 2 {
		t.Errorf("asked %d times, want twice: the second answer closes the circle", asked)
	}
}

func TestFrameworkByName(t *testing.T) {
	s := MesosState{Frameworks: []Framework{{ID: "old", Name: "marathon"}, {ID: "new", Name: "marathon", Active: true}, {ID: "x", Name: "other", Active: true}}}
	if f, ok := s.Framework("marathon"); !ok || f.ID != "new" {
		t.Errorf("%+v", f)
	}
	if _, ok := s.Framework("chronos"); ok {
		t.Error("found what is not there")
	}
}

func TestMarathonReadsExamples(t *testing.T) {
	for _, version := range []string{"1.1.1", "1.9.109"} {
		t.Run(version, func(t *testing.T) {
			dir := filepath.Join(labtest.Contracts(t), "marathon", "rest-api-v"+version, "v2", "examples")
			bodies := map[string]string{}
			for path, file := range map[string]string{
				"/v2/apps?embed=apps.tasks&embed=apps.lastTaskFailure": "app_list.json", "/v2/apps/x/tasks": "app_tasks.json",
				"/v2/queue": "queue.json", "/v2/deployments": "deployments.json", "/v2/info": "info.json",
			} {
				data, err := os.ReadFile(filepath.Join(dir, file))
				if err != nil {
					t.Fatal(err)
				}
				bodies[path] = string(data)
			}
			s, h := serveBodies(t, bodies)
			m := &Marathon{Base: s.URL, HTTP: h}
			apps, err := m.Apps(t.Context())
			if err != nil || len(apps) == 0 || apps[0].ID != "/myapp" || apps[0].Instances != 3 || !satisfies(apps[0].Raw, Definition{JSON: apps[0].Raw}) {
				t.Errorf("apps %+v, %v", apps, err)
			}
			tasks, err := m.Tasks(t.Context(), "x")
			if err != nil || len(tasks) == 0 || tasks[0].Running() != (tasks[0].State != "TASK_STAGING") || tasks[0].Ports[0] == 0 || tasks[0].StagedAt.Year() != 2015 {
				t.Errorf("tasks %+v, %v", tasks, err)
			}
			queue, err := m.Queue(t.Context())
			if err != nil || len(queue) == 0 || queue[0].App.ID == "" {
				t.Errorf("queue %+v, %v", queue, err)
			}
			deployments, err := m.Deployments(t.Context())
			if err != nil || len(deployments) == 0 || deployments[0].AffectedApps[0] != "/foo" || deployments[0].CurrentStep == 0 {
				t.Errorf("deployments %+v, %v", deployments, err)
			}
			info, err := m.Info(t.Context())
			if err != nil || info.FrameworkID == "" || info.Leader == "" {
				t.Errorf("info %+v, %v", info, err)
			}
		})
	}
}

func TestEventsReadExamples(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(labtest.Contracts(t), "marathon", "rest-api-v1.1.1", "v2", "examples", "events.txt"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]Event{}
	for e, err := range (&EventStream{body: io.NopCloser(bytes.NewReader(data))}).All() {
		if err != nil {
			if !errors.Is(err, ErrStreamEnded) {
				t.Error(err)
			}
			break
		}
		seen[e.Type] = e
	}
	if e := seen["status_update_event"]; e.AppID == "" || e.TaskID == "" || e.TaskStatus == "" {
		t.Errorf("status update %+v", e)
	}
	if len(seen) != 2 {
		t.Errorf("%d kinds of events", len(seen))
	}
}

func TestMarathonCalls(t *testing.T) {
	var got []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = append(got, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(body)))
		io.WriteString(w, `{"deploymentId":"d"}`)
	}))
	defer s.Close()
	m := &Marathon{Base: s.URL, HTTP: s.Client()}
	ctx := t.Context()
	m.Scale(ctx, "nginx", 4, true)
	m.Delete(ctx, "/a/b")
	m.Restart(ctx, "/nginx")
	m.KillTask(ctx, "/nginx", "nginx.1 2", true)
	m.Update(ctx, Definition{ID: "/nginx", JSON: []byte(`{"id":"nginx"}`)}, false)
	m.CancelDeployment(ctx, "d-1", false)
	want := []string{
		`PUT /v2/apps/nginx?force=true {"instances":4}`, "DELETE /v2/apps/a/b", "POST /v2/apps/nginx/restart",
		"DELETE /v2/apps/nginx/tasks/nginx.1%202?scale=true", `PUT /v2/apps/nginx {"id":"nginx"}`, "DELETE /v2/deployments/d-1",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("sent\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestMarathonRefusals(t *testing.T) {
	for _, tt := range []struct {
		status   int
		body     string
		id, says string
		notFound bool
	}{
		{409, `{"message":"An app with id [/x] already exists."}`, "app-refused", "already exists", false},
		{409, `{"message":"App is locked by one or more deployments.","deployments":[]}`, "app-locked", "locked", false},
		{422, `{"message":"Object is not valid","details":[{"path":"/id","errors":["bad"]}]}`, "app-refused", "/id: bad", false},
		{400, `{"message":"Invalid JSON","details":"Unexpected end"}`, "app-refused", "Invalid JSON: Unexpected end", false},
		{400, `{"message":"Invalid JSON","details":[{"path":"/id","errors":["error.expected.jsstring"]}]}`, "app-refused", "error.expected.jsstring", false},
		{404, `{"message":"App '/x' does not exist"}`, "", "does not exist", true},
		{404, `<html>`, "", "404", false},
		{503, `{"message":"no leader"}`, "", "503", false},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(tt.status); io.WriteString(w, tt.body) }))
		_, err := (&Marathon{Base: s.URL, HTTP: s.Client()}).Scale(t.Context(), "x", 1, false)
		if err == nil || lab.ErrorID(err) != tt.id || !strings.Contains(err.Error(), tt.says) || errors.Is(err, lab.ErrNotFound) != tt.notFound {
			t.Errorf("%d %s: %v (%s)", tt.status, tt.body, err, lab.ErrorID(err))
		}
		s.Close()
	}
}

// TestEvents reads a stream as Jetty writes it: CRLF, bare keep-alives, each
// event at once and not with the next one.
func TestEvents(t *testing.T) {
	frames := make(chan string)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept") != "text/event-stream" {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		http.NewResponseController(w).Flush()
		for f := range frames {
			io.WriteString(w, f)
			http.NewResponseController(w).Flush()
		}
	}))
	defer s.Close()
	stream, err := (&Marathon{Base: s.URL, HTTP: s.Client()}).Subscribe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	events := make(chan Event)
	ended := make(chan error, 1)
	go func() {
		for e, err := range stream.All() {
			if err != nil {
				ended <- err
				return
			}
			events <- e
		}
	}()
	frames <- "event: status_update_event\r\ndata: {\"eventType\":\"status_update_event\",\"taskStatus\":\"TASK_LOST\",\"taskId\":\"nginx.1\",\"ports\":[31001],\"timestamp\":\"2016-07-06T13:18:47.123Z\"}\r\n\r\n"
	e := <-events
	if e.Type != "status_update_event" || e.TaskStatus != "TASK_LOST" || e.TaskID != "nginx.1" || e.Ports[0] != 31001 || e.Timestamp.Year() != 2016 || e.Received.IsZero() || len(e.Raw) == 0 {
		t.Errorf("event %+v", e)
	}
	frames <- "\r\n"
	frames <- "\r\n"
	big := strings.Repeat("x", 1<<20)
	frames <- "event: deployment_info\r\ndata: {\"plan\":{\"id\":\"p\",\"original\":\"" + big + "\"},\"ports\":\"odd\"}\r\n\r\n"
	if e = <-events; e.Type != "deployment_info" || e.Plan == nil || e.Plan.ID != "p" || len(e.Raw) < 1<<20 {
		t.Errorf("large event: type %q, %d bytes", e.Type, len(e.Raw))
	}
	frames <- "event: health_status_changed_event\ndata: {\"eventType\":\"health_status_changed_event\",\"alive\":false}\n\n"
	if e = <-events; e.Alive == nil || *e.Alive {
		t.Errorf("health event %+v", e)
	}
	close(frames)
	if err := <-ended; !errors.Is(err, ErrStreamEnded) {
		t.Errorf("the end: %v", err)
	}
}

func TestEventsRefused(t *testing.T) {
	s, h := serveBodies(t, nil)
	if _, err := (&Marathon{Base: s.URL, HTTP: h}).Subscribe(t.Context()); err == nil {
		t.Error("404 was taken for a stream")
	}
}

func TestEventsEndWithContext(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	stream, err := (&Marathon{Base: s.URL, HTTP: s.Client()}).Subscribe(ctx)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	for _, err := range stream.All() {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the end: %v", err)
		}
	}
}

func TestParseStats(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(labtest.Contracts(t), "marathon-lb", "haproxy_stats.csv"))
	if err != nil {
		t.Fatal(err)
	}
	s, h := serveBodies(t, map[string]string{"/haproxy?stats;csv": string(data), "/_haproxy_health_check": "", "/_haproxy_getconfig": "global\n"})
	lb := &LoadBalancer{Base: s.URL, HTTP: h}
	stats, err := lb.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	first := stats[0]
	if first.Proxy != "http-in" || first.Server != "FRONTEND" || first.IsServer() || first.Current != 1 || first.Total != 1956342 || first.Status != "OPEN" || first.Responses2xx != 1487508 {
		t.Errorf("first line %+v", first)
	}
	maint := 0
	for _, st := range stats {
		if st.Status == "MAINT" && st.IsServer() {
			maint++
		}
	}
	if maint == 0 {
		t.Error("no server in maintenance found")
	}
	if err := lb.Healthy(t.Context()); err != nil {
		t.Error(err)
	}
	if cfg, err := lb.Config(t.Context()); err != nil || string(cfg) != "global\n" {
		t.Errorf("%q, %v", cfg, err)
	}
}

func TestZooKeeperWords(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		network := labtest.NewNetwork()
		l, err := network.Host("10.0.0.1").Listen(t.Context(), "tcp", ":2181")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		answers := map[string]string{"ruok": "imok", "srvr": "Zookeeper version: 3.4.8--1, built on x\nMode: standalone\nNode count: 7\n"}
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				word := make([]byte, 4)
				io.ReadFull(c, word)
				io.WriteString(c, answers[string(word)])
				c.Close()
			}
		}()
		z := &ZooKeeper{Addr: "10.0.0.1:2181", Dial: network.Host("10.0.0.2").Dial}
		if err := z.OK(t.Context()); err != nil {
			t.Error(err)
		}
		if s, err := z.Server(t.Context()); err != nil || s.Version != "3.4.8" || s.Nodes != 7 {
			t.Errorf("%+v, %v", s, err)
		}
		answers["ruok"] = ""
		if err := z.OK(t.Context()); err == nil {
			t.Error("an empty answer is OK")
		}
		network.Cut("10.0.0.1")
		start := time.Now()
		if err := z.OK(t.Context()); err == nil || time.Since(start) != callTimeout {
			t.Errorf("a silent server: %v after %s", err, time.Since(start))
		}
		network.Mend("10.0.0.1")
	})
}

// TestSpoilt: what is no list says nothing, as a real Marathon-LB's HAProxy, which
// answers 503 to what it has no server for.
func TestSpoilt(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		want   int
		fails  bool
	}{
		{200, `[{"app":"/x","problem":"label"}]`, 1, false}, {200, `[]`, 0, false},
		{404, "", 0, false}, {503, "<html>", 0, false}, {200, "<html>", 0, true},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.status)
			io.WriteString(w, c.body)
		}))
		got, err := (&LoadBalancer{Base: server.URL, HTTP: server.Client()}).Spoilt(t.Context())
		if len(got) != c.want || (err != nil) != c.fails {
			t.Errorf("%d %s: %v, %v", c.status, c.body, got, err)
		}
		server.Close()
	}
}
