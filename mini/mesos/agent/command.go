package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	mesos "github.com/mesos/mesos-go/api/v1/lib"

	"github.com/mesoslab/lab/internal/proctab"
	"github.com/mesoslab/lab/mini/mesos/agent/docker"
	"github.com/mesoslab/lab/mini/supervise"
)

// command is a task's command under a supervisor: the mesos containerizer with
// the command executor, as far as posix isolation goes. Its files lie in the
// task's run folder below meta (runs.go).
type command struct {
	a   *agent
	t   *task
	run string
	// order is what all orders of this task have in common.
	order supervise.Order
	// fetching is what brings its URIs, nil if it has none.
	fetching *fetching

	mu sync.Mutex
	id proctab.ID // of the supervisor, once this run has started or found it
}

func (a *agent) newCommand(t *task) *command {
	return &command{a: a, t: t, run: a.store.Run(a.id(), t.ref.FrameworkID, t.ref.TaskID, t.container)}
}

func (c *command) prepare() error {
	if err := c.runnable(); err != nil {
		return err
	}
	if _, err := c.a.makeSandbox(c.t); err != nil {
		return err
	}
	if err := c.settle(); err != nil {
		return err
	}
	var err error
	c.fetching, err = c.a.fetching(c.t, c.user())
	return err
}

// resume also ends the health check that an agent which was killed has left.
func (c *command) resume(ctx context.Context) error {
	if err := c.settle(); err != nil {
		return err
	}
	return c.a.endOrder(ctx, c.run, checkPrefix)
}

// runnable says why the command cannot be run here.
func (c *command) runnable() error {
	a, t := c.a, c.t.info
	cmd := t.Command
	switch {
	case cmd == nil:
		return errors.New("the task has neither a docker container nor a command")
	case t.GetContainer().GetMesos() != nil || len(t.GetContainer().GetVolumes()) > 0:
		return errors.New("this agent's mesos containerizer runs plain commands only: no images, no volumes of the container")
	case cmd.Value == nil && cmd.GetShell():
		return errors.New("a shell command was asked for, but it has no value")
	case cmd.Value == nil:
		return errors.New("the command names no program (value)")
	}
	if err := a.runnable(t, "mesos"); err != nil {
		return err
	}
	if err := linkable(a.volumes(t.Resources)); err != nil {
		return err
	}
	switch {
	case a.env.Launcher == nil:
		return errors.New("this agent has no way to start programs that are not lab's own")
	case a.cfg.CommandsRefused != "":
		return errors.New(a.cfg.CommandsRefused)
	}
	return nil
}

// settle makes what orders have in common. The sandbox's path is one for any
// process of the computer: a command has no file system of its own.
func (c *command) settle() error {
	dir, err := absolute(c.a.env.Path(c.t.sandbox))
	if err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	c.order = supervise.Order{
		Dir: dir, Stdout: filepath.Join(dir, "stdout"), Stderr: filepath.Join(dir, "stderr"),
		User: c.user(), Grace: c.grace(),
	}
	if c.a.cfg.MemoryLimits {
		c.order.MemoryLimit = uint64(memory(c.t.info.Resources) * (1 << 20))
	}
	c.order.Environ = withVariables(c.environment(), c.t.info.Command)
	return nil
}

// memory is what a task and its executor may have together, in MiB.
func memory(rs []mesos.Resource) float64 {
	mem, _ := withExecutor(resources(rs)).Get("mem").(float64)
	return mem
}

// absolute is a path for any process of the computer, and one that stays when
// the agent's own container is made anew: links lead out of that. A folder that
// is gone is only missed by those who look into it.
func absolute(dir string) (string, error) {
	full, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	real, err := filepath.EvalSymlinks(full)
	if errors.Is(err, fs.ErrNotExist) {
		return full, nil
	}
	return real, err
}

// user is whom the command runs as: the task's word, then the framework's.
// Only root can switch to the latter, who is often called root.
func (c *command) user() string {
	u := c.t.info.GetCommand().GetUser()
	if f := c.a.frameworks[c.t.ref.FrameworkID]; u == "" && f != nil && os.Geteuid() == 0 {
		u = f.info.User
	}
	if !c.a.cfg.SwitchUser {
		return ""
	}
	return u
}

// environment is what the agent gives its command executor, and that passes on
// (1.3, executorEnvironment). MESOS_TASK_ID, HOST and PORT0 are the scheduler's
// to set.
func (c *command) environment() []string {
	a := c.a
	return []string{
		"LIBPROCESS_IP=" + a.ip.String(), "LIBPROCESS_PORT=0",
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"MESOS_AGENT_ENDPOINT=" + strings.TrimPrefix(a.pid(), "slave(1)@"),
		"MESOS_CHECKPOINT=1", "MESOS_DIRECTORY=" + c.order.Dir,
		"MESOS_EXECUTOR_ID=" + c.t.ref.TaskID,
		"MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD=" + a.cfg.Flags["executor_shutdown_grace_period"],
		"MESOS_FRAMEWORK_ID=" + c.t.ref.FrameworkID, "MESOS_HTTP_COMMAND_EXECUTOR=0",
		"MESOS_RECOVERY_TIMEOUT=" + a.cfg.Flags["recovery_timeout"],
		"MESOS_SANDBOX=" + c.order.Dir, "MESOS_SLAVE_ID=" + a.id(), "MESOS_SLAVE_PID=" + a.pid(),
		"MESOS_SUBSCRIPTION_BACKOFF_MAX=2secs",
	}
}

