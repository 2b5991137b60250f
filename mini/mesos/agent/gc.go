package agent

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mesoslab/lab/mini/mesos/agent/config"
)

// sandboxAge is how old the sandbox of an ended task may get, by Mesos' rule:
// --gc_delay, less the fuller the disk is, and nothing once no more than
// --gc_disk_headroom of it is free.
func (a *agent) sandboxAge() time.Duration {
	share := max(0, 1-a.cfg.DiskHeadroom-config.DiskUsed(a.env, a.cfg.WorkDir))
	return time.Duration(float64(a.cfg.GCDelay) * share)
}

// collect removes old sandboxes every --disk_watch_interval until ctx ends.
func (a *agent) collect(ctx context.Context) {
	for pause(ctx, a.cfg.DiskWatchInterval) {
		limit := time.Now().Add(-a.sandboxAge())
		found := a.sandboxesOnDisk()
		a.do(func() {
			for _, dir := range found {
				a.removeSandbox(dir, limit)
			}
		})
	}
}

// sandboxesOnDisk are those of all agent ids and all runs, as paths that this
// process can open.
func (a *agent) sandboxesOnDisk() []string {
	dir := a.env.Path(a.cfg.WorkDir) + "/slaves"
	escaped := strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(dir)
	found, _ := filepath.Glob(escaped + "/*/frameworks/*/executors/*/runs/*") // the pattern is right
	return found
}

// removeSandbox removes one that no task has any more and that nothing was put
// into since the limit. Empty folders above it go with it.
func (a *agent) removeSandbox(dir string, limit time.Time) {
	if filepath.Base(dir) == "latest" {
		return
	}
	for _, t := range a.tasks {
		if a.env.Path(t.sandbox) == dir {
			return
		}
	}
	if !changedBefore(dir, limit) {
		return
	}
	if err := a.store.RemoveEnded(a.id(), filepath.Base(dir)); err != nil {
		a.log.warningf("Failed to forget what ran in %s: %v", dir, err)
	}
	a.log.infof("Removing sandbox %s: it is older than %v", dir, a.sandboxAge())
	a.spawn(func() {
		if err := os.RemoveAll(dir); err != nil {
			a.log.warningf("Failed to remove sandbox: %v", err)
			return
		}
		a.do(func() { a.removeEmpty(dir) })
	})
}

// removeEmpty removes the link to a sandbox that is gone, and the folders above
// it that are empty now. The loop does it, which makes such folders, too.
func (a *agent) removeEmpty(dir string) {
	runs := filepath.Dir(dir)
	if to, err := os.Readlink(filepath.Join(runs, "latest")); err == nil && to == filepath.Base(dir) {
		os.Remove(filepath.Join(runs, "latest"))
	}
	for up := runs; up != a.env.Path(a.cfg.WorkDir) && os.Remove(up) == nil; {
		up = filepath.Dir(up)
	}
}

// changedBefore looks at a folder and what is directly in it: output files are
// written to without the folder changing.
func changedBefore(dir string, limit time.Time) bool {
	i, err := os.Stat(dir)
	if err != nil || !i.ModTime().Before(limit) {
		return false
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, e := range entries {
		if i, err := e.Info(); err == nil && !i.ModTime().Before(limit) {
			return false
		}
	}
	return true
}
