// Package webui is the master's web page: agents, frameworks, offers and
// tasks, and what tasks print, readable on a projector.
//
// Page serves the page itself, Assets what it needs. The page polls /state of
// the same master every second; two small things of lab's own, below
// /webui/, give it what Mesos' endpoints do not:
//
//	/webui/offers                     offers held, answered, and kept away (Offers)
//	/webui/agent/ID/state             that agent's /state, and its
//	/webui/agent/ID/files/…           browse, read and download (Agent)
//
// The latter is how sandboxes are seen. The real page asks agents itself, by
// scripts that they make up (jsonp): those it would have to run with all its
// own rights, and a browser that reaches the master need not reach the
// agents. Here the master passes the question on, to agents that are
// registered, and to these four places only.
//
// The page only shows. It has no buttons that change anything: what can be
// done is done with the HTTP API. A master that does not lead shows who does.
package webui

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"

	"github.com/mesoslab/lab/mini/page"
)

//go:embed index.html *.js *.css
var files embed.FS

// View is what the page is made from; the rest comes by polling.
type View struct {
	Title    string // the cluster's name, or the master's address
	Hostname string
	Version  string
	Leading  bool
	Leader   string // "ip:port" of the leading master, "" if nobody is known
}

// Page answers with the page.
func Page(w http.ResponseWriter, v View) {
	t, err := template.ParseFS(files, "index.html")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	var b bytes.Buffer
	if err := t.Execute(&b, v); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	page.Secure(w.Header())
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write(b.Bytes()) // the browser may have gone
}

// Assets serves the page's files below /webui/.
func Assets(w http.ResponseWriter, r *http.Request) { page.Assets(files).ServeHTTP(w, r) }