// withVariables adds a command's own variables, which win.
func withVariables(env []string, cmd *mesos.CommandInfo) []string {
	env = slices.Clone(env)
	for _, v := range cmd.GetEnvironment().GetVariables() {
		env = slices.DeleteFunc(env, func(kv string) bool { return strings.HasPrefix(kv, v.Name+"=") })
		env = append(env, v.Name+"="+v.GetValue())
	}
	return env
}

// argv is a command as execlp(3) takes it: without a shell the arguments begin
// with argv[0] (mesos.proto, CommandInfo).
func argv(cmd *mesos.CommandInfo) (path string, args []string) {
	switch {
	case cmd.GetShell():
		return "/bin/sh", []string{"sh", "-c", cmd.GetValue()}
	case len(cmd.Arguments) == 0:
		return cmd.GetValue(), []string{cmd.GetValue()}
	}
	return cmd.GetValue(), cmd.Arguments
}

// start has an order carried out. prefix tells its files from others'.
func (c *command) start(ctx context.Context, o supervise.Order, name, prefix string) (proctab.ID, error) {
	dir, err := absolute(c.run)
	if err != nil {
		return proctab.ID{}, err
	}
	file := filepath.Join(dir, prefix+orderFile)
	o.Claim, o.Result = filepath.Join(dir, prefix+claimFile), filepath.Join(dir, prefix+resultFile)
	if err := o.Write(file); err != nil {
		return proctab.ID{}, err
	}
	return c.a.env.Launcher.Start(ctx, name, file)
}

func (c *command) launch(ctx context.Context) error {
	if err := c.linkVolumes(); err != nil {
		return err
	}
	if err := c.fetch(ctx); err != nil {
		return err
	}
	o := c.order
	o.Path, o.Argv = argv(c.t.info.Command)
	id, err := c.start(ctx, o, c.t.name, "")
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.id = id
	return nil
}

// supervisor is the one of this run, or whoever claimed the order of an earlier
// one; docker.ErrNotFound if nobody did, or it was given up.
func (c *command) supervisor() (proctab.ID, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.id.PID != 0 {
		return c.id, nil
	}
	id, err := claimed(filepath.Join(c.run, claimFile))
	if err == nil {
		c.id = id
	}
	return id, err
}

func (c *command) inspect(context.Context) (docker.Info, error) {
	id, err := c.supervisor()
	if err != nil {
		return docker.Info{}, err
	}
	return docker.Info{Running: true, Started: true, PID: id.PID}, nil
}

func (c *command) wait(ctx context.Context) (end, error) {
	id, err := c.supervisor()
	if err != nil {
		return end{}, err
	}
	if err := c.a.env.Launcher.Wait(ctx, id); err != nil {
		return end{}, err
	}
	r, err := supervise.ReadResult(filepath.Join(c.run, resultFile))
	if errors.Is(err, fs.ErrNotExist) {
		return end{}, docker.ErrNotFound // the supervisor was killed
	}
	e := end{message: "Command " + r.String(), state: mesos.TASK_FAILED}
	switch {
	case r == (supervise.Result{}):
		e.state, e.finishes = mesos.TASK_FINISHED, true
	case r.Memory > 0:
		e.reason = mesos.REASON_CONTAINER_LIMITATION_MEMORY
		e.message = fmt.Sprintf("Memory limit exceeded: Requested: %dMB Maximum Used: %dMB", c.order.MemoryLimit>>20, r.Memory>>20)
	}
	return e, err
}

func (c *command) stop(ctx context.Context, grace time.Duration) error {
	id, err := c.supervisor()
	if err != nil {
		return err
	}
	if err := c.a.env.Launcher.Stop(ctx, id, grace); err != nil {
		return err
	}
	return c.a.env.Launcher.Wait(ctx, id)
}

func (c *command) hasten(grace time.Duration) {
	id, err := c.supervisor()
	if err != nil {
		return // it is gone
	}
	c.a.spawn(func() {
		c.a.insist(c.a.ctx, "stop container "+c.t.name, func(ctx context.Context) error {
			return c.a.env.Launcher.Stop(ctx, id, grace)
		})
	})
}

func (c *command) remove(ctx context.Context) error { return c.a.endRun(ctx, c.run) }

// exec runs a check beside the command: in the sandbox, with the task's
// environment, its output in the task's stderr as 1.3's health checker has it.
// One that is at it when the context ends is ended.
func (c *command) exec(ctx context.Context, cmd *mesos.CommandInfo) (int, error) {
	for _, name := range []string{claimFile, resultFile} { // the last one's
		if err := os.Remove(filepath.Join(c.run, checkPrefix+name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return 0, err
		}
	}
	o := c.order
	o.Path, o.Argv = argv(cmd)
	o.Environ, o.Stdout, o.Grace, o.MemoryLimit = withVariables(o.Environ, cmd), o.Stderr, 0, 0
	id, err := c.start(ctx, o, c.t.name+".check."+uuid.NewString(), checkPrefix)
	if err == nil {
		err = c.a.env.Launcher.Wait(ctx, id)
	}
	if err != nil {
		return 0, errors.Join(err, c.a.endOrder(context.WithoutCancel(ctx), c.run, checkPrefix))
	}
	r, err := supervise.ReadResult(filepath.Join(c.run, checkPrefix+resultFile))
	if err != nil {
		return 0, err
	}
	return r.Code(), nil
}

// lost: the real agent's words for an executor that was killed.
func (c *command) lost() string { return "Executor terminated" }

// output has nothing to do: the command writes the files itself.
func (c *command) output() {}

func (c *command) grace() time.Duration { return supervise.DefaultGrace }
