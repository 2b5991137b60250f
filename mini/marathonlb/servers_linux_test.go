package marathonlb

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// asked is what the servers of a twin were asked, in order.
type asked struct {
	mu    sync.Mutex
	lines []string
}

func (a *asked) add(line string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lines = append(a.lines, line)
}

func (a *asked) list() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.lines)
}

// testServer is a server behind the balancer. What it does changes by its
// kind:
//
//	ok      200 with its name       404, 500  that status
//	close   breaks off before the headers' end
//	cut     breaks off in the middle of the body
//	slow    answers only once the balancer has given up
//	refuse  nobody listens          silent    no connection is ever established
type testServer struct {
	t      *testing.T
	name   string
	addr   string
	kind   atomic.Value // string
	asked  *asked
	plain  func(string) string
	checks atomic.Int64
	port   *net.TCPListener
	http   *http.Server
	idle   chan struct{} // closed when the accept loop has ended
	fill   net.Conn
}

// add puts a server on the twin's subnet; its port is 31000 plus how many
// there were.
func (w *twin) add(name, kind string) *testServer {
	w.t.Helper()
	n := len(w.servers) + 1
	s := &testServer{t: w.t, name: name, asked: &w.asked, plain: w.plain,
		addr: w.prefix + strconv.Itoa(100+n) + ":" + strconv.Itoa(31000+n)}
	w.servers[name] = s
	s.become(kind)
	w.t.Cleanup(func() { s.become("refuse") })
	return s
}

func (s *testServer) task() taskServer {
	host, port, _ := net.SplitHostPort(s.addr)
	n, _ := strconv.Atoi(port)
	return taskServer{task: s.name, host: host, port: n}
}

// cookie is the pair that ties a client to a server. The servers note it
// without the value, which depends on the address.
func (w *twin) cookie(server string) string {
	return cookieName + "=" + w.servers[server].task().cookie()
}

// become changes what the server does.
func (s *testServer) become(kind string) {
	s.t.Helper()
	s.kind.Store(kind)
	if s.fill != nil || kind == "refuse" {
		s.stop()
	}
	switch kind {
	case "refuse":
	case "silent":
		s.listen()
		s.hush()
	default:
		s.listen()
	}
}

func (s *testServer) listen() {
	s.t.Helper()
	if s.port != nil {
		return
	}
	l, err := new(net.ListenConfig).Listen(s.t.Context(), "tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.port, s.idle = l.(*net.TCPListener), make(chan struct{})
	s.http = &http.Server{Handler: s}
	go func(server *http.Server, l net.Listener, idle chan struct{}) {
		_ = server.Serve(l)
		close(idle)
	}(s.http, openUntilClosed{s.port}, s.idle)
}

// openUntilClosed keeps http.Server from closing a port that falls silent.
type openUntilClosed struct{ net.Listener }

func (openUntilClosed) Close() error { return nil }

// hush makes the port silent as a dead machine is: no backlog, and one
// connection that fills what is left of it.
func (s *testServer) hush() {
	s.t.Helper()
	if err := s.port.SetDeadline(time.Unix(1, 0)); err != nil {
		s.t.Fatal(err)
	}
	s.http.Close()
	<-s.idle
	raw, err := s.port.SyscallConn()
	if err == nil {
		cerr := raw.Control(func(fd uintptr) { err = syscall.Listen(int(fd), 0) })
		if cerr != nil {
			err = cerr
		}
	}
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	s.fill, _ = new(net.Dialer).DialContext(ctx, "tcp", s.addr)
	if s.fill == nil { // a check waits in the backlog already
		s.fill = &net.TCPConn{}
	}
}

func (s *testServer) stop() {
	if s.fill != nil {
		s.fill.Close()
		s.fill = nil
	}
	if s.port != nil {
		s.port.Close()
		s.http.Close()
		<-s.idle
		s.port = nil
	}
}

// ServeHTTP answers and writes down what was asked. Checks ask /health.
func (s *testServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/health" {
		s.checks.Add(1)
		if s.kind.Load() == "500" {
			w.WriteHeader(http.StatusInternalServerError)
		}
		return
	}
	body, _ := io.ReadAll(r.Body)
	s.asked.add(s.line(r, string(body)))
	switch kind := s.kind.Load().(string); kind {
	case "404", "500":
		status, _ := strconv.Atoi(kind)
		w.Header().Set("X-Own", s.name)
		w.WriteHeader(status)
		fmt.Fprintf(w, "%s's own page", s.name)
	case "close":
		panic(http.ErrAbortHandler)
	case "cut":
		w.Header().Set("Content-Length", "100")
		fmt.Fprint(w, s.name)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	case "slow":
		<-r.Context().Done()
	default:
		w.Header().Set("ETag", `"1"`)
		fmt.Fprint(w, s.name)
	}
}

// line is a request in one line, the headers that a balancer sets included.
func (s *testServer) line(r *http.Request, body string) string {
	words := []string{s.name, r.Method, r.RequestURI, r.Proto, body, "Host=" + s.plain(r.Host)}
	for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto", "X-Forwarded-Host", "User-Agent", "Accept-Encoding", "Connection", "Cookie", "X-Hop", "Via"} {
		if v := r.Header.Values(name); len(v) > 0 {
			words = append(words, name+"="+s.plain(strings.Join(v, "+")))
		}
	}
	return strings.Join(words, " ")
}
