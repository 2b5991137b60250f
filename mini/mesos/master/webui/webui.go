// Package webui is the master's web page: agents, frameworks and tasks,
// readable on a projector.
//
// Page serves the page itself, Assets the script and style it needs. The
// script polls /state of the same master every second and draws what changed;
// nothing is loaded from anywhere else, and the page says so to the browser
// (Content-Security-Policy). A master that does not lead shows who does.
//
// The page only shows. It has no buttons: what can be done is done with the
// HTTP API.
package webui

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
)

//go:embed index.html app.js app.css
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
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Write(b.Bytes())
}

// Assets serves /app.js and /app.css.
func Assets(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-cache")
	http.ServeFileFS(w, r, files, r.URL.Path)
}
