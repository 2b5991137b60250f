package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/mini/mesos/master/resource"
	"github.com/mesoslab/lab/mini/mesos/wire"
)

// reservedOf is in words what an agent says is reserved on it.
func reservedOf(t *testing.T, list []wire.Resource) string {
	t.Helper()
	s, err := resource.FromReserved(wire.Values(list))
	if err != nil {
		t.Fatal(err)
	}
	return s.String()
}

// TestReservationsOutliveTheAgent: what the master says is reserved is told to
// the next master, by the next run and under the next id, until the master
// takes it back.
func TestReservationsOutliveTheAgent(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		const flag, want = "--resources=cpus:4;mem:1024;disk:512;ports:[31000-31999]", "cpus(web, ops):3"
		m, p := registered(w, flag)
		role, principal := "web", "ops"
		m.send(&wire.CheckpointResources{Resources: []wire.Resource{wire.Of(mesos.Resource{Name: "cpus", Type: mesos.SCALAR.Enum(), Role: &role,
			Scalar: &mesos.Value_Scalar{Value: 3}, Reservation: &mesos.Resource_ReservationInfo{Principal: &principal}})}})
		synctest.Wait()
		_, state := w.get("/state")
		for _, part := range []string{`"reserved_resources":{"web":{"disk":0.0,"mem":0.0,"gpus":0.0,"cpus":3.0}}`,
			`"reserved_resources_full":{"web":[{"name":"cpus","type":"SCALAR","scalar":{"value":3.0},"role":"web","reservation":{"principal":"ops"}}]}`,
			`"unreserved_resources":{"disk":512.0,"mem":1024.0,"gpus":0.0,"cpus":1.0,`} {
			if !strings.Contains(string(state), part) {
				t.Errorf("no %s in /state: %s", part, state)
			}
		}
		m.drop()
		if got := reservedOf(t, expect[*wire.Reregister](m).Reserved); got != want {
			t.Errorf("back with %s", got)
		}
		p.end()
		p = w.start(flag)
		if got := reservedOf(t, expect[*wire.Reregister](m).Reserved); got != want {
			t.Errorf("restarted with %s", got)
		}
		p.end()
		if err := os.Remove(filepath.Join(w.root, "tmp/mesos/meta/slaves/latest")); err != nil {
			t.Fatal(err)
		}
		// With less than is reserved it does not start.
		p = w.start("--resources=cpus:2;mem:1024;disk:512")
		p.wait(1)
		const why = "checkpointed resources cpus(web, ops):3 are incompatible with agent resources cpus(*):2; mem(*):1024; disk(*):512; ports(*):[31000-32000]"
		if !strings.Contains(w.out.text(), why) {
			t.Errorf("no %q in %s", why, w.out.text())
		}
		p = w.start(flag)
		if got := reservedOf(t, expect[*wire.Register](m).Reserved); got != want {
			t.Errorf("a new id with %s", got)
		}
		synctest.Wait()
		m.send(&wire.CheckpointResources{})
		synctest.Wait()
		p.end()
		w.start(flag)
		if got := reservedOf(t, expect[*wire.Reregister](m).Reserved); got != "" {
			t.Errorf("still reserved: %s", got)
		}
	})
}
