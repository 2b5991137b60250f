package images

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/mesoslab/lab/internal/labtest"
)

func hostArch(t *testing.T) string {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("this computer runs no Linux programs")
	}
	return runtime.GOARCH
}

func TestArchive(t *testing.T) {
	labtest.NeedProgram(t, "go")
	m := maker(t, sources(t, "one"))
	a, err := m.Archive(t.Context(), "arm64", silent)
	if err != nil {
		t.Fatal(err)
	}
	if got := a.Refs(); !slices.Equal(got, []string{"lab/mesos:latest", "lab/web:latest"}) {
		t.Errorf("names %v", got)
	}
	for _, e := range a.Images {
		if e.Arch != "arm64" || e.OS != "linux" || len(e.Digest) != 64 || e.Digest != a.Images[0].Digest {
			t.Errorf("%+v", e)
		}
	}
	data, err := os.ReadFile(a.Path)
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != a.SHA256 || a.Size != int64(len(data)) {
		t.Error("digest or size is not the file's")
	}

	// The library that others read archives with agrees.
	tag, err := name.NewTag("lab/web")
	if err != nil {
		t.Fatal(err)
	}
	img, err := tarball.ImageFromPath(a.Path, &tag)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(img); err != nil {
		t.Error(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c := config.Config
	if _, exposed := c.ExposedPorts["80/tcp"]; !exposed || !slices.Equal(c.Entrypoint, []string{"/lab", "mini"}) ||
		!slices.Equal(c.Cmd, []string{"nginx", "-g", "daemon off;"}) || c.Labels[Label] != a.digest() {
		t.Errorf("config %+v", c)
	}
	again, err := m.Archive(t.Context(), "arm64", func(s string) {
		if s != "looking at the sources of lab" {
			t.Errorf("made again: %s", s)
		}
	})
	if err != nil || again.SHA256 != a.SHA256 {
		t.Errorf("again: %+v, %v", again, err)
	}
}

// TestArchiveIsReproducible makes the same in two places, from scratch.
func TestArchiveIsReproducible(t *testing.T) {
	labtest.NeedProgram(t, "go")
	var files [][]byte
	for range 2 {
		a, err := maker(t, sources(t, "same")).Archive(t.Context(), "amd64", silent)
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(a.Path)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, data)
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("two archives of the same sources differ")
	}
}

func TestDigestTellsContentsApart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lab")
	seen := map[string]string{}
	for _, c := range []struct{ what, binary, arch, cmd string }{
		{"first", "one", "amd64", "x"}, {"binary", "two", "amd64", "x"}, {"arch", "one", "arm64", "x"}, {"catalogue", "one", "amd64", "y"},
	} {
		write(t, file, c.binary)
		m := &Maker{Catalogue: []Image{{Name: "lab/web", Cmd: []string{c.cmd}}}}
		d, err := m.digest(file, c.arch)
		if err != nil {
			t.Fatal(err)
		}
		if other, twice := seen[d]; twice {
			t.Errorf("%s has the digest of %s", c.what, other)
		}
		seen[d] = c.what
	}
}

// TestLayer looks at what is in an image.
func TestLayer(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lab")
	write(t, file, "binary")
	var b bytes.Buffer
	if err := writeLayer(&b, file); err != nil {
		t.Fatal(err)
	}
	type entry struct {
		mode int64
		text string
	}
	got := map[string]entry{}
	r := tar.NewReader(&b)
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Gid != 0 || h.ModTime.Unix() != 0 {
			t.Errorf("%s: owner %d:%d, time %s", h.Name, h.Uid, h.Gid, h.ModTime)
		}
		got[h.Name] = entry{h.Mode, string(text)}
	}
	want := map[string]entry{
		"etc/": {0o755, ""}, "etc/passwd": {0o644, passwd}, "etc/group": {0o644, group}, "etc/nsswitch.conf": {0o644, nsswitch},
		"lab": {0o755, "binary"}, "root/": {0o700, ""}, "tmp/": {0o1777, ""},
	}
	for name, w := range want {
		if got[name] != w {
			t.Errorf("%s: %+v, want %+v", name, got[name], w)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d entries, want %d", len(got), len(want))
	}
	if err := writeLayer(io.Discard, file+".missing"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a binary: %v", err)
	}
}

// pack writes an archive by hand: name, content, name, content…
func pack(files ...string) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 { // into memory: no write fails
		w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: files[i], Mode: 0o644, Size: int64(len(files[i+1]))})
		io.WriteString(w, files[i+1])
	}
	w.Close()
	return b.Bytes()
}

func zip(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(data)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// config is an image config with n layers.
func config(arch, label string, n int) string {
	c := map[string]any{
		"architecture": arch, "os": "linux", "config": map[string]any{"Labels": map[string]string{Label: label}},
		"rootfs": map[string]any{"type": "layers", "diff_ids": slices.Repeat([]string{"sha256:0"}, n)},
	}
	text, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	return string(text)
}
