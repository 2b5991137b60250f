//go:build linux

package rig

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mesoslab/lab/internal/labtest/dockerd"
)

// Main runs the tests of a package that uses this one, then removes the
// command and ends the engine that they have made. It belongs into TestMain.
func Main(m *testing.M) int {
	defer func() {
		if dir := builtIn; dir != "" {
			os.RemoveAll(dir)
		}
	}()
	return dockerd.Main(m)
}

// builtIn is the folder of the built command, "" before build has run.
var builtIn string

var build = sync.OnceValues(func() (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	if err := touchSources(root); err != nil {
		return "", err
	}
	if builtIn, err = os.MkdirTemp("", "lab-build-"); err != nil {
		return "", err
	}
	binary := filepath.Join(builtIn, "lab")
	cmd := exec.CommandContext(context.Background(), "go", "build", "-o", binary, "./cmd/lab")
	cmd.Dir = root
	// Static, so that it runs in the containers of real engines, too.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS="+plainFlags(os.Getenv("GOFLAGS")))
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./cmd/lab: %w\n%s", err, out)
	}
	return binary, nil
})

// Binary returns the path of the lab command, built from this module.
func Binary(tb testing.TB) string {
	tb.Helper()
	path, err := build()
	if err != nil {
		tb.Fatalf("build lab: %v", err)
	}
	return path
}

// plainFlags is GOFLAGS without the race detector.
func plainFlags(flags string) string {
	words := slices.DeleteFunc(strings.Fields(flags), func(f string) bool {
		return strings.HasPrefix(strings.TrimLeft(f, "-"), "race")
	})
	return strings.Join(words, " ")
}

func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find module: %w", err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
	}
	return "", errors.New("find module: no go.mod above the working directory")
}

// touchSources looks at every source file of the module: go test remembers
// which files a test has looked at and runs it anew when one has changed.
func touchSources(root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch name := d.Name(); {
		case err != nil:
			return err
		case d.IsDir() && path != root && strings.HasPrefix(name, "."):
			return fs.SkipDir
		case d.IsDir() || strings.HasSuffix(name, "_test.go"):
			return nil
		case strings.HasSuffix(name, ".go") || strings.HasSuffix(name, ".txt") || strings.HasSuffix(name, ".html"):
			_, err = os.Stat(path)
		}
		return err
	})
}
