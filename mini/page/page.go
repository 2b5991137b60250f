// Package page is what the mini stack's web pages share: their look, their
// small script, and the rules under which a browser may run them.
//
// Assets serves the shared files beside a page's own ones; Secure sets the
// headers of an answer. page.css is the look: large type, high contrast, light
// and dark, nothing told by colour alone. page.js builds elements, keeps them
// in step with what comes from the server (so that focus and scrolling stay),
// and asks before something is done.
//
// What a page must not do is left to the browser to enforce: scripts and
// styles come from the page's own port only, none stands inside the page,
// nothing is loaded from elsewhere, and no text becomes markup (Trusted
// Types). Names of apps, tasks and frameworks come from strangers.
//
// What a page shows is not here: mini/mesos/master/webui, mini/marathon/ui.
package page

import (
	"embed"
	"io/fs"
	"net/http"
	"path"
)

//go:embed page.css page.js icon.svg
var shared embed.FS

// policy is what the browser lets a page do.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// Secure sets the headers under which a page or one of its files is answered.
func Secure(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache")
}

// Assets serves own's files and the shared ones by the last element of the
// path; own's go first. Others are 404.
func Assets(own fs.FS) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := path.Base(r.URL.Path)
		for _, files := range []fs.FS{own, shared} {
			if i, err := fs.Stat(files, name); err == nil && i.Mode().IsRegular() {
				Secure(w.Header())
				http.ServeFileFS(w, r, files, name)
				return
			}
		}
		http.NotFound(w, r)
	})
}
