//go:build linux

package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mesoslab/lab/e2e/rig"
)

// TestReset spoils a lab in every way that reset undoes: an app that waits for
// ever, one with another load, a framework that is not Marathon, a container
// without an owner, the sample app changed and halfway through that, faults.
func TestReset(t *testing.T) {
	t.Parallel()
	l := rig.New(t)
	created := l.Create("--fast")
	base := "http://" + created.MasterIP
	post := func(method, url, body string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode/100 != 2 {
			t.Fatalf("%s %s: %s", method, url, resp.Status)
		}
	}
	before := l.AwaitWhole()
	container := `"container":{"type":"DOCKER","docker":{"image":"lab/web","network":"BRIDGE","portMappings":[{"containerPort":80}]}}`
	post("POST", base+":8080/v2/apps", `{"id":"/a/big","cpus":50,"mem":16,"instances":1,`+container+`}`)
	post("POST", base+":8080/v2/apps", `{"id":"/a/small","cpus":0.1,"mem":16,"instances":2,`+container+`}`)
	post("POST", base+":2375/containers/create?name=mesos-forgotten", `{"Image":"lab/web","Env":["MESOS_TASK_ID=forgotten.1"]}`)
	post("POST", base+":2375/containers/mesos-forgotten/start", "")
	post("POST", base+":2375/containers/create?name=mine", `{"Image":"lab/web"}`)
	resp, err := http.Post(base+":5050/api/v1/scheduler", "application/json", strings.NewReader(
		`{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"root","name":"mine","failover_timeout":3600}}}`))
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("subscribe: %v, %v", resp, err)
	}
	defer resp.Body.Close()
	l.Must("ssh", "slave1", "mkdir -p /var/lib/lab-counter && echo 7 > /var/lib/lab-counter/count")
	l.Must("break", "stop", "mesos_slave", "on=slave1")
	l.Must("break", "pause", "node3")
	post("PUT", base+":8080/v2/apps//nginx?force=true", `{"cpus":40,"instances":5}`)

	r := l.Must("reset")
	for _, want := range []string{"healed: pause node3", "healed: stop mesos_slave1", "removed /a/big", "removed /a/small", "tore down framework mine", "deployed /nginx as create did",
		"removed the container of forgotten.1 on node1", "removed /var/lib/lab-counter on node2", "kept, since they are not lab's: mine on node1", "is as create left it again"} {
		if !strings.Contains(r.Stdout, want) {
			t.Errorf("lacks %q: %s", want, r)
		}
	}
	after := l.AwaitWhole()
	if len(after.Marathon.Apps) != 1 || len(after.Marathon.Deployments) != 0 || after.Marathon.Apps[0].Instances != before.Marathon.Apps[0].Instances {
		t.Errorf("after reset: %+v", after.Marathon)
	}
	if after.Marathon.FrameworkID != before.Marathon.FrameworkID {
		t.Error("Marathon is another framework")
	}
	for _, m := range after.Machines {
		for _, c := range m.Containers {
			if c.Name == "mesos-forgotten" || c.Task && c.State != "running" {
				t.Errorf("%s: left %+v", m.Node, c)
			}
		}
	}
	answering(t, l, 2)
	if r := l.Must("reset"); !strings.Contains(r.Stdout, "was as create left it") {
		t.Errorf("again: %s", r)
	}
	l.Must("destroy")
	l.MustBeGone()
}
