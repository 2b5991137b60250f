package fetcher

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	mesos "github.com/mesos/mesos-go/api/v1/lib"
	"github.com/ulikunitz/xz"

	"github.com/mesoslab/lab/internal/labtest"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// item is one member of an archive.
type item struct {
	name, content, to string // to: a symbolic link
	mode              int64
}

func tarOf(t testing.TB, items ...item) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, i := range items {
		h := &tar.Header{Name: i.name, Mode: i.mode, Size: int64(len(i.content)), Typeflag: tar.TypeReg}
		switch {
		case i.to != "":
			h.Typeflag, h.Linkname = tar.TypeSymlink, i.to
		case strings.HasSuffix(i.name, "/"):
			h.Typeflag = tar.TypeDir
		}
		must(t, w.WriteHeader(h))
		_, err := io.WriteString(w, i.content)
		must(t, err)
	}
	must(t, w.Close())
	return b.Bytes()
}

func zipOf(t testing.TB, items ...item) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, i := range items {
		f, err := w.Create(i.name)
		must(t, err)
		_, err = io.WriteString(f, i.content)
		must(t, err)
	}
	must(t, w.Close())
	return b.Bytes()
}

func packed[W io.WriteCloser](t testing.TB, data []byte, open func(io.Writer) (W, error)) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := open(&b)
	must(t, err)
	_, err = w.Write(data)
	must(t, err)
	must(t, w.Close())
	return b.Bytes()
}

func gz(w io.Writer) (*gzip.Writer, error) { return gzip.NewWriter(w), nil }
func xzip(w io.Writer) (*xz.Writer, error) { return xz.NewWriter(w) }

// place is a fetcher with a web server and a sandbox.
type place struct {
	*Fetcher
	t       testing.TB
	files   map[string][]byte
	asked   atomic.Int64
	url     string
	machine string // its file system
	sandbox string
	log     bytes.Buffer
}

func newPlace(t testing.TB) *place {
	p := &place{t: t, files: map[string][]byte{}, machine: t.TempDir(), sandbox: t.TempDir()}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.asked.Add(1)
		if r.URL.Path == "/moved" {
			http.Redirect(w, r, "/hello.txt", http.StatusFound)
			return
		}
		b, ok := p.files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Write(b)
	}))
	t.Cleanup(server.Close)
	p.url = server.URL
	p.Fetcher = &Fetcher{Client: server.Client(), Open: func(name string) (*os.File, error) { return os.Open(filepath.Join(p.machine, name)) }}
	return p
}

func (p *place) fetch(uris ...mesos.CommandInfo_URI) error {
	p.t.Helper()
	return p.Fetch(p.t.Context(), Job{URIs: uris, Sandbox: p.sandbox, User: "root", Log: &p.log})
}

// has expects a file in the sandbox.
func (p *place) has(name, content string, mode os.FileMode) {
	p.t.Helper()
	b, err := os.ReadFile(filepath.Join(p.sandbox, name))
	if err != nil || string(b) != content {
		p.t.Errorf("%s: %q, %v, want %q", name, b, err, content)
		return
	}
	if i, err := os.Stat(filepath.Join(p.sandbox, name)); err != nil || i.Mode().Perm() != mode {
		p.t.Errorf("%s has mode %v, want %v (%v)", name, i.Mode(), mode, err)
	}
}

func ptr[T any](v T) *T { return &v }

