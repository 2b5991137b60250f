// Package ui is Marathon's web page: apps with their health, deployments,
// versions and tasks, and what can be done to them, readable on a projector.
//
// Handler serves the page at "/" and the files it needs beside it. The page
// speaks the REST interface of the Marathon that served it (a standby passes
// that on to the leader), follows its event stream and asks again every two
// seconds. It needs nothing from elsewhere and no other endpoint.
//
// Groups are folders. What is shown of the apps (a folder, a search, an app)
// stands behind the # of the page's address, so that it can be sent.
//
// What the 1.1.1 API does not tell the page does not know: why an offer did
// not fit, for one; it says what an app waits for and how much of it.
package ui

import (
	"embed"
	"net/http"

	"github.com/mesoslab/lab/mini/page"
)

//go:embed index.html *.js *.css
var files embed.FS

// Handler serves the page and its files.
func Handler() http.Handler {
	assets := page.Assets(files)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/", "/index.html":
			index(w)
		default:
			assets.ServeHTTP(w, r)
		}
	})
}

func index(w http.ResponseWriter) {
	text, err := files.ReadFile("index.html")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	page.Secure(w.Header())
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write(text) // the browser may have gone
}
