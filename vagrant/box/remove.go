package box

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// mountTable lists what is mounted (proc(5)); other systems have none.
const mountTable = "/proc/self/mountinfo"

// removeTree removes a build folder, unless something is still mounted below
// it: mmdebstrap that was killed hard leaves /dev and /sys of this computer
// there, and a removal would go through them.
func removeTree(dir, mounts string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("remove %s: %w", dir, err)
	}
	table, err := os.ReadFile(mounts)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", dir, err)
	}
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(f[4], dir+"/") {
			return fmt.Errorf("%s is kept: %s is still mounted; unmount it, then remove the folder", dir, f[4])
		}
	}
	return os.RemoveAll(dir)
}
