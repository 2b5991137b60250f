package haproxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mesoslab/lab/internal/atomicfile"
	"github.com/mesoslab/lab/internal/proctab"
	"github.com/mesoslab/lab/mini"
	"github.com/mesoslab/lab/mini/marathonlb/proxy"
)

// Options is what HAProxy is run with.
type Options struct {
	Program Program
	// Folder is an absolute path in the container, for this HAProxy only.
	Folder string
	Limits proxy.Limits
	// Log gets HAProxy's warnings and what happens to it.
	Log func(format string, args ...any)
}

// HAProxy is a running one.
type HAProxy struct {
	env     mini.Env
	options Options
	source  string // where connections to servers come from, "" for anywhere
	master  cli
	worker  cli
	log     *tail

	cancel context.CancelFunc
	tasks  sync.WaitGroup

	supervisor atomic.Int64 // the pid of id, for who shall not wait for a reload

	mu         sync.Mutex
	runner     runner
	id         proctab.ID
	generation int
	sections   string            // in force
	binds      map[string]string // in force: to what they mean on this machine
}

const (
	configFile = "haproxy.cfg"
	stateFile  = "state"
	logFile    = "log"
	// readyWithin is how long a worker may take to serve.
	readyWithin = 10 * time.Second
	tellWithin  = 3 * time.Second // for a master that replaces itself
	lookEvery   = 10 * time.Millisecond
	again       = time.Second // between the end of a HAProxy and the next one's start
)

// Start starts HAProxy without any frontend; it ends with ctx or Close. It
// returns when it serves.
func Start(ctx context.Context, env mini.Env, o Options) (*HAProxy, error) {
	dir, err := filepath.Abs(env.Path(o.Folder))
	if err != nil {
		return nil, fmt.Errorf("start HAProxy: %w", err)
	}
	h := &HAProxy{
		env: env, options: o,
		master: cli{env.Dial, o.Folder + "/master.sock"}, worker: cli{env.Dial, o.Folder + "/worker.sock"},
		runner: runner{launcher: env.Children, program: o.Program.Path, dir: dir},
		log:    &tail{name: filepath.Join(dir, logFile), log: o.Log},
	}
	if err := h.prepare(ctx); err != nil {
		return nil, fmt.Errorf("start HAProxy: %w", err)
	}
	ctx, h.cancel = context.WithCancel(ctx)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.begin(ctx); err != nil {
		h.stop()
		return nil, fmt.Errorf("start HAProxy: %w", err)
	}
	h.tasks.Go(func() { h.keep(ctx) })
	h.tasks.Go(func() { h.log.follow(ctx) })
	return h, nil
}

// prepare empties the folder and finds out the machine's own address.
func (h *HAProxy) prepare(ctx context.Context) error {
	if err := h.runner.leftovers(ctx); err != nil {
		return err
	}
	if err := os.RemoveAll(h.runner.dir); err != nil {
		return err
	}
	if err := os.MkdirAll(h.runner.dir, 0o700); err != nil {
		return err
	}
	l, err := h.env.Listen(ctx, "tcp", ":0")
	if err != nil {
		return err
	}
	if a, ok := l.Addr().(*net.TCPAddr); ok && !a.IP.IsUnspecified() {
		h.source = a.IP.String()
	}
	return l.Close()
}

// begin starts the process with the sections in force and waits until it
// serves. The caller holds the lock.
func (h *HAProxy) begin(ctx context.Context) error {
	h.generation++
	if err := h.write(configFile, h.sized(h.sections)); err != nil {
		return err
	}
	if err := h.write(stateFile, "1\n"); err != nil { // no state yet, in its format
		return err
	}
	h.log.mark()
	id, _, err := h.runner.start(ctx, logFile, "-W", "-db", "-f", configFile, "-S", "unix@master.sock,mode,600,level,admin")
	if err != nil {
		return err
	}
	h.id = id
	h.supervisor.Store(int64(id.PID))
	return h.ready(ctx)
}

// write replaces a file of the folder.
func (h *HAProxy) write(name, text string) error {
	return atomicfile.Write(filepath.Join(h.runner.dir, name), []byte(text), 0o600)
}

