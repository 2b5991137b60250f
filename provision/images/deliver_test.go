package images

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
)

// deliver runs Deliver and returns what it did in one line.
func deliver(t *testing.T, src Sources, machines ...Machine) (string, *heard, error) {
	t.Helper()
	if src.Temp == "" {
		src.Temp = t.TempDir()
	}
	h := &heard{}
	res, err := Deliver(t.Context(), machines, src, Options{Op: "create", Report: h.report})
	if left, readErr := os.ReadDir(src.Temp); readErr == nil && len(left) > 0 {
		t.Errorf("left here: %v", left)
	}
	return strings.Join(res.Did, "; "), h, err
}

func TestNothingToDo(t *testing.T) {
	m := newTwin("node1", map[string]string{"lab/web": BuiltIn, "nginx:1.10": ""})
	did, h, err := deliver(t, Sources{Maker: maker(t)}, m.machine("lab/web", "nginx:1.10", "nginx:1.10"))
	if err != nil || did != "" {
		t.Errorf("%q, %v", did, err)
	}
	if len(m.commands)+len(m.pulls) > 0 {
		t.Errorf("done for nothing: %v", m.commands)
	}
	for _, e := range h.list {
		if e.Kind == lab.EventDone && e.Data["quiet"] != true {
			t.Errorf("not quiet: %+v", e)
		}
	}
}

func TestMiniImages(t *testing.T) {
	labtest.NeedProgram(t, "go")
	mk := maker(t, sources(t, "mini"))
	one, two := newTwin("node1", map[string]string{"lab/mesos": "older"}), newTwin("node2", nil)
	two.arch = "aarch64"
	machines := []Machine{one.machine("lab/mesos", "lab/web"), two.machine("lab/mesos")}
	did, h, err := deliver(t, Sources{Maker: mk}, machines...)
	if err != nil {
		t.Fatal(err)
	}
	if want := "images lab/mesos on node2; images lab/mesos, lab/web on node1"; did != want {
		t.Errorf("did %q, want %q", did, want)
	}
	arm, err := mk.Archive(t.Context(), "arm64", silent)
	if err != nil {
		t.Fatal(err)
	}
	if two.has["docker.io/lab/mesos:latest"] != arm.digest() || one.has["docker.io/lab/mesos:latest"] == arm.digest() {
		t.Errorf("node1 has %v, node2 %v", one.has, two.has)
	}
	if len(one.files)+len(two.files) > 0 {
		t.Errorf("left on the machines: %v %v", one.files, two.files)
	}
	if all := strings.Join(two.commands, "\n"); !strings.Contains(all, "sudo -n docker load") {
		t.Errorf("commands\n%s", all)
	}
	for _, w := range []struct{ node, text string }{{"", "building lab for linux/arm64"}, {"node2", "uploading"}, {"node2", "docker load"}, {"node1", "images loaded ("}} {
		if !h.says(w.node, "images", w.text) {
			t.Errorf("%s: nobody says %q", w.node, w.text)
		}
	}
	before := len(one.commands)
	did, _, err = deliver(t, Sources{Maker: mk}, machines...)
	if err != nil || did != "" || len(one.commands) != before {
		t.Errorf("again: %q, %v", did, err)
	}
}

func TestUploadGoesOn(t *testing.T) {
	file := fileOf(t, "amd64", map[string]string{"a:1": ""})
	m := newTwin("node1", nil)
	m.cut = 700
	if _, _, err := deliver(t, Sources{File: file}, m.machine("a:1")); lab.ErrorID(err) != "image-upload" || !strings.Contains(err.Error(), "connection lost") {
		t.Fatalf("cut off: %v", err)
	}
	_, h, err := deliver(t, Sources{File: file}, m.machine("a:1"))
	if err != nil || m.list() != "docker.io/library/a:1" {
		t.Errorf("again: %v, has %s", err, m.list())
	}
	if !h.says("node1", "images", "uploading") {
		t.Error("no word of the upload")
	}
}

