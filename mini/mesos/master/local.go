package master

import (
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/mesoslab/lab/mini/mesos/master/cluster"
	"github.com/mesoslab/lab/mini/mesos/master/endpoints"
	"github.com/mesoslab/lab/mini/mesos/master/flags"
	"github.com/mesoslab/lab/mini/mesos/mjson"
)

// isLocal says whether local answers a path.
func isLocal(name string) bool {
	return slices.Contains([]string{
		"/health", "/version", "/flags", "/metrics/snapshot", "/system/stats.json", "/registrar(1)/registry", "/logging/toggle",
		"/help", "/files/browse", "/files/read", "/files/download", "/files/browse.json", "/files/read.json",
		"/files/download.json", "/files/debug", "/files/debug.json", "/redirect",
	}, name)
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
	case "/system/stats.json":
		endpoints.Answer(w, r, endpoints.SystemStats())
	case "/registrar(1)/registry":
		m.registry(w, r)
	case "/logging/toggle":
		m.toggleLogging(w, r)
	case "/help":
		endpoints.Help(w)
	case "/files/browse", "/files/read", "/files/download", "/files/browse.json", "/files/read.json", "/files/download.json":
		if r.URL.Query().Get("path") == "" {
			refuse(w, http.StatusBadRequest, "Expecting 'path=value' in query.\n")
		} else {
			refuse(w, http.StatusNotFound, "") // a master shows no files
		}
	case "/files/debug", "/files/debug.json":
		endpoints.Answer(w, r, mjson.Object{})
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

// registry answers with what the registry of a leading master holds; that of
// another is empty.
func (m *master) registry(w http.ResponseWriter, r *http.Request) {
	o := mjson.Object{}
	if reign := m.leading(); reign != nil {
		o = endpoints.Registry(reign.cluster.Master(), reign.cluster.Registry())
	}
	endpoints.Answer(w, r, o)
}

// toggleLogging tells the verbosity, or sets it for a while.
func (m *master) toggleLogging(w http.ResponseWriter, r *http.Request) {
	level, duration := r.URL.Query().Get("level"), r.URL.Query().Get("duration")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	switch {
	case level == "" && duration == "":
		io.WriteString(w, strconv.Itoa(int(m.log.Level()))+"\n")
		return
	case level == "":
		refuse(w, http.StatusBadRequest, "Expecting 'level=value' in query.\n")
		return
	case duration == "":
		refuse(w, http.StatusBadRequest, "Expecting 'duration=value' in query.\n")
		return
	}
	v, err := strconv.ParseUint(level, 10, 32)
	if err != nil {
		refuse(w, http.StatusBadRequest, "Failed to convert into required type.\n")
		return
	}
	d, err := flags.ParseDuration(duration)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error()+".\n")
		return
	}
	m.log.SetLevel(uint32(v), min(max(d, 0), math.MaxInt64/2))
}

// Level is the log's verbosity.
func (l *logger) Level() uint32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !time.Now().Before(l.until) {
		return 0
	}
	return l.level
}

// SetLevel makes the log more verbose for a while: from 1 on it tells of every
// request.
func (l *logger) SetLevel(level uint32, d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.level, l.until = level, time.Now().Add(d)
}

func (l *logger) verbose(level uint32, format string, args ...any) {
	if l.Level() >= level {
		l.printf(format, args...)
	}
}
