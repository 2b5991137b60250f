// Package ui is Marathon's web page: one embedded file of plain JavaScript
// that lists apps, tasks and deployments, follows the event stream, and can
// scale, restart, suspend and destroy. It loads nothing from elsewhere.
package ui

import (
	_ "embed"
	"net/http"
)

//go:embed page.html
var page []byte

// Handler serves the page at "/". The policy lets it talk to its own host
// only.
func Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" && r.URL.Path != "/index.html" {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Cache-Control", "no-cache")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; frame-ancestors 'none'")
		_, _ = w.Write(page) // the browser has gone
	})
}
