package engine

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mesoslab/lab/local/engine/internal/api"
	"github.com/mesoslab/lab/local/engine/internal/stream"
	"github.com/mesoslab/lab/local/terminal"
)

// execKept is how long a finished exec can still be inspected.
const execKept = 5 * time.Minute

// execConfig is the body of POST /containers/{id}/exec.
type execConfig struct {
	AttachStdin, AttachStdout, AttachStderr bool
	DetachKeys                              string
	Tty, Privileged                         bool
	User, WorkingDir                        string
	Env                                     []string
	Cmd                                     api.Strings
	ConsoleSize                             *[2]uint // rows, columns
}

// execRun is one command line in a container.
type execRun struct {
	id  string
	c   *container
	cfg execConfig

	mu       sync.Mutex
	size     terminal.Size      // that a client has asked for
	tty      *terminal.Terminal // once it is started on one
	started  bool
	running  bool
	exit     *int
	finished time.Time
}

// executable returns the life that can run a command line, or says why not.
func (c *container) executable() (*life, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.rec.Status == paused:
		return nil, api.Conflict("container %s is paused, unpause the container before exec", c.rec.ID)
	case c.rec.Status == restarting:
		return nil, api.Conflict("container %s is restarting, wait until the container is running", c.rec.ID)
	case c.life == nil:
		return nil, api.Conflict("container %s is not running", c.rec.ID)
	}
	return c.life, nil
}

func (e *Engine) execCreate(w http.ResponseWriter, r *http.Request, v vars) error {
	c, err := e.find(v["id"])
	if err != nil {
		return err
	}
	x := &execRun{id: newID(), c: c}
	if err := readJSON(r, &x.cfg); err != nil {
		return err
	}
	if len(x.cfg.Cmd) == 0 {
		return api.BadRequest("no exec command specified")
	}
	x.resize(consoleSize(x.cfg.ConsoleSize))
	if _, err := c.executable(); err != nil {
		return err
	}
	e.forgetExecs()
	e.mu.Lock()
	e.execs[x.id] = x
	e.mu.Unlock()
	c.addExec(x.id)
	c.event("exec_create: "+strings.Join(x.cfg.Cmd, " "), "execID", x.id)
	return writeJSON(w, http.StatusCreated, map[string]string{"Id": x.id})
}

// forgetExecs drops those that ended a while ago.
func (e *Engine) forgetExecs() {
	e.mu.Lock()
	var old []*execRun
	for id, x := range e.execs {
		x.mu.Lock()
		if !x.finished.IsZero() && time.Since(x.finished) > execKept {
			old = append(old, x)
			delete(e.execs, id)
		}
		x.mu.Unlock()
	}
	e.mu.Unlock()
	for _, x := range old {
		x.c.dropExec(x.id)
	}
}

func (e *Engine) findExec(id string) (*execRun, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if x := e.execs[id]; x != nil {
		return x, nil
	}
	return nil, api.NotFound("No such exec instance: %s", id)
}

// begin marks the exec as started, once.
func (x *execRun) begin() (*life, error) {
	l, err := x.c.executable()
	if err != nil {
		return nil, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.running:
		return nil, api.Conflict("exec command %s is already running", x.id)
	case x.started:
		return nil, api.Conflict("exec command %s has already run", x.id)
	}
	x.started, x.running = true, true
	return l, nil
}

func (e *Engine) execStart(w http.ResponseWriter, r *http.Request, v vars) error {
	x, err := e.findExec(v["id"])
	if err != nil {
		return err
	}
	var req struct {
		Detach, Tty bool
		ConsoleSize *[2]uint
	}
	if err := readJSON(r, &req); err != nil {
		return err
	}
	l, err := x.begin()
	if err != nil {
		return err
	}
	x.resize(consoleSize(req.ConsoleSize))
	if req.Detach {
		e.spawn(func() { x.run(l, strings.NewReader(""), io.Discard, io.Discard) })
		w.WriteHeader(http.StatusOK)
		return nil
	}
	h, err := hijack(w, r, streamType(v, x.cfg.Tty))
	if err != nil {
		x.end(255)
		return err
	}
	defer h.finish()
	// A command that reads must not outlive its container.
	defer context.AfterFunc(l.ctx, func() { h.conn.SetReadDeadline(time.Unix(1, 0)) })()
	if x.cfg.Tty {
		x.onTerminal(l, h)
		return nil
	}
	out, errs := h.writer(stream.Stdout, false), h.writer(stream.Stderr, false)
	var in io.Reader = strings.NewReader("")
	if x.cfg.AttachStdin {
		in = h.in
	}
	if !x.cfg.AttachStdout {
		out = io.Discard
	}
	if !x.cfg.AttachStderr {
		errs = io.Discard
	}
	x.run(l, in, unfailing{out}, unfailing{errs})
	return nil
}

