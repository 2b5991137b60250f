//go:build unix

package folder

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mesoslab/lab/internal/proctab"
)

func TestFilesComeBack(t *testing.T) {
	f := Folder(t.TempDir())
	if l, err := f.Life(); l.State != Off || err != nil {
		t.Errorf("a machine that never lived: %+v, %v", l, err)
	}
	if _, err := f.Settings(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no settings: %v", err)
	}
	id := proctab.ID{PID: 12, Start: "34@ab"}
	s := Settings{LabID: "x", Name: "node1", IP: "127.1.1.1", CPUs: 1, Hosts: map[string]string{"node1": "127.1.1.1"}, SSHPort: 2222}
	l := Life{State: Failed, Process: id, Since: time.Now().UTC().Round(0), Problem: &Problem{ID: "port-taken"}}
	p := []Proc{{ID: id, Name: "zk", Argv: []string{"/lab"}, At: l.Since}}
	if err := errors.Join(f.WriteSettings(s), f.WriteLife(l), f.WriteProcs(p)); err != nil {
		t.Fatal(err)
	}
	s.Format = Format
	gotS, err1 := f.Settings()
	gotL, err2 := f.Life()
	gotP, err3 := f.Procs()
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(s, gotS) + cmp.Diff(l, gotL) + cmp.Diff(p, gotP); d != "" {
		t.Error(d)
	}
	if left, _ := filepath.Glob(f.Path(".*")); len(left) > 0 {
		t.Errorf("temporary files are left: %v", left)
	}
	if err := os.WriteFile(f.Path(SettingsFile), []byte(`{"format":99}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Settings(); err == nil {
		t.Error("an unknown format is taken")
	}
}

func TestLockLivesWithEveryCopyOfItsDescriptor(t *testing.T) {
	f := Folder(t.TempDir())
	if alive, err := f.Alive(); alive || err != nil {
		t.Fatalf("before: %v, %v", alive, err)
	}
	lock, err := f.Lock()
	if err != nil {
		t.Fatal(err)
	}
	self, err := proctab.Self()
	if err != nil {
		t.Fatal(err)
	}
	if err := Sign(lock, proctab.ID{PID: 1234567, Start: "a very long start of an earlier life"}); err != nil {
		t.Fatal(err)
	}
	if err := Sign(lock, self); err != nil {
		t.Fatal(err)
	}
	if id, ok := f.Holder(); !ok || id != self {
		t.Errorf("holder %+v, %v", id, ok)
	}
	if _, err := f.Lock(); !errors.Is(err, ErrLocked) {
		t.Errorf("locked twice: %v", err)
	}
	if alive, _ := f.Alive(); !alive {
		t.Error("a locked machine is not alive")
	}
	lock.Close()
	if alive, _ := f.Alive(); alive {
		t.Error("an unlocked machine is alive")
	}
}
