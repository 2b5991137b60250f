package marathon

import (
	"slices"
	"testing"
	"time"

	client "github.com/gambol99/go-marathon"

	"github.com/mesoslab/lab/mini"
)

// TestForeignClientOutlivesALeader gives go-marathon two Marathons and takes
// the leader away while it works. What was answered
// before is there after, and no task was touched.
func TestForeignClientOutlivesALeader(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for _, host := range []string{firstHost, secondHost} {
			w.marathon(host)
			w.up(host)
		}
		http := mini.Env{Dial: w.net.Host("10.0.0.97").Dial}.HTTPClient()
		http.Timeout = 5 * time.Second
		defer http.CloseIdleConnections()
		cfg := client.NewDefaultConfig()
		cfg.URL = "http://" + firstHost + ":8080," + secondHost + ":8080"
		cfg.HTTPClient = http
		c := must[client.Marathon](t, "client")(client.NewClient(cfg))
		w.await("an answer", func() bool { ok, _ := c.Ping(); return ok })

		app := new(client.Application).Name("/web/front").Command("sleep 1000").CPU(0.1).Memory(32).Count(3)
		must[*client.Application](t, "create")(c.CreateApplication(app))
		if err := c.WaitOnApplication("/web/front", time.Minute); err != nil {
			t.Fatal(err)
		}
		leader := must[string](t, "leader")(c.Leader())
		ids := func() (ids []string) {
			for _, task := range must[*client.Tasks](t, "tasks")(c.Tasks("/web/front")).Tasks {
				ids = append(ids, task.ID)
			}
			slices.Sort(ids)
			return ids
		}
		before := ids()
		answered := must[*client.DeploymentID](t, "scale")(c.ScaleApplicationInstances("/web/front", 4, false))
		w.net.Cut(firstHost) // whoever leads, the client has to notice that a member is gone
		w.await("another leader", func() bool {
			l, err := c.Leader()
			return err == nil && (l != leader || leader == secondHost+":8080")
		})
		w.await("what was answered", func() bool {
			a, err := c.Application("/web/front")
			return err == nil && *a.Instances == 4 && a.TasksRunning == 4
		})
		if err := c.WaitOnDeployment(answered.DeploymentID, time.Minute); err != nil {
			t.Error(err)
		}
		if after := ids(); len(after) != 4 || slices.ContainsFunc(before, func(id string) bool { return !slices.Contains(after, id) }) {
			t.Errorf("tasks %v became %v", before, after)
		}
		w.net.Mend(firstHost)
		w.up(firstHost)
		time.Sleep(2 * time.Minute) // the client's own search for it ends
		must[*client.DeploymentID](t, "destroy")(c.DeleteApplication("/web/front", true))
		w.await("the end of all tasks", func() bool { return len(w.twin.Tasks()) == 0 })
	})
}
