package agent

import (
	"net/http"
	"strings"

	"github.com/mesoslab/lab/mini/mesos/mjson"
)

// process is the name of the agent's libprocess process in URLs. It is the
// same in every Mesos version.
const process = "/slave(1)"

// handler serves the agent's endpoints, under their short names and under
// /slave(1). As with the real one every method is taken for GET; ?jsonp= wraps
// an answer.
func (a *agent) handler() http.Handler {
	docs := map[string]func() any{
		"/state":              a.describe,
		"/state.json":         a.describe,
		"/flags":              func() any { return mjson.Object{}.Put("flags", a.flags()) },
		"/containers":         func() any { return a.containers(true) },
		"/monitor/statistics": func() any { return a.containers(false) },
		"/version":            func() any { return version(mjson.Object{}) },
		"/metrics/snapshot":   a.metrics,
		"/system/stats.json":  a.systemStats,
		"/files/debug":        a.attachedFiles,
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, process)
		short := strings.TrimSuffix(name, ".json")
		switch short {
		case "/health":
			w.WriteHeader(http.StatusOK)
			return
		case "/files/browse":
			a.browse(w, r)
			return
		case "/files/read":
			a.read(w, r)
			return
		case "/files/download":
			a.download(w, r)
			return
		}
		doc := docs[name]
		if doc == nil {
			doc = docs[short]
		}
		if doc == nil {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		var answer any
		if !a.ask(func() { answer = doc() }) {
			http.Error(w, "the agent is terminating", http.StatusServiceUnavailable)
			return
		}
		reply(w, r, answer)
	})
}

// reply writes an answer as JSON, or as JSONP if that was asked for.
func reply(w http.ResponseWriter, r *http.Request, answer any) {
	body := mjson.Marshal(answer)
	kind := "application/json"
	if call := r.URL.Query().Get("jsonp"); call != "" {
		if !isName(call) {
			http.Error(w, "jsonp must name a function", http.StatusBadRequest)
			return
		}
		kind = "text/javascript"
		body = append(append([]byte(call+"("), body...), ");"...)
	}
	w.Header().Set("Content-Type", kind)
	w.Write(body)
}

// isName keeps a callback from being a program.
func isName(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r != '_' && r != '.' && r != '$' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}
