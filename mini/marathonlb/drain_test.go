package marathonlb

import (
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
)

// A drained server answers what is under way, and says in the statistics how
// much that still is; nothing new goes there. An upgrade kills its task by that
// (contracts 11.5).
func TestDrainedServerAnswersWhatIsUnderWay(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		n := labtest.NewNetwork()
		m := startMarathon(t, n.Host("10.0.0.1"))
		l := start(t, n)
		slow, err := n.Host("10.0.0.2").Listen(t.Context(), "tcp", one)
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				time.Sleep(time.Second)
			}
			io.WriteString(w, one)
		})}
		go server.Serve(slow)
		t.Cleanup(func() { server.Close() })
		serve(t, n, two)
		colour := func(id, started string, addr string) map[string]any {
			a := nginx(addr)
			a["id"], a["tasks"].([]any)[0].(map[string]any)["id"] = id, id[1:]+".0"
			label(label(a, "HAPROXY_DEPLOYMENT_GROUP", "web"), "HAPROXY_0_PORT", "10000")
			return label(label(a, "HAPROXY_DEPLOYMENT_STARTED_AT", started), "HAPROXY_DEPLOYMENT_TARGET_INSTANCES", "1")
		}
		blue, green := colour("/web-blue", "2016-02-01T10:00:00", one), colour("/web-green", "2016-02-01T11:00:00", two)
		synctest.Wait()
		m.set(blue)
		synctest.Wait()
		answer := make(chan string, 1)
		go func() {
			_, body := l.get(":10000/slow")
			answer <- body
		}()
		time.Sleep(300 * time.Millisecond)
		green["tasks"].([]any)[0].(map[string]any)["healthCheckResults"] = results(true)
		m.set(blue, green)
		synctest.Wait()
		row := l.rows()["web_10000/10_0_0_2_31005"]
		if row["status"] != "MAINT" || row["scur"] != "1" || row["stot"] != "1" {
			t.Errorf("while it answers: status %s, scur %s, stot %s", row["status"], row["scur"], row["stot"])
		}
		for range 5 {
			if status, body := l.get(":10000/"); status != 200 || body != two {
				t.Errorf("a new request: %d %q, want %s", status, body, two)
			}
		}
		if body := <-answer; body != one {
			t.Errorf("the one under way: %q", body)
		}
		synctest.Wait()
		if row := l.rows()["web_10000/10_0_0_2_31005"]; row["status"] != "MAINT" || row["scur"] != "0" || row["stot"] != "1" {
			t.Errorf("afterwards: status %s, scur %s, stot %s", row["status"], row["scur"], row["stot"])
		}
	})
}
