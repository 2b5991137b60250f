package zookeeper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path"
	"strconv"
	"sync"
	"time"

	"github.com/mesoslab/lab/mini"
	"github.com/mesoslab/lab/mini/zookeeper/store"
)

var _ mini.Program = Run

// Run is a ZooKeeper server. It returns the exit code: 0 when ctx has ended, 1
// after a failure, 2 for a wrong command line or configuration.
func Run(ctx context.Context, env mini.Env) int { return runOn(ctx, env, nil) }

// OnDisk is Run on a disk that a test makes slow, or full: before comes before
// each write to the log, and its error is the disk's.
func OnDisk(before func() error) mini.Program {
	return func(ctx context.Context, env mini.Env) int { return runOn(ctx, env, before) }
}

func runOn(ctx context.Context, env mini.Env, before func() error) int {
	log := newLogger(env.Stdout, env.Stderr)
	cfg, notes, err := configure(env)
	if err != nil {
		log.fail(err)
		return 2
	}
	for _, n := range notes {
		log.note("%s", n)
	}
	if err := run(ctx, env, cfg, before, log); err != nil {
		log.fail(err)
		return 1
	}
	log.note("stopped")
	return 0
}

func run(ctx context.Context, env mini.Env, cfg config, before func() error, log *logger) (err error) {
	// The port comes first: it keeps a second server from the same data.
	addr := net.JoinHostPort(cfg.host, strconv.Itoa(cfg.port))
	ln, err := env.Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("listen on client port %d: %w", cfg.port, err)
	}
	defer ln.Close()
	st, state, err := store.Open(env.Path(path.Join(cfg.dataDir, dataFolder)), store.Options{
		Sync: cfg.sync, Before: before,
		Note: func(line string) { log.note("%s", line) },
	})
	if err != nil {
		return fmt.Errorf("open data folder %s: %w", cfg.dataDir, err)
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	s := newServer(cfg, log, st, state)
	s.hostname = env.Hostname
	log.note("zookeeper %s serves on %s: %d nodes, %d sessions, last transaction 0x%x",
		Version, ln.Addr(), state.Tree.Len(), len(state.Sessions), state.Zxid)
	return s.serve(ctx, ln)
}

// logger writes short lines, each with the time.
type logger struct {
	mu       sync.Mutex
	out, err io.Writer
}

func newLogger(out, err io.Writer) *logger {
	if out == nil {
		out = io.Discard
	}
	if err == nil {
		err = io.Discard
	}
	return &logger{out: out, err: err}
}

func (l *logger) note(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.out, "%s "+format+"\n", append([]any{time.Now().UTC().Format("2006-01-02T15:04:05.000Z")}, args...)...)
}

// fail writes an error, which may have several lines, for people to read.
func (l *logger) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.err, "zookeeper: error: %v\n", err)
}
