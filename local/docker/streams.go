package docker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/spf13/pflag"

	"github.com/mesoslab/lab/local/terminal"
)

func streams() map[string]subcommand {
	return map[string]subcommand{
		"logs": {usage: "[OPTIONS] CONTAINER", about: "print what a container has written", least: 1, most: 1, flags: func(f *pflag.FlagSet) {
			f.BoolP("follow", "f", false, "go on as more is written")
			f.StringP("tail", "n", "all", "how many lines of the end")
			f.String("since", "", "a time, or how long ago (10m)")
			f.String("until", "", "a time, or how long ago")
			f.BoolP("timestamps", "t", false, "with the time of each line")
			f.Bool("details", false, "")
		}, do: logs},
		"exec": {usage: "[OPTIONS] CONTAINER COMMAND [ARG...]", about: "run a command in a container", least: 2, most: -1, words: true, flags: func(f *pflag.FlagSet) {
			f.BoolP("interactive", "i", false, "type into it")
			f.BoolP("tty", "t", false, "on a terminal")
			f.BoolP("detach", "d", false, "in the background")
			f.StringArrayP("env", "e", nil, "set a variable")
			f.StringP("user", "u", "", "as this user")
			f.StringP("workdir", "w", "", "in this directory")
			f.String("detach-keys", "", "keys to detach with")
			f.Bool("privileged", false, "")
		}, do: execute1},
		"attach": {usage: "[OPTIONS] CONTAINER", about: "show a container's output and type into it", least: 1, most: 1, flags: func(f *pflag.FlagSet) {
			f.Bool("no-stdin", false, "do not type into it")
			f.Bool("sig-proxy", true, "pass ctrl-C on to it")
			f.String("detach-keys", "", "keys to detach with")
		}, do: attach},
		"run":        {usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]", about: "make a container and start it", least: 1, most: -1, words: true, flags: runFlags, do: run},
		"create":     {usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]", about: "make a container", least: 1, most: -1, words: true, flags: createFlags, do: create},
		"dial-stdio": {about: "be the connection of a docker command elsewhere", most: -1, do: dialStdio, hidden: true},
	}
}

func logs(ctx context.Context, c *call) error {
	info, err := c.api.ContainerInspect(ctx, c.args[0], client.ContainerInspectOptions{})
	if err != nil {
		return err
	}
	r, err := c.api.ContainerLogs(ctx, info.Container.ID, client.ContainerLogsOptions{
		ShowStdout: true, ShowStderr: true, Follow: c.on("follow"), Tail: c.text("tail"), Since: c.text("since"), Until: c.text("until"), Timestamps: c.on("timestamps"),
	})
	if err != nil {
		return err
	}
	defer r.Close()
	if info.Container.Config.Tty {
		_, err = io.Copy(c.Stdout, r)
	} else {
		_, err = stdcopy.StdCopy(c.Stdout, c.Stderr, r)
	}
	return err
}

// session joins a stream to a container with the command's own streams.
type session struct {
	conn   client.HijackedResponse
	tty    bool // one stream, and keys as they are typed
	input  bool
	resize func(ctx context.Context, s terminal.Size) error
}

// join copies both ways until the container's side ends or ctx does. On a
// terminal every key goes to the container meanwhile.
func (c *call) join(ctx context.Context, s session) error {
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	defer s.conn.Close()
	stop := context.AfterFunc(ctx, s.conn.Close)
	defer stop()
	t := c.Keyboard()
	if s.tty && t != nil {
		if s.input {
			mode := t.SetMode(terminal.Raw())
			defer t.SetMode(mode)
		}
		work.Go(func() { follow(ctx, t, s.resize) })
	}
	if s.input {
		in := c.Stdin
		if t != nil {
			in = t.Reader(ctx)
		}
		// A pipe is read on until it ends: nobody reads it after this command.
		copying := func() {
			if _, err := io.Copy(s.conn.Conn, in); err == nil {
				_ = s.conn.CloseWrite() // the other side may be gone already
			}
		}
		if t != nil {
			work.Go(copying)
		} else {
			go copying()
		}
	}
	var err error
	if s.tty {
		_, err = io.Copy(c.Stdout, s.conn.Reader)
	} else {
		_, err = stdcopy.StdCopy(c.Stdout, c.Stderr, s.conn.Reader)
	}
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	return err
}

