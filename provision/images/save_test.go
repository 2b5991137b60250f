package images

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/labtest"
)

func TestSave(t *testing.T) {
	labtest.NeedProgram(t, "go")
	mk := maker(t, sources(t, "saved"))
	one := newTwin("node1", map[string]string{"kiwenlau/zookeeper:3.4.8": "", "kiwenlau/mesos:0.26.0": ""})
	two := newTwin("node2", map[string]string{"kiwenlau/mesos:0.26.0": "", "nginx:1.10": ""})
	refs := []string{"lab/web", "kiwenlau/zookeeper:3.4.8", "kiwenlau/mesos:0.26.0", "nginx:1.10"}
	file := filepath.Join(t.TempDir(), "all.tar")
	src := Sources{Maker: mk, Temp: t.TempDir()}
	h := &heard{}
	saved, err := Save(t.Context(), file, "", refs, []Machine{one.machine(refs...), two.machine(refs...)}, src, Options{Report: h.report})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"kiwenlau/mesos:0.26.0", "kiwenlau/zookeeper:3.4.8", "lab/mesos:latest", "lab/web:latest", "nginx:1.10"}
	if !slices.Equal(saved.Images, want) || saved.Arch != "amd64" || saved.File != file {
		t.Errorf("%+v", saved)
	}
	if len(one.saves) != 2 || len(two.saves) != 1 {
		t.Errorf("copied %v from node1, %v from node2", one.saves, two.saves)
	}
	if left, err := os.ReadDir(src.Temp); err != nil || len(left) > 0 {
		t.Errorf("left here: %v, %v", left, err)
	}
	if !h.says("", "images", "writing") || !h.says("", "images", "node2: saving") {
		t.Error("no word of progress")
	}

	// Another machine gets everything from the file.
	a, err := Open(t.Context(), file, nil)
	if err != nil {
		t.Fatal(err)
	}
	three := newTwin("node3", nil)
	if _, _, err := deliver(t, Sources{File: a}, three.machine(refs...)); err != nil || len(three.has) != len(want) {
		t.Errorf("%v; node3 has %s", err, three.list())
	}
}

func TestSaveWithoutMachines(t *testing.T) {
	labtest.NeedProgram(t, "go")
	mk := maker(t, sources(t, "saved"))
	var files []string
	for range 2 {
		file := filepath.Join(t.TempDir(), "mini.tar")
		if _, err := Save(t.Context(), file, "arm64", []string{"lab/mesos"}, nil, Sources{Maker: mk, Temp: t.TempDir()}, Options{}); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, string(data))
	}
	if files[0] != files[1] {
		t.Error("saved twice, two files")
	}
}

func TestSaveMissing(t *testing.T) {
	embedded := newTwin("node1", map[string]string{"nginx:1.10": BuiltIn})
	for want, machines := range map[string][]Machine{
		"there is no running lab to copy nginx:1.10 from": nil,
		"no machine has nginx:1.10":                       {embedded.machine("nginx:1.10")},
	} {
		dir := t.TempDir()
		_, err := Save(t.Context(), filepath.Join(dir, "x.tar"), "", []string{"nginx:1.10"}, machines, Sources{Temp: t.TempDir()}, Options{})
		if lab.ErrorID(err) != "image-missing" || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	}
}

func TestCheck(t *testing.T) {
	file := fileOf(t, "amd64", map[string]string{"nginx:1.10": ""})
	for _, test := range []struct {
		refs []string
		id   string
	}{
		{[]string{"lab/web", "nginx:1.10"}, ""}, {[]string{"lab/web", "nginx:1.11"}, "archive-unneeded"}, {[]string{"nginx:1.10", "X"}, "image-name"},
	} {
		if err := (Sources{File: file}).Check(test.refs); lab.ErrorID(err) != test.id {
			t.Errorf("%v: %v, want %q", test.refs, err, test.id)
		}
	}
	if err := (Sources{}).Check([]string{"a"}); err != nil {
		t.Errorf("without a file: %v", err)
	}
}
