package state

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gofrs/flock"

	"github.com/mesoslab/lab"
)

func newLab(t *testing.T, s Store, name string) *Lab {
	t.Helper()
	l, err := s.Allocate(lab.Spec{Name: name}.WithDefaults(), "local",
		[]string{"127.168.59.0/24", "127.168.60.0/24", "127.168.61.0/24"}, func(subnet string) bool { return subnet != "127.168.60.0/24" })
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestAllocateLoadRemove(t *testing.T) {
	s := NewStore(filepath.Join(t.TempDir(), "state"))
	one, two := newLab(t, s, "one"), newLab(t, s, "two")
	if one.Spec.Subnet != "127.168.59.0/24" || two.Spec.Subnet != "127.168.61.0/24" {
		t.Errorf("subnets %s and %s: want the first free ones", one.Spec.Subnet, two.Spec.Subnet)
	}
	if _, err := s.Allocate(lab.Spec{Name: "three"}.WithDefaults(), "local", []string{"127.168.59.0/24"}, func(string) bool { return true }); lab.ErrorID(err) != "subnet-exhausted" {
		t.Errorf("third lab: %v", err)
	}
	taken := lab.Spec{Name: "four", IPs: []string{"127.168.61.9", "127.168.61.10"}}.WithDefaults()
	if _, err := s.Allocate(taken, "local", nil, nil); lab.ErrorID(err) != "subnet-taken" || !errors.Is(err, lab.ErrUsage) {
		t.Errorf("taken addresses: %v", err)
	}
	back, err := s.Load("two")
	if err != nil || back.ID != two.ID || back.Spec.Subnet != two.Spec.Subnet {
		t.Errorf("load: %+v, %v", back, err)
	}
	if err := two.Remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load("two"); !errors.Is(err, lab.ErrNotFound) {
		t.Errorf("after remove: %v", err)
	}
	if labs, err := s.Labs(); len(labs) != 1 || err != nil {
		t.Errorf("labs %v, %v", labs, err)
	}
}

func TestForeignFoldersStay(t *testing.T) {
	for name, content := range map[string]string{
		"other-format": `{"format": 2, "id": "00000000"}`,
		"not-json":     "hello",
		"other-name":   `{"format": 1, "id": "00000000", "spec": {"name": "x"}}`,
	} {
		s := NewStore(t.TempDir())
		dir := filepath.Join(s.Dir(), name)
		os.Mkdir(dir, 0o700)
		file := filepath.Join(dir, "lab.json")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Load(name); lab.ErrorID(err) != "state-foreign" {
			t.Errorf("%s: load gives %v", name, err)
		}
		l := &Lab{Dir: dir, Record: Record{Format: Format, ID: "00000000"}}
		if err := l.Remove(); lab.ErrorID(err) != "state-foreign" {
			t.Errorf("%s: remove gives %v", name, err)
		}
		if data, err := os.ReadFile(file); string(data) != content || err != nil {
			t.Errorf("%s: the file changed: %q, %v", name, data, err)
		}
	}
	s := NewStore(t.TempDir())
	os.Mkdir(filepath.Join(s.Dir(), "photos"), 0o700)
	os.WriteFile(filepath.Join(s.Dir(), "photos", "cat.jpg"), nil, 0o600)
	if _, err := s.Load("photos"); lab.ErrorID(err) != "state-foreign" {
		t.Errorf("a folder of photos: %v", err)
	}
}

func TestLockNamesItsHolder(t *testing.T) {
	s := NewStore(t.TempDir())
	lock, err := s.Lock("lab", "lab create")
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Lock("lab", "lab destroy")
	if lab.ErrorID(err) != "lab-locked" || !strings.Contains(err.Error(), `"lab create"`) {
		t.Errorf("second lock: %v", err)
	}
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	again, err := s.Lock("lab", "lab destroy")
	if err != nil {
		t.Fatalf("after unlock: %v", err)
	}
	again.Unlock()
}

func TestJournal(t *testing.T) {
	l := newLab(t, NewStore(t.TempDir()), "lab")
	for _, id := range []string{"a", "b"} {
		if err := l.RecordFault(Fault{ID: id, Fault: "kill node2", Undo: lab.PowerOn, Nodes: []string{"node2"}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.StrikeFault("a"); err != nil {
		t.Fatal(err)
	}
	faults, err := l.Faults()
	if err != nil || len(faults) != 1 || faults[0].ID != "b" {
		t.Fatalf("%v, %v", faults, err)
	}
	if err := l.StrikeFault("b"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(l.journalFile()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an empty journal is no file: %v", err)
	}
}

func TestEventLog(t *testing.T) {
	l := newLab(t, NewStore(t.TempDir()), "lab")
	report, closeLog, err := l.EventLog(func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	report.Emit(lab.Event{Kind: lab.EventNote, Text: "one"})
	report.Emit(lab.Event{Kind: lab.EventNote, Text: "two"})
	if err := closeLog(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(l.Dir, "events.jsonl"))
	if lines := strings.Count(string(data), "\n"); lines != 2 || err != nil {
		t.Errorf("%d lines, %v:\n%s", lines, err, data)
	}
}

func TestAllocateIfAsksFirst(t *testing.T) {
	s := NewStore(filepath.Join(t.TempDir(), "state"))
	pool, yes := []string{"127.168.59.0/24"}, func(string) bool { return true }
	no := errors.New("no")
	var asked string
	_, err := s.AllocateIf(lab.Spec{Name: "one"}.WithDefaults(), "local", pool, yes, func(spec lab.Spec) error { asked = spec.Subnet; return no })
	if !errors.Is(err, no) || asked != pool[0] {
		t.Errorf("asked with %q, %v", asked, err)
	}
	if _, err := os.Stat(filepath.Join(s.Dir(), "one")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a refused lab was written: %v", err)
	}
	if got, err := s.Propose(pool, yes); got != pool[0] || err != nil {
		t.Errorf("propose: %q, %v", got, err)
	}
	if _, err := s.Propose(pool, func(string) bool { return false }); lab.ErrorID(err) != "subnet-exhausted" {
		t.Errorf("propose: %v", err)
	}
	newLab(t, s, "two")
	if err := s.Collision(lab.Spec{Name: "three", Subnet: pool[0]}.WithDefaults()); lab.ErrorID(err) != "subnet-taken" {
		t.Errorf("collision: %v", err)
	}
	if err := s.Collision(lab.Spec{Name: "two", Subnet: pool[0]}.WithDefaults()); err != nil {
		t.Errorf("a lab is in nobody's way but others': %v", err)
	}
}

func TestForeignAndHolders(t *testing.T) {
	s := NewStore(t.TempDir())
	newLab(t, s, "lab")
	for _, dir := range []string{"photos", "empty", ".hidden"} {
		os.Mkdir(filepath.Join(s.Dir(), dir), 0o700)
	}
	os.WriteFile(filepath.Join(s.Dir(), "photos", "cat.jpg"), []byte("meow"), 0o600)
	foreign, err := s.Foreign()
	if err != nil || len(foreign) != 1 || lab.ErrorID(foreign["photos"]) != "state-foreign" {
		t.Errorf("%v, %v", foreign, err)
	}
	if h, err := s.Holders(); err != nil || len(h) != 0 {
		t.Errorf("%v, %v", h, err)
	}
	// Held by another process: here, by another descriptor that names one.
	file := filepath.Join(s.Dir(), ".locks", "class")
	os.WriteFile(file, []byte(`{"pid":1,"command":"lab create","since":"2026-01-02T03:04:05Z"}`), 0o600)
	if h, err := s.Holders(); err != nil || len(h) != 0 {
		t.Errorf("left behind, not held: %v, %v", h, err)
	}
	f := flock.New(file)
	if ok, err := f.TryLock(); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if h, err := s.Holders(); err != nil || h["class"].Command != "lab create" || h["class"].PID != 1 {
		t.Errorf("%v, %v", h, err)
	}
	f.Unlock()
}

// TestKilledWhileWriting: a program that dies before its record is in place
// leaves a folder that is as good as none.
func TestKilledWhileWriting(t *testing.T) {
	s := NewStore(t.TempDir())
	dir := filepath.Join(s.Dir(), "lab")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".lab.json-123"), []byte(`{"form`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load("lab"); !errors.Is(err, lab.ErrNotFound) {
		t.Fatalf("load: %v", err)
	}
	if _, err := s.New(lab.Spec{Name: "lab"}, "memory"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load("lab"); err != nil {
		t.Error(err)
	}
}
