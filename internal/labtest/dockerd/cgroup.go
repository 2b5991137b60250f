//go:build linux

package dockerd

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/mesoslab/lab"
)

// cgroupWait is how long the kernel may take to let go of a control group
// whose processes were killed.
const cgroupWait = 10 * time.Second

// removeCgroups removes the control groups of this name, in whichever
// hierarchy they are.
func removeCgroups(group string) error {
	tops, err := filepath.Glob("/sys/fs/cgroup/*/" + group)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), cgroupWait)
	defer cancel()
	for _, top := range append(tops, filepath.Join("/sys/fs/cgroup", group)) {
		err := lab.Until(ctx, 20*time.Millisecond, "control group "+top+" to be empty", func(context.Context) error {
			return removeTree(top)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// removeTree removes a control group and those below it: the files in them go
// with their folders.
func removeTree(top string) error {
	var dirs []string
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, dir := range slices.Backward(dirs) {
		if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
