package marathon

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/mesoslab/lab/internal/labtest/bubble"
	"github.com/mesoslab/lab/mini"
	"github.com/mesoslab/lab/mini/zookeeper"
)

var openACL = zk.WorldACL(zk.PermAll)

const nginx = `{"id":"nginx","instances":2,"cpus":0.2,"mem":20,"labels":{"HAPROXY_GROUP":"external"},
 "container":{"type":"DOCKER","docker":{"image":"nginx:1.10","network":"BRIDGE",
 "portMappings":[{"containerPort":80,"hostPort":0,"servicePort":10000,"protocol":"tcp"}]}}}`

func (w *world) up(host string) {
	w.t.Helper()
	w.await("Marathon on "+host, func() bool { s, _, _ := w.call("GET", host, "/ping", ""); return s == 200 })
}

func (w *world) running(host string, n int) []string {
	w.t.Helper()
	w.await("the tasks", func() bool { return len(w.tasks(host)) == n })
	return w.tasks(host)
}

func TestAppRunsAndSurvivesARestartOfMarathon(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		m := w.marathon(firstHost)
		w.up(firstHost)
		status, v, h := w.call("POST", firstHost, "/v2/apps", nginx)
		if status != 201 || v["id"] != "/nginx" || h.Get("X-Marathon-Leader") != "http://"+firstHost+":8080" {
			t.Fatalf("POST: %d %v %v", status, v, h)
		}
		before := w.running(firstHost, 2)
		_, info, _ := w.call("GET", firstHost, "/v2/info", "")
		if code := m.end(); code != 143 {
			t.Errorf("exit code %d\n%s", code, m.out)
		}
		if n := len(w.twin.Tasks()); n != 2 {
			t.Fatalf("%d tasks are left when Marathon has stopped", n)
		}
		time.Sleep(time.Minute)
		m = w.marathon(firstHost)
		w.up(firstHost)
		time.Sleep(30 * time.Second) // past its first scale check and reconciliation
		if after := w.running(firstHost, 2); !slices.Equal(before, after) {
			t.Errorf("tasks %v became %v\n%s", before, after, m.out)
		}
		if _, again, _ := w.call("GET", firstHost, "/v2/info", ""); again["frameworkId"] != info["frameworkId"] || again["frameworkId"] == nil {
			t.Errorf("framework %v became %v", info["frameworkId"], again["frameworkId"])
		}
		m.end()
	})
}

func TestStandbyPassesOnAndTakesOver(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		one := w.marathon(firstHost)
		w.up(firstHost)
		two := w.marathon(secondHost)
		w.up(secondHost)
		if s, v, _ := w.call("POST", secondHost, "/v2/apps", nginx); s != 201 {
			t.Fatalf("POST to the standby: %d %v", s, v)
		}
		before := w.running(firstHost, 2)
		if _, l, _ := w.call("GET", secondHost, "/v2/leader", ""); l["leader"] != firstHost+":8080" {
			t.Errorf("leader is %v", l)
		}
		w.net.Cut(firstHost) // a power cut: its session has to expire
		cut := time.Now()
		w.await("the new leader", func() bool {
			s, l, _ := w.call("GET", secondHost, "/v2/leader", "")
			return s == 200 && l["leader"] == secondHost+":8080"
		})
		if took := time.Since(cut); took > 40*time.Second {
			t.Errorf("it took %v", took)
		}
		if after := w.running(secondHost, 2); !slices.Equal(before, after) {
			t.Errorf("tasks %v became %v", before, after)
		}
		w.net.Mend(firstHost)
		one.end()
		two.end()
	})
}

func TestAbdicationMovesTheLead(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		one := w.marathon(firstHost)
		w.up(firstHost)
		two := w.marathon(secondHost)
		w.up(secondHost)
		if s, v, _ := w.call("DELETE", firstHost, "/v2/leader", ""); s != 200 || v["message"] != "Leadership abdicated" {
			t.Errorf("%d %v", s, v)
		}
		w.await("the other leader", func() bool {
			_, l, _ := w.call("GET", firstHost, "/v2/leader", "")
			return l["leader"] == secondHost+":8080"
		})
		one.end()
		two.end()
	})
}

func TestWithoutZooKeeperItAnswers503AndComesBack(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		m := w.marathon(firstHost)
		w.up(firstHost)
		w.call("POST", firstHost, "/v2/apps", nginx)
		before := w.running(firstHost, 2)
		w.net.Cut(zkHost)
		w.await("503", func() bool {
			s, _, _ := w.call("GET", firstHost, "/v2/apps", "")
			return s == http.StatusServiceUnavailable
		})
		if len(w.twin.Tasks()) != 2 {
			t.Error("tasks were touched")
		}
		w.net.Mend(zkHost)
		w.up(firstHost)
		time.Sleep(30 * time.Second)
		if after := w.running(firstHost, 2); !slices.Equal(before, after) {
			t.Errorf("tasks %v became %v\n%s", before, after, m.out)
		}
		m.end()
	})
}