func TestUploadDamaged(t *testing.T) {
	file := fileOf(t, "amd64", map[string]string{"a:1": ""})
	m := newTwin("node1", nil)
	m.damage = true
	_, h, err := deliver(t, Sources{File: file}, m.machine("a:1"))
	if err != nil || m.list() != "docker.io/library/a:1" || !h.says("node1", "images", "the upload is damaged: once more") {
		t.Errorf("%v, has %s", err, m.list())
	}
}

// TestPulledOnce pulls with one machine and hands on to the others.
func TestPulledOnce(t *testing.T) {
	hub := &registry{has: []string{"nginx:1.10", "kiwenlau/mesos:0.26.0"}, pulls: map[string]int{}}
	all := []*twin{newTwin("node1", nil), newTwin("node2", nil), newTwin("node3", map[string]string{"kiwenlau/mesos:0.26.0": ""})}
	var machines []Machine
	for _, m := range all {
		m.registry = hub
		machines = append(machines, m.machine("kiwenlau/mesos:0.26.0", "nginx:1.10"))
	}
	did, h, err := deliver(t, Sources{}, machines...)
	if err != nil {
		t.Fatal(err)
	}
	if want := "image kiwenlau/mesos:0.26.0 on node1, from node3; image kiwenlau/mesos:0.26.0 on node2, from node3; " +
		"image nginx:1.10 on node2, from node1; image nginx:1.10 on node3, from node1; image nginx:1.10 pulled by node1"; did != want {
		t.Errorf("did %q", did)
	}
	if hub.pulls["nginx:1.10"] != 1 || hub.pulls["kiwenlau/mesos:0.26.0"] != 0 {
		t.Errorf("pulls %v", hub.pulls)
	}
	for _, m := range all {
		if m.list() != "docker.io/kiwenlau/mesos:0.26.0 docker.io/library/nginx:1.10" || len(m.files) > 0 {
			t.Errorf("%s has %s, files %d", m.name, m.list(), len(m.files))
		}
	}
	for _, w := range []struct{ node, step, text string }{
		{"node1", "image/nginx:1.10", "pulling 1.0 of 2.0 MB"}, {"node1", "image/nginx:1.10", "unpacking"}, {"node2", "image/nginx:1.10", "waiting for node1"},
		{"node3", "image/kiwenlau/mesos:0.26.0", "saving"}, {"node2", "image/kiwenlau/mesos:0.26.0", "from node3"},
	} {
		if !h.says(w.node, w.step, w.text) {
			t.Errorf("%s %s: nobody says %q", w.node, w.step, w.text)
		}
	}
}

// TestByDigest is pulled by each: docker save forgets such names.
func TestByDigest(t *testing.T) {
	ref := "nginx@sha256:" + strings.Repeat("0", 64)
	hub := &registry{has: []string{ref}, pulls: map[string]int{}}
	a, b := newTwin("node1", nil), newTwin("node2", nil)
	a.registry, b.registry = hub, hub
	if _, _, err := deliver(t, Sources{}, a.machine(ref), b.machine(ref)); err != nil || hub.pulls[ref] != 2 {
		t.Errorf("%v, pulls %v", err, hub.pulls)
	}
}

func TestFile(t *testing.T) {
	file := fileOf(t, "amd64", map[string]string{"kiwenlau/mesos:0.26.0": "", "lab/web:latest": "d1"})
	m := newTwin("node1", map[string]string{"lab/web": "d0"})
	did, _, err := deliver(t, Sources{File: file, Maker: maker(t)}, m.machine("kiwenlau/mesos:0.26.0", "lab/web"))
	if err != nil || m.has["docker.io/lab/web:latest"] != "d1" || did != "images kiwenlau/mesos:0.26.0, lab/web on node1" {
		t.Errorf("%q, %v, has %v", did, err, m.has)
	}
	if did, _, err := deliver(t, Sources{File: file}, m.machine("kiwenlau/mesos:0.26.0", "lab/web")); err != nil || did != "" {
		t.Errorf("again: %q, %v", did, err)
	}
}

