package ui

import (
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func TestPageStandsAlone(t *testing.T) {
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	body := w.Body.String()
	if w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") || !strings.Contains(w.Header().Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if m := regexp.MustCompile(`(?i)(src|href)\s*=|https?://|@import|innerHTML|\beval\b`).FindString(body); m != "" {
		t.Errorf("the page holds %q: it must load nothing and make markup of no data", m)
	}
	// Every element the script looks up is there.
	for _, m := range regexp.MustCompile(`\$\('([a-z]+)'\)`).FindAllStringSubmatch(body, -1) {
		if !strings.Contains(body, `id="`+m[1]+`"`) {
			t.Errorf("there is no element %q", m[1])
		}
	}
	w = httptest.NewRecorder()
	Handler().ServeHTTP(w, httptest.NewRequest("GET", "/etc/passwd", nil))
	if w.Code != 404 {
		t.Errorf("another path: %d", w.Code)
	}
}
