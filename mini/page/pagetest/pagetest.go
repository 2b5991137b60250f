// Package pagetest checks a page of the mini stack as it is served: that it
// is whole, loads nothing from elsewhere, and never makes markup of text. What
// only a browser can tell is tested with one (e2e).
package pagetest

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

var (
	references = regexp.MustCompile(`(?:src|href)="([^"#][^"]*)"`)
	imports    = regexp.MustCompile(`from "\./([^"]+)"`)
	lookups    = regexp.MustCompile(`byId\("([a-z-]+)"\)`)
	forbidden  = regexp.MustCompile(`(?i)\binnerHTML|\bouterHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|@import|url\((?:['"]?https?:)|<script(?: type="[a-z]+")?>|<style| style=| on[a-z]+="`)
)

// StandsAlone fetches the page from h and follows what it refers to. prefix is
// where the outside sees h's root.
func StandsAlone(t *testing.T, h http.Handler, path, prefix string) {
	t.Helper()
	get := func(path string) (*httptest.ResponseRecorder, string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != http.StatusOK || w.Body.Len() == 0 {
			t.Errorf("%s: %d, %d bytes", path, w.Code, w.Body.Len())
		}
		csp := w.Header().Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "require-trusted-types-for 'script'"} {
			if !strings.Contains(csp, want) || strings.Contains(csp, "unsafe") {
				t.Errorf("%s: policy %q lacks %q", path, csp, want)
			}
		}
		if w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: a browser may guess its type", path)
		}
		if m := forbidden.FindString(w.Body.String()); m != "" {
			t.Errorf("%s holds %q", path, m)
		}
		return w, w.Body.String()
	}
	_, page := get(path)
	queue, seen := []string{}, map[string]bool{}
	for _, m := range references.FindAllStringSubmatch(page, -1) {
		name, inside := strings.CutPrefix(m[1], prefix)
		switch {
		case inside && strings.Contains(name, "."):
			queue = append(queue, name)
		case strings.Contains(m[1], "//"):
			t.Errorf("%s refers to %s", path, m[1])
		}
	}
	scripts := ""
	for len(queue) > 0 {
		name := queue[0]
		queue = queue[1:]
		if seen[name] {
			continue
		}
		seen[name] = true
		w, text := get("/" + name)
		kind := w.Header().Get("Content-Type")
		if strings.HasSuffix(name, ".js") {
			scripts += text
			if !strings.Contains(kind, "javascript") {
				t.Errorf("%s is %s", name, kind)
			}
			for _, m := range imports.FindAllStringSubmatch(text, -1) {
				queue = append(queue, m[1])
			}
		}
		if strings.HasSuffix(name, ".css") && !strings.Contains(kind, "css") {
			t.Errorf("%s is %s", name, kind)
		}
	}
	if len(seen) < 4 {
		t.Errorf("only %v were found", seen)
	}
	for _, m := range lookups.FindAllStringSubmatch(scripts, -1) {
		if !strings.Contains(page, `id="`+m[1]+`"`) {
			t.Errorf("there is no element %q", m[1])
		}
	}
}
