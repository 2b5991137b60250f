//go:build unix

package machine

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"

	"github.com/mesoslab/lab/local/shell"
	"github.com/mesoslab/lab/local/terminal"
)

// session is one SSH session: requests prepare it, then one of exec, shell and
// subsystem starts it.
type session struct {
	server  *sshServer
	user    string
	channel ssh.Channel
	env     []string
	tty     *terminal.Terminal // nil where the client asked for none

	mu      sync.Mutex
	cancel  context.CancelFunc
	signal  string
	started bool
	run     func() // prepared, not yet started
}

func (s *sshServer) session(ctx context.Context, conn *ssh.ServerConn, ch ssh.NewChannel) {
	channel, requests, err := ch.Accept()
	if err != nil {
		return
	}
	defer channel.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	addr := conn.RemoteAddr().String()
	x := &session{
		server: s, user: conn.User(), channel: channel, cancel: cancel,
		env: []string{"SSH_CONNECTION=" + strings.NewReplacer(":", " ").Replace(addr+" "+conn.LocalAddr().String()), "SSH_CLIENT=" + strings.ReplaceAll(addr, ":", " ")},
	}
	var work sync.WaitGroup
	for r := range requests {
		ok := x.request(ctx, r)
		if r.WantReply {
			if err := r.Reply(ok, nil); err != nil {
				break
			}
		}
		if run := x.take(); ok && run != nil {
			work.Go(run)
			if x.tty != nil {
				work.Go(func() { _ = x.tty.Feed(channel) }) // its end is the client's
			}
		}
	}
	cancel() // the client is gone
	if x.tty != nil {
		x.tty.Close()
	}
	work.Wait()
}

// request handles one request; a started program waits in take until the
// client has its answer.
func (x *session) request(ctx context.Context, r *ssh.Request) bool {
	switch r.Type {
	case "env":
		var v struct{ Name, Value string }
		x.mu.Lock()
		defer x.mu.Unlock()
		if x.started || ssh.Unmarshal(r.Payload, &v) != nil || len(x.env) > 200 || strings.ContainsAny(v.Name, "=\x00") {
			return false
		}
		x.env = append(x.env, v.Name+"="+v.Value)
		return true
	case "pty-req":
		var v struct {
			Term                         string
			Columns, Rows, Width, Height uint32
			Modes                        string
		}
		x.mu.Lock()
		defer x.mu.Unlock()
		if x.started || ssh.Unmarshal(r.Payload, &v) != nil {
			return false
		}
		x.tty = terminal.New(x.channel, sizeOf(v.Columns, v.Rows))
		x.tty.SetMode(ptyModes([]byte(v.Modes)))
		x.env = append(x.env, "TERM="+v.Term, "SSH_TTY=/dev/tty")
		return true
	case "window-change":
		var v struct{ Columns, Rows, Width, Height uint32 }
		if ssh.Unmarshal(r.Payload, &v) == nil && x.tty != nil {
			x.tty.Resize(sizeOf(v.Columns, v.Rows))
		}
		return true
	case "signal":
		var v struct{ Name string }
		if ssh.Unmarshal(r.Payload, &v) != nil {
			return false
		}
		x.mu.Lock()
		x.signal = v.Name
		x.mu.Unlock()
		x.cancel()
		return true
	case "exec", "shell", "subsystem":
		return x.prepare(ctx, r)
	}
	return false
}

// sizeOf is a size as a client gives it: 0 is unknown, and what is absurd is
// bounded.
func sizeOf(columns, rows uint32) terminal.Size {
	return terminal.Size{Columns: int(min(columns, 1000)), Rows: int(min(rows, 1000))}
}

// prepare decides what is to run.
func (x *session) prepare(ctx context.Context, r *ssh.Request) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.started {
		return false
	}
	var v struct{ Text string }
	if r.Type != "shell" && ssh.Unmarshal(r.Payload, &v) != nil {
		return false
	}
	switch {
	case r.Type == "subsystem" && v.Text != "sftp":
		return false
	case r.Type == "subsystem":
		x.run = func() { x.finish(ctx, x.sftp) }
	case r.Type == "exec":
		x.run = func() { x.finish(ctx, func(ctx context.Context) int { return x.command(ctx, v.Text) }) }
	default:
		x.run = func() { x.finish(ctx, x.login) }
	}
	x.started = true
	return true
}

// take hands out the prepared program, once.
func (x *session) take() func() {
	x.mu.Lock()
	defer x.mu.Unlock()
	run := x.run
	x.run = nil
	return run
}

// finish runs fn and tells the client how it ended.
func (x *session) finish(ctx context.Context, fn func(context.Context) int) {
	exit := fn(ctx)
	x.mu.Lock()
	signal := x.signal
	x.mu.Unlock()
	// A client that is gone hears neither. On a terminal what is typed now is
	// still echoed, at the same time, and a channel does not bear an end of file
	// beside a write: there Close says it.
	if x.tty == nil {
		_ = x.channel.CloseWrite()
	}
	if signal != "" && ctx.Err() != nil {
		_, _ = x.channel.SendRequest("exit-signal", false, ssh.Marshal(struct {
			Name       string
			CoreDumped bool
			Message    string
			Language   string
		}{Name: signal}))
	} else {
		_, _ = x.channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{uint32(exit)}))
	}
	x.channel.Close()
}

func (x *session) home() string {
	if x.user == "root" {
		return "/root"
	}
	return "/home/" + x.user
}

// config is the shell of the session's user.
func (x *session) config() shell.Config {
	m := x.server.machine
	cfg := shell.Config{
		Root: m.root, Dir: x.home(), Env: x.env, User: x.user, Hostname: m.settings.Name, Machine: m,
		Stdin: x.channel, Stdout: x.channel, Stderr: x.channel.Stderr(), Commands: commands(),
	}
	if x.tty != nil {
		cfg.Terminal, cfg.Stdin, cfg.Stdout, cfg.Stderr = x.tty, x.tty, x.tty, x.tty
	}
	return cfg
}

func (x *session) command(ctx context.Context, script string) int {
	return x.told(ctx, func(cfg shell.Config) (int, error) { return shell.Run(ctx, cfg, script) })
}

// login is a shell without a command: interactive on a terminal, else a
// script from standard input.
func (x *session) login(ctx context.Context) int {
	if x.tty != nil {
		return x.told(ctx, func(cfg shell.Config) (int, error) {
			cfg.Login = true
			return shell.Interactive(ctx, cfg)
		})
	}
	text, err := io.ReadAll(x.channel)
	if err != nil {
		return 1
	}
	return x.told(ctx, func(cfg shell.Config) (int, error) {
		cfg.Stdin = nil
		return shell.Run(ctx, cfg, string(text))
	})
}

// told runs a shell and prints why it could not, unless the session has ended.
func (x *session) told(ctx context.Context, run func(shell.Config) (int, error)) int {
	cfg := x.config()
	exit, err := run(cfg)
	if err != nil && ctx.Err() == nil {
		fmt.Fprintln(cfg.Stderr, err)
	}
	return exit
}
