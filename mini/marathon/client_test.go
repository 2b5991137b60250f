package marathon

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	client "github.com/gambol99/go-marathon"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/mini"
	"github.com/mesoslab/lab/mini/marathon/scheduler"
)

// onLoopback runs a Marathon over real sockets, with its state in memory and
// a Mesos twin, and returns its URL.
func onLoopback(t *testing.T) (string, *scheduler.TwinServer) {
	return listening(t, "127.0.0.1:0", nil)
}

// listening is onLoopback on an address of one's own. Connections to host
// ports of tasks go to tasksAt, if that is not nil.
func listening(t *testing.T, address string, tasksAt func() string) (string, *scheduler.TwinServer) {
	t.Helper()
	ln, err := net.Listen("tcp", address)
	if err != nil {
		labtest.Missing(t, "the address "+address+" is not free: "+err.Error())
	}
	twin := scheduler.NewTwin()
	for _, id := range []string{"S0", "S1"} {
		twin.AddAgent(id, "127.0.0.1", 8, 8192, nil)
	}
	mesos := &scheduler.TwinServer{Twin: twin}
	mesosAt, stopMesos := serve(t, mesos)
	ctx, cancel := context.WithCancel(t.Context())
	out := &lockedBuffer{}
	var d net.Dialer
	env := mini.Env{Args: []string{"--master", mesosAt, "--internal_store_backend=mem", "--event_subscriber", "http_callback"},
		Hostname: "127.0.0.1", Stdout: out, Stderr: out,
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			_, port, _ := net.SplitHostPort(address)
			if n, _ := strconv.Atoi(port); tasksAt != nil && 31000 <= n && n <= 31099 {
				address = tasksAt()
			}
			return d.DialContext(ctx, network, address)
		},
		Listen: func(context.Context, string, string) (net.Listener, error) { return ln, nil }}
	done := make(chan int, 1)
	go func() { done <- Run(ctx, env) }()
	t.Cleanup(func() {
		cancel()
		<-done
		stopMesos()
		if t.Failed() {
			t.Log(out.String())
		}
	})
	return "http://" + ln.Addr().String(), mesos
}

func serve(t *testing.T, h http.Handler) (string, func()) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(ln)
	}()
	return ln.Addr().String(), func() { srv.Close(); <-done }
}

