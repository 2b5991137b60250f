package imagetar

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"strings"
	"testing"

	"github.com/distribution/reference"
	"github.com/google/go-cmp/cmp"
)

// pack writes an archive: name, content, name, content…
func pack(t testing.TB, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: files[i], Mode: 0o644, Size: int64(len(files[i+1]))}); err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, files[i+1])
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

const (
	aConfig   = `{"architecture":"amd64","os":"linux","config":{"Labels":{"lab.images":"d"}},"rootfs":{"diff_ids":["sha256:0"]}}`
	aManifest = `[{"Config":"c","RepoTags":["lab/web:latest"],"Layers":["l"]}]`
)

// TestScanBlobs reads the layout of engines since 25: everything lies in
// blobs/, and an OCI index stands beside manifest.json.
func TestScanBlobs(t *testing.T) {
	data := pack(t, "blobs/sha256/aa", "x", "blobs/sha256/cc", aConfig, "index.json", "{}", "oci-layout", "{}",
		"manifest.json", `[{"Config":"blobs/sha256/cc","RepoTags":["lab/web:latest"],"Layers":["blobs/sha256/aa"]}]`)
	got, unpacked, err := Scan(bytes.NewReader(data))
	want := []Entry{{Refs: []string{"lab/web:latest"}, OS: "linux", Arch: "amd64", Digest: "d"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil || unpacked != 1 {
		t.Errorf("%v, %d bytes; %s", err, unpacked, diff)
	}
}

// TestScanIsBounded gives more JSON than anybody needs.
func TestScanIsBounded(t *testing.T) {
	var files []string
	text := "{" + strings.Repeat(" ", maxJSON-1)
	for i := range maxAllJSON/maxJSON + 1 {
		files = append(files, strings.Repeat("x", i+1), text)
	}
	if _, _, err := Scan(bytes.NewReader(pack(t, files...))); err == nil || !strings.Contains(err.Error(), "32 MiB of JSON") {
		t.Errorf("error %v", err)
	}
	large := pack(t, "manifest.json", "["+strings.Repeat(" ", maxJSON))
	if _, _, err := Scan(bytes.NewReader(large)); err == nil || !strings.Contains(err.Error(), "no manifest.json") {
		t.Errorf("a manifest that is too large: %v", err)
	}
}

func FuzzScan(f *testing.F) {
	good := pack(f, "l", "x", "c", aConfig, "manifest.json", aManifest)
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	w.Write(good)
	w.Close()
	f.Add(good)
	f.Add(zipped.Bytes())
	f.Add(good[:700])
	f.Add(pack(f, "manifest.json", `[{"Config":"../../c"}]`, "c", "[]"))
	f.Add([]byte("BZh91AY&SY"))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, unpacked, err := Scan(bytes.NewReader(data))
		if err != nil {
			if entries != nil || err.Error() == "" {
				t.Errorf("an error with a result, or without words: %v, %q", entries, err)
			}
			return
		}
		if len(entries) == 0 || unpacked < 0 {
			t.Fatalf("%d images, %d bytes", len(entries), unpacked)
		}
		for _, e := range entries {
			if e.OS != "linux" || e.Arch == "" {
				t.Errorf("%+v", e)
			}
			for _, r := range e.Refs {
				if _, err := reference.ParseNormalizedNamed(r); err != nil {
					t.Errorf("%q: %v", r, err)
				}
			}
		}
	})
}