func TestFetch(t *testing.T) {
	p := newPlace(t)
	tree := tarOf(t, item{name: "app/", mode: 0o755}, item{name: "app/run", content: "#!", mode: 0o755},
		item{name: "/abs", content: "a", mode: 0o600}, item{name: "app/link", to: "../abs"})
	p.files["/hello.txt"] = []byte("hello")
	p.files["/app.tar"] = tree
	p.files["/d/app.tgz"] = packed(t, tree, gz)
	p.files["/app.tar.xz"] = packed(t, tree, xzip)
	p.files["/one.gz"] = packed(t, []byte("one"), gz)
	p.files["/app.zip"] = zipOf(t, item{name: "z/one", content: "1"})
	must(t, os.MkdirAll(filepath.Join(p.machine, "opt"), 0o755))
	must(t, os.WriteFile(filepath.Join(p.machine, "opt/tool"), []byte("tool"), 0o600))
	for _, c := range []struct {
		name string
		uri  mesos.CommandInfo_URI
		want map[string]string // "name mode": content
	}{
		{"a file", mesos.CommandInfo_URI{Value: p.url + "/hello.txt"}, map[string]string{"hello.txt 644": "hello"}},
		{"after a redirect, under its first name", mesos.CommandInfo_URI{Value: " " + p.url + "/moved"}, map[string]string{"moved 644": "hello"}},
		{"under another name", mesos.CommandInfo_URI{Value: p.url + "/hello.txt", OutputFile: ptr("a/b/c")}, map[string]string{"a/b/c 644": "hello"}},
		{"executable", mesos.CommandInfo_URI{Value: "file:///opt/tool", Executable: ptr(true)}, map[string]string{"tool 755": "tool"}},
		{"of this machine", mesos.CommandInfo_URI{Value: "file://localhost/opt/../opt/tool"}, map[string]string{"tool 644": "tool"}},
		{"by path", mesos.CommandInfo_URI{Value: "/../../opt/tool"}, map[string]string{"tool 644": "tool"}},
		{"tar", mesos.CommandInfo_URI{Value: p.url + "/app.tar"}, map[string]string{"app/run 755": "#!", "abs 600": "a", "app/link 600": "a", "app.tar 644": string(tree)}},
		{"tgz", mesos.CommandInfo_URI{Value: p.url + "/d/app.tgz"}, map[string]string{"app/run 755": "#!", "app.tgz 644": string(p.files["/d/app.tgz"])}},
		{"tar.xz", mesos.CommandInfo_URI{Value: p.url + "/app.tar.xz"}, map[string]string{"app/run 755": "#!"}},
		{"gz", mesos.CommandInfo_URI{Value: p.url + "/one.gz"}, map[string]string{"one 644": "one"}},
		{"zip", mesos.CommandInfo_URI{Value: p.url + "/app.zip"}, map[string]string{"z/one 644": "1"}},
		{"an archive that stays one", mesos.CommandInfo_URI{Value: p.url + "/app.tar", Extract: ptr(false)}, map[string]string{"app.tar 644": string(tree)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p.t, p.sandbox = t, t.TempDir()
			if err := p.fetch(c.uri); err != nil {
				t.Fatal(err)
			}
			for name, content := range c.want {
				var file string
				var mode os.FileMode
				if _, err := fmt.Sscanf(name, "%s %o", &file, &mode); err != nil {
					t.Fatal(err)
				}
				p.has(file, content, mode)
			}
			if c.name == "an archive that stays one" {
				if _, err := os.Stat(filepath.Join(p.sandbox, "app")); err == nil {
					t.Error("it was unpacked")
				}
			}
		})
	}
	if !strings.Contains(p.log.String(), "fetcher] Extracted 'app.tar' into '") {
		t.Errorf("log: %s", &p.log)
	}
}

