package ui

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mesoslab/lab/mini/page/pagetest"
)

func TestPageStandsAlone(t *testing.T) {
	pagetest.StandsAlone(t, Handler(), "/", "/ui/")
}

func TestOtherPaths(t *testing.T) {
	for _, path := range []string{"/etc/passwd", "/ui.go", "/../ui.go", "/nosuch.js"} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.Path = path
		Handler().ServeHTTP(w, r)
		if w.Code != 404 || strings.Contains(w.Body.String(), "package") {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}
