//go:build unix

package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/mesoslab/lab/internal/proctab"
	"github.com/mesoslab/lab/local/engine"
	"github.com/mesoslab/lab/local/folder"
	"github.com/mesoslab/lab/local/handoff"
)

// envContainer marks the processes of one container with its id.
const envContainer = "LAB_CONTAINER"

// children are the processes that the machine has started.
type children struct {
	executable string
	environ    []string // what every child gets
	folder     folder.Folder
	starter    *starter
	programs   handoff.Programs // what a child may have started besides
	log        *slog.Logger

	mu     sync.Mutex // also held while a process is started and recorded
	change *sync.Cond
	frozen bool // nothing is started meanwhile
	procs  map[int]*child
}

func newChildren(executable string, environ []string, f folder.Folder, log *slog.Logger) *children {
	c := &children{executable: executable, environ: environ, folder: f, starter: newStarter(), log: log, procs: map[int]*child{}}
	c.change = sync.NewCond(&c.mu)
	return c
}

// child is a process of its own; it is an engine.Process.
type child struct {
	all       *children
	cmd       *exec.Cmd
	record    folder.Proc
	container string
	control   *os.File      // a supervisor's pipe, else nil
	done      chan struct{} // closed when it has ended and is forgotten
	exit      int
	paused    atomic.Bool // by the engine, not by the machine's power
}

// start starts a program of the lab binary: "/lab mini zookeeper".
func (c *children) start(ctx context.Context, e engine.Command) (engine.Process, error) {
	conn, end, err := handoff.Pair()
	if err != nil {
		return nil, err
	}
	defer end.Close()
	stdin, stdinEnd, err := os.Pipe()
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("start %s: %w", e.Name, err)
	}
	defer stdin.Close()
	cmd := &exec.Cmd{
		Path: c.executable, Args: append([]string{c.executable}, e.Argv[1:]...), Dir: e.Dir,
		Env: c.childEnviron(e), Stdin: stdin, Stdout: e.Stdout, Stderr: e.Stderr, ExtraFiles: []*os.File{end},
		WaitDelay: 2 * time.Second, // for output of descendants, which are killed
	}
	p := &child{all: c, cmd: cmd, container: e.ContainerID, done: make(chan struct{})}
	if err := c.launch(ctx, p, e.Name, e.Argv); err != nil {
		conn.Close()
		stdinEnd.Close()
		return nil, fmt.Errorf("start %s: %w", e.Name, err)
	}
	go func() {
		// Ends with the container's input, or when nobody reads it.
		_, _ = io.Copy(stdinEnd, e.Stdin)
		stdinEnd.Close()
	}()
	go p.wait(conn.Close)
	go p.serve(conn, e)
	return p, nil
}

// launch starts the process and writes it down before it counts as started.
func (c *children) launch(ctx context.Context, p *child, name string, argv []string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.frozen {
		c.change.Wait()
	}
	if err := c.starter.start(ctx, p.cmd); err != nil {
		return err
	}
	id, err := proctab.Of(p.cmd.Process.Pid)
	if err != nil { // it has ended already; it is still a child of ours
		id = proctab.ID{PID: p.cmd.Process.Pid}
	}
	p.record = folder.Proc{ID: id, Name: name, Argv: argv, At: time.Now()}
	c.procs[id.PID] = p
	if err := c.writeLocked(); err != nil {
		delete(c.procs, id.PID)
		return errors.Join(err, p.cmd.Process.Kill(), p.cmd.Wait())
	}
	return nil
}

func (c *children) childEnviron(e engine.Command) []string {
	env := slices.Clone(e.Env)
	if !slices.ContainsFunc(env, func(v string) bool { return strings.HasPrefix(v, "HOSTNAME=") }) {
		env = append(env, "HOSTNAME="+e.Hostname)
	}
	env = append(env, c.environ...)
	return append(env, handoff.EnvFD+"="+strconv.Itoa(3), envContainer+"="+e.ContainerID)
}

// serve opens the listeners that the child asks for.
func (p *child) serve(conn *net.UnixConn, e engine.Command) {
	listen := func(ctx context.Context, network, address string) (net.Listener, error) {
		l, err := e.Listen(ctx, network, address)
		if err != nil {
			return nil, err
		}
		for _, s := range sockets(l) {
			s.setOwner(e.Name, p.Pid())
		}
		return l, nil
	}
	err := handoff.Host{Listen: listen, Programs: p.all.programs}.Serve(context.Background(), conn)
	if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
		p.all.log.Warn("listeners of a process", "container", e.Name, "error", err)
	}
}

// wait ends with the process and everything it left behind. hangUp closes the
// machine's end of what connects the two.
func (p *child) wait(hangUp func() error) {
	state, err := p.cmd.Process.Wait()
	_ = hangUp() // nobody is at the other end any more
	p.exit = exitStatus(state, err)
	// What it started has no place without it.
	_ = syscall.Kill(-p.record.PID, syscall.SIGKILL)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	left := func() []proctab.ID { return append(proctab.Marked(envContainer, p.container), p.all.strays()...) }
	if err := proctab.Kill(ctx, left); err != nil {
		p.all.log.Warn("descendants of a process", "container", p.record.Name, "error", err)
	}
	cancel()
	_ = p.cmd.Wait() // the process is reaped already: this waits for its output
	p.all.forget(p)
	close(p.done)
}