// onTerminal runs the command on a terminal of its own, which the client's
// connection types on and shows.
func (x *execRun) onTerminal(l *life, h *hijacked) {
	screen := io.Discard
	if x.cfg.AttachStdout {
		screen = unfailing{h.writer(stream.Stdout, true)}
	}
	x.mu.Lock()
	t := terminal.New(screen, x.size)
	x.tty = t
	x.mu.Unlock()
	typing := make(chan struct{})
	go func() {
		defer close(typing)
		if !x.cfg.AttachStdin {
			t.Close()
			return
		}
		// A client that detaches, or is gone, types no more.
		_ = t.Feed(&detachReader{r: h.in, keys: detachKeys(x.cfg.DetachKeys)})
	}()
	x.run(l, t, t, t)
	t.Close()
	h.conn.SetReadDeadline(time.Unix(1, 0)) // the keyboard is nobody's now
	<-typing
}

// unfailing hides a client that is gone: the command goes on, as in dockerd.
type unfailing struct{ w io.Writer }

func (u unfailing) Write(p []byte) (int, error) {
	u.w.Write(p)
	return len(p), nil
}

// run runs the command line until it ends or the container does.
func (x *execRun) run(l *life, in io.Reader, out, errs io.Writer) {
	c := x.c
	rec := c.snapshot()
	dir := x.cfg.WorkingDir
	if dir == "" {
		dir = rec.workingDir()
	}
	env := mergeEnv(rec.environ(), x.cfg.Env)
	if x.cfg.Tty {
		env = mergeEnv(env, []string{"TERM=xterm"})
	}
	user := x.cfg.User
	if user == "" {
		user = rec.Config.User
	}
	c.event("exec_start: "+strings.Join(x.cfg.Cmd, " "), "execID", x.id)
	code, err := c.e.cfg.Exec(l.ctx, ExecCommand{
		ContainerID: rec.ID, Name: rec.Name, ExecID: x.id, Hostname: rec.Config.Hostname,
		Argv: x.cfg.Cmd, Env: env, Dir: filepath.Join(c.dir(), "rootfs"), WorkingDir: dir, User: user,
		Tty: x.cfg.Tty, Stdin: in, Stdout: out, Stderr: errs,
		Listen: func(ctx context.Context, network, address string) (net.Listener, error) {
			return c.listen(ctx, l, rec, network, address)
		},
	})
	switch {
	case l.ctx.Err() != nil:
		code = 137
	case errors.Is(err, exec.ErrNotFound):
		code = 127
		io.WriteString(out, "exec failed: "+strconv.Quote(x.cfg.Cmd[0])+": executable file not found in $PATH\r\n")
	case errors.Is(err, fs.ErrPermission):
		code = 126
		io.WriteString(out, "exec failed: "+err.Error()+"\r\n")
	case err != nil:
		code = 126
		io.WriteString(out, "exec failed: "+err.Error()+"\r\n")
	}
	x.end(code)
}

// end records the exit status.
func (x *execRun) end(code int) {
	x.mu.Lock()
	x.running, x.exit, x.finished = false, &code, time.Now()
	x.mu.Unlock()
	x.c.event("exec_die", "execID", x.id, "exitCode", strconv.Itoa(code))
}

func (e *Engine) execInspect(w http.ResponseWriter, _ *http.Request, v vars) error {
	x, err := e.findExec(v["id"])
	if err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	process := map[string]any{
		"entrypoint": x.cfg.Cmd[0], "arguments": x.cfg.Cmd[1:], "tty": x.cfg.Tty, "privileged": x.cfg.Privileged, "user": x.cfg.User,
	}
	return writeJSON(w, http.StatusOK, map[string]any{
		"ID": x.id, "ContainerID": x.c.id(), "Running": x.running, "ExitCode": x.exit, "ProcessConfig": process,
		"OpenStdin": x.cfg.AttachStdin, "OpenStdout": x.cfg.AttachStdout, "OpenStderr": x.cfg.AttachStderr,
		"CanRemove": false, "DetachKeys": "", "Pid": 0,
	})
}

// execResize changes the size of the terminal, now or when it starts.
func (e *Engine) execResize(w http.ResponseWriter, r *http.Request, v vars) error {
	x, err := e.findExec(v["id"])
	if err != nil {
		return err
	}
	size, err := sizeIn(r)
	if err != nil {
		return err
	}
	x.resize(size)
	w.WriteHeader(http.StatusOK)
	return nil
}

// resize notes a size that is known.
func (x *execRun) resize(size terminal.Size) {
	if size == (terminal.Size{}) {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.size = size
	if x.tty != nil {
		x.tty.Resize(size)
	}
}
