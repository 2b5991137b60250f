// Package mini holds what every program of the mini stack shares: the Env it
// runs in, and how patient its HTTP ports are with slow clients (Patient).
//
// The mini stack is a small, true-to-the-protocol ZooKeeper, Mesos, Marathon
// and marathon-lb in Go. Each program is a Program: it gets everything it may
// touch through Env (arguments, environment, files, network, output, foreign
// programs), so the same code runs as a process of an embedded machine, as the
// only process of a real container, and inside a testing/synctest bubble over
// an in-memory network.
//
// The programs live in mini/zookeeper, mini/mesos, mini/marathon,
// mini/marathonlb and mini/web; mini/supervise is the program under which
// everything runs that is not lab's own, mini/page what web pages share. The
// programs meet only over the network and never import each other. What a flag
// or an endpoint of theirs means is written in their packages, not here.
package mini

import (
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/mesoslab/lab/internal/guard"
	"github.com/mesoslab/lab/internal/proctab"
)

// Program is the main function of a mini program. It runs until its work is
// done or ctx ends (the equivalent of SIGTERM) and returns the exit code of
// the real program it stands for. Everything it started has ended when it
// returns.
type Program func(ctx context.Context, env Env) int

// Env is the whole world of a Program.
type Env struct {
	// Args are the words after the program's name: flags of the real program.
	Args []string
	// Environ holds NAME=value pairs, as os.Environ gives them.
	Environ []string
	// Root is the folder that stands for "/" of the container; empty means
	// the real root. Use Path for every absolute path.
	Root string
	// Hostname is what the machine calls itself (node1).
	Hostname string
	// Listen opens a listening socket. A wildcard host ("0.0.0.0", "") means
	// the machine's own address. Networks: "tcp", "unix".
	Listen func(ctx context.Context, network, address string) (net.Listener, error)
	// Dial opens a connection that comes from the machine's own address.
	// Networks: "tcp", "unix" (address is an absolute path in the container).
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Launcher runs programs that are not lab's own; nil where there is no way.
	Launcher Launcher
	// Children runs programs as Launcher does, but they end with this process,
	// however it ends; nil where there is no way.
	Children Launcher
	// Stdout and Stderr are the container's log.
	Stdout, Stderr io.Writer
}

// Launcher runs programs that are not lab's own, each under a supervisor that
// ends with all of its descendants (package supervise). Safe for concurrent
// use. On embedded machines supervisors are the machine's children: they outlive
// the program that had them started, and its next run finds them by their claim.
type Launcher interface {
	// Start starts a supervisor for the order in a file (supervise.Order, an
	// absolute path of this process). name marks its processes and must be used
	// once only. When Start returns, the supervisor can be found by others.
	Start(ctx context.Context, name, order string) (proctab.ID, error)
	// Wait returns nil once the supervisor and all it ran are gone, also if
	// they were before, or its context's cause.
	Wait(ctx context.Context, id proctab.ID) error
	// Stop ends the supervisor and all it runs: SIGTERM now, SIGKILL after the
	// grace. It does not wait. Again with less grace it shortens that; one
	// that is gone is no error.
	Stop(ctx context.Context, id proctab.ID, grace time.Duration) error
}

// Getenv returns the last value of the variable in Environ, or "".
func (e Env) Getenv(key string) string {
	for i := len(e.Environ) - 1; i >= 0; i-- {
		if k, v, ok := strings.Cut(e.Environ[i], "="); ok && k == key {
			return v
		}
	}
	return ""
}

// Path maps an absolute path of the container to one that this process can
// open.
func (e Env) Path(name string) string {
	if e.Root == "" {
		return name
	}
	return filepath.Join(e.Root, name)
}

// HTTPClient returns a client that dials through Env. It follows no
// redirects by itself and has no overall time-out: streams live as long as
// their context.
func (e Env) HTTPClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:         e.Dial,
			MaxIdleConnsPerHost: 4,
			IdleConnTimeout:     30 * time.Second,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// idle is how long a client may keep a connection without a request: longer than
// the pools of clients keep it (Go's 90 s), so that those close it.
const idle = 2 * time.Minute

// Server returns an HTTP server for h behind the guard that keeps foreign
// web pages and other users of this computer out. The policy comes from the
// environment: LAB_GUARD_SAME_USER=1 refuses peers of another uid, and
// LAB_GUARD_NAMES lists host names, comma-separated, that are as good as an
// IP address in a Host header.
func (e Env) Server(h http.Handler) *http.Server {
	var names []string
	if v := e.Getenv("LAB_GUARD_NAMES"); v != "" {
		names = strings.Split(v, ",")
	}
	if e.Hostname != "" {
		names = append(names, e.Hostname)
	}
	s := guard.Policy{Names: names, SameUser: e.Getenv("LAB_GUARD_SAME_USER") == "1"}.Server(h)
	s.IdleTimeout = idle
	return s
}
