package images

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/labtest"
)

// TestFindable: it agrees with Binary, and builds nothing.
func TestFindable(t *testing.T) {
	labtest.NeedProgram(t, "go")
	dir := sources(t, "findable")
	m := maker(t, dir)
	if got, err := m.Findable("arm64"); got != "a build of "+dir || err != nil {
		t.Errorf("with sources: %q, %v", got, err)
	}
	if _, err := os.Stat(filepath.Join(m.Cache, "binaries")); err == nil {
		t.Error("something was built")
	}
	built, err := m.Binary(t.Context(), "arm64", silent)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Link(built, m.beside("arm64")); err != nil {
		t.Fatal(err)
	}
	if got, err := m.Findable("arm64"); got != m.beside("arm64") || err != nil {
		t.Errorf("with one beside the program: %q, %v", got, err)
	}
	m.Executable = built
	if got, err := m.Findable("arm64"); got != "this program" || err != nil {
		t.Errorf("being one: %q, %v", got, err)
	}
	if got, err := maker(t).Findable("amd64"); got != "" || lab.ErrorID(err) != "mini-binary-missing" {
		t.Errorf("with nothing: %q, %v", got, err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := maker(t, dir).Findable("amd64"); lab.ErrorID(err) != "mini-binary-missing" {
		t.Errorf("without Go: %v", err)
	}
}
