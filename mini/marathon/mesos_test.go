package marathon

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
	minimesos "github.com/mesoslab/lab/mini/mesos"
	"github.com/mesoslab/lab/mini/zookeeper"
)

const agentHost = "10.0.0.5"

// emptyEngine is a Docker engine that has nothing and can nothing.
func emptyEngine(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Api-Version", "1.44")
	switch {
	case strings.HasSuffix(r.URL.Path, "/version"):
		fmt.Fprint(w, `{"Version":"28.2.2","ApiVersion":"1.44","MinAPIVersion":"1.24"}`)
	case strings.HasSuffix(r.URL.Path, "/json"):
		fmt.Fprint(w, "[]")
	case strings.HasSuffix(r.URL.Path, "/_ping"):
		fmt.Fprint(w, "OK")
	default:
		http.Error(w, `{"message":"nothing here"}`, http.StatusNotFound)
	}
}

// TestSpeaksToTheMiniMesos plays Marathon against the mini master and agent.
// The Docker engine has no image, so the task fails: its way there and the
// word of its end coming back are what is looked at.
func TestSpeaksToTheMiniMesos(t *testing.T) {
	root, agentRoot := t.TempDir(), t.TempDir()
	bubble.Test(t, func(t *testing.T) {
		w := &world{t: t, net: labtest.NewNetwork(), root: root}
		defer w.endAll()
		w.start(zookeeper.Run, zkHost)
		w.start(minimesos.Run, mesosHost, "mesos-master", "--zk=zk://"+zkHost+":2181/mesos", "--quorum=1",
			"--ip="+mesosHost, "--work_dir=/var/lib/mesos", "--hostname_lookup=false")
		w.root = agentRoot
		ln, err := w.net.Host(agentHost).Listen(t.Context(), "tcp", ":2375")
		if err != nil {
			t.Fatal(err)
		}
		engine := &http.Server{Handler: http.HandlerFunc(emptyEngine)}
		go func() { _ = engine.Serve(ln) }()
		defer engine.Close()
		w.start(minimesos.Run, agentHost, "mesos-slave", "--master=zk://"+zkHost+":2181/mesos", "--ip="+agentHost,
			"--hostname_lookup=false", "--containerizers=docker,mesos", "--resources=cpus:4;mem:1024;disk:2048;ports:[31000-32000]")
		m := w.marathon(firstHost)
		w.up(firstHost)
		w.await("the framework id", func() bool { _, i, _ := w.call("GET", firstHost, "/v2/info", ""); return i["frameworkId"] != nil })
		if s, v, _ := w.call("POST", firstHost, "/v2/apps", `{"id":"x","cmd":"true","cpus":0.1,"mem":32}`); s != 201 {
			t.Fatalf("%d %v", s, v)
		}
		var failure map[string]any
		w.await("the end of its task", func() bool {
			_, v, _ := w.call("GET", firstHost, "/v2/apps/x", "")
			a, _ := v["app"].(map[string]any)
			failure, _ = a["lastTaskFailure"].(map[string]any)
			return failure != nil
		})
		if failure["state"] != "TASK_FAILED" || failure["host"] != agentHost {
			t.Errorf("last failure: %v", failure)
		}
		if s, _, _ := w.call("DELETE", firstHost, "/v2/apps/x", ""); s != 200 {
			t.Errorf("DELETE: %d", s)
		}
		time.Sleep(time.Minute)
		if strings.Contains(m.out.String(), "call ") {
			t.Errorf("a call was refused:\n%s", m.out)
		}
	})
}