func TestRefusals(t *testing.T) {
	p := newPlace(t)
	outside := filepath.Join(filepath.Dir(p.sandbox), "outside")
	p.files["/up.tar"] = tarOf(t, item{name: "../outside", content: "x", mode: 0o644})
	p.files["/link.tar"] = tarOf(t, item{name: "l", to: "/etc"}, item{name: "l/outside", content: "x"})
	p.files["/rel.tar"] = tarOf(t, item{name: "a/l", to: "../../outside"})
	p.files["/up.zip"] = zipOf(t, item{name: "a/../../outside", content: "x"})
	p.files["/bad.tgz"] = []byte("no archive")
	p.files["/f"] = []byte("f")
	must(t, os.Symlink(outside, filepath.Join(p.sandbox, "way-out")))
	for uri, want := range map[string]string{
		p.url + "/missing":  "received HTTP return code 404",
		p.url + "/up.tar":   `"../outside" leads out of the sandbox`,
		p.url + "/link.tar": `the link "l" to "/etc" leads out`,
		p.url + "/rel.tar":  "leads out of the sandbox",
		p.url + "/up.zip":   "leads out of the sandbox",
		p.url + "/bad.tgz":  "failed to extract 'bad.tgz'",
		p.url:               "missing path",
		p.url + "/":         "missing path",
		p.url + "/d/":       "names no file",
		p.url + "/..":       "names no file",
		p.url + "/it's":     "illegal characters",
		"hdfs://nn/a":       "only http, https and file",
		"file://here/x":     "absolute paths",
		"relative/x":        "framework home was not specified",
		"/nowhere":          "failed to copy '/nowhere'",
		"/":                 "names no file",
	} {
		if err := p.fetch(mesos.CommandInfo_URI{Value: uri}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", uri, err, want)
		}
	}
	for _, out := range []string{"", ".", "..", "/etc/x", "a/../../x", `a\b`} {
		u := mesos.CommandInfo_URI{Value: p.url + "/f", OutputFile: &out}
		if err := p.fetch(u); err == nil {
			t.Errorf("output file %q was taken", out)
		}
		if err := Validate([]mesos.CommandInfo_URI{u}); err == nil || !strings.HasPrefix(err.Error(), "could not fetch: ") {
			t.Errorf("output file %q: %v", out, err)
		}
	}
	// A link in the sandbox is replaced, not followed.
	must(t, p.fetch(mesos.CommandInfo_URI{Value: p.url + "/f", OutputFile: ptr("way-out")}))
	p.has("way-out", "f", 0o644)
	if _, err := os.Stat(outside); err == nil {
		t.Error("something was written outside of the sandbox")
	}
}

func TestCache(t *testing.T) {
	p := newPlace(t)
	dir := filepath.Join(t.TempDir(), "cache")
	must(t, os.MkdirAll(filepath.Join(dir, "old"), 0o755))
	var err error
	p.Cache, err = NewCache(dir, 25)
	must(t, err)
	for _, name := range []string{"/a", "/b", "/c"} {
		p.files[name] = []byte(strings.Repeat(name[1:], 10))
	}
	p.files["/large"] = []byte(strings.Repeat("x", 26))
	get := func(name string, want int64) {
		t.Helper()
		before := p.asked.Load()
		must(t, p.fetch(mesos.CommandInfo_URI{Value: p.url + name, Cache: ptr(true)}))
		p.has(name[1:], string(p.files[name]), 0o644)
		if n := p.asked.Load() - before; n != want {
			t.Errorf("%s was downloaded %d times, want %d", name, n, want)
		}
	}
	get("/a", 1)
	get("/a", 0)
	get("/b", 1)
	get("/a", 0)
	get("/c", 1) // b goes, the least recently used
	get("/a", 0)
	get("/b", 1)
	get("/large", 2) // into the cache in vain, then directly
	if err := p.fetch(mesos.CommandInfo_URI{Value: p.url + "/missing", Cache: ptr(true)}); err == nil {
		t.Error("fetched what is not there")
	}
	left, err := os.ReadDir(dir)
	must(t, err)
	if len(left) > 2 {
		t.Errorf("the cache keeps %v", left)
	}
	p.files["/x.tar"] = tarOf(t)[:0]
	p.Cache, err = NewCache(dir, 1<<20)
	must(t, err)
	p.files["/x.tar"] = tarOf(t, item{name: "m", content: "m", mode: 0o644})
	get2 := func() {
		t.Helper()
		must(t, p.fetch(mesos.CommandInfo_URI{Value: p.url + "/x.tar", Cache: ptr(true)}))
		p.has("m", "m", 0o644)
	}
	get2()
	get2()
	if _, err := os.Stat(filepath.Join(p.sandbox, "x.tar")); err == nil {
		t.Error("an archive from the cache was copied, too")
	}
}

func TestCancelled(t *testing.T) {
	p := newPlace(t)
	p.files["/f"] = []byte("f")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the task was killed"))
	err := p.Fetch(ctx, Job{URIs: []mesos.CommandInfo_URI{{Value: p.url + "/f"}}, Sandbox: p.sandbox})
	if err == nil {
		t.Error("it was fetched")
	}
}

