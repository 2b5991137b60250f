package agent

import (
	"html"
	"net/http"
	"slices"
	"strings"

	"github.com/mesoslab/lab/mini/mesos/mjson"
)

// process is the name of the agent's libprocess process in URLs. It is the
// same in every Mesos version.
const process = "/slave(1)"

// handler serves the agent's endpoints: its own under their short names and
// under /slave(1), those of libprocess' other processes under theirs. As with
// the real one every method is taken for GET but where that says POST; ?jsonp=
// wraps an answer.
func (a *agent) handler() http.Handler {
	own := map[string]http.HandlerFunc{
		"/state":                   a.document(a.describe),
		"/state.json":              a.document(a.describe),
		"/flags":                   a.document(func() any { return mjson.Object{}.Put("flags", a.flags()) }),
		"/containers":              a.containersList(true),
		"/monitor/statistics":      a.containersList(false),
		"/monitor/statistics.json": a.containersList(false),
		"/health":                  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) },
		"/api/v1":                  a.operate,
	}
	routes := map[string]http.HandlerFunc{
		"/version":           a.document(func() any { return version(mjson.Object{}) }),
		"/metrics/snapshot":  a.document(a.metrics),
		"/system/stats.json": a.document(a.systemStats),
	}
	for name, f := range map[string]http.HandlerFunc{"browse": a.browse, "read": a.read, "download": a.download,
		"debug": a.document(a.attachedFiles)} {
		routes["/files/"+name], routes["/files/"+name+".json"] = f, f
	}
	for name, f := range own {
		routes[name], routes[process+name] = f, f
	}
	help := helpPages(routes)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > maxBody {
			refuse(w, &refusal{http.StatusRequestEntityTooLarge, "the request's body is longer than 16 MiB"})
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		if f := routes[r.URL.Path]; f != nil {
			f(w, r)
			return
		}
		if page, ok := help[strings.TrimSuffix(r.URL.Path, "/")]; ok {
			send(w, r, "text/html", []byte(page))
			return
		}
		w.WriteHeader(http.StatusNotFound)
	})
}

// document serves what the loop says.
func (a *agent) document(f func() any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var answer any
		if !a.ask(func() { answer = f() }) {
			refuse(w, terminating())
			return
		}
		reply(w, r, answer)
	}
}

// helpPages lists the endpoints by process: /help all processes, and
// /help/slave(1) those of one.
func helpPages(routes map[string]http.HandlerFunc) map[string]string {
	groups := map[string][]string{}
	for path := range routes {
		if name, rest, ok := strings.Cut(path[1:], "/"); ok && rest != "" && (name == process[1:] || routes[process+path] == nil) {
			groups[name] = append(groups[name], path)
		}
	}
	groups["version"] = []string{"/version"}
	pages := map[string]string{}
	var names []string
	for name, paths := range groups {
		slices.Sort(paths)
		names = append(names, "/help/"+name)
		pages["/help/"+name] = helpPage("/"+name, paths)
	}
	slices.Sort(names)
	pages["/help"] = helpPage("HELP", names)
	return pages
}

func helpPage(title string, links []string) string {
	var b strings.Builder
	b.WriteString("<html><head><title>Help</title></head><body><h2>" + html.EscapeString(title) + "</h2><ul>")
	for _, l := range links {
		l = html.EscapeString(l)
		b.WriteString(`<li><a href="` + l + `">` + l + "</a></li>")
	}
	b.WriteString("</ul></body></html>")
	return b.String()
}