// exitStatus is the shell's: 128+n after signal n.
func exitStatus(state *os.ProcessState, err error) int {
	if err != nil {
		return 255
	}
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return state.ExitCode()
}

// strays are processes whose parent ended before them: the machine, which
// adopts them, has started none that it has not recorded.
func (c *children) strays() []proctab.ID {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(proctab.Children(os.Getpid()), func(id proctab.ID) bool { return c.procs[id.PID] != nil })
}

func (c *children) forget(p *child) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.procs, p.record.PID)
	if err := c.writeLocked(); err != nil {
		c.log.Warn("record of processes", "error", err)
	}
}

func (c *children) writeLocked() error {
	list := []folder.Proc{}
	for _, p := range c.procs {
		list = append(list, p.record)
	}
	slices.SortFunc(list, func(a, b folder.Proc) int { return a.At.Compare(b.At) })
	return c.folder.WriteProcs(list)
}

// list returns the children in the order they were started.
func (c *children) list() []*child {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []*child
	for _, p := range c.procs {
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b *child) int { return a.record.At.Compare(b.record.At) })
	return out
}

// living are all processes below the machine, recorded or not.
func (c *children) living() []proctab.ID {
	out := proctab.Descendants(os.Getpid())
	for _, p := range c.list() {
		if !slices.Contains(out, p.record.ID) && p.record.ID.State() != proctab.Gone {
			out = append(out, p.record.ID)
		}
	}
	return out
}

// freeze stops every process below the machine and returns when they stand.
func (c *children) freeze(ctx context.Context) error {
	c.mu.Lock()
	c.frozen = true
	c.mu.Unlock()
	for {
		moving := slices.DeleteFunc(c.living(), func(id proctab.ID) bool { return id.State() != proctab.Running })
		if len(moving) == 0 {
			return nil
		}
		for _, id := range moving {
			if err := id.Signal(syscall.SIGSTOP); err != nil && !errors.Is(err, proctab.ErrGone) {
				return fmt.Errorf("freeze process %d: %w", id.PID, err)
			}
		}
		if err := proctab.Await(ctx, moving, proctab.Stopped, proctab.Gone); err != nil {
			return fmt.Errorf("freeze: %w", err)
		}
	}
}

// thaw lets every process go on that the engine has not paused.
func (c *children) thaw() error {
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.frozen = false
		c.change.Broadcast()
	}()
	var paused []proctab.ID
	for _, p := range c.list() {
		if p.paused.Load() {
			paused = append(append(paused, p.record.ID), proctab.Descendants(p.record.PID)...)
		}
	}
	var errs []error
	for _, id := range c.living() {
		if slices.Contains(paused, id) {
			continue
		}
		if err := id.Signal(syscall.SIGCONT); err != nil && !errors.Is(err, proctab.ErrGone) {
			errs = append(errs, fmt.Errorf("thaw process %d: %w", id.PID, err))
		}
	}
	return errors.Join(errs...)
}

// kill ends every process below the machine.
func (c *children) kill(ctx context.Context) error { return proctab.Kill(ctx, c.living) }

// reap takes the exit status of orphans that the machine adopted.
func (c *children) reap() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, pid := range proctab.Zombies(os.Getpid()) {
		if c.procs[pid] == nil {
			var status syscall.WaitStatus
			_, _ = syscall.Wait4(pid, &status, syscall.WNOHANG, nil) // gone is as good
		}
	}
}

// Pid implements engine.Process.
func (p *child) Pid() int { return p.record.PID }

// Wait implements engine.Process.
func (p *child) Wait(ctx context.Context) (int, error) {
	select {
	case <-p.done:
		return p.exit, nil
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

// Signal implements engine.Process. SIGKILL takes the whole container, as the
// end of its first process does on Linux.
func (p *child) Signal(sig syscall.Signal) error {
	select {
	case <-p.done:
		return os.ErrProcessDone
	default:
	}
	if sig == syscall.SIGKILL {
		_ = syscall.Kill(-p.record.PID, syscall.SIGKILL)
	}
	return p.cmd.Process.Signal(sig)
}

// Pause implements engine.Process.
func (p *child) Pause() error {
	p.paused.Store(true)
	return p.tree(syscall.SIGSTOP)
}

// Unpause implements engine.Process.
func (p *child) Unpause() error {
	p.paused.Store(false)
	return p.tree(syscall.SIGCONT)
}

func (p *child) tree(sig syscall.Signal) error {
	ids := append(proctab.Descendants(p.record.PID), p.record.ID)
	var errs []error
	for _, id := range ids {
		if err := id.Signal(sig); err != nil && !errors.Is(err, proctab.ErrGone) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