// TestForeignArchives unpacks what other programs pack.
func TestForeignArchives(t *testing.T) {
	p := newPlace(t)
	tarProgram := labtest.NeedProgram(t, "tar")
	src := filepath.Join(p.machine, "src")
	must(t, os.MkdirAll(filepath.Join(src, "d"), 0o755))
	must(t, os.WriteFile(filepath.Join(src, "d/f"), []byte("f"), 0o640))
	must(t, os.Symlink("f", filepath.Join(src, "d/l")))
	must(t, os.Link(filepath.Join(src, "d/f"), filepath.Join(src, "d/h")))
	for flag, ending := range map[string]string{"-cf": ".tar", "-czf": ".tgz", "-cjf": ".tar.bz2", "-cJf": ".txz"} {
		if flag == "-cjf" {
			labtest.NeedProgram(t, "bzip2")
		}
		p.sandbox = t.TempDir()
		run(t, tarProgram, "-C", src, flag, filepath.Join(p.machine, "x"+ending), "d")
		must(t, p.fetch(mesos.CommandInfo_URI{Value: "file:///x" + ending}))
		for _, name := range []string{"d/f", "d/l", "d/h"} {
			p.has(name, "f", 0o640)
		}
	}
}

// FuzzExtract: whatever an archive says, nothing is written outside.
func FuzzExtract(f *testing.F) {
	f.Add(tarOf(f, item{name: "../x", content: "x"}), 0)
	f.Add(tarOf(f, item{name: "l", to: ".."}, item{name: "l/x", content: "x"}), 0)
	f.Add(packed(f, tarOf(f, item{name: "a/b", content: "x", mode: 0o777}), gz), 1)
	f.Add(zipOf(f, item{name: "..\\x", content: "x"}, item{name: "/y", content: "y"}), 8)
	f.Add([]byte("BZh9"), 3)
	small := packed(f, tarOf(f, item{name: "a", content: "x"}), xzip)
	f.Add(small, 5)
	f.Add(announce(f, small, 40), 5)
	f.Fuzz(func(t *testing.T, data []byte, kind int) {
		if len(data) > 1<<16 {
			return
		}
		up := t.TempDir()
		in := filepath.Join(up, "in")
		must(t, os.WriteFile(in, data, 0o600))
		must(t, os.Mkdir(filepath.Join(up, "sandbox"), 0o755))
		root, err := os.OpenRoot(filepath.Join(up, "sandbox"))
		must(t, err)
		defer root.Close()
		h, err := os.Open(in)
		must(t, err)
		defer h.Close()
		k := kinds[uint(kind)%uint(len(kinds))]
		_ = k.unpack(t.Context(), root, h, "x"+k.ending)
		left, err := os.ReadDir(up)
		must(t, err)
		if len(left) != 2 {
			t.Errorf("outside of the sandbox: %v", left)
		}
		_ = filepath.WalkDir(filepath.Join(up, "sandbox"), func(name string, d os.DirEntry, err error) error {
			if err == nil && d.Type()&os.ModeSymlink != 0 {
				if to, _ := os.Readlink(name); filepath.IsAbs(to) {
					t.Errorf("%s leads to %s", name, to)
				}
			}
			return nil
		})
	})
}

// FuzzName: a URI's file is always one inside of the sandbox.
func FuzzName(f *testing.F) {
	f.Add("http://h/a/b?x=/..", "")
	f.Add("file:///a/", "x/../..")
	f.Fuzz(func(t *testing.T, uri, out string) {
		u := mesos.CommandInfo_URI{Value: uri}
		if out != "" {
			u.OutputFile = &out
		}
		if n, err := name(u); err == nil && (!filepath.IsLocal(n) || n == ".") {
			t.Errorf("%q, %q: %q", uri, out, n)
		}
	})
}

func run(t *testing.T, program string, args ...string) {
	t.Helper()
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", program, args, err, out)
	}
}
