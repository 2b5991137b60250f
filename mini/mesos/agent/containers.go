package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/mini/mesos/agent/docker"
	"github.com/mesoslab/lab/mini/mesos/agent/health"
)

// container is what one task runs in, for either containerizer. Its methods
// block and end with their context, but for prepare, which the loop calls.
type container interface {
	// prepare says what the task asks that cannot be done, or nil. It makes
	// nothing but the sandbox.
	prepare() error
	// launch brings the container up.
	launch(ctx context.Context) error
	// inspect tells where it runs, or docker.ErrNotFound. One that was never
	// started is not Started.
	inspect(ctx context.Context) (docker.Info, error)
	// wait returns how it ended, or docker.ErrNotFound if nobody knows.
	wait(ctx context.Context) (end, error)
	// stop ends it with SIGTERM, and with SIGKILL after the grace.
	// docker.ErrNotFound if it is gone.
	stop(ctx context.Context, grace time.Duration) error
	// remove ends it, and keeps it from starting late. One that is gone is no
	// error.
	remove(ctx context.Context) error
	// exec runs a health check's command in it and returns the exit code.
	exec(ctx context.Context, c *mesos.CommandInfo) (int, error)
	// usage measures it, or docker.ErrNotFound.
	usage(ctx context.Context) (docker.Usage, error)
	// resume takes it up again in another run of the agent.
	resume(ctx context.Context) error
	// hasten gives a stop that is under way less grace, if it can.
	hasten(grace time.Duration)
	// lost is the message for one of whose end nobody knows.
	lost() string
	// output keeps what it prints in the sandbox, until its end.
	output()
	// grace is what a kill gives that names none.
	grace() time.Duration
}

// end is how a container ended.
type end struct {
	message string
	state   mesos.TaskState // FINISHED or FAILED
	// finishes: FINISHED even if the end was asked for.
	finishes bool
	// reason is set if the agent ended it.
	reason mesos.TaskStatus_Reason
}

// containerOf chooses the containerizer: a task without a docker container is
// for the mesos containerizer.
func (a *agent) containerOf(t *task) container {
	if c := t.info.GetContainer(); c != nil && (c.GetType() == mesos.ContainerInfo_DOCKER || c.Docker != nil) {
		return &dockerContainer{a: a, t: t, run: a.store.Run(a.id(), t.ref.FrameworkID, t.ref.TaskID, t.container)}
	}
	return a.newCommand(t)
}

// runnable says why no container of this agent can run a task.
func (a *agent) runnable(t mesos.TaskInfo, containerizer string) error {
	switch {
	case t.Executor != nil:
		return errors.New("this agent runs no custom executors, only docker containers and commands")
	case !slices.Contains(a.cfg.Containerizers, containerizer):
		return fmt.Errorf("the task is for the %s containerizer, and --containerizers does not list that", containerizer)
	case t.Check != nil:
		return errors.New("this agent makes no general checks, only health checks")
	}
	return health.Supported(t.HealthCheck)
}

// makeSandbox makes the task's folder and the link to its latest run. The path
// is one that this process can open.
func (a *agent) makeSandbox(t *task) (string, error) {
	dir := a.env.Path(t.sandbox)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make sandbox: %w", err)
	}
	latest := filepath.Join(filepath.Dir(dir), "latest")
	os.Remove(latest)
	if err := os.Symlink(t.container, latest); err != nil {
		return "", fmt.Errorf("make sandbox: %w", err)
	}
	return dir, nil
}

// dockerContainer is a container of the engine, known there as t.name.
type dockerContainer struct {
	a        *agent
	t        *task
	spec     docker.Spec
	run      string    // the task's run folder
	fetching *fetching // nil if it has no URIs
}