// TestARestartedZooKeeperKnowsItsSessions: a server that was away for longer
// than a session gives all sessions their whole time again. Marathon has given
// up its leadership meanwhile; the node of that candidacy must not stand in its
// own way. The client library (go-zookeeper/zk 1.0.4) has a race of its own
// there: sendSetWatches reads the last zxid while recvLoop may write it.
func TestARestartedZooKeeperKnowsItsSessions(t *testing.T) {
	if bubble.Race {
		t.Skip("the ZooKeeper client library races by itself when it sets its watches anew")
	}
	inWorld(t, func(t *testing.T, w *world) {
		m := w.marathon(firstHost)
		w.up(firstHost)
		w.call("POST", firstHost, "/v2/apps", nginx)
		before := w.running(firstHost, 2)
		w.zk.end()
		time.Sleep(18 * time.Second)
		if s, _, _ := w.call("GET", firstHost, "/v2/apps", ""); s != http.StatusServiceUnavailable {
			t.Errorf("without ZooKeeper: %d", s)
		}
		w.zk = w.start(zookeeper.Run, zkHost)
		w.up(firstHost)
		if after := w.running(firstHost, 2); !slices.Equal(before, after) {
			t.Errorf("tasks %v became %v\n%s", before, after, m.out)
		}
		m.end()
	})
}

func TestMesosComesAndGoes(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		m := w.marathon(firstHost)
		w.up(firstHost)
		w.call("POST", firstHost, "/v2/apps", nginx)
		before := w.running(firstHost, 2)
		w.net.Cut(mesosHost)
		time.Sleep(3 * time.Minute) // five heartbeats of 15 s are missed
		if !strings.Contains(m.out.String(), "disconnected from") {
			t.Errorf("a silent master is not noticed\n%s", m.out)
		}
		w.net.Mend(mesosHost)
		time.Sleep(30 * time.Second)
		victim := w.twin.Tasks()[0].Info
		w.twin.RemoveAgent(victim.AgentID.Value)
		w.await("the replacement", func() bool {
			now := w.tasks(firstHost)
			return len(now) == 2 && !slices.Equal(now, before)
		})
		m.end()
	})
}

// TestALostMasterEndsTheTerm: 1.1.1 abdicates when it is disconnected, and a
// Marathon that is alone is elected again. Its streams end; what is asked
// meanwhile waits for the next master.
func TestALostMasterEndsTheTerm(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		m := w.marathon(firstHost)
		w.up(firstHost)
		w.call("POST", firstHost, "/v2/apps", nginx)
		before := w.running(firstHost, 2)
		_, info, _ := w.call("GET", firstHost, "/v2/info", "")
		w.stopMesos()
		w.await("the end of the term", func() bool { return strings.Contains(m.out.String(), "leadership has ended") })
		w.up(firstHost)
		if s, v, _ := w.call("PUT", firstHost, "/v2/apps/nginx", `{"instances":3}`); s != 200 {
			t.Errorf("a change without a master: %d %v", s, v)
		}
		time.Sleep(30 * time.Second)
		if now := w.running(firstHost, 2); !slices.Equal(before, now) {
			t.Errorf("without a master, tasks %v became %v", before, now)
		}
		w.stopMesos = w.serveMesos(mesosHost)
		after := w.running(firstHost, 3)
		for _, id := range before {
			if !slices.Contains(after, id) {
				t.Errorf("task %s is gone: %v", id, after)
			}
		}
		if _, again, _ := w.call("GET", firstHost, "/v2/info", ""); again["frameworkId"] != info["frameworkId"] {
			t.Errorf("framework %v became %v", info["frameworkId"], again["frameworkId"])
		}
		if n := strings.Count(m.out.String(), "elected as leader"); n != 2 {
			t.Errorf("elected %d times\n%s", n, m.out)
		}
	})
}

func TestRefusedFrameworkEndsTheProcess(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		m := w.marathon(firstHost)
		w.up(firstHost)
		w.await("the subscription", func() bool { _, i, _ := w.call("GET", firstHost, "/v2/info", ""); return i["frameworkId"] != nil })
		w.twin.Refuse("Framework has been removed")
		<-m.done
		if m.code != 9 {
			t.Errorf("exit code %d", m.code)
		}
		again := w.marathon(firstHost)
		w.up(firstHost)
		again.end()
	})
}

func TestForeignHostsAreRefused(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.marathon(firstHost)
		w.up(firstHost)
		for host, want := range map[string]int{"evil.example:8080": 403, firstHost + ":8080": 200, "localhost": 200} {
			client := mini.Env{Dial: w.net.Host("10.0.0.97").Dial}.HTTPClient()
			req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://"+firstHost+":8080/v2/apps", nil)
			req.Host = host
			res, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			client.CloseIdleConnections()
			if res.StatusCode != want {
				t.Errorf("host %s: %d, want %d", host, res.StatusCode, want)
			}
		}
	})
}
