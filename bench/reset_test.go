//go:build linux

package bench

import (
	"net/http"
	"testing"

	"github.com/mesoslab/lab/e2e/rig"
)

// foreignApp is what somebody else has deployed.
const foreignApp = `{"id":"/a/small","cpus":0.1,"mem":16,"instances":2,"container":{"type":"DOCKER","docker":{"image":"lab/web","network":"BRIDGE","portMappings":[{"containerPort":80}]}}}`

// BenchmarkReset takes lab reset from the start of the command to its end, of a
// lab with a foreign app, twice the instances of nginx, a paused container and
// a machine without power.
func BenchmarkReset(b *testing.B) {
	b.Log(machineSize())
	l := rig.New(b)
	l.Create("--fast")
	l.AwaitWhole()
	reset := in("ms")
	for b.Loop() {
		for range rounds {
			spoil(b, l)
			reset.addTime(timed(func() { l.Must("reset") }))
			if s := l.AwaitWhole(); len(s.Marathon.Apps) != 1 || s.Marathon.Apps[0].Instances != 2 {
				b.Fatalf("not as create left it: %+v", s.Marathon.Apps)
			}
		}
	}
	reset.report(b, "reset")
	l.Must("destroy")
}

func spoil(b *testing.B, l *rig.Lab) {
	b.Helper()
	for _, c := range []struct{ method, path, body string }{
		{http.MethodPost, "/v2/apps", foreignApp},
		{http.MethodPut, "/v2/apps//nginx?force=true", `{"instances":4}`},
	} {
		a, err := rig.Ask(b.Context(), c.method, l.URL(1, 8080, c.path), c.body, map[string]string{"Content-Type": "application/json"})
		if err != nil || a.Status/100 != 2 {
			b.Fatalf("%s %s: %+v, %v", c.method, c.path, a, err)
		}
	}
	l.Must("break", "pause", "mesos_slave", "on=node2")
	l.Must("break", "kill", "node3")
}
