package provision

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
)

// bySh runs an argument list without its sudo by the real sh.
func bySh(t *testing.T, argv []string, stdin []byte) error {
	t.Helper()
	labtest.NeedProgram(t, "sh")
	cmd := exec.CommandContext(t.Context(), "sh", "-c", Quote(argv[2:]...))
	cmd.Stdin = bytes.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if len(out) > 0 {
		t.Logf("%s", out)
	}
	return err
}

// TestTeeScript: the file is whole, or it is the old one.
func TestTeeScript(t *testing.T) {
	name := filepath.Join(t.TempDir(), "new folder", "it's a file")
	for _, content := range []string{"first\n", "", strings.Repeat("x", 1<<20)} {
		argv, err := teeCommand(name, len(content), 0o640)
		if err != nil {
			t.Fatal(err)
		}
		if err := bySh(t, argv, []byte(content)); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(name)
		if err != nil || string(got) != content {
			t.Errorf("%d bytes, %v, want %d", len(got), err, len(content))
		}
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
	}
	argv, err := teeCommand(name, 100, 0o640)
	if err != nil {
		t.Fatal(err)
	}
	if err := bySh(t, argv, []byte("the connection broke here")); err == nil {
		t.Error("half a file was taken for a whole one")
	}
	got, err := os.ReadFile(name)
	if err != nil || len(got) != 1<<20 {
		t.Errorf("after half a file: %d bytes, %v", len(got), err)
	}
	onlyOne(t, name)
}

func TestInstallScript(t *testing.T) {
	dir := t.TempDir()
	temp, name := filepath.Join(dir, ".x.lab-1"), filepath.Join(dir, "etc", "x")
	if err := os.WriteFile(temp, []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	argv := installCommand(temp, name, 0o755)
	if os.Getuid() != 0 { // only root gives files to root
		for i, a := range argv {
			argv[i] = strings.ReplaceAll(a, "-o root -g root ", "")
		}
	}
	if err := bySh(t, argv, nil); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(name)
	if err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("%v, %v", info, err)
	}
	if _, err := os.Stat(temp); !os.IsNotExist(err) {
		t.Errorf("the uploaded file is left: %v", err)
	}
	onlyOne(t, name)
	if err := bySh(t, argv, nil); err == nil { // the source is gone
		t.Error("nothing was installed, and nothing failed")
	}
	onlyOne(t, name)
}

// onlyOne looks that nothing lies beside a file.
func onlyOne(t *testing.T, name string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(name))
	if err != nil || len(entries) != 1 {
		t.Errorf("beside the file: %v, %v", entries, err)
	}
}

// TestWhenFree waits for a file that is a mount point for a moment, and for
// nothing else.
func TestWhenFree(t *testing.T) {
	busy := &CommandError{Exit: 1, Stderr: "mv: cannot move '/etc/.hosts.lab-1' to '/etc/hosts': Device or resource busy"}
	other := &CommandError{Exit: 1, Stderr: "mv: cannot create: No space left on device"}
	bubble.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			answers []error // the last one stays
			want    error
			calls   int
		}{
			{[]error{nil}, nil, 1},
			{[]error{busy, busy, nil}, nil, 3},
			{[]error{busy, other}, other, 2},
			{[]error{other, nil}, other, 1},
		} {
			calls := 0
			err := whenFree(t.Context(), "/etc/hosts", func(context.Context) error {
				calls++
				return tt.answers[min(calls, len(tt.answers))-1]
			})
			if !errors.Is(err, tt.want) || calls != tt.calls {
				t.Errorf("%v: %v after %d calls, want %v after %d", tt.answers, err, calls, tt.want, tt.calls)
			}
		}
		err := whenFree(t.Context(), "/etc/hosts", func(context.Context) error { return busy })
		if !errors.Is(err, busy) || !strings.Contains(err.Error(), "/etc/hosts to be free") {
			t.Errorf("busy for ever: %v", err)
		}
	})
}
