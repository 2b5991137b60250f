// Package api is Marathon 1.1.1's REST interface (contracts 1–3): apps,
// groups, tasks, deployments, the queue, info, leader and the event stream.
//
// Nouns: Server (the whole interface), Leadership (who leads, and our own
// term if it is us). A request is served by the core of the current term; on
// a standby it is passed on to the leader, and answered 503 while there is
// none. Bodies, status codes and error shapes are those of the table in
// contracts 1; X-Marathon-Leader is on every answer of a leader.
//
// Left out, and answered as any unknown URI is: artifacts, plugins' own paths,
// /help, /logging, /api-console, /public. Left out besides: authentication by
// plugins, wipe of volumes (a wipe is a kill).
package api

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"mime"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/mesoslab/lab/mini/marathon/app"
	"github.com/mesoslab/lab/mini/marathon/callback"
	"github.com/mesoslab/lab/mini/marathon/core"
	"github.com/mesoslab/lab/mini/marathon/event"
	"github.com/mesoslab/lab/mini/marathon/store"
)

// maxBody bounds a request's body: 16 MiB, 413 beyond. 1.1.1 knows no bound
// of its own and fails at the 1 MiB that its store takes.
const maxBody = 16 << 20

// Term is our own leadership while it lasts.
type Term struct {
	Core *core.Core
	Bus  *event.Bus
	// Callbacks post events; nil unless started with --event_subscriber
	// http_callback.
	Callbacks *callback.Service
}

// Leadership tells who leads.
type Leadership interface {
	// Term is nil unless this process leads and is ready.
	Term() *Term
	// Leader is host:port, "" while nobody is known.
	Leader() string
	Abdicate()
}

// Info is what GET /v2/info shows besides who leads.
type Info struct {
	Version   string
	Marathon  map[string]any // marathon_config
	ZooKeeper map[string]any // zookeeper_config
	HTTP      map[string]any // http_config
	Events    any            // event_subscriber
}

// Server is the REST interface.
type Server struct {
	Lead Leadership
	Info Info
	// Address is what this process is known as: host:port.
	Address string
	// UI serves /ui/; it needs no leader.
	UI http.Handler
	// Transport carries requests to the leader.
	Transport http.RoundTripper
	// Credentials are asked of everybody; nil asks nobody.
	Credentials *Credentials
	// ErrorLog gets what the proxy has to say; nil means nobody.
	ErrorLog *log.Logger
	// NoLeaderPatience is how long a request waits for a leader: 1.1.1 about
	// 2.5 s.
	NoLeaderPatience time.Duration
}

// Handler is the HTTP handler of the whole interface.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/ui/", http.StatusFound) })
	mux.HandleFunc("GET /ui", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/ui/", http.StatusFound) })
	mux.Handle("GET /ui/", http.StripPrefix("/ui", s.UI))
	mux.Handle("/", s.led(s.routes()))
	return s.Credentials.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// An id may be given with its slash: /v2/apps//nginx.
		if strings.Contains(r.URL.Path, "//") {
			r = r.Clone(r.Context())
			r.URL.Path, r.URL.RawPath = slashes().ReplaceAllString(r.URL.Path, "/"), ""
		}
		mux.ServeHTTP(w, r)
	}))
}

var slashes = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile("/{2,}") })

// request is one request served by the leading core.
type request struct {
	*http.Request
	w         http.ResponseWriter
	core      *core.Core
	bus       *event.Bus
	callbacks *callback.Service
}

