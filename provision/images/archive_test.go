package images

import (
	"archive/tar"
	"bytes"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/imagetar"
)

func TestOpen(t *testing.T) {
	const manifest = `[{"Config":"c.json","RepoTags":["team/app:1"],"Layers":["l/layer.tar"]},{"Config":"d.json","RepoTags":null,"Layers":["l/layer.tar","./m.tar.gz"]}]`
	layer := strings.Repeat("x", 1000)
	zipped := "\x1f\x8b" + layer
	data := pack("l/layer.tar", layer, "m.tar.gz", zipped, "c.json", config("amd64", "", 1), "d.json", config("arm64", "d", 2), "./manifest.json", manifest)
	for name, file := range map[string][]byte{"plain": data, "gzip": zip(t, data)} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "images.tar")
			write(t, path, string(file))
			var said string
			a, err := Open(t.Context(), path, func(s string) { said = s })
			if err != nil {
				t.Fatal(err)
			}
			if len(a.Images) != 2 || a.Images[0].Arch != "amd64" || a.Images[1].Digest != "d" || !slices.Equal(a.Refs(), []string{"team/app:1"}) {
				t.Errorf("%+v", a.Images)
			}
			if want := int64(1000 + imagetar.GzipFactor*1002); a.Unpacked != want {
				t.Errorf("unpacked %d, want %d", a.Unpacked, want)
			}
			if _, ok := a.find("docker.io/team/app:1"); !ok {
				t.Error("its full name is not found")
			}
			if _, ok := a.find("team/app"); ok {
				t.Error("another tag is found")
			}
			if !strings.HasPrefix(said, "reading ") {
				t.Errorf("says %q", said)
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	good := pack("c", config("amd64", "", 1), "l", "x", "manifest.json", `[{"Config":"c","RepoTags":["a:1"],"Layers":["l"]}]`)
	link := func(target string) []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: "manifest.json", Linkname: target})
		w.Close()
		return b.Bytes()
	}
	for _, test := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "the file is empty"},
		{"text", []byte(strings.Repeat("hello\n", 200)), "it is no tar file"},
		{"cut off", good[:1200], "cut off or damaged"},
		{"cut off in gzip", zip(t, good)[:100], "unexpected EOF"},
		{"xz", []byte("\xfd7zXZ\x00…"), "xz -d"},
		{"zstd", []byte("\x28\xb5\x2f\xfd…"), "zstd -d"},
		{"any tar", pack("a", "b"), "no manifest.json"},
		{"oci layout", pack("oci-layout", "{}", "index.json", "{}"), "docker save"},
		{"manifest is a link", link("/etc/passwd"), "no manifest.json"},
		{"manifest is no list", pack("manifest.json", "{}"), "manifest.json: json"},
		{"no image", pack("manifest.json", "[]"), "names no image"},
		{"no config", pack("manifest.json", `[{"Config":"c"}]`), `config "c" is not in the file`},
		{"config is none", pack("c", "{", "manifest.json", `[{"Config":"c"}]`), `config "c": unexpected end`},
		{"windows", pack("c", strings.Replace(config("amd64", "", 0), "linux", "windows", 1), "manifest.json", `[{"Config":"c"}]`), "not for linux"},
		{"no layer", pack("c", config("amd64", "", 1), "manifest.json", `[{"Config":"c","Layers":["l"]}]`), `layer "l" is not in the file`},
		{"number of layers", pack("c", config("amd64", "", 2), "l", "", "manifest.json", `[{"Config":"c","Layers":["l"]}]`), "1 layers, its config names 2"},
		{"name", pack("c", config("amd64", "", 0), "manifest.json", `[{"Config":"c","RepoTags":["A B"]}]`), `name "A B"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "images.tar")
			write(t, path, string(test.data))
			_, err := Open(t.Context(), path, nil)
			if lab.ErrorID(err) != "archive-invalid" || !errors.Is(err, lab.ErrUsage) || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
	if _, err := Open(t.Context(), filepath.Join(t.TempDir(), "missing"), nil); lab.ErrorID(err) != "archive-invalid" {
		t.Errorf("no file: %v", err)
	}
}
