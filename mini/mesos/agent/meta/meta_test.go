package meta

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/mini/mesos/wire"
)

func task(id, container string) Task {
	return Task{Framework: "f[1]", Info: wire.Of(mesos.TaskInfo{Name: "n", TaskID: mesos.TaskID{Value: id}, AgentID: mesos.AgentID{Value: "s*0"}}),
		Container: container, State: "TASK_RUNNING", Statuses: []wire.TaskStatus{wire.Of(mesos.TaskStatus{TaskID: mesos.TaskID{Value: id}, State: mesos.TASK_RUNNING.Enum(), UUID: []byte("u")})}}
}

func TestRoundTrip(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a [b] *", "meta")
	s := NewStore(dir)
	if st, err := s.Load(); st != nil || err != nil {
		t.Fatalf("an empty store holds %v, %v", st, err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	agent := wire.Of(mesos.AgentInfo{Hostname: "h", ID: &mesos.AgentID{Value: "s*0"}})
	must(s.SaveAgent(agent))
	must(s.SaveAgent(agent)) // the link is replaced
	must(s.SaveFramework("s*0", wire.Of(mesos.FrameworkInfo{Name: "fw", ID: &mesos.FrameworkID{Value: "f[1]"}})))
	must(s.SaveTask("s*0", task("t.1", "c1")))
	must(s.SaveTask("s*0", task("t.2", "c2")))
	must(s.RemoveTask("s*0", task("t.2", "c2")))
	st, err := NewStore(dir).Load()
	must(err)
	if len(st.Frameworks) != 1 || st.Frameworks[0].V.Name != "fw" || len(st.Tasks) != 1 {
		t.Fatalf("%+v", st)
	}
	got := st.Tasks[0]
	if got.Info.V.TaskID.Value != "t.1" || got.Container != "c1" || string(got.Statuses[0].V.UUID) != "u" {
		t.Errorf("%+v", got)
	}
	runs, err := s.Runs()
	must(err)
	if want := s.Run("s*0", "f[1]", "t.1", "c1"); !slices.Equal(runs, []string{want}) {
		t.Errorf("runs %q, want %s once", runs, want)
	}
	must(s.RemoveFramework("s*0", "f[1]"))
	st, err = s.Load()
	must(err)
	if len(st.Frameworks)+len(st.Tasks) != 0 {
		t.Errorf("%+v", st)
	}
	must(s.SaveBootID("boot"))
	if s.BootID() != "boot" {
		t.Error(s.BootID())
	}
	must(s.Forget("s*0"))
	must(s.Forget("s*0"))
	if st, err := s.Load(); st != nil || err != nil {
		t.Errorf("forgotten, yet %v, %v", st, err)
	}
	left, err := filepath.Glob(filepath.Join(globSafe(dir), "slaves", "*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestDamageIsAnError(t *testing.T) {
	dir := t.TempDir()
	s := NewStore(dir)
	if err := s.SaveAgent(wire.Of(mesos.AgentInfo{Hostname: "h", ID: &mesos.AgentID{Value: "s0"}})); err != nil {
		t.Fatal(err)
	}
	info := filepath.Join(dir, "slaves", "s0", "slave.info")
	for text, want := range map[string]string{"": "slave.info", `{"format":9}`: "format 9", `{"format":1,"body":"AAAA"}`: ""} {
		if err := os.WriteFile(info, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Load(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestSafeID(t *testing.T) {
	for id, want := range map[string]bool{"a.b-c_1": true, "": false, ".": false, "..": false, "a/b": false, "a\nb": false, "ö": true, strings.Repeat("x", 256): false} {
		if SafeID(id) != want {
			t.Errorf("SafeID(%q) = %v", id, !want)
		}
	}
	if err := NewStore(t.TempDir()).SaveAgent(wire.Of(mesos.AgentInfo{ID: &mesos.AgentID{Value: "../x"}})); err == nil {
		t.Error("an agent id climbed out of the folder")
	}
}

// TestKilledRemoval: what a RemoveTask that was killed has left is gone with
// the next Load, and a task of which nothing is there is forgotten already.
func TestKilledRemoval(t *testing.T) {
	dir := t.TempDir()
	left := filepath.Join(dir, trashPrefix+"1", "task", "runs")
	if err := os.MkdirAll(left, 0o755); err != nil {
		t.Fatal(err)
	}
	s := NewStore(dir)
	if _, err := s.Load(); err != nil {
		t.Fatal(err)
	}
	task := Task{Framework: "f", Info: wire.Of(mesos.TaskInfo{TaskID: mesos.TaskID{Value: "a"}}), Container: "c"}
	for _, s := range []*Store{s, NewStore(filepath.Join(dir, "never"))} {
		if err := s.RemoveTask("s0", task); err != nil {
			t.Error(err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
}

// Ended tasks come in the order of their ends; what cannot be read is left out.
func TestEnded(t *testing.T) {
	dir := t.TempDir()
	s := NewStore(dir)
	agent := mesos.AgentInfo{ID: &mesos.AgentID{Value: "m-S0"}}
	if err := s.SaveAgent(wire.Of(agent)); err != nil {
		t.Fatal(err)
	}
	for i, container := range []string{"c", "a", "b"} {
		e := Ended{Task: Task{Framework: "f", Container: container, State: "TASK_FINISHED"}, At: float64(i)}
		if err := s.SaveEnded("m-S0", e); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range map[string]string{"torn": "{", "other": `{"format":1,"body":{"task":{"container":"x"}}}`, "new": `{"format":2}`} {
		if err := os.WriteFile(filepath.Join(dir, "slaves/m-S0/ended", name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(s.RemoveEnded("m-S0", "a"), s.RemoveEnded("m-S0", "a"), s.RemoveEnded("m-S0", "../../latest")); err != nil {
		t.Error(err)
	}
	st, err := s.Load()
	if err != nil || len(st.Ended) != 2 || st.Ended[0].Task.Container != "c" || st.Ended[1].Task.Container != "b" {
		t.Errorf("%+v, %v", st, err)
	}
}