// ready waits until a worker of the newest generation answers.
func (h *HAProxy) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		info, err := h.worker.ask(ctx, "show info")
		if err == nil && field(info, "description") == h.description() {
			return nil
		}
		if said, failed := h.log.failure(); failed {
			return said
		}
		if err == nil {
			err = fmt.Errorf("%q serves", field(info, "description"))
		}
		if h.id.State() == proctab.Gone {
			return errors.New("it ended: " + alerts(h.log.since()))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no worker serves %s: %w", h.description(), errors.Join(context.Cause(ctx), err))
		case <-look.C:
		}
	}
}

func (h *HAProxy) description() string { return fmt.Sprintf("lab-%d", h.generation) }

// keep starts HAProxy again whenever it ends, until ctx does.
func (h *HAProxy) keep(ctx context.Context) {
	for {
		h.mu.Lock()
		id := h.id
		h.mu.Unlock()
		if err := h.runner.launcher.Wait(ctx, id); ctx.Err() != nil {
			return
		} else if err != nil {
			h.options.Log("wait for HAProxy: %v", err)
		}
		h.options.Log("HAProxy has ended; it is started again")
		pause := time.NewTimer(again)
		select {
		case <-ctx.Done():
			pause.Stop()
			return
		case <-pause.C:
		}
		h.mu.Lock()
		if h.id.State() == proctab.Gone { // Apply has not been faster
			if err := h.begin(ctx); err != nil && ctx.Err() == nil {
				h.options.Log("start HAProxy: %v", err)
			}
		}
		h.mu.Unlock()
	}
}

// Stats returns the rows of "show stat".
func (h *HAProxy) Stats(ctx context.Context) ([]proxy.Stat, error) {
	text, err := h.worker.ask(ctx, "show stat")
	if err != nil {
		return nil, err
	}
	return parseStat(text)
}

// Pids are the workers, also old ones that still have connections. Where the
// system lists processes they are looked up there, as the original does: a master
// that replaces itself answers nobody meanwhile.
func (h *HAProxy) Pids(ctx context.Context) ([]int, error) {
	var pids []int
	for _, master := range proctab.Children(int(h.supervisor.Load())) {
		for _, worker := range proctab.Children(master.PID) {
			pids = append(pids, worker.PID)
		}
	}
	if len(pids) > 0 {
		slices.SortFunc(pids, func(a, b int) int { return b - a }) // the newest first, as the master has them
		return pids, nil
	}
	text, err := h.tell(ctx, "show proc")
	if err != nil {
		return nil, err
	}
	return parseWorkers(text), nil
}

// Close ends HAProxy and every connection, and removes the folder.
func (h *HAProxy) Close() {
	h.cancel()
	h.tasks.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stop()
}

// stop ends the process. The caller holds the lock.
func (h *HAProxy) stop() {
	h.cancel()
	ctx, cancel := context.WithTimeout(context.Background(), readyWithin)
	defer cancel()
	if h.id.PID != 0 {
		if err := errors.Join(h.runner.launcher.Stop(ctx, h.id, 0), h.runner.launcher.Wait(ctx, h.id)); err != nil {
			h.options.Log("end HAProxy: %v", err)
			return // its folder is the way to find it
		}
	}
	if err := os.RemoveAll(h.runner.dir); err != nil {
		h.options.Log("remove HAProxy's folder: %v", err)
	}
}

// head is the global and the defaults section, for so many clients.
func (h *HAProxy) head(clients int) string {
	var w strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&w, "  "+format+"\n", args...) }
	w.WriteString("global\n")
	line("description %s", h.description())
	line("maxconn %d", clients)
	line("nbthread 1") // a machine's size, and 1.6's
	line("stats socket unix@worker.sock mode 600 level admin expose-fd listeners")
	line("server-state-base %s", quoted(h.runner.dir))
	line("server-state-file %s", stateFile)
	w.WriteString("\ndefaults\n")
	line("load-server-state-from-file global")
	if h.source != "" {
		line("source %s", h.source) // as all of the machine's connections
	}
	// A name that nobody knows costs its server, not the whole configuration.
	line("default-server init-addr last,libc,none")
	return w.String()
}

// quoted is a word of a configuration.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`).Replace(s) + `"`
}
