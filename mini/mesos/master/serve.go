package master

import (
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/mesoslab/lab/mini/mesos/election"
	"github.com/mesoslab/lab/mini/mesos/master/endpoints"
	"github.com/mesoslab/lab/mini/mesos/master/webui"
	"github.com/mesoslab/lab/mini/mesos/wire"
)

const (
	// patience is how long a peer may take to send a request or to take an
	// answer. Streams have their own.
	patience = time.Minute
	// introduction is how long an agent may take to say who it is.
	introduction = 10 * time.Second
	// maxHeader is how long a request's head may be, in bytes.
	maxHeader = 64 << 10
)

// ServeHTTP answers everything on the master's port. Unknown paths are 404
// with nothing in it; methods are looked at where Mesos does.
func (m *master) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !m.enter() {
		refuse(w, http.StatusServiceUnavailable, "Master is shutting down")
		return
	}
	defer m.requests.Done()
	rc := http.NewResponseController(w)
	rc.SetReadDeadline(time.Now().Add(patience))
	rc.SetWriteDeadline(time.Now().Add(2 * patience)) // so that a late request hears why
	path := r.URL.Path
	switch {
	case path == "/", path == "/master":
		m.page(w)
		return
	case strings.HasPrefix(path, "/webui/"):
		m.webui(w, r)
		return
	}
	m.log.verbose(1, "HTTP %s for %s from %s", r.Method, r.URL.Path, r.RemoteAddr)
	full := strings.TrimPrefix(path, "/master")
	name := known(full)
	if m.local(w, r, name) {
		return
	}
	if !needsLeader(name) {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	reign := m.leading()
	if reign == nil {
		m.redirect(w, r, full)
		return
	}
	m.serveLeading(w, r, name, reign)
}

// known shortens a path until there is something at it, as libprocess does:
// what lies below an endpoint is the endpoint.
func known(name string) string {
	for n := name; n != ""; n = n[:max(strings.LastIndexByte(n, '/'), 0)] {
		if isLocal(n) || needsLeader(n) {
			return n
		}
	}
	return name
}

// enter counts a request, so that the master does not end before it.
func (m *master) enter() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closing {
		return false
	}
	m.requests.Add(1)
	return true
}

// redirect sends a request to the leading master.
func (m *master) redirect(w http.ResponseWriter, r *http.Request, name string) {
	leader := m.view().Leader
	if leader.PID == "" || leader == m.info {
		refuse(w, http.StatusServiceUnavailable, "No leader elected")
		return
	}
	to := "//" + hostPort(leader)
	if name == wire.Path {
		to += name
	} else {
		to += "/master" + name
	}
	if r.URL.RawQuery != "" {
		to += "?" + r.URL.RawQuery
	}
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusTemporaryRedirect)
}

func (m *master) page(w http.ResponseWriter) {
	view := m.view()
	v := webui.View{
		Title: m.cfg.Cluster, Hostname: m.info.Hostname, Version: endpoints.Version, Leading: m.leading() != nil,
	}
	if v.Title == "" {
		v.Title = m.info.Addr()
	}
	if view.Leader.PID != "" {
		v.Leader = hostPort(view.Leader)
	}
	webui.Page(w, v)
}

func (m *master) view() endpoints.Master {
	m.mu.Lock()
	defer m.mu.Unlock()
	return endpoints.Master{Info: m.info, Leader: m.leader, Started: m.started, Flags: m.cfg.Shown}
}

// hostPort names a leader for clients: by address, as the guard of this port
// takes names it knows only.
func hostPort(l election.Master) string { return l.Addr() }

func refuse(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	io.WriteString(w, text)
}
