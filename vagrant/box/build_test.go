package box

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/labtest"
)

// workshop plays the programs of a build.
type workshop struct {
	calls [][]string
	fail  map[string]error // by the step's product
	after func(product string)
}

// run makes each step's product, as the real program would.
func (w *workshop) run(ctx context.Context, dir string, argv []string, said func(string)) error {
	w.calls = append(w.calls, argv)
	product := map[bool]string{true: "disk.raw", false: "system.tar"}[slices.Contains(argv, filepath.Join(dir, "disk"))]
	if argv[0] == "qemu-img" {
		product = "box.img"
	}
	said("I: at work")
	if err := os.WriteFile(filepath.Join(dir, product), []byte(strings.Repeat(product, 1000)), 0o644); err != nil {
		return err
	}
	if w.after != nil {
		w.after(product)
	}
	return w.fail[product]
}

func (w *workshop) options(out string) Options {
	return Options{Out: out, root: true, run: w.run, look: func(string) (string, error) { return "/bin/true", nil }}
}

func onlyFile(t *testing.T, dir, name string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != name {
			t.Errorf("left behind: %s", e.Name())
		}
	}
	if name != "" && len(entries) != 1 {
		t.Errorf("%s is not there", name)
	}
}

func TestBuild(t *testing.T) {
	dir := t.TempDir()
	w := &workshop{}
	var waits []string
	o := w.options(filepath.Join(dir, "a b.box"))
	o.Report = func(e lab.Event) {
		if e.Kind == lab.EventWait {
			waits = append(waits, e.Step+": "+e.Text)
		}
	}
	b, err := Build(t.Context(), o)
	if err != nil || !b.Built {
		t.Fatalf("%+v, %v", b, err)
	}
	onlyFile(t, dir, "a b.box")
	data, err := os.ReadFile(b.Path)
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != b.SHA256 || int64(len(data)) != b.Bytes {
		t.Errorf("box %+v", b)
	}
	if b.Vagrant.BoxURL != "file://"+filepath.ToSlash(dir)+"/a%20b.box" || b.Vagrant.BoxChecksum != "sha256:"+b.SHA256 || b.Vagrant.Provider != "libvirt" {
		t.Errorf("spec %+v", b.Vagrant)
	}
	if want := []string{"system: at work", "disk: at work", "image: at work"}; !slices.Equal(waits[:3], want) {
		t.Errorf("waits %q", waits)
	}
	names, contents := unpack(t, b.Path)
	if !slices.Equal(names, []string{"metadata.json", "Vagrantfile", "box.img"}) || contents["box.img"] != strings.Repeat("box.img", 1000) ||
		contents["metadata.json"] != `{"provider":"libvirt","format":"qcow2","virtual_size":10,"lab_recipe":"`+b.Recipe+`"}` {
		t.Errorf("box holds %q; %s", names, contents["metadata.json"])
	}

	// Once is enough, until somebody wants it anew.
	calls := len(w.calls)
	again, err := Build(t.Context(), o)
	if err != nil || again.Built || again.SHA256 != b.SHA256 || len(w.calls) != calls {
		t.Errorf("again: %+v, %v, calls %q", again, err, w.calls[calls:])
	}
	o.Anew = true
	if again, err = Build(t.Context(), o); err != nil || !again.Built || len(w.calls) == calls {
		t.Errorf("anew: %+v, %v", again, err)
	}
}

func unpack(t *testing.T, path string) (names []string, contents map[string]string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	contents = map[string]string{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return names, contents
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		names, contents[h.Name] = append(names, h.Name), string(text)
	}
}

func TestBuildLeavesNothing(t *testing.T) {
	boom := errors.New("boom")
	for _, product := range []string{"system.tar", "disk.raw", "box.img"} {
		t.Run("failed "+product, func(t *testing.T) {
			dir := t.TempDir()
			w := &workshop{fail: map[string]error{product: boom}}
			if _, err := Build(t.Context(), w.options(filepath.Join(dir, "x.box"))); lab.ErrorID(err) != "box-build" || !errors.Is(err, boom) {
				t.Errorf("%v", err)
			}
			onlyFile(t, dir, "")
		})
		t.Run("interrupted "+product, func(t *testing.T) {
			dir := t.TempDir()
			ctx, cancel := context.WithCancel(t.Context())
			w := &workshop{after: func(p string) {
				if p == product {
					cancel()
				}
			}}
			if _, err := Build(ctx, w.options(filepath.Join(dir, "x.box"))); !errors.Is(err, context.Canceled) {
				t.Errorf("%v", err)
			}
			onlyFile(t, dir, "")
		})
	}
}

func TestBuildRefuses(t *testing.T) {
	dir := t.TempDir()
	w := &workshop{}
	o := w.options(filepath.Join(dir, "x.box"))
	o.look = func(name string) (string, error) {
		if name == "mke2fs" || name == "qemu-img" {
			return "", exec.ErrNotFound
		}
		return name, nil
	}
	_, err := Build(t.Context(), o)
	e, ok := errors.AsType[*lab.Error](err)
	if !ok || e.ID != "box-programs-missing" || !strings.Contains(e.Error(), "mke2fs, qemu-img") || !strings.Contains(e.Advice, "--no-install-recommends e2fsprogs qemu-utils ") {
		t.Errorf("%+v", err)
	}
	onlyFile(t, dir, "")

	photo := filepath.Join(dir, "cat.jpg")
	if err := os.WriteFile(photo, []byte("meow"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Build(t.Context(), w.options(photo)); lab.ErrorID(err) != "box-foreign" {
		t.Errorf("over a photo: %v", err)
	}
	onlyFile(t, dir, "cat.jpg")
	if len(w.calls) != 0 {
		t.Errorf("calls %q", w.calls)
	}
}

func TestUsersUnpackInAUserNamespace(t *testing.T) {
	w := &workshop{}
	o := w.options(filepath.Join(t.TempDir(), "x.box"))
	o.root = false
	if _, err := Build(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if got := w.calls[1]; !slices.Equal(got[:3], []string{"mmdebstrap", "--unshare-helper", "sh"}) {
		t.Errorf("disk by %q", got)
	}
}

func TestExecute(t *testing.T) {
	labtest.NeedProgram(t, "sh")
	dir := t.TempDir()
	var said []string
	err := execute(t.Context(), dir, []string{"sh", "-c", "pwd; echo $TMPDIR; which sfdisk >/dev/null"}, func(line string) { said = append(said, line) })
	if err != nil || !slices.Equal(said, []string{dir, dir}) {
		t.Errorf("%v, said %q", err, said)
	}
}