func (c *dockerContainer) prepare() (err error) {
	if c.t.info.GetContainer().GetType() != mesos.ContainerInfo_DOCKER {
		return errors.New("the task has a docker image, but no container of type DOCKER")
	}
	if err := c.a.runnable(c.t.info, "docker"); err != nil {
		return err
	}
	c.spec, err = docker.SpecOf(c.t.info, docker.Placement{
		Name: c.t.name, AgentID: c.a.id(), Framework: c.t.ref.FrameworkID,
		Sandbox: c.t.sandbox, Mapped: c.a.cfg.SandboxDirectory, Volumes: c.a.mountsOf(c.t),
	})
	if err == nil {
		_, err = c.a.makeSandbox(c.t)
	}
	if err == nil {
		c.fetching, err = c.a.fetching(c.t, c.t.info.GetCommand().GetUser())
	}
	return err
}

func (c *dockerContainer) launch(ctx context.Context) error {
	if c.fetching != nil {
		if err := c.fetching.run(ctx); err != nil {
			return err
		}
	}
	if err := c.a.engine.Pull(ctx, c.spec.Image, c.t.info.Container.Docker.GetForcePullImage()); err != nil {
		return fmt.Errorf("failed to pull image %s: %w", c.spec.Image, err)
	}
	if err := c.a.engine.Create(ctx, c.spec); err != nil {
		return fmt.Errorf("failed to create container: %w", err)
	}
	if err := c.a.engine.Start(ctx, c.spec.Name); err != nil {
		return fmt.Errorf("failed to start container: %w", err)
	}
	return nil
}

func (c *dockerContainer) inspect(ctx context.Context) (docker.Info, error) {
	return c.a.engine.Inspect(ctx, c.t.name)
}

func (c *dockerContainer) wait(ctx context.Context) (end, error) {
	code, err := c.a.engine.Wait(ctx, c.t.name)
	e := end{message: fmt.Sprintf("Container exited with status %d", code), state: mesos.TASK_FAILED}
	if code == 0 {
		e.state = mesos.TASK_FINISHED
	}
	return e, err
}

func (c *dockerContainer) stop(ctx context.Context, grace time.Duration) error {
	return c.a.engine.Stop(ctx, c.t.name, grace)
}

func (c *dockerContainer) remove(ctx context.Context) error {
	return c.a.engine.Remove(ctx, c.t.name)
}

func (c *dockerContainer) exec(ctx context.Context, cmd *mesos.CommandInfo) (int, error) {
	argv, env := health.Command(cmd)
	return c.a.engine.Exec(ctx, c.t.name, argv, env)
}

func (c *dockerContainer) usage(ctx context.Context) (docker.Usage, error) {
	return c.a.engine.Usage(ctx, c.t.name)
}

func (c *dockerContainer) resume(context.Context) error { return nil }

// hasten does nothing: docker stop cannot be made shorter either.
func (c *dockerContainer) hasten(time.Duration) {}

func (c *dockerContainer) lost() string { return "Container is gone" }

func (c *dockerContainer) grace() time.Duration { return c.a.cfg.DockerStopTimeout }

// outputAttempts is how often the engine is asked for a container's output:
// it may be restarting, or be set to keep none.
const outputAttempts = 5

func (c *dockerContainer) output() {
	a := c.a
	for i := range outputAttempts {
		err := c.copyOnce()
		if err == nil || errors.Is(err, docker.ErrNotFound) || a.ctx.Err() != nil {
			return
		}
		a.log.warningf("Output of task %s is not kept: %v", c.t.ref.TaskID, err)
		if !pause(a.ctx, time.Second<<i) {
			return
		}
	}
}

// copyOnce writes the files from the beginning: what the fetcher said, then what
// the container says.
func (c *dockerContainer) copyOnce() error {
	dir := c.a.env.Path(c.t.sandbox)
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
	said, err := os.ReadFile(filepath.Join(c.run, fetchLog))
	if err == nil {
		if _, err := stderr.Write(said); err != nil {
			return err
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	ctx, cancel := context.WithCancel(c.a.ctx)
	defer cancel()
	return c.a.engine.Logs(ctx, c.t.name, stdout, stderr)
}
