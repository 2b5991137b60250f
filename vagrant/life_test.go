package vagrant

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/mesoslab/lab"
)

func TestSnapshots(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := New(w.options())
	if got, err := p.Snapshots(t.Context(), w.plan); err != nil || len(got) != 0 {
		t.Errorf("snapshots of nothing: %v, %v", got, err)
	}
	if err := p.SaveSnapshot(t.Context(), w.plan, "clean"); !errors.Is(err, lab.ErrNotFound) {
		t.Errorf("snapshot of nothing: %v", err)
	}
	up(t, p, w.plan)
	if err := p.RestoreSnapshot(t.Context(), w.plan, "clean"); lab.ErrorID(err) != "snapshot-missing" {
		t.Errorf("restore: %v", err)
	}
	if err := p.SaveSnapshot(t.Context(), w.plan, "--force"); lab.ErrorID(err) != "snapshot-name" {
		t.Errorf("a flag for a name: %v", err)
	}
	if err := p.SaveSnapshot(t.Context(), w.plan, "clean"); err != nil {
		t.Fatal(err)
	}
	got, err := p.Snapshots(t.Context(), w.plan)
	if err != nil || len(got) != 3 || !slices.Equal(got["node2"], []string{"clean"}) {
		t.Errorf("snapshots %v, %v", got, err)
	}
	if err := p.RestoreSnapshot(t.Context(), w.plan, "clean"); err != nil {
		t.Errorf("restore: %v", err)
	}
}

func TestNothingIsLeft(t *testing.T) {
	w := newWorld(t)
	t.Setenv("VAGRANT_VAGRANTFILE", "Another")
	t.Setenv("VAGRANT_CWD", "/")
	p := New(w.options())
	up(t, p, w.plan)
	for _, k := range []string{"up", "status", "version"} {
		if n := w.called(k); (k == "status") == (n > 0) {
			t.Errorf("%s was called %d times", k, n)
		}
	}
	if err := p.Destroy(t.Context(), w.plan); err != nil {
		t.Fatal(err)
	}
	var left []string
	entries, _ := os.ReadDir(w.dir)
	for _, e := range entries {
		left = append(left, e.Name())
	}
	if !slices.Equal(left, []string{worldFile, "vagrant.lock", "vagrant.log"}) {
		t.Errorf("left: %v", left)
	}
	log, _ := os.ReadFile(filepath.Join(w.dir, "vagrant.log"))
	if !strings.Contains(string(log), "vagrant up") {
		t.Errorf("log: %s", log)
	}
}

func TestWithoutKVM(t *testing.T) {
	t.Setenv("LIBVIRT_DEFAULT_URI", "")
	w := newWorld(t)
	opts := w.options()
	opts.kvm = filepath.Join(w.dir, "no-kvm")
	p := New(opts)
	w.plan.Spec.Vagrant.Provider = "libvirt"
	if _, err := p.Up(t.Context(), w.plan); lab.ErrorID(err) != "kvm-missing" || w.called("up") != 0 {
		t.Errorf("up: %v; calls %q", err, w.calls)
	}
	w.plan.Spec.Vagrant.Emulate = true
	up(t, p, w.plan)
	w.plan.Spec.Vagrant.Emulate = false
	up(t, p, w.plan) // they run: nothing is started
}

func TestNothingStartsAfterKill(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := New(w.options())
	p.Kill()
	if _, err := p.Up(t.Context(), w.plan); !errors.Is(err, errKilled) || len(w.calls) != 0 {
		t.Errorf("up: %v; calls %q", err, w.calls)
	}
}

// TestBegunMachinesAreMarked: a lab that wants fewer machines than a create
// that was interrupted finds the others by their folders.
func TestBegunMachinesAreMarked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := New(w.options())
	w.setScript(halfUp)
	if _, err := p.Up(t.Context(), w.plan); err == nil {
		t.Fatal("half a machine is no machine")
	}
	w.setScript(nil)
	for _, n := range w.plan.Nodes {
		if _, err := os.Stat(filepath.Join(w.dir, "machines", n.Name)); err != nil {
			t.Error(err)
		}
	}
	surplus := w.plan
	surplus.Nodes = []lab.Node{{Name: "node2"}}
	if err := p.Destroy(t.Context(), surplus); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(w.dir, "machines", "node2")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the mark of node2: %v", err)
	}
}

func TestEnvironmentIsOurs(t *testing.T) {
	t.Setenv("VAGRANT_LOG", "")
	t.Setenv("VAGRANT_CWD", "/elsewhere")
	env := environment("/lab", "libvirt")
	if slices.Contains(env, "VAGRANT_LOG=") || slices.Index(env, "VAGRANT_CWD=/lab") < slices.Index(env, "VAGRANT_CWD=/elsewhere") {
		t.Errorf("environment %q", env)
	}
	if !groupAlive(syscall.Getpgrp()) || groupAlive(0) {
		t.Error("groups are misjudged")
	}
}
