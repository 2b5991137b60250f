package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/mesoslab/lab/internal/atomicfile"
	"github.com/mesoslab/lab/local/engine/internal/api"
	"github.com/mesoslab/lab/local/engine/internal/jsonlog"
	"github.com/mesoslab/lab/local/engine/internal/ports"
	"github.com/mesoslab/lab/local/engine/internal/stream"
	"github.com/mesoslab/lab/local/terminal"
)

// The states of a container, in the API's words.
const (
	created    = "created"
	running    = "running"
	paused     = "paused"
	restarting = "restarting"
	removing   = "removing"
	exited     = "exited"
	dead       = "dead"
)

// record is what config.json holds.
type record struct {
	Format       int // 1
	ID           string
	Name         string
	Created      time.Time
	Image        string // the catalogue's name
	ImageID      string
	Argv         []string
	Config       api.Config
	HostConfig   api.HostConfig
	Mounts       []api.MountPoint
	Status       string
	ExitCode     int
	Error        string
	StartedAt    time.Time
	FinishedAt   time.Time
	RestartCount int
	ManualStop   bool // stopped by hand since its last start
}

// container is one container. Its fields are guarded by mu, which is held for
// moments only; op is held through slow operations that exclude each other.
type container struct {
	e   *Engine
	log *jsonlog.Log
	op  chan struct{} // holds one token while start or remove is at work

	mu      sync.Mutex
	rec     record // ID and Created never change
	life    *life  // nil unless running or paused
	io      *stdio // of the present life, or of the next
	backoff time.Duration
	again   context.CancelFunc // calls off the restart that is due
	exits   int                // how often it has ended
	keep    bool               // AutoRemove waits: a restart is under way
	removed bool
	execs   []string
	change  chan struct{} // closed at each change of state
}

// life is one run of a container's process.
type life struct {
	proc    Process
	ctx     context.Context // ends with the process
	end     context.CancelFunc
	ports   map[int]*ports.Published // by container port
	bound   api.PortMap              // what inspect shows
	private []net.Listener           // unpublished ports and unix sockets
	started time.Time
	byHand  bool          // stopped or killed: no restart
	done    chan struct{} // closed when its end is recorded
	flush   func()        // writes unfinished lines to the log
	// told is held from a signal until it is published, so that nobody hears
	// of the end before its cause.
	told sync.Mutex
}

// stdio connects attached clients with a life's process.
type stdio struct {
	out  stream.Fanout
	in   *io.PipeReader
	feed *io.PipeWriter
	tty  *terminal.Terminal // where the container has one: then in and feed are not used

	mu  sync.Mutex
	log io.Writer // of what the terminal shows, once there is a process
}

// newStdio makes the streams of the next life.
func (c *container) newStdio() *stdio {
	s := &stdio{}
	s.in, s.feed = io.Pipe()
	if c.rec.Config.Tty {
		s.tty = terminal.New(screen{s}, consoleSize(&c.rec.HostConfig.ConsoleSize))
		// A shell that is the process puts itself before this.
		s.tty.Foreground(func(sig terminal.Signal) { c.e.spawn(func() { c.key(s, sig) }) })
	}
	return s
}

// key is ctrl-C or ctrl-\ on the container's terminal.
func (c *container) key(std *stdio, sig terminal.Signal) {
	name, ok := map[terminal.Signal]string{terminal.Interrupt: "INT", terminal.Quit: "QUIT"}[sig]
	c.mu.Lock()
	l := c.life
	if c.io != std {
		l = nil
	}
	c.mu.Unlock()
	if ok && l != nil {
		c.e.warn("key", c, l.proc.Signal(localSignal(linuxSignals[name])))
	}
}

// close ends the life's streams.
func (s *stdio) close() {
	s.out.Close()
	s.in.Close()
	if s.tty != nil {
		s.tty.Close()
	}
}

// screen is what a container's terminal shows: to everybody attached, and in
// the log.
type screen struct{ s *stdio }

func (x screen) Write(p []byte) (int, error) {
	x.s.out.Write(stream.Stdout, p)
	x.s.mu.Lock()
	log := x.s.log
	x.s.mu.Unlock()
	if log == nil {
		return len(p), nil
	}
	return log.Write(p)
}

func newContainer(e *Engine, rec record) *container {
	c := &container{e: e, rec: rec, op: make(chan struct{}, 1), change: make(chan struct{})}
	c.io = c.newStdio()
	c.log = jsonlog.New(c.dir())
	return c
}

// dir is the container's folder as this process opens it; its name is short
// because paths of unix sockets are limited.
func (c *container) dir() string {
	return filepath.Join(c.e.cfg.Dir, "containers", c.rec.ID[:12])
}

// root is the rootfs by its name inside the machine.
func (c *container) root() string { return c.e.inMachine("containers", c.rec.ID[:12], "rootfs") }

func (c *container) id() string { return c.rec.ID }

func (c *container) name() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rec.Name
}

// snapshot is the record as it is now.
func (c *container) snapshot() record {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rec
}

// save writes config.json; mu is held.
func (c *container) save() error {
	b, err := json.MarshalIndent(c.rec, "", " ")
	if err != nil {
		return fmt.Errorf("encode container: %w", err)
	}
	if err := atomicfile.Write(filepath.Join(c.dir(), "config.json"), b, 0o600); err != nil {
		return fmt.Errorf("save container: %w", err)
	}
	return nil
}

// changed saves the record and wakes everybody who waits; mu is held.
func (c *container) changed() error {
	close(c.change)
	c.change = make(chan struct{})
	if c.removed {
		return nil
	}
	return c.save()
}

// acquire takes the container for a slow operation.
func (c *container) acquire(ctx context.Context) error {
	select {
	case c.op <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for container %s: %w", c.name(), ctx.Err())
	}
}

func (c *container) release() { <-c.op }

// alive tells whether there is a process or will be one soon, which is what
// the API calls Running.
func (r record) alive() bool {
	return r.Status == running || r.Status == paused || r.Status == restarting
}

// event publishes a container event with the attributes dockerd gives: the
// labels, image, name, and pairs of extra ones.
func (c *container) event(action string, extra ...string) {
	r := c.snapshot()
	attr := map[string]string{}
	for k, v := range r.Config.Labels {
		attr[k] = v
	}
	attr["image"], attr["name"] = r.Config.Image, r.Name
	for i := 0; i+1 < len(extra); i += 2 {
		attr[extra[i]] = extra[i+1]
	}
	c.e.bus.Publish("container", action, r.ID, attr)
}