// serve turns a function that answers or fails into a handler.
func (s *Server) serve(fn func(*request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		term, _ := r.Context().Value(termKey{}).(*Term)
		if term == nil {
			fail(w, store.ErrUnavailable)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		if err := fn(&request{r, w, term.Core, term.Bus, term.Callbacks}); err != nil {
			fail(w, err)
		}
	}
}

// routes are the paths that need a leader.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	for pattern, fn := range map[string]func(*request) error{
		"GET /ping":                     ping,
		"GET /metrics":                  metrics,
		"GET /v2/apps":                  listApps,
		"POST /v2/apps":                 postApp,
		"PUT /v2/apps":                  putApps,
		"/v2/apps/{id...}":              oneApp,
		"GET /v2/groups":                func(r *request) error { return oneGroup(r) },
		"POST /v2/groups":               func(r *request) error { return oneGroup(r) },
		"PUT /v2/groups":                func(r *request) error { return oneGroup(r) },
		"DELETE /v2/groups":             func(r *request) error { return oneGroup(r) },
		"/v2/groups/{id...}":            oneGroup,
		"GET /v2/tasks":                 listTasks,
		"POST /v2/tasks/delete":         deleteTasks,
		"GET /v2/deployments":           listDeployments,
		"DELETE /v2/deployments/{id}":   deleteDeployment,
		"GET /v2/queue":                 getQueue,
		"DELETE /v2/queue/{id...}":      resetDelay,
		"GET /v2/info":                  s.info,
		"GET /v2/leader":                s.leader,
		"DELETE /v2/leader":             s.abdicate,
		"GET /v2/events":                streamEvents,
		"GET /v2/eventSubscriptions":    subscriptions,
		"POST /v2/eventSubscriptions":   subscriptions,
		"DELETE /v2/eventSubscriptions": subscriptions,
		"GET /v2/plugins":               func(r *request) error { return r.json(200, map[string]any{"plugins": []any{}}) },
		"GET /v2/schemas/app":           schema,
		"/":                             noResource,
	} {
		mux.Handle(pattern, s.serve(fn))
	}
	return mux
}

func noResource(r *request) error {
	return &core.NotFoundError{Message: "URI not found: " + r.URL.EscapedPath()}
}

// appSchema is the JSON schema of an app as 1.1.1 serves it, without the
// descriptions.
//
//go:embed app.schema.json
var appSchema []byte

func schema(r *request) error {
	r.w.Header().Set("Content-Type", "application/json")
	_, err := r.w.Write(appSchema)
	return err
}

// json answers.
func (r *request) json(status int, v any) error {
	writeJSON(r.w, status, v)
	return nil
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; qs=2")
	w.Header().Set("Cache-Control", "no-cache, no-store, must-revalidate")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // the client has gone, or Go cannot print our own types
}

// bodyPatience is how long a body may take to come.
const bodyPatience = 30 * time.Second

// body reads the whole body. What is named as anything but JSON is refused,
// as by 1.1.1 (marathon#201); nothing named is taken for JSON.
func (r *request) body() ([]byte, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); r.Header.Get("Content-Type") != "" && (err != nil || kind != "application/json") {
		return nil, &illegalError{http.StatusUnsupportedMediaType, "Unsupported Media Type"}
	}
	conn := http.NewResponseController(r.w)
	_ = conn.SetReadDeadline(time.Now().Add(bodyPatience)) // a recorder of a test has none
	b, err := io.ReadAll(r.Body)
	if err == nil { // else the deadline ends the search for the rest of the body, too
		_ = conn.SetReadDeadline(time.Time{})
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, &illegalError{http.StatusRequestEntityTooLarge, fmt.Sprintf("The request's body is larger than %d bytes.", tooLarge.Limit)}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, &illegalError{http.StatusRequestTimeout, fmt.Sprintf("The request's body did not come within %v.", bodyPatience)}
	case err != nil:
		return nil, &app.SyntaxError{Err: err}
	}
	return b, nil
}

// flag reads a boolean parameter; "" (as in "?force") is true.
func (r *request) flag(name string, def bool) bool {
	q := r.URL.Query()
	if !q.Has(name) {
		return def
	}
	v := q.Get(name)
	return v == "" || strings.EqualFold(v, "true")
}

func (r *request) force() bool { return r.flag("force", false) }

// clientIP is who asks.
func (r *request) clientIP() string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// plain reports whether the client prefers text to JSON.
func (r *request) plain() bool {
	a := r.Header.Get("Accept")
	return strings.HasPrefix(strings.TrimSpace(a), "text/plain")
}
