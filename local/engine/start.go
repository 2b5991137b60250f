package engine

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/mesoslab/lab/local/engine/internal/api"
	"github.com/mesoslab/lab/local/engine/internal/jsonlog"
	"github.com/mesoslab/lab/local/engine/internal/stream"
)

// start starts a container because somebody asked for it.
func (e *Engine) start(ctx context.Context, c *container) error {
	if err := c.acquire(ctx); err != nil {
		return err
	}
	err := c.startable()
	if err == nil {
		if err = e.launch(c, false); err == nil {
			c.release()
			return nil
		}
		if c.snapshot().HostConfig.AutoRemove {
			e.spawn(func() { e.warn("remove after failed start", c, e.remove(e.ctx, c, false, true)) })
		}
	}
	c.release()
	return err
}

// startable checks and prepares a start by hand.
func (c *container) startable() error {
	if c.e.isClosing() {
		return api.Errorf(503, "the engine is shutting down")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.removed || c.rec.Status == removing:
		return api.Conflict("container is marked for removal and cannot be started")
	case c.rec.Status == paused:
		return api.Conflict("cannot start a paused container, try unpause instead")
	case c.rec.alive():
		return api.ErrNotModified
	}
	c.rec.ManualStop, c.rec.RestartCount, c.backoff = false, 0, 0
	return nil
}

// launch opens ports, starts the process and records it. op is held. With
// retry a start that fails is followed by another one, if the policy says so.
func (e *Engine) launch(c *container, retry bool) error {
	rec := c.snapshot()
	l := &life{done: make(chan struct{})}
	l.ctx, l.end = context.WithCancel(e.ctx)
	var err error
	if l.ports, l.bound, err = e.publish(e.ctx, rec); err == nil {
		if err = e.refresh(c, rec); err == nil {
			c.mu.Lock()
			std := c.io
			c.mu.Unlock()
			c.log.Open()
			l.proc, err = e.cfg.Start(e.ctx, c.command(l, rec, std))
		}
	}
	if err != nil {
		return c.startFailed(l, rec, err, retry)
	}
	c.mu.Lock()
	l.started = time.Now()
	c.life, c.again = l, nil
	c.rec.Status, c.rec.StartedAt, c.rec.FinishedAt = running, l.started, time.Time{}
	c.rec.ExitCode, c.rec.Error = 0, ""
	err = c.changed()
	c.mu.Unlock()
	if rec.HostConfig.NetworkMode != "none" {
		c.networkEvent("connect")
	}
	c.event("start")
	e.spawn(func() { e.monitor(c, l) })
	e.warn("save", c, err)
	return nil
}

// refresh renews what dockerd makes anew at each start.
func (e *Engine) refresh(c *container, rec record) error {
	for _, m := range rec.Mounts {
		if m.Type == "tmpfs" {
			if err := e.tree.Tmpfs(c.root(), m.Destination); err != nil {
				return err
			}
		}
	}
	return e.tree.Configure(c.root(), c.names())
}

// command describes the process of a life.
func (c *container) command(l *life, r record, std *stdio) Command {
	logged := func(stream string) *jsonlog.Lines {
		return &jsonlog.Lines{Log: c.log, Stream: stream, Failed: func(err error) { c.e.warn("log", c, err) }}
	}
	out := &output{raw: &std.out, which: stream.Stdout, lines: logged("stdout")}
	errs := &output{raw: &std.out, which: stream.Stderr, lines: logged("stderr")}
	l.flush = func() { out.lines.Flush(); errs.lines.Flush() }
	cmd := Command{
		ContainerID: r.ID, Name: r.Name, Hostname: r.Config.Hostname, Image: r.Image, Argv: r.Argv, Env: r.environ(),
		Dir: filepath.Join(c.dir(), "rootfs"), WorkingDir: r.workingDir(), User: r.Config.User,
		NetworkMode: r.HostConfig.NetworkMode, Labels: r.Config.Labels, Privileged: r.HostConfig.Privileged,
		Tty: r.Config.Tty, Stdin: strings.NewReader(""), Stdout: out, Stderr: errs,
		Listen: func(ctx context.Context, network, address string) (net.Listener, error) {
			return c.listen(ctx, l, r, network, address)
		},
	}
	switch {
	case std.tty != nil:
		std.mu.Lock()
		std.log = out.lines
		std.mu.Unlock()
		cmd.Stdin, cmd.Stdout, cmd.Stderr = std.tty, std.tty, std.tty
	case r.Config.OpenStdin:
		cmd.Stdin = io.Reader(std.in)
	}
	return cmd
}

func (r record) workingDir() string {
	if r.Config.WorkingDir == "" {
		return "/"
	}
	return r.Config.WorkingDir
}

// environ is what dockerd and its runtime set before the container's own
// variables.
func (r record) environ() []string {
	base := []string{defaultPath, "HOSTNAME=" + r.Config.Hostname}
	if r.Config.Tty {
		base = append(base, "TERM=xterm")
	}
	return mergeEnv(append(base, "HOME=/root"), r.Config.Env)
}

// startFailed records a failed start and gives the error dockerd's form.
func (c *container) startFailed(l *life, rec record, err error, retry bool) error {
	l.end()
	for _, p := range l.ports {
		p.Close()
	}
	code, status := 128, 500
	switch {
	case errors.Is(err, exec.ErrNotFound):
		code, status = 127, 400
		err = api.Errorf(status, "failed to create task for container: exec: %q: executable file not found in $PATH", rec.Argv[0])
	case errors.Is(err, fs.ErrPermission):
		code, status = 126, 400
		err = api.Errorf(status, "failed to create task for container: exec: %q: permission denied", rec.Argv[0])
	case statusOf(err) == 500:
		if _, ours := errors.AsType[*api.Error](err); !ours {
			err = api.Errorf(status, "failed to create task for container: %v", err)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range l.private {
		s.Close()
	}
	c.log.Seal()
	c.rec.Status = exited
	if c.rec.StartedAt.IsZero() {
		c.rec.Status = created
	}
	c.rec.ExitCode, c.rec.Error = code, err.Error()
	if retry && !c.e.isClosing() && c.rec.wantsRestart(code) {
		defer c.restartDue(0)()
	}
	if e := c.changed(); e != nil {
		c.e.cfg.Log.Warn("save", "container", c.rec.Name, "error", e)
	}
	return err
}

// output takes what the process writes to the log and to whoever is attached.
type output struct {
	raw   *stream.Fanout
	which byte
	lines *jsonlog.Lines
}

func (o *output) Write(p []byte) (int, error) {
	o.raw.Write(o.which, p)
	return o.lines.Write(p)
}

// networkEvent tells of a container joining or leaving its network.
func (c *container) networkEvent(action string) {
	n := networkOf(c.snapshot().HostConfig.NetworkMode)
	c.e.bus.Publish("network", action, n.id, map[string]string{"container": c.id(), "name": n.name, "type": n.driver})
}

// seconds writes a duration as events do.
func seconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }
