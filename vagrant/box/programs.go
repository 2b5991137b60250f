package box

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/command"
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
// What it mounts is gone with it.
func execute(ctx context.Context, dir string, argv []string, said func(line string)) error {
	path, err := lookPath(argv[0])
	if err != nil {
		return err
	}
	c := command.Command{Path: path, Args: argv[1:], Dir: dir, Env: append(withSbin(os.Environ()), "TMPDIR="+dir), OwnMounts: true}
	return c.Run(ctx, said)
}
