package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/mesoslab/lab/mini/mesos/agent/docker"
)

// prepareTask makes the sandbox and says which container the task wants.
func (a *agent) prepareTask(t *task) (docker.Spec, error) {
	if err := a.runnable(t.info); err != nil {
		return docker.Spec{}, err
	}
	spec, err := docker.SpecOf(t.info, docker.Placement{
		Name: t.name, AgentID: a.id(), Framework: t.ref.FrameworkID,
		Sandbox: t.sandbox, Mapped: a.cfg.SandboxDirectory,
	})
	if err != nil {
		return docker.Spec{}, err
	}
	dir := a.env.Path(t.sandbox)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return docker.Spec{}, fmt.Errorf("make sandbox: %w", err)
	}
	latest := filepath.Join(filepath.Dir(dir), "latest")
	os.Remove(latest)
	if err := os.Symlink(t.container, latest); err != nil {
		return docker.Spec{}, fmt.Errorf("make sandbox: %w", err)
	}
	return spec, nil
}

// outputAttempts is how often the engine is asked for a container's output:
// it may be restarting, or be set to keep none.
const outputAttempts = 5

// copyOutput keeps a container's output in the files stdout and stderr of its
// sandbox, until the container or the agent ends.
func (a *agent) copyOutput(t *task) {
	for i := range outputAttempts {
		err := a.copyOnce(t)
		if err == nil || errors.Is(err, docker.ErrNotFound) || a.ctx.Err() != nil {
			return
		}
		a.log.warningf("Output of task %s is not kept: %v", t.ref.TaskID, err)
		if !pause(a.ctx, time.Second<<i) {
			return
		}
	}
}

// copyOnce writes the files from the beginning.
func (a *agent) copyOnce(t *task) error {
	dir := a.env.Path(t.sandbox)
	stdout, err := os.Create(filepath.Join(dir, "stdout"))
	if err != nil {
		return err
	}
	defer stdout.Close()
	stderr, err := os.Create(filepath.Join(dir, "stderr"))
	if err != nil {
		return err
	}
	defer stderr.Close()
	ctx, cancel := context.WithCancel(a.ctx)
	defer cancel()
	return a.engine.Logs(ctx, t.name, stdout, stderr)
}
