// Package web is the sample application: the image lab/web, which also stands
// in for nginx.
//
// Every path answers with a small page that says who answered: machine,
// container, task, app and version, since when, and how many requests so far.
// HTML for browsers, JSON for Accept: application/json or ?format=json, one
// line of text for everybody else. The same identity is in the headers
// X-Lab-Machine, X-Lab-Container, X-Lab-Task and X-Lab-Version, so that a
// probe tells instances apart without reading the page; Server is lab-web.
// /healthz answers 200 and "ok" at once and does not count as a request.
//
// Words: none, "web", or nginx's (nginx -g 'daemon off;'); --port takes the
// place of 80, the container's port. Environment: HOST, MESOS_CONTAINER_NAME
// or HOSTNAME, MESOS_TASK_ID, MARATHON_APP_ID, MARATHON_APP_VERSION, as
// Marathon and the engine set them.
//
// Modes, so that one image plays every application that a lesson needs; they
// can be combined:
//
//	LAB_WEB_RELEASE=v2            a version: in the page and in X-Lab-Release
//	LAB_WEB_DELAY=1s              every page takes so long, /healthz does not
//	LAB_WEB_START=10s             slow starter: 503 to everything at first
//	LAB_WEB_CRASH_AFTER=3s        flapper: ends with 1 so long after its start
//	LAB_WEB_SICK_AFTER=5s         alive but unhealthy: 500 to everything from then
//	                              on, /healthz included; 0s = from the start
//	LAB_WEB_COUNTER=/data/count   stateful: counts requests in a file, and says
//	                              the number in the page and in X-Lab-Count
//	LAB_WEB_MEMORY=64MiB          memory hog: takes so much within 5 s
//	LAB_WEB_JOB=10s               batch job: no server, works so long, ends with 0
//
// Each request writes one line in nginx's combined format to standard output.
// When its context ends the program takes no more connections, lets requests
// under way end, and returns 0.
//
// Its port is an application's, meant to be visited, and so not guarded. It
// touches no file but its counter and starts no processes. Left out on purpose:
// files to serve, TLS, HTTP/2, virtual hosts, nginx's configuration.
package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mesoslab/lab/mini"
)

var _ mini.Program = Run

// drainFor is how long requests under way may take to end: longer than any
// client of ours waits. Who wants it shorter kills the container.
const drainFor = 60 * time.Second

// Run is the program. It returns 0 when ctx ends, 1 if the port cannot be
// bound, the counter cannot be read or the flapper's time has come, 2 for words
// or an environment it does not understand. The batch job returns 0 when it is
// done.
func Run(ctx context.Context, env mini.Env) int {
	o, err := parse(env)
	if err != nil {
		fmt.Fprintf(env.Stderr, "web: %v\n", err)
		return 2
	}
	if o.behaviour.job > 0 {
		return work(ctx, o.behaviour.job, env.Stdout)
	}
	s := &site{identity: identify(env), behaviour: o.behaviour, started: time.Now().UTC(), log: env.Stdout}
	if o.behaviour.counter != "" {
		if s.counter, err = openCounter(env.Path(o.behaviour.counter)); err != nil {
			fmt.Fprintf(env.Stderr, "web: %v\n", err)
			return 1
		}
	}
	l, err := env.Listen(ctx, "tcp", net.JoinHostPort("", strconv.Itoa(o.port)))
	if err != nil {
		fmt.Fprintf(env.Stderr, "web: bind port %d: %v\n", o.port, err)
		return 1
	}
	server := &http.Server{Handler: s, ReadHeaderTimeout: 60 * time.Second, IdleTimeout: 75 * time.Second, ErrorLog: log.New(env.Stderr, "web: ", 0)}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	if o.behaviour.memory > 0 {
		s.busy.Go(func() { fill(ctx, o.behaviour.memory, env.Stderr) })
	}
	crash, stop := o.behaviour.crash()
	defer stop()
	select {
	case <-crash:
		// Nothing is finished and nobody is waited for: that is a crash.
		fmt.Fprintf(env.Stderr, "web: crashes, as LAB_WEB_CRASH_AFTER=%v says\n", o.behaviour.crashAfter)
		server.Close()
		return 1
	case err := <-served:
		fmt.Fprintf(env.Stderr, "web: serve: %v\n", err)
		return 1
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainFor)
	defer cancel()
	if err := server.Shutdown(drain); err != nil {
		fmt.Fprintf(env.Stderr, "web: requests cut off after %v: %v\n", drainFor, err)
		server.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		fmt.Fprintf(env.Stderr, "web: serve: %v\n", err)
	}
	s.busy.Wait()
	return 0
}

// site answers requests.
type site struct {
	identity  identity
	behaviour behaviour
	started   time.Time
	requests  atomic.Int64
	counter   *counter // nil: no file counts
	busy      sync.WaitGroup

	logMu sync.Mutex
	log   io.Writer
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.busy.Add(1)
	defer s.busy.Done()
	out := &counted{ResponseWriter: w, status: http.StatusOK}
	defer s.record(r, out, time.Now())
	h := w.Header()
	h.Set("Server", "lab-web")
	s.identity.headers(h)
	if status := s.behaviour.status(time.Since(s.started)); status != http.StatusOK {
		http.Error(out, http.StatusText(status), status)
		return
	}
	if r.URL.Path == "/healthz" {
		h.Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintln(out, "ok")
		return
	}
	n := s.requests.Add(1)
	if !wait(r.Context(), s.behaviour.delay) {
		out.status = 499 // nginx's word for a client that has gone
		panic(http.ErrAbortHandler)
	}
	p := s.identity.page(s.started, n)
	if s.counter != nil {
		var err error
		if p.Count, err = s.counter.next(); err != nil {
			http.Error(out, err.Error(), http.StatusInternalServerError)
			return
		}
		h.Set("X-Lab-Count", strconv.FormatInt(p.Count, 10))
	}
	s.write(out, r, p)
}

// counted remembers status and size of an answer for the access log.
type counted struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (c *counted) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.bytes += int64(n)
	return n, err
}

// record writes a line of the access log in the combined format.
func (s *site) record(r *http.Request, out *counted, at time.Time) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	line := fmt.Sprintf("%s - - [%s] \"%s %s %s\" %d %d \"%s\" \"%s\"\n", host, at.Format("02/Jan/2006:15:04:05 -0700"),
		escape(r.Method), escape(r.RequestURI), r.Proto, out.status, out.bytes, or(escape(r.Referer())), or(escape(r.UserAgent())))
	s.logMu.Lock()
	defer s.logMu.Unlock()
	_, _ = io.WriteString(s.log, line)
}

// escape keeps a client's bytes from ending a field or a line, as nginx does.
func escape(s string) string {
	var out []byte
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c > '~' {
			out = fmt.Appendf(out, `\x%02X`, c)
		} else {
			out = append(out, c)
		}
	}
	return string(out)
}

func or(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