// TestLoad: what people load replaces what has the same name.
func TestLoad(t *testing.T) {
	file := fileOf(t, "amd64", map[string]string{"shop:2": "", "tool:1": ""})
	one, two := newTwin("node1", map[string]string{"shop:2": "of yesterday"}), newTwin("node2", nil)
	h := &heard{}
	res, err := Load(t.Context(), []Machine{one.machine(), two.machine()}, file, Options{Op: "images", Report: h.report})
	if want := "images shop:2, tool:1 on node1; images shop:2, tool:1 on node2"; err != nil || strings.Join(res.Did, "; ") != want {
		t.Errorf("did %q, %v, want %q", res.Did, err, want)
	}
	for _, m := range []*twin{one, two} {
		if m.list() != "docker.io/library/shop:2 docker.io/library/tool:1" || m.has["docker.io/library/shop:2"] != "" || len(m.files) > 0 {
			t.Errorf("%s has %v, and the files %d", m.name, m.has, len(m.files))
		}
	}
	two.arch = "aarch64"
	before := len(one.commands)
	if _, err := Load(t.Context(), []Machine{one.machine(), two.machine()}, file, Options{}); lab.ErrorID(err) != "image-arch" {
		t.Errorf("one of two is of another kind: %v", err)
	}
	if len(one.commands) > before {
		t.Errorf("though one machine cannot take them, the other got %q", one.commands[before:])
	}
	nameless := *file
	nameless.Images = []Entry{{OS: "linux", Arch: "amd64"}}
	if _, err := Load(t.Context(), []Machine{one.machine()}, &nameless, Options{}); lab.ErrorID(err) != "archive-invalid" {
		t.Errorf("images without names: %v", err)
	}
}

// TestWithoutBinary keeps or hands on what cannot be made here.
func TestWithoutBinary(t *testing.T) {
	a, b := newTwin("node1", map[string]string{"lab/web": "from a file"}), newTwin("node2", nil)
	did, _, err := deliver(t, Sources{Maker: maker(t)}, a.machine("lab/web"), b.machine("lab/web"))
	if err != nil || did != "image lab/web on node2, from node1" {
		t.Errorf("%q, %v", did, err)
	}
	c := newTwin("node3", nil)
	if _, _, err := deliver(t, Sources{Maker: maker(t)}, c.machine("lab/web")); lab.ErrorID(err) != "mini-binary-missing" {
		t.Errorf("nobody has it: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	file := fileOf(t, "arm64", map[string]string{"a:1": ""})
	for _, test := range []struct {
		name, id, want string
		file           *Archive
		wants          string
		edit           func(*twin)
	}{
		{"no such image", "image-pull", "toomanyrequests", nil, "a:1", func(*twin) {}},
		{"bad name", "image-name", `"A B"`, nil, "A B", func(*twin) {}},
		{"architecture", "image-arch", "for arm64, the machine is amd64", file, "a:1", func(*twin) {}},
		{"disk for an upload", "disk-full", "MB free in /var/lib/docker, about", file, "a:1", func(m *twin) { m.arch, m.free = "aarch64", 1 }},
		{"disk for a pull", "disk-full", "about 268.4 MB needed", nil, "a:1", func(m *twin) { m.free = 1 }},
		{"docker load", "image-load", "not a tar", file, "a:1", func(m *twin) { m.arch, m.loadErr = "aarch64", errors.New("not a tar") }},
		{"disk full while loading", "disk-full", "no space left", file, "a:1", func(m *twin) { m.arch, m.loadErr = "aarch64", errors.New("write: no space left on device") }},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newTwin("node1", nil)
			test.edit(m)
			_, _, err := deliver(t, Sources{File: test.file}, m.machine(test.wants))
			var e *lab.Error
			if !errors.As(err, &e) || e.ID != test.id || !strings.Contains(err.Error(), test.want) || e.Advice == "" {
				t.Errorf("%v, want %s with %q", err, test.id, test.want)
			}
			if m.list() != "" {
				t.Errorf("has %s", m.list())
			}
		})
	}
	for _, way := range []string{"stack: mini", "images: in lab.yaml", "lab images save FILE", "--images FILE", "mirror"} {
		if !strings.Contains(pullAdvice, way) {
			t.Errorf("the advice on pulls does not name %q", way)
		}
	}
}

func TestDeliverInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m := newTwin("node1", nil)
	file := fileOf(t, "amd64", map[string]string{"a:1": ""})
	m.cut = 100
	_, err := Deliver(ctx, []Machine{m.machine("a:1")}, Sources{File: file, Temp: t.TempDir()}, Options{})
	if err == nil || lab.ErrorID(err) != "" {
		t.Errorf("%v, want a plain error: the caller knows that it was interrupted", err)
	}
}

// TestEngineFallsSilent: a load that never ends, in an engine that answers no
// question either, is given up; one that is merely slow is not.
func TestEngineFallsSilent(t *testing.T) {
	file := fileOf(t, "amd64", map[string]string{"tool:1": ""})
	bubble.Test(t, func(t *testing.T) {
		m := newTwin("node2", nil)
		m.frozen = true
		start := time.Now()
		_, _, err := deliver(t, Sources{File: file}, m.machine("tool:1"))
		if lab.ErrorID(err) != "engine-silent" || !strings.Contains(err.Error(), "node2") {
			t.Errorf("error %v, want engine-silent of node2", err)
		}
		if took := time.Since(start); took < silence || took > silence+2*askEvery {
			t.Errorf("given up after %s", took)
		}
		m.frozen = false
		if did, _, err := deliver(t, Sources{File: file}, m.machine("tool:1")); err != nil || did != "images tool:1 on node2" {
			t.Errorf("once it answers again: %q, %v", did, err)
		}
	})
	bubble.Test(t, func(t *testing.T) {
		m := newTwin("node1", nil).machine()
		err := m.whileItAnswers(t.Context(), "wait", func(ctx context.Context) error {
			select {
			case <-time.After(time.Hour):
			case <-ctx.Done():
			}
			return ctx.Err()
		})
		if err != nil {
			t.Errorf("an hour in an engine that answers: %v", err)
		}
	})
}

func TestParseRoom(t *testing.T) {
	const head = "Filesystem     1024-blocks    Used Available Capacity Mounted on\n"
	good := "/var/tmp/lab-images-0\n12\n" + head + "/dev/my disk 1 2 3 4% /var/my tmp\n" + head + "overlay 10 20 -30 100% /\n"
	r, err := parseRoom(good)
	if err != nil || r != (room{"/var/tmp/lab-images-0", 12, volume{3 << 10, "/var/my tmp"}, volume{0, "/"}}) {
		t.Errorf("%+v, %v", r, err)
	}
	for _, bad := range []string{"", "/var/tmp/lab-images-0", strings.Replace(good, "12", "x", 1), strings.Replace(good, "-0\n", "-0; reboot\n", 1), strings.Replace(good, "3 4%", "? 4%", 1)} {
		if r, err := parseRoom(bad); err == nil {
			t.Errorf("%q gives %+v", bad, r)
		}
	}
}

func FuzzParseRoom(f *testing.F) {
	f.Add("/var/tmp/lab-images-0\n12\nFilesystem\n/dev/a 1 2 3 4% /a\nFilesystem\n/dev/a 1 2 3 4% /a\n")
	f.Fuzz(func(t *testing.T, out string) {
		if r, err := parseRoom(out); err == nil && (r.docker.free < 0 || r.upload.free < 0 || quote(r.dir) != r.dir) {
			t.Errorf("%+v", r)
		}
	})
}
