package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

var writers = map[string]func(string, []byte, fs.FileMode) error{"Write": Write, "WriteSynced": WriteSynced}

// names lists a folder.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestReplaces(t *testing.T) {
	for what, write := range writers {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			name := filepath.Join(dir, "record")
			for _, c := range []struct {
				text string
				mode fs.FileMode
			}{{"first", 0o600}, {"", 0o644}, {"third", 0o400}, {"fourth", 0o600}} {
				if err := write(name, []byte(c.text), c.mode); err != nil {
					t.Fatal(err)
				}
				got, err := os.ReadFile(name)
				if err != nil || string(got) != c.text {
					t.Errorf("%q, %v, want %q", got, err, c.text)
				}
				if i, err := os.Stat(name); err != nil || i.Mode() != c.mode {
					t.Errorf("%v, %v, want %v", i.Mode(), err, c.mode)
				}
			}
			if got := names(t, dir); !slices.Equal(got, []string{"record"}) {
				t.Errorf("left: %q", got)
			}
		})
	}
}

// TestFails: nothing is left of a write that cannot be, and what was there is
// as it was.
func TestFails(t *testing.T) {
	for what, write := range writers {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			taken := filepath.Join(dir, "folder")
			if err := os.MkdirAll(filepath.Join(taken, "inside"), 0o755); err != nil {
				t.Fatal(err)
			}
			err := write(taken, []byte("x"), 0o600)
			if err == nil || !strings.Contains(err.Error(), taken) {
				t.Errorf("a folder was replaced: %v", err)
			}
			if got := names(t, dir); !slices.Equal(got, []string{"folder"}) {
				t.Errorf("left: %q", got)
			}
			if err := write(filepath.Join(dir, "nowhere", "file"), nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a folder that is not there: %v", err)
			}
		})
	}
}

// TestReadersSeeWholeFiles: also while several write.
func TestReadersSeeWholeFiles(t *testing.T) {
	name := filepath.Join(t.TempDir(), "record")
	texts := []string{strings.Repeat("a", 100<<10), strings.Repeat("b", 50<<10)}
	if err := Write(name, []byte(texts[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for _, text := range texts {
		all.Go(func() {
			for range 50 {
				if err := Write(name, []byte(text), 0o600); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 100 {
		if got, err := os.ReadFile(name); err != nil || !slices.Contains(texts, string(got)) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	}
	all.Wait()
}
