package images

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/modfile"

	"github.com/mesoslab/lab/internal/command"
)

// buildFlags make a static binary that is the same from the same sources,
// wherever they lie.
var buildFlags = []string{"-trimpath", "-buildvcs=false", "-tags", "osusergo,netgo", "-ldflags", "-s -w"}

// buildEnv are the variables of a build. GOFLAGS is emptied: an inherited -race
// needs cgo and fails.
func (m *Maker) buildEnv(arch string) []string {
	return append(slices.Clone(m.Environ), "GOFLAGS=", "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOWORK=off")
}

// module finds the folder of the module's sources.
func (m *Maker) module() (string, error) {
	for _, dir := range m.Sources {
		for ; dir != ""; dir = parent(dir) {
			data, err := os.ReadFile(filepath.Join(dir, "go.mod"))
			if err == nil && modfile.ModulePath(data) == modulePath {
				return dir, nil
			}
		}
	}
	return "", errors.New("the sources of lab are not here")
}

// parent is the folder above, or "" at the top.
func parent(dir string) string {
	up := filepath.Dir(dir)
	if up == dir || !filepath.IsAbs(dir) {
		return ""
	}
	return up
}

// build builds the binary, or finds in the cache what was built from the same
// sources.
func (m *Maker) build(ctx context.Context, arch string, say func(string)) (string, error) {
	dir, err := m.module()
	if err != nil {
		return "", err
	}
	goCommand, err := exec.LookPath("go")
	if err != nil {
		return "", errors.New("the go command is not here")
	}
	say("looking at the sources of lab")
	key, err := m.sourceKey(ctx, goCommand, dir, arch)
	if err != nil {
		return "", fmt.Errorf("look at the sources in %s: %w", dir, err)
	}
	folder := filepath.Join(m.Cache, "binaries")
	to := filepath.Join(folder, "lab-linux-"+arch+"-"+key)
	if static(to, arch) == nil {
		touch(to)
		return to, nil
	}
	say("building lab for linux/" + arch)
	packages := 0
	err = keep(to, 0o755, func(temp string) error {
		args := append([]string{"build", "-v", "-o", temp}, buildFlags...)
		build := command.Command{Path: goCommand, Args: append(args, program), Dir: dir, Env: m.buildEnv(arch)}
		return build.Run(ctx, func(pkg string) {
			packages++
			say(fmt.Sprintf("building lab for linux/%s: %d packages, %s", arch, packages, pkg))
		})
	})
	if err != nil {
		return "", fmt.Errorf("build lab for linux/%s in %s: %w", arch, dir, err)
	}
	prune(folder, 6)
	return to, static(to, arch)
}

// listed is what go list says of a package.
type listed struct {
	Dir        string
	Module     *struct{ Main bool }
	GoFiles    []string
	SFiles     []string
	EmbedFiles []string
}

// sourceKey is a digest of everything that the binary is made of: the version
// of Go, the flags, the versions of other modules, and the module's own files.
func (m *Maker) sourceKey(ctx context.Context, goCommand, dir, arch string) (string, error) {
	cmd := exec.CommandContext(ctx, goCommand, "list", "-deps", "-json=Dir,Module,GoFiles,SFiles,EmbedFiles", "-tags", "osusergo,netgo", program)
	cmd.Dir, cmd.Env = dir, m.buildEnv(arch)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go list: %w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	version := exec.CommandContext(ctx, goCommand, "version")
	version.Dir, version.Env = dir, cmd.Env
	said, err := version.Output()
	if err != nil {
		return "", fmt.Errorf("go version: %w", err)
	}
	hash := sha256.New()
	fmt.Fprintln(hash, string(said), arch, buildFlags)
	files := []string{filepath.Join(dir, "go.mod"), filepath.Join(dir, "go.sum")}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return "", fmt.Errorf("go list: %w", err)
		}
		if p.Module == nil || !p.Module.Main {
			continue
		}
		for _, f := range slices.Concat(p.GoFiles, p.SFiles, p.EmbedFiles) {
			files = append(files, filepath.Join(p.Dir, f))
		}
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			return "", err
		}
		rel, err := filepath.Rel(dir, f)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(hash, filepath.ToSlash(rel), len(data))
		hash.Write(data)
	}
	return hex.EncodeToString(hash.Sum(nil))[:16], nil
}

// keep lets fn write a file and puts it in place when it is whole.
func keep(to string, mode fs.FileMode, fn func(temp string) error) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(to), ".new-*")
	if err != nil {
		return err
	}
	temp := f.Name()
	defer os.Remove(temp)
	if err := f.Close(); err != nil {
		return err
	}
	if err := fn(temp); err != nil {
		return err
	}
	if err := os.Chmod(temp, mode); err != nil {
		return err
	}
	return os.Rename(temp, to)
}

// touch marks a file of the cache as used; where that fails, it is only pruned
// earlier.
func touch(file string) {
	now := time.Now()
	_ = os.Chtimes(file, now, now)
}

// prune keeps the files of a cache folder that were used last. Every change of
// the sources makes new ones.
func prune(folder string, keep int) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return
	}
	used := map[string]time.Time{}
	var names []string
	for _, e := range entries {
		info, err := e.Info()
		switch {
		case err != nil || !info.Mode().IsRegular():
		case !strings.HasPrefix(e.Name(), ".new-"):
			names = append(names, e.Name())
			used[e.Name()] = info.ModTime()
		case time.Since(info.ModTime()) > 24*time.Hour: // of a process that was killed
			_ = os.Remove(filepath.Join(folder, e.Name()))
		}
	}
	slices.SortFunc(names, func(a, b string) int { return used[b].Compare(used[a]) })
	for _, name := range names[min(keep, len(names)):] {
		_ = os.Remove(filepath.Join(folder, name))
	}
}
