package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/mesoslab/lab/internal/proctab"
	"github.com/mesoslab/lab/mini/mesos/agent/docker"
	"github.com/mesoslab/lab/mini/supervise"
)

// What a command keeps in its task's run folder (package supervise). The names
// of its health check's have the prefix.
const (
	orderFile   = "order"
	claimFile   = "pid"
	resultFile  = "exit"
	checkPrefix = "check-"
)

// claimed is the supervisor that has claimed an order; docker.ErrNotFound if
// nobody has, or it was given up.
func claimed(file string) (proctab.ID, error) {
	id, err := supervise.Claimed(file)
	if errors.Is(err, fs.ErrNotExist) || err == nil && id.PID == 0 {
		err = docker.ErrNotFound
	}
	return id, err
}

// endRuns ends the commands of all run folders but those to keep.
func (a *agent) endRuns(ctx context.Context, keep []string) error {
	runs, err := a.store.Runs()
	if err != nil {
		return err
	}
	for _, dir := range runs {
		if slices.Contains(keep, dir) {
			continue
		}
		if err := a.endRun(ctx, dir); err != nil {
			return err
		}
	}
	return nil
}

// endRun ends the command of a run folder, and its check.
func (a *agent) endRun(ctx context.Context, dir string) error {
	return errors.Join(a.endOrder(ctx, dir, checkPrefix), a.endOrder(ctx, dir, ""))
}

// endOrder ends what an order has started, or keeps it from ever starting.
func (a *agent) endOrder(ctx context.Context, dir, prefix string) error {
	if _, err := os.Stat(filepath.Join(dir, prefix+orderFile)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	claim := filepath.Join(dir, prefix+claimFile)
	if err := supervise.Claim(claim, proctab.ID{}); !errors.Is(err, supervise.ErrClaimed) {
		return err // nil: nobody had it, and nobody will
	}
	id, err := claimed(claim)
	switch {
	case errors.Is(err, docker.ErrNotFound):
		return nil
	case err != nil:
		return err
	case a.env.Launcher == nil:
		return fmt.Errorf("end process %d: this agent has no way to", id.PID)
	}
	if err := a.env.Launcher.Stop(ctx, id, 0); err != nil {
		return err
	}
	return a.env.Launcher.Wait(ctx, id)
}
