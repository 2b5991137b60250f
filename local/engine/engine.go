package engine

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mesoslab/lab/internal/atomicfile"
	"github.com/mesoslab/lab/local/engine/internal/api"
	"github.com/mesoslab/lab/local/engine/internal/events"
	"github.com/mesoslab/lab/local/engine/internal/rootfs"
)

// Engine is one machine's engine.
type Engine struct {
	cfg    Config
	ctx    context.Context
	cancel context.CancelFunc
	id     string // of this engine, for /info
	since  time.Time
	tree   *rootfs.Tree
	bus    events.Bus
	images *imageStore
	work   sync.WaitGroup // goroutines that touch containers

	// mu guards what follows and is never held during anything slow. It may
	// be taken while a container's lock is held, never the other way round.
	mu         sync.Mutex
	containers map[string]*container // by id
	names      map[string]string     // name to id
	execs      map[string]*execRun   // by id
	closing    bool                  // nothing is created or started any more
	halted     bool                  // closing, but not by Close
	ended      bool                  // no goroutine begins any more
	nextPort   int                   // where the search for a free host port goes on
}

// New loads the containers of an earlier life from cfg.Dir; all are stopped.
// ctx is the engine's life: see the package doc.
func New(ctx context.Context, cfg Config) (*Engine, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	e := &Engine{
		cfg: cfg, since: time.Now(), nextPort: firstRandomPort,
		containers: map[string]*container{}, names: map[string]string{}, execs: map[string]*execRun{},
	}
	for _, d := range []string{"containers", "volumes"} {
		if err := os.MkdirAll(filepath.Join(cfg.Dir, d), 0o755); err != nil {
			return nil, fmt.Errorf("engine folder: %w", err)
		}
	}
	var err error
	if e.id, err = identity(cfg.Dir); err != nil {
		return nil, err
	}
	if e.images, err = openImages(cfg.Dir, cfg.Catalogue); err != nil {
		return nil, err
	}
	if e.tree, err = rootfs.Open(cfg.MachineRoot); err != nil {
		return nil, err
	}
	e.ctx, e.cancel = context.WithCancel(ctx)
	if err := e.load(); err != nil {
		e.cancel()
		return nil, errors.Join(err, e.tree.Close())
	}
	return e, nil
}

// identity is the engine's id, made at its first start.
func identity(dir string) (string, error) {
	name := filepath.Join(dir, "engine-id")
	if b, err := os.ReadFile(name); err == nil && len(b) > 0 {
		return strings.TrimSpace(string(b)), nil
	}
	id := newID()[:32]
	if err := atomicfile.Write(name, []byte(id+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("engine id: %w", err)
	}
	return id, nil
}

// newID makes 64 hex digits whose first twelve are not a number, as dockerd
// does, so that a short id can be a host name.
func newID() string {
	for {
		b := make([]byte, 32)
		rand.Read(b)
		id := hex.EncodeToString(b)
		if strings.Trim(id[:12], "0123456789") != "" {
			return id
		}
	}
}

// inMachine is a path of the engine's folder as the machine's own programs
// see it, without the leading slash.
func (e *Engine) inMachine(elem ...string) string {
	rel, err := filepath.Rel(e.cfg.MachineRoot, e.cfg.Dir)
	if err != nil { // excluded by Config.check
		rel = "."
	}
	return filepath.ToSlash(filepath.Join(append([]string{rel}, elem...)...))
}

// find resolves an id, a name or a unique prefix of an id.
func (e *Engine) find(ref string) (*container, error) {
	ref = strings.TrimPrefix(ref, "/")
	e.mu.Lock()
	defer e.mu.Unlock()
	if c := e.containers[ref]; c != nil {
		return c, nil
	}
	if c := e.containers[e.names[ref]]; c != nil {
		return c, nil
	}
	var found *container
	for id, c := range e.containers {
		if ref != "" && strings.HasPrefix(id, ref) {
			if found != nil {
				return nil, api.NotFound("Multiple IDs found with provided prefix: %s", ref)
			}
			found = c
		}
	}
	if found == nil {
		return nil, api.NotFound("No such container: %s", ref)
	}
	return found, nil
}

// all returns every container, newest first.
func (e *Engine) all() []*container {
	e.mu.Lock()
	list := make([]*container, 0, len(e.containers))
	for _, c := range e.containers {
		list = append(list, c)
	}
	e.mu.Unlock()
	slices.SortFunc(list, func(a, b *container) int {
		if d := b.rec.Created.Compare(a.rec.Created); d != 0 {
			return d
		}
		return strings.Compare(a.rec.ID, b.rec.ID)
	})
	return list
}

// warn tells the operator about something that no client waits for.
func (e *Engine) warn(what string, c *container, err error) {
	if err != nil {
		e.cfg.Log.Warn(what, "container", c.name(), "error", err)
	}
}

// Boot starts the containers whose restart policy says so, as dockerd does at
// its own start, and returns when each was tried once. One that cannot start
// is tried again as after an exit.
func (e *Engine) Boot(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, c := range slices.Backward(e.all()) {
		if c.wantsBoot() {
			wg.Go(func() { e.warn("start at boot", c, e.startAgain(ctx, c)) })
		}
	}
	wg.Wait()
	return ctx.Err()
}

// Halt is what SIGKILL is to dockerd: the engine creates, starts and restarts
// nothing any more, and its containers run on. Close ends them.
func (e *Engine) Halt() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closing {
		e.closing, e.halted = true, true
	}
}

// Close stops all containers as dockerd does on SIGTERM, each with its own stop
// signal and time-out, and then ends everything else. When ctx ends they are
// killed at once. The engine answers no more after it.
func (e *Engine) Close(ctx context.Context) error {
	e.mu.Lock()
	closing := e.closing && !e.halted
	e.closing, e.halted = true, false
	e.mu.Unlock()
	if closing {
		return nil
	}
	var wg sync.WaitGroup
	for _, c := range e.all() {
		wg.Go(func() { e.warn("stop at shutdown", c, e.shutdown(ctx, c)) })
	}
	wg.Wait()
	e.cancel()
	e.mu.Lock()
	e.ended = true
	e.mu.Unlock()
	e.work.Wait()
	return e.tree.Close()
}

// spawn runs f in a goroutine that Close waits for. After Close nothing runs.
func (e *Engine) spawn(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.ended {
		e.work.Go(f)
	}
}

func (e *Engine) isClosing() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.closing
}
