package master

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/mesoslab/lab/mini/mesos/election"
	"github.com/mesoslab/lab/mini/mesos/master/cluster"
	"github.com/mesoslab/lab/mini/mesos/master/endpoints"
	"github.com/mesoslab/lab/mini/mesos/master/schedulerapi"
	"github.com/mesoslab/lab/mini/mesos/master/webui"
	"github.com/mesoslab/lab/mini/mesos/mjson"
	"github.com/mesoslab/lab/mini/mesos/wire"
)

// ServeHTTP answers everything on the master's port. Unknown paths are 404
// with nothing in it; methods are looked at where Mesos does.
func (m *master) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !m.enter() {
		refuse(w, http.StatusServiceUnavailable, "Master is shutting down")
		return
	}
	defer m.requests.Done()
	path := r.URL.Path
	switch {
	case path == "/", path == "/master":
		m.page(w)
		return
	case strings.HasPrefix(path, "/webui/"):
		m.webui(w, r)
		return
	}
	name := strings.TrimPrefix(path, "/master")
	if m.local(w, r, name) {
		return
	}
	if !needsLeader(name) {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	reign := m.leading()
	if reign == nil {
		m.redirect(w, r, name)
		return
	}
	m.serveLeading(w, r, name, reign)
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

// local answers what every master knows about itself.
func (m *master) local(w http.ResponseWriter, r *http.Request, name string) bool {
	switch name {
	case "/health":
	case "/version":
		endpoints.Answer(w, r, endpoints.VersionInfo())
	case "/flags":
		endpoints.Answer(w, r, endpoints.Flags(m.view()))
	case "/metrics/snapshot":
		var s cluster.Snapshot
		reign := m.leading()
		if reign != nil {
			s = reign.cluster.Snapshot()
		}
		endpoints.Answer(w, r, endpoints.Metrics(m.view(), reign != nil, s))
	case "/redirect":
		leader := m.view().Leader
		if leader.PID == "" {
			refuse(w, http.StatusServiceUnavailable, "No leader elected")
			return true
		}
		w.Header().Set("Location", "//"+hostPort(leader))
		w.WriteHeader(http.StatusTemporaryRedirect)
	default:
		return false
	}
	return true
}

func needsLeader(name string) bool {
	return slices.Contains([]string{
		"/state", "/state.json", "/state-summary", "/slaves", "/frameworks", "/tasks", "/tasks.json",
		"/roles", "/roles.json", "/weights", "/quota", "/maintenance/schedule", "/maintenance/status",
		"/teardown", "/api/v1/scheduler", wire.Path,
	}, name)
}

// serveLeading answers what only a leading master can.
func (m *master) serveLeading(w http.ResponseWriter, r *http.Request, name string, reign *reign) {
	switch name {
	case "/api/v1/scheduler":
		schedulerapi.Serve(w, r, reign.cluster)
		return
	case wire.Path:
		m.serveAgent(w, r, reign)
		return
	case "/teardown":
		teardown(w, r, reign.cluster)
		return
	}
	var v any
	s := reign.cluster.Snapshot()
	switch strings.TrimSuffix(name, ".json") {
	case "/state":
		v = endpoints.State(m.view(), s)
	case "/state-summary":
		v = endpoints.Summary(m.view(), s)
	case "/slaves":
		v = endpoints.Slaves(s, r.URL.Query().Get("slave_id"))
	case "/frameworks":
		v = endpoints.Frameworks(s, r.URL.Query().Get("framework_id"))
	case "/tasks":
		v = endpoints.Tasks(s, r.URL.Query())
	case "/roles":
		v = endpoints.Roles(s)
	case "/weights":
		v = endpoints.Weights(s)
	default: // quota and maintenance: there is none of either
		v = mjson.Object{}
	}
	endpoints.Answer(w, r, v)
}

func teardown(w http.ResponseWriter, r *http.Request, c *cluster.Cluster) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		refuse(w, http.StatusMethodNotAllowed, fmt.Sprintf("Expecting one of { 'POST' }, but received '%s'", r.Method))
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<16))
	form, err2 := url.ParseQuery(string(body))
	id := form.Get("frameworkId")
	switch {
	case err != nil || err2 != nil:
		refuse(w, http.StatusBadRequest, "Unable to decode query string")
	case id == "":
		refuse(w, http.StatusBadRequest, "Missing 'frameworkId' query parameter in the request body")
	case !c.Teardown(id):
		refuse(w, http.StatusBadRequest, "No framework found with specified ID")
	}
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
