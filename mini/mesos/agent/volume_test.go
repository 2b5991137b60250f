package agent

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/mini/mesos/master/resource"
	"github.com/mesoslab/lab/mini/mesos/wire"
	"github.com/mesoslab/lab/mini/supervise"
)

// persistent is a volume of the role web on disk that ops reserved.
func persistent(id, where string) mesos.Resource {
	return mesos.Resource{Name: "disk", Type: mesos.SCALAR.Enum(), Scalar: &mesos.Value_Scalar{Value: 64}, Role: ptr("web"),
		Reservation: &mesos.Resource_ReservationInfo{Principal: ptr("ops")},
		Disk: &mesos.Resource_DiskInfo{
			Persistence: &mesos.Resource_DiskInfo_Persistence{ID: id, Principal: ptr("ops")},
			Volume:      &mesos.Volume{ContainerPath: where, Mode: mesos.RW.Enum()},
		}}
}

func (m *fakeMaster) keeps(list ...mesos.Resource) {
	m.t.Helper()
	m.send(&wire.CheckpointResources{Resources: wire.All(list)})
	synctest.Wait()
}

// folder is what is in a folder below the agent's volumes.
func (w *world) folder(name string) []string {
	w.t.Helper()
	entries, err := os.ReadDir(filepath.Join(w.root, "tmp/mesos/volumes", name))
	if err != nil && !os.IsNotExist(err) {
		w.t.Fatal(err)
	}
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func (w *world) wantFolder(name string, want ...string) {
	w.t.Helper()
	if got := w.folder(name); !slices.Equal(got, want) {
		w.t.Errorf("in %s lies %q, want %q", name, got, want)
	}
}

// TestVolumesOutliveTasksAndAgents: what a task wrote into its volume is there
// for the next one, after a restart of the agent, too, until the master says
// that the volume is no more.
func TestVolumesOutliveTasksAndAgents(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		m, p := registered(w)
		vol := persistent("data-1", "data")
		m.keeps(vol)
		w.wantFolder("roles/web", "data-1")
		if _, state := w.get("/state"); !strings.Contains(string(state), `"disk":{"persistence":{"id":"data-1","principal":"ops"},"volume":{"container_path":"data","mode":"RW"}}`) {
			t.Errorf("/state says %s", state)
		}

		user := cmdTask("first")
		user.Resources = append(user.Resources, vol)
		name := m.commanded(w, user)
		o, _ := w.launcher.OrderOf(name)
		if err := os.WriteFile(filepath.Join(o.Dir, "data", "file"), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
		w.wantFolder("roles/web/data-1", "file")
		w.launcher.Exit(name, supervise.Result{})
		m.update("first", mesos.TASK_FINISHED)
		synctest.Wait()
		w.wantFolder("roles/web/data-1", "file")

		p.end()
		w.start()
		r := expect[*wire.Reregister](m)
		kept, err := resource.FromKept(wire.Values(r.Reserved))
		if got := kept.String(); err != nil || got != "disk(web, ops)[data-1:data]:64" {
			t.Errorf("back with %s, %v", got, err)
		}
		synctest.Wait()
		second := cmdTask("second")
		second.Resources = append(second.Resources, persistent("data-1", "other"))
		o, _ = w.launcher.OrderOf(m.commanded(w, second))
		if b, err := os.ReadFile(filepath.Join(o.Dir, "other", "file")); string(b) != "x" {
			t.Errorf("the second task finds %q, %v", b, err)
		}

		docker := dockerTask(id0, "third")
		docker.Resources = append(docker.Resources, persistent("data-1", "mnt"))
		m.run(docker)
		m.update("third", mesos.TASK_RUNNING)
		spec, _ := w.engine.SpecOf(w.engine.Started()[0])
		if want := "/tmp/mesos/volumes/roles/web/data-1:/mnt/mesos/sandbox/mnt:rw"; !slices.Contains(spec.Binds, want) {
			t.Errorf("no %s in %q", want, spec.Binds)
		}

		m.keeps(persistent("data-2", "data"))
		w.wantFolder("", "roles")
		w.wantFolder("roles/web", "data-2")
		m.keeps(persistent("data-2", "data"), persistent("data-1", "data"))
		w.wantFolder("roles/web/data-1") // anew, and empty
	})
}

// TestVolumesAfterACrash: what a run could not finish the next one does: a
// removal goes on, a volume that is gone is made, and one that is made anew is
// empty whatever lay there.
func TestVolumesAfterACrash(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		m, p := registered(w)
		m.keeps(persistent("a", "data"))
		p.end()
		volumes := filepath.Join(w.root, "tmp/mesos/volumes")
		for _, name := range []string{"gone-1/data/x", "roles/web/b/left"} {
			if err := os.MkdirAll(filepath.Join(volumes, name), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Remove(filepath.Join(volumes, "roles/web/a")); err != nil {
			t.Fatal(err)
		}
		w.start()
		expect[*wire.Reregister](m)
		synctest.Wait()
		w.wantFolder("", "roles")
		w.wantFolder("roles/web", "a", "b")
		if !strings.Contains(w.out.text(), "Volume a of role web is gone") {
			t.Errorf("not a word about a volume that is gone: %s", w.out.text())
		}
		m.keeps(persistent("a", "data"), persistent("b", "data"))
		w.wantFolder("roles/web/b")
	})
}

// TestVolumesThatCannotBe: places in a sandbox that a volume cannot have.
func TestVolumesThatCannotBe(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		m, _ := registered(w)
		m.keeps(persistent("v", "data"))
		for id, c := range map[string]struct{ where, want string }{
			"absolute": {"/data", "volume v: the container path '/data' contains slash"},
			"nested":   {"a/b", "volume v: the container path 'a/b' contains slash"},
			"outside":  {"..", "volume v: '..' cannot be a name in the sandbox"},
			"output":   {"stdout", "volume v: 'stdout' cannot be a name in the sandbox"},
		} {
			ti := cmdTask(id)
			ti.Resources = append(ti.Resources, persistent("v", c.where))
			m.run(ti)
			if s := m.update(id, mesos.TASK_FAILED); !strings.HasPrefix(s.GetMessage(), "Failed to launch container: "+c.want) {
				t.Errorf("%s: %s", id, s.GetMessage())
			}
		}
		ti := dockerTask(id0, "colon")
		ti.Resources = append(ti.Resources, persistent("v", "a:b"))
		m.run(ti)
		if s := m.update("colon", mesos.TASK_FAILED); !strings.Contains(s.GetMessage(), `"a:b" cannot be a container path`) {
			t.Errorf("%s", s.GetMessage())
		}
	})
}
