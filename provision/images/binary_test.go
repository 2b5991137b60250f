package images

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/labtest"
)

// sources writes a module that calls itself lab, whose command prints a word.
func sources(t *testing.T, word string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "go.mod"), "module "+modulePath+"\n\ngo 1.26.0\n")
	write(t, filepath.Join(dir, "go.sum"), "")
	write(t, filepath.Join(dir, "cmd/lab/main.go"), "package main\n\nfunc main() { println(\""+word+"\") }\n")
	return dir
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// maker is one whose own program is of no use.
func maker(t *testing.T, sources ...string) *Maker {
	t.Helper()
	exe := filepath.Join(t.TempDir(), "lab")
	write(t, exe, "#!/bin/sh\n")
	return &Maker{
		Catalogue: []Image{
			{Name: "lab/web", Entrypoint: []string{"/lab", "mini"}, Cmd: []string{"nginx", "-g", "daemon off;"}, ExposedPorts: []string{"80/tcp"}},
			{Name: "lab/mesos", Entrypoint: []string{"/lab", "mini"}},
		},
		Executable: exe, Sources: sources, Cache: t.TempDir(), Environ: append(os.Environ(), "GOFLAGS=-race"),
	}
}

func silent(string) {}

func TestBinaryIsBuiltOnce(t *testing.T) {
	labtest.NeedProgram(t, "go")
	dir := sources(t, time.Now().String()) // nothing that go remembers
	m := maker(t, t.TempDir(), filepath.Join(dir, "cmd", "lab"))
	var said []string
	get := func(arch string) string {
		t.Helper()
		said = nil
		file, err := m.Binary(t.Context(), arch, func(s string) { said = append(said, s) })
		if err != nil {
			t.Fatal(err)
		}
		if err := static(file, arch); err != nil {
			t.Error(err)
		}
		return file
	}
	one := get("arm64")
	// How many packages that takes is the build cache's affair; the program is the last.
	if last := said[len(said)-1]; !strings.HasPrefix(last, "building lab for linux/arm64: ") || !strings.HasSuffix(last, " packages, "+program) {
		t.Errorf("while it builds it says\n%s", strings.Join(said, "\n"))
	}
	if again := get("arm64"); again != one || strings.Contains(strings.Join(said, "\n"), "building") {
		t.Errorf("asked again: %s, want %s; says %q", again, one, said)
	}
	if err := static(one, "amd64"); err == nil || !strings.Contains(err.Error(), "AARCH64") {
		t.Errorf("an arm64 program as amd64: %v", err)
	}
	write(t, filepath.Join(dir, "cmd/lab/main_test.go"), "package main\n")
	if same := get("arm64"); same != one {
		t.Error("another test makes another binary")
	}
	write(t, filepath.Join(dir, "cmd/lab/more.go"), "package main\n\nvar more = 1\n")
	if other := get("arm64"); other == one {
		t.Error("other sources, the same binary")
	}
	// What it has built can lie beside a program, or be the program.
	if err := os.Link(one, m.beside("arm64")); err != nil {
		t.Fatal(err)
	}
	if got := get("arm64"); got != m.beside("arm64") {
		t.Errorf("with one beside the program: %s", got)
	}
	m.Executable = one
	if got := get("arm64"); got != one {
		t.Errorf("as the program: %s", got)
	}
}

func TestBinaryOfThisComputer(t *testing.T) {
	labtest.NeedProgram(t, "go")
	dir := sources(t, "it runs")
	file, err := maker(t, dir).Binary(t.Context(), hostArch(t), silent)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), file).CombinedOutput()
	if err != nil || string(out) != "it runs\n" {
		t.Errorf("it says %q, %v", out, err)
	}
}

func TestBinaryMissing(t *testing.T) {
	broken := sources(t, "x")
	write(t, filepath.Join(broken, "cmd/lab/more.go"), "package main\n\nvar more = unknown\n")
	other := t.TempDir()
	write(t, filepath.Join(other, "go.mod"), "module example.com/other\n")
	for _, test := range []struct {
		name, arch string
		sources    []string
		want       []string
	}{
		{"no sources", "amd64", nil, []string{"is no Linux program", "lab-linux-amd64: no such file", "the sources of lab are not here"}},
		{"another module", "arm64", []string{other}, []string{"the sources of lab are not here"}},
		{"does not compile", "amd64", []string{broken}, []string{"undefined: unknown"}},
		{"no such architecture", "vax", nil, []string{`architecture "vax" is none of lab's`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			labtest.NeedProgram(t, "go")
			_, err := maker(t, test.sources...).Binary(t.Context(), test.arch, silent)
			if lab.ErrorID(err) != "mini-binary-missing" {
				t.Fatalf("%v, want mini-binary-missing", err)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("no %q in %v", want, err)
				}
			}
		})
	}
}

func TestStatic(t *testing.T) {
	// A file beside lab with the right name but of something else.
	dir := sources(t, "x")
	labtest.NeedProgram(t, "go")
	file, err := maker(t, dir).Binary(t.Context(), "amd64", silent)
	if err != nil {
		t.Fatal(err)
	}
	if err := isLab(file); err != nil {
		t.Error(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := isLab(self); err == nil {
		t.Errorf("%s counts as lab", self)
	}
	if err := static("/bin/sh", hostArch(t)); err == nil || !strings.Contains(err.Error(), "dynamically linked") {
		t.Skipf("this computer's /bin/sh does not tell: %v", err)
	}
}