// follow tells the container's terminal the size of ours.
func follow(ctx context.Context, t *terminal.Terminal, resize func(context.Context, terminal.Size) error) {
	for {
		changed := t.Resized()
		if s := t.Size(); s.Columns > 0 && s.Rows > 0 {
			// One that has ended needs no size; any other problem shows in the
			// streams.
			_ = resize(ctx, s)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// onTerminal checks -t: without a terminal there is none to hand on.
func (c *call) onTerminal(input, tty bool) error {
	if input && tty && c.Keyboard() == nil {
		fmt.Fprintln(c.Stderr, "the input device is not a TTY")
		return exitStatus(1)
	}
	return nil
}

func consoleSize(t *terminal.Terminal) client.ConsoleSize {
	if t == nil {
		return client.ConsoleSize{}
	}
	s := t.Size()
	return client.ConsoleSize{Height: uint(s.Rows), Width: uint(s.Columns)}
}

func execute1(ctx context.Context, c *call) error {
	input, tty := c.on("interactive"), c.on("tty")
	if err := c.onTerminal(input, tty); err != nil {
		return err
	}
	env, err := c.f.GetStringArray("env")
	if err != nil {
		return err
	}
	o := client.ExecCreateOptions{
		User: c.text("user"), Privileged: c.on("privileged"), TTY: tty, AttachStdin: input && !c.on("detach"), AttachStdout: true, AttachStderr: true,
		DetachKeys: c.text("detach-keys"), Env: c.environment(env), WorkingDir: c.text("workdir"), Cmd: c.args[1:],
	}
	var size client.ConsoleSize
	if tty {
		size = consoleSize(c.Keyboard())
		o.ConsoleSize = size
	}
	x, err := c.api.ExecCreate(ctx, c.args[0], o)
	if err != nil {
		return err
	}
	if c.on("detach") {
		_, err := c.api.ExecStart(ctx, x.ID, client.ExecStartOptions{Detach: true, TTY: tty, ConsoleSize: size})
		return err
	}
	a, err := c.api.ExecAttach(ctx, x.ID, client.ExecAttachOptions{TTY: tty, ConsoleSize: size})
	if err != nil {
		return err
	}
	if err := c.join(ctx, session{conn: a.HijackedResponse, tty: tty, input: input, resize: func(ctx context.Context, s terminal.Size) error {
		_, err := c.api.ExecResize(ctx, x.ID, client.ExecResizeOptions{Height: uint(s.Rows), Width: uint(s.Columns)})
		return err
	}}); err != nil {
		return err
	}
	info, err := c.api.ExecInspect(ctx, x.ID, client.ExecInspectOptions{})
	if err != nil {
		return err
	}
	if info.Running { // detached
		return nil
	}
	return status(info.ExitCode)
}

func status(code int) error {
	if code == 0 {
		return nil
	}
	return exitStatus(code)
}

// environment fills in variables that are named without a value.
func (c *call) environment(pairs []string) []string {
	var out []string
	for _, pair := range pairs {
		if !strings.Contains(pair, "=") {
			value := c.Getenv(pair)
			if value == "" {
				continue
			}
			pair += "=" + value
		}
		out = append(out, pair)
	}
	return out
}

func attach(ctx context.Context, c *call) error {
	info, err := c.api.ContainerInspect(ctx, c.args[0], client.ContainerInspectOptions{})
	if err != nil {
		return err
	}
	if !info.Container.State.Running {
		return usage("You cannot attach to a stopped container, start it first")
	}
	id := info.Container.ID
	w := c.api.ContainerWait(ctx, id, client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
	s, err := c.attachTo(ctx, info.Container, !c.on("no-stdin"))
	if err != nil {
		return err
	}
	if err := c.attended(ctx, id, c.on("sig-proxy"), s); err != nil {
		return err
	}
	return c.outcome(ctx, id, w)
}

// attachTo opens the streams of a container.
func (c *call) attachTo(ctx context.Context, info container.InspectResponse, input bool) (session, error) {
	tty := info.Config.Tty
	input = input && info.Config.OpenStdin
	if err := c.onTerminal(input, tty); err != nil {
		return session{}, err
	}
	a, err := c.api.ContainerAttach(ctx, info.ID, client.ContainerAttachOptions{Stream: true, Stdin: input, Stdout: true, Stderr: true, DetachKeys: c.text("detach-keys")})
	if err != nil {
		return session{}, err
	}
	return session{conn: a.HijackedResponse, tty: tty, input: input, resize: func(ctx context.Context, s terminal.Size) error {
		_, err := c.api.ContainerResize(ctx, info.ID, client.ContainerResizeOptions{Height: uint(s.Rows), Width: uint(s.Columns)})
		return err
	}}, nil
}

// attended joins the streams. Ctrl-C, where it is not a key like others, ends
// that and is passed on to the container.
func (c *call) attended(ctx context.Context, id string, proxy bool, s session) error {
	err := c.join(ctx, s)
	if ctx.Err() == nil || !proxy {
		return err
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), passOn)
	defer cancel()
	// A container that has ended just now is what was wanted.
	_, _ = c.api.ContainerKill(last, id, client.ContainerKillOptions{Signal: "INT"})
	return context.Cause(ctx)
}

// passOn bounds how long passing a signal on may take.
const passOn = 5 * time.Second

// outcome is a container's exit status after its streams have ended, or 0 if
// it goes on: the user has detached.
func (c *call) outcome(ctx context.Context, id string, w client.ContainerWaitResult) error {
	info, err := c.api.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err == nil && info.Container.State.Running {
		return nil
	}
	code, err := exitOf(ctx, w)
	if err != nil {
		return err
	}
	return status(code)
}

// startAttached starts a container that exists, with its streams joined.
func (c *call) startAttached(ctx context.Context, name string, input, removed bool) error {
	info, err := c.api.ContainerInspect(ctx, name, client.ContainerInspectOptions{})
	if err != nil {
		return err
	}
	id := info.Container.ID
	condition := container.WaitConditionNextExit
	if removed {
		condition = container.WaitConditionRemoved
	}
	w := c.api.ContainerWait(ctx, id, client.ContainerWaitOptions{Condition: condition})
	s, err := c.attachTo(ctx, info.Container, input)
	if err != nil {
		return err
	}
	if _, err := c.api.ContainerStart(ctx, id, client.ContainerStartOptions{}); err != nil {
		s.conn.Close()
		fmt.Fprintln(c.Stderr, c.words(err))
		if strings.Contains(err.Error(), "executable file not found") {
			return exitStatus(127)
		}
		return exitStatus(125)
	}
	if err := c.attended(ctx, id, true, s); err != nil {
		return err
	}
	return c.outcome(ctx, id, w)
}

// dialStdio joins standard input and output with the engine's socket: it is
// how docker commands elsewhere come in by SSH.
func dialStdio(ctx context.Context, c *call) error {
	network, address, _ := strings.Cut(c.host, "://")
	conn, err := c.Machine().Dial(ctx, network, address)
	if err != nil {
		return usage("Cannot connect to the Docker daemon at %s. Is the docker daemon running? (%v)", c.host, err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	go func() {
		// The other direction ends the command.
		_, _ = io.Copy(conn, c.Stdin)
		if half, ok := conn.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
	}()
	if _, err := io.Copy(c.Stdout, conn); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}
