package haproxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/mesoslab/lab/mini"
)

// The oldest version that is used: 2.2 keeps the old worker when a new one
// cannot start, and has everything else that Apply rests on.
const oldestMajor, oldestMinor = 2, 2

// Program is a HAProxy that can be run.
type Program struct {
	Path    string
	Version string // "2.6.12-1+deb12u4"
}

// ErrNone says that there is no HAProxy to be used.
var ErrNone = errors.New("no HAProxy 2.2 or later")

// Find looks for HAProxy at a path, or for "auto" in PATH and where packages
// put it, for the first that can be used. ErrNone (wrapped, with the reason) says
// that there is none, that it is too old, or that this process cannot run
// programs.
func Find(ctx context.Context, env mini.Env, path string) (Program, error) {
	if env.Children == nil {
		return Program{}, fmt.Errorf("%w: programs cannot be run here", ErrNone)
	}
	candidates := []string{path}
	if path == "auto" {
		candidates = nil
		dirs := append(filepath.SplitList(env.Getenv("PATH")), "/usr/local/sbin", "/usr/sbin", "/usr/local/bin", "/usr/bin", "/opt/homebrew/bin")
		for _, dir := range dirs {
			if filepath.IsAbs(dir) {
				candidates = append(candidates, filepath.Join(dir, "haproxy"))
			}
		}
	}
	var first error // the first that is there has the best reason
	for _, name := range candidates {
		if i, err := os.Stat(name); err != nil || !i.Mode().IsRegular() || i.Mode()&0o111 == 0 {
			continue
		}
		p := Program{Path: name}
		err := p.identify(ctx, env)
		if err == nil {
			return p, nil
		}
		first = cmp.Or(first, err)
	}
	switch {
	case first != nil:
		return Program{}, first
	case path != "auto":
		return Program{}, fmt.Errorf("%w: %s is no program", ErrNone, path)
	}
	return Program{}, fmt.Errorf("%w: it is not installed", ErrNone)
}

// identify asks the program for its version.
func (p *Program) identify(ctx context.Context, env mini.Env) error {
	dir, err := scratch(env)
	if err != nil {
		return fmt.Errorf("ask %s for its version: %w", p.Path, err)
	}
	defer os.RemoveAll(dir)
	r := runner{launcher: env.Children, program: p.Path, dir: dir}
	out, err := r.run(ctx, "-v")
	if err != nil {
		return fmt.Errorf("%w: ask %s for its version: %w", ErrNone, p.Path, err)
	}
	version, ok := parseVersion(out)
	if !ok {
		return fmt.Errorf("%w: %s -v does not say a version of HAProxy", ErrNone, p.Path)
	}
	p.Version = version
	if !recent(version) {
		return fmt.Errorf("%w: %s is version %s", ErrNone, p.Path, version)
	}
	return nil
}

// scratch makes a folder for a moment, in the container's /tmp.
func scratch(env mini.Env) (string, error) {
	tmp, err := filepath.Abs(env.Path("/tmp"))
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(tmp, 0o777); err != nil {
		return "", err
	}
	return os.MkdirTemp(tmp, "haproxy-*")
}

var versionLine = regexp.MustCompile(`(?m)^HA-?Proxy version ([0-9]+\.[0-9]+\S*)`)

// parseVersion reads what "haproxy -v" prints.
func parseVersion(out string) (string, bool) {
	m := versionLine.FindStringSubmatch(out)
	if m == nil {
		return "", false
	}
	return m[1], true
}

var versionNumbers = regexp.MustCompile(`^([0-9]+)\.([0-9]+)`)

func recent(version string) bool {
	m := versionNumbers.FindStringSubmatch(version)
	if m == nil {
		return false
	}
	major, errMajor := strconv.Atoi(m[1])
	minor, errMinor := strconv.Atoi(m[2])
	if errMajor != nil || errMinor != nil {
		return false
	}
	return major > oldestMajor || major == oldestMajor && minor >= oldestMinor
}