// eventually waits for a condition on real sockets.
func eventually(t *testing.T, what string, fn func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for !fn() {
		select {
		case <-deadline:
			t.Fatalf("%s never came", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// must fails the test on an error.
func must[T any](t *testing.T, what string) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		return v
	}
}

// TestForeignClient drives a Marathon with go-marathon, from the first app to
// the last event.
func TestForeignClient(t *testing.T) {
	url, mesos := onLoopback(t)
	cfg := client.NewDefaultConfig()
	cfg.URL, cfg.EventsTransport = url, client.EventsTransportSSE
	c := must[client.Marathon](t, "client")(client.NewClient(cfg))
	eventually(t, "ping", func() bool { ok, _ := c.Ping(); return ok })
	events := must[client.EventsChannel](t, "events")(c.AddEventsListener(client.EventIDApplications | client.EventIDDeploymentSuccess | client.EventIDAPIRequest))

	a := client.NewDockerApplication().Name("/web/nginx").CPU(0.2).Memory(20).Count(2).AddLabel("HAPROXY_GROUP", "external")
	a.Container.Docker.Container("nginx:1.10").Bridged().ExposePort(client.PortMapping{ContainerPort: 80, ServicePort: 10000, Protocol: "tcp"})
	made := must[*client.Application](t, "create")(c.CreateApplication(a))
	if made.ID != "/web/nginx" || len(made.Deployments) != 1 {
		t.Errorf("created: %s", made)
	}
	if _, err := c.CreateApplication(a); err == nil || err.(*client.APIError).ErrCode != client.ErrCodeDuplicateID {
		t.Errorf("a second time: %v", err)
	}
	if err := c.WaitOnApplication("/web/nginx", 20*time.Second); err != nil {
		t.Fatal(err)
	}
	got := must[*client.Application](t, "read")(c.Application("/web/nginx"))
	if got.TasksRunning != 2 || len(got.Tasks) != 2 || got.Ports[0] != 10000 || (*got.PortDefinitions)[0].Port == nil || *(*got.PortDefinitions)[0].Port != 10000 {
		t.Errorf("running: %s", got)
	}
	scaled := must[*client.DeploymentID](t, "scale")(c.ScaleApplicationInstances("/web/nginx", 3, false))
	if err := c.WaitOnDeployment(scaled.DeploymentID, 20*time.Second); err != nil {
		t.Fatal(err)
	}
	before := must[*client.Tasks](t, "tasks")(c.Tasks("/web/nginx"))
	if len(before.Tasks) != 3 {
		t.Errorf("%d tasks after scaling", len(before.Tasks))
	}
	again := must[*client.DeploymentID](t, "restart")(c.RestartApplication("/web/nginx", false))
	if err := c.WaitOnDeployment(again.DeploymentID, 20*time.Second); err != nil {
		t.Fatal(err)
	}
	for _, task := range must[*client.Tasks](t, "tasks")(c.Tasks("/web/nginx")).Tasks {
		if slices.ContainsFunc(before.Tasks, func(o client.Task) bool { return o.ID == task.ID }) {
			t.Errorf("%s was not restarted", task.ID)
		}
	}
	if vs := must[*client.ApplicationVersions](t, "versions")(c.ApplicationVersions("/web/nginx")); len(vs.Versions) != 3 {
		t.Errorf("versions %v", vs.Versions)
	}
	hang := must[*client.DeploymentID](t, "hang")(c.UpdateApplication(new(client.Application).Name("/web/nginx").CPU(1000), false))
	deps := must[[]*client.Deployment](t, "deployments")(c.Deployments())
	if len(deps) != 1 || deps[0].ID != hang.DeploymentID || deps[0].Steps[0][0].Action != "RestartApplication" {
		t.Errorf("deployments %+v", deps)
	}
	if _, err := c.ScaleApplicationInstances("/web/nginx", 1, false); err == nil || err.(*client.APIError).ErrCode != client.ErrCodeAppLocked {
		t.Errorf("while locked: %v", err)
	}
	if q := must[*client.Queue](t, "queue")(c.Queue()); len(q.Items) != 1 || !q.Items[0].Delay.Overdue {
		t.Errorf("queue %+v", q)
	}
	must[*client.DeploymentID](t, "roll back")(c.DeleteDeployment(hang.DeploymentID, false))
	eventually(t, "the end of the rollback", func() bool { ds, _ := c.Deployments(); return len(ds) == 0 })
	groups := must[*client.Groups](t, "groups")(c.Groups())
	if len(groups.Groups) != 1 || groups.Groups[0].ID != "/web" || len(groups.Groups[0].Apps) != 1 {
		t.Errorf("groups %+v", groups)
	}
	if info := must[*client.Info](t, "info")(c.Info()); info.Version != "1.1.1" || info.FrameworkID == "" {
		t.Errorf("info %+v", info)
	}
	killed := must[*client.Tasks](t, "kill")(c.KillApplicationTasks("/web/nginx", nil))
	if len(killed.Tasks) != 3 {
		t.Errorf("killed %+v", killed)
	}
	must[*client.DeploymentID](t, "destroy")(c.DeleteApplication("/web/nginx", true))
	eventually(t, "the end of all tasks", func() bool { return len(mesos.Tasks()) == 0 })
	want := []int{client.EventIDStatusUpdate, client.EventIDDeploymentSuccess, client.EventIDAPIRequest, client.EventIDAppTerminated}
	for len(want) > 0 {
		select {
		case e := <-events:
			want = slices.DeleteFunc(want, func(id int) bool { return id == e.ID })
		case <-time.After(20 * time.Second):
			t.Fatalf("events %v never came", want)
		}
	}
}

// TestArticlesAndExamplesAreAccepted posts Marathon's own example apps and
// the article's.
func TestArticlesAndExamplesAreAccepted(t *testing.T) {
	dir := labtest.Contracts(t)
	files, err := filepath.Glob(filepath.Join(dir, "marathon", "app-examples-v1.1.1", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples in %s: %v", dir, err)
	}
	files = append(files, filepath.Join(dir, "marathon-lb", "1-nginx.json"))
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			url, _ := onLoopback(t)
			eventually(t, "ping", func() bool {
				r, err := http.Get(url + "/ping")
				if err != nil {
					return false
				}
				r.Body.Close()
				return r.StatusCode == 200
			})
			body, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			path := "/v2/apps"
			if strings.Contains(f, "Group") {
				path = "/v2/groups"
			}
			res, err := http.Post(url+path, "application/json", strings.NewReader(string(body)))
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			var v map[string]any
			if err := json.NewDecoder(res.Body).Decode(&v); err != nil || res.StatusCode != http.StatusCreated {
				t.Errorf("%s: %s %v %v", f, res.Status, v, err)
			}
		})
	}
}
