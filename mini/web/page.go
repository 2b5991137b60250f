package web

import (
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/mesoslab/lab/mini"
)

// identity is who answers.
type identity struct {
	Machine   string `json:"machine"`
	Container string `json:"container"`
	Task      string `json:"task"`
	App       string `json:"app"`
	Version   string `json:"version"`
	Release   string `json:"release,omitempty"` // the operator's word
}

func identify(env mini.Env) identity {
	first := func(values ...string) string {
		for _, v := range values {
			if v != "" {
				return v
			}
		}
		return ""
	}
	return identity{
		Machine:   first(env.Getenv("HOST"), env.Hostname),
		Container: first(env.Getenv("MESOS_CONTAINER_NAME"), env.Getenv("HOSTNAME")),
		Task:      env.Getenv("MESOS_TASK_ID"),
		App:       env.Getenv("MARATHON_APP_ID"),
		Version:   env.Getenv("MARATHON_APP_VERSION"),
		Release:   env.Getenv("LAB_WEB_RELEASE"),
	}
}

// headers names the instance in an answer's headers; what is unknown is left
// out.
func (i identity) headers(h http.Header) {
	for name, value := range map[string]string{
		"X-Lab-Machine": i.Machine, "X-Lab-Container": i.Container, "X-Lab-Task": i.Task, "X-Lab-Version": i.Version,
		"X-Lab-Release": i.Release,
	} {
		if value != "" {
			h.Set(name, value)
		}
	}
}

// page is what is said to a client.
type page struct {
	Server string `json:"server"`
	identity
	StartedAt time.Time `json:"startedAt"`
	Requests  int64     `json:"requests"`        // this one included
	Count     int64     `json:"count,omitempty"` // the same, by the file that counts
}

func (i identity) page(started time.Time, requests int64) page {
	return page{Server: "lab-web", identity: i, StartedAt: started, Requests: requests}
}

// write answers in the form that the client prefers.
func (s *site) write(w http.ResponseWriter, r *http.Request, p page) {
	h := w.Header()
	h.Set("Vary", "Accept")
	h.Set("Cache-Control", "no-store")
	accept := r.Header.Get("Accept")
	switch {
	case r.URL.Query().Get("format") == "json" || strings.Contains(accept, "application/json"):
		h.Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(p)
	case strings.Contains(accept, "text/html"):
		h.Set("Content-Type", "text/html; charset=utf-8")
		_ = template.Must(template.New("page").Parse(html)).Execute(w, p)
	default:
		h.Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintln(w, p.line())
	}
}

// line is the page for curl.
func (p page) line() string {
	var b strings.Builder
	fmt.Fprintf(&b, "lab-web on %s", or(p.Machine))
	for _, part := range []struct{ name, value string }{
		{"container", p.Container}, {"task", p.Task}, {"app", p.App}, {"version", p.Version},
		{"release", p.Release},
	} {
		if part.value != "" {
			fmt.Fprintf(&b, ", %s %s", part.name, part.value)
		}
	}
	fmt.Fprintf(&b, ", started %s, request %d", p.StartedAt.Format(time.RFC3339), p.Requests)
	if p.Count > 0 {
		fmt.Fprintf(&b, ", count %d", p.Count)
	}
	return b.String()
}

const html = `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{{or .Machine "lab-web"}}</title>
<style>
body{font:16px/1.5 system-ui,sans-serif;margin:4em auto;max-width:40em;color:#222}
h1{font-weight:600} dt{color:#666;float:left;clear:left;width:8em} dd{margin:0 0 .3em 8em;overflow-wrap:anywhere}
</style></head><body>
<h1>Answered by {{or .Machine "an unknown machine"}}</h1>
<dl>
{{with .Container}}<dt>container</dt><dd>{{.}}</dd>{{end}}
{{with .Task}}<dt>task</dt><dd>{{.}}</dd>{{end}}
{{with .App}}<dt>app</dt><dd>{{.}}</dd>{{end}}
{{with .Version}}<dt>version</dt><dd>{{.}}</dd>{{end}}
{{with .Release}}<dt>release</dt><dd>{{.}}</dd>{{end}}
<dt>started</dt><dd>{{.StartedAt.Format "2006-01-02 15:04:05 MST"}}</dd>
<dt>request</dt><dd>{{.Requests}}</dd>
{{with .Count}}<dt>count</dt><dd>{{.}}</dd>{{end}}
</dl>
<p>This is lab-web, the sample application of a lab.</p>
</body></html>
`
