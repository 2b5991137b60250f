package images

import (
	"debug/elf"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/mesoslab/lab/internal/labtest"
)

// TestLoaded takes programs as go build writes them down to what is loaded:
// they still run, and still say what they are.
func TestLoaded(t *testing.T) {
	labtest.NeedProgram(t, "go")
	dir := sources(t, "a word")
	for _, arch := range []string{runtime.GOARCH, "386", "s390x"} { // s390x: the other byte order
		file := filepath.Join(t.TempDir(), "lab")
		build := exec.Command("go", "build", "-o", file, "./cmd/lab")
		build.Dir, build.Env = dir, append(os.Environ(), "GOFLAGS=", "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		cut, length := takeLoaded(t, file)
		before, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if after, err := os.Stat(cut); err != nil || after.Size() != length || after.Size() > before.Size()*4/5 {
			t.Errorf("%s: of %d bytes %d are kept, said %d, %v", arch, before.Size(), after.Size(), length, err)
		}
		if err := static(cut, arch); err != nil {
			t.Error(err)
		}
		if err := isLab(cut); err != nil {
			t.Error(err)
		}
		f, err := elf.Open(cut)
		if err != nil {
			t.Fatal(err)
		}
		if len(f.Sections) > 0 {
			t.Errorf("%s: has %d sections", arch, len(f.Sections))
		}
		f.Close()
		if arch != runtime.GOARCH || runtime.GOOS != "linux" {
			continue
		}
		if out, err := exec.Command(cut).CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "a word" {
			t.Errorf("it says %q, %v", out, err)
		}
		if twice, n := takeLoaded(t, cut); n != length {
			t.Errorf("cut again: %s has %d bytes, before %d", twice, n, length)
		}
	}
	text := filepath.Join(t.TempDir(), "text")
	write(t, text, "no program")
	if same, n := takeLoaded(t, text); n != 10 {
		t.Errorf("a text file: %s, %d bytes", same, n)
	}
}

func takeLoaded(t *testing.T, file string) (to string, length int64) {
	t.Helper()
	r, length, err := loaded(file)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	to = filepath.Join(t.TempDir(), "cut")
	if err := os.WriteFile(to, data, 0o755); err != nil {
		t.Fatal(err)
	}
	return to, length
}
