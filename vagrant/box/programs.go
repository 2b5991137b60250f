package box

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mesoslab/lab"
)

// needs lists the programs of a build, each with its package on Debian.
func needs() []struct{ program, pkg string } {
	return []struct{ program, pkg string }{
		{"mmdebstrap", "mmdebstrap"}, {"mke2fs", "e2fsprogs"}, {"sfdisk", "fdisk"}, {"qemu-img", "qemu-utils"}, {"tar", "tar"}, {"dd", "coreutils"},
	}
}

// findPrograms looks for all of them before anything is done.
func findPrograms(look func(string) (string, error)) error {
	var programs, packages []string
	for _, n := range needs() {
		if _, err := look(n.program); err != nil {
			programs = append(programs, n.program)
			packages = append(packages, n.pkg)
		}
	}
	if len(programs) == 0 {
		return nil
	}
	slices.Sort(packages)
	return &lab.Error{
		ID: "box-programs-missing", Op: "build box", Err: fmt.Errorf("not installed: %s", strings.Join(programs, ", ")),
		Advice: "apt-get install -y --no-install-recommends " + strings.Join(slices.Compact(packages), " ") + " (on Debian or Ubuntu); nothing was changed",
	}
}

// withSbin is an environment in which the administrator's programs are found:
// Debian leaves them out of a user's PATH.
func withSbin(environ []string) []string {
	return append(slices.Clone(environ), "PATH="+os.Getenv("PATH")+":/usr/local/sbin:/usr/sbin:/sbin")
}

// lookPath is exec.LookPath with the administrator's folders.
func lookPath(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/local/sbin", "/usr/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", err
}

// execute runs a program in a folder and gives each line that it says to said.
// When ctx ends, the program and what it has started get a SIGTERM and time to
// clean up.
func execute(ctx context.Context, dir string, argv []string, said func(line string)) error {
	path, err := lookPath(argv[0])
	if err != nil {
		return err
	}
	lines := &lineWriter{said: said}
	cmd := exec.CommandContext(ctx, path, argv[1:]...)
	cmd.Dir, cmd.Env = dir, append(withSbin(os.Environ()), "TMPDIR="+dir)
	cmd.Stdout, cmd.Stderr = lines, lines
	ownGroup(cmd)
	cmd.Cancel = func() error { return terminate(cmd) }
	cmd.WaitDelay = 30 * time.Second
	err = cmd.Run()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("%s: %w; it said: %s", argv[0], err, strings.Join(lines.last, " | "))
	}
	return nil
}

// lineWriter cuts what is written into lines and keeps the last few.
type lineWriter struct {
	said func(string)
	rest []byte
	last []string
}

// errEndless is a line that does not end.
var errEndless = errors.New("a line of more than 64 KiB")

func (w *lineWriter) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		i := bytes.IndexAny(w.rest, "\r\n")
		if i < 0 {
			if len(w.rest) > 64<<10 {
				return 0, errEndless
			}
			return len(p), nil
		}
		line := strings.TrimSpace(string(w.rest[:i]))
		w.rest = w.rest[i+1:]
		if line == "" {
			continue
		}
		if w.last = append(w.last, line); len(w.last) > 5 {
			w.last = w.last[1:]
		}
		w.said(line)
	}
}
