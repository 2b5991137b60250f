package rootfs

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const root = "var/lib/docker/containers/abc/rootfs"

func newTree(t *testing.T) (*Tree, string) {
	t.Helper()
	machine := t.TempDir()
	tree, err := Open(machine)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tree.Close() })
	if err := tree.Create(root, Names{Hostname: "box", IP: "127.1.2.3", ExtraHosts: []string{"db:10.0.0.9"}}); err != nil {
		t.Fatal(err)
	}
	return tree, machine
}

func read(t *testing.T, elem ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(elem...))
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

func write(t *testing.T, text string, elem ...string) {
	t.Helper()
	name := filepath.Join(elem...)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestSkeleton(t *testing.T) {
	_, m := newTree(t)
	if got := read(t, m, root, "etc/hostname"); got != "box\n" {
		t.Errorf("hostname %q", got)
	}
	for _, want := range []string{"127.1.2.3\tbox\n", "10.0.0.9\tdb\n", "localhost"} {
		if got := read(t, m, root, "etc/hosts"); !strings.Contains(got, want) {
			t.Errorf("hosts %q has no %q", got, want)
		}
	}
}

// TestBoot: a container sees which boot of the machine it was started in.
func TestBoot(t *testing.T) {
	tree, m := newTree(t)
	const name = "proc/sys/kernel/random/boot_id"
	if _, err := os.Stat(filepath.Join(m, root, name)); err == nil {
		t.Error("a machine without a boot id shows one")
	}
	for _, id := range []string{"first\n", "second\n"} {
		write(t, id, m, name)
		if err := tree.Configure(root, Names{Hostname: "box"}); err != nil {
			t.Fatal(err)
		}
		if got := read(t, m, root, name); got != id {
			t.Errorf("boot id %q, want %q", got, id)
		}
	}
}

func TestBinds(t *testing.T) {
	tree, m := newTree(t)
	write(t, "shared", m, "srv/data/file")
	for _, x := range []struct {
		name, source, target string
		create               bool
		err                  error
	}{
		{"folder", "/srv/data", "/data", true, nil},
		{"deep target", "/srv/data", "/a/b/c/d", true, nil},
		{"over the skeleton", "/srv/data", "/tmp", true, nil},
		{"file", "/srv/data/file", "/etc/file", true, nil},
		{"made", "/new/place", "/new", true, nil},
		{"missing", "/missing", "/missing", false, ErrSource},
		{"above the root", "/../../srv/data", "/up", false, nil},
		{"above the container", "/srv/data", "/../../../x", false, nil},
		{"virtual", "/sys/fs/cgroup", "/sys/fs/cgroup", false, nil},
		{"socket to come", "/var/run/docker.sock", "/var/run/docker.sock", true, nil},
		{"root", "/", "/host", false, nil},
	} {
		if err := tree.Bind(root, x.source, x.target, x.create); !errors.Is(err, x.err) {
			t.Errorf("%s: %v, want %v", x.name, err, x.err)
		}
	}
	for _, name := range []string{"data/file", "a/b/c/d/file", "tmp/file", "etc/file", "up/file", "x/file", "host/srv/data/file"} {
		if got := read(t, m, root, name); got != "shared" {
			t.Errorf("%s: %q", name, got)
		}
	}
	write(t, "written inside", m, root, "new/file")
	if got := read(t, m, "new/place/file"); got != "written inside" {
		t.Errorf("the source has %q", got)
	}
	if fi, err := os.Lstat(filepath.Join(m, root, "sys/fs/cgroup")); err != nil || !fi.IsDir() {
		t.Errorf("virtual source: %v %v", fi, err)
	}
	if _, err := os.Stat(filepath.Join(m, "var/run/docker.sock")); !os.IsNotExist(err) {
		t.Errorf("the socket's place was taken: %v", err)
	}
	if target, err := os.Readlink(filepath.Join(m, root, "data")); err != nil || filepath.IsAbs(target) {
		t.Errorf("link to %s, %v", target, err)
	}
}

func TestNothingLeadsOutside(t *testing.T) {
	tree, m := newTree(t)
	outside := t.TempDir()
	write(t, "secret", outside, "file")
	if err := os.Symlink(outside, filepath.Join(m, "escape")); err != nil {
		t.Fatal(err)
	}
	if err := tree.Bind(root, "/escape", "/data", true); !errors.Is(err, ErrOutside) {
		t.Errorf("bind: %v", err)
	}
	if err := tree.Bind(root, "/escape/new", "/data", true); !errors.Is(err, ErrOutside) {
		t.Errorf("bind below: %v", err)
	}
	if err := os.Symlink(outside, filepath.Join(m, root, "opt/way")); err != nil {
		t.Fatal(err)
	}
	if err := tree.Pack(io.Discard, root, "/opt/way/file", nil); err == nil {
		t.Error("packed a file outside")
	}
	if err := tree.Unpack(archive(t, tar.Header{Name: "way/planted", Typeflag: tar.TypeReg}), root, "/opt"); err == nil {
		t.Error("unpacked through a link that leads outside")
	}
	if err := tree.RemoveAll("var/lib/docker/containers/abc"); err != nil {
		t.Fatal(err)
	}
	if got := read(t, outside, "file"); got != "secret" {
		t.Errorf("after removal: %q", got)
	}
}

// archive makes a tar stream; regular files hold their own name.
func archive(t *testing.T, headers ...tar.Header) io.Reader {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		h.Mode = 0o640
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(h.Name))
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := io.WriteString(w, h.Name); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

func TestArchives(t *testing.T) {
	tree, m := newTree(t)
	err := tree.Unpack(archive(t,
		tar.Header{Name: "top/", Typeflag: tar.TypeDir},
		tar.Header{Name: "top/a", Typeflag: tar.TypeReg},
		tar.Header{Name: "../../up", Typeflag: tar.TypeReg},
		tar.Header{Name: "top/abs", Typeflag: tar.TypeSymlink, Linkname: "/opt/top/a"},
		tar.Header{Name: "top/rel", Typeflag: tar.TypeSymlink, Linkname: "a"},
	), root, "/opt")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"opt/top/a": "top/a", "opt/up": "../../up", "opt/top/abs": "top/a", "opt/top/rel": "top/a"} {
		if got := read(t, m, root, name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if err := tree.Unpack(archive(t, tar.Header{Name: "null", Typeflag: tar.TypeChar}), root, "/opt"); err == nil {
		t.Error("unpacked a device")
	}
	if err := tree.Unpack(archive(t, tar.Header{Name: "top", Typeflag: tar.TypeReg}), root, "/opt"); err == nil {
		t.Error("a file replaced a directory")
	}
	var b bytes.Buffer
	if err := tree.Pack(&b, root, "/opt/top", nil); err != nil {
		t.Fatal(err)
	}
	names := map[string]byte{}
	for r := tar.NewReader(&b); ; {
		h, err := r.Next()
		if err != nil {
			break
		}
		names[h.Name] = h.Typeflag
	}
	if len(names) != 4 || names["top/"] != tar.TypeDir || names["top/a"] != tar.TypeReg || names["top/abs"] != tar.TypeSymlink {
		t.Errorf("packed %v", names)
	}
}

func TestRemoveAllWithoutPermission(t *testing.T) {
	tree, m := newTree(t)
	write(t, "x", m, root, "opt/locked/deep/file")
	for _, d := range []string{"opt/locked/deep", "opt/locked"} {
		if err := os.Chmod(filepath.Join(m, root, d), 0o100); err != nil {
			t.Fatal(err)
		}
	}
	if err := tree.RemoveAll(root); err != nil {
		t.Error(err)
	}
}

func TestNested(t *testing.T) {
	for _, x := range []struct{ all, outer, want string }{
		{"/a /b", "/a /b", ""}, {"/a /a/b", "/a /a/b", "/a/b"}, {"/sys /sys/fs", "/sys/fs", ""}, {"/ab /a", "/ab /a", ""},
	} {
		if got := Nested(strings.Fields(x.all), strings.Fields(x.outer)); got != x.want {
			t.Errorf("%s in %s: %q", x.all, x.outer, got)
		}
	}
}

func TestSize(t *testing.T) {
	tree, m := newTree(t)
	before := tree.Size(root)
	write(t, "12345", m, root, "opt/five")
	write(t, "1234567", m, "srv/seven")
	if err := tree.Bind(root, "/srv", "/srv", true); err != nil {
		t.Fatal(err)
	}
	if got := tree.Size(root) - before; got != 5 {
		t.Errorf("grew by %d", got)
	}
}
