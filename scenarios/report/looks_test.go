package report

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/mesoslab/lab/internal/labtest/browser"
	"github.com/mesoslab/lab/scenarios"
)

// TestSignsDiffer: no two of many instances look the same, and the first eight
// differ in shape alone.
func TestSignsDiffer(t *testing.T) {
	rec := &scenarios.Recording{}
	for i := range 64 {
		rec.Tasks = append(rec.Tasks, scenarios.TaskRecord{Name: fmt.Sprint("t", i)})
	}
	seen, shapes := map[sign]string{}, map[string]bool{}
	all := signs(rec)
	for i, name := range names(rec) {
		s := all[name]
		if other, taken := seen[s]; taken {
			t.Errorf("%s looks like %s: %+v", name, other, s)
		}
		seen[s] = name
		if i < 8 {
			shapes[s.Shape] = true
		}
	}
	if len(seen) != 64 || len(shapes) != 8 {
		t.Errorf("%d signs, %d shapes", len(seen), len(shapes))
	}
}

// TestPageIsReadable: in a browser, every text stands out against what is behind
// it, whatever the verdict and the criteria.
func TestPageIsReadable(t *testing.T) {
	p := browser.Open(t, "about:blank")
	for _, verdict := range []scenarios.Verdict{scenarios.Pass, scenarios.Fail, scenarios.Inconclusive} {
		rec := recorded(t)
		rec.Result.Verdict = verdict
		for i := range rec.Result.Criteria {
			rec.Result.Criteria[i].State = []scenarios.State{scenarios.Held, scenarios.Broken, scenarios.Unseen}[i%3]
		}
		for i := range rec.Requests {
			if i%9 == 0 && rec.Fault != nil && rec.Requests[i].Due > *rec.Fault {
				rec.Requests[i].Error = "timed out"
			}
		}
		page := rendered(t, rec)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/" {
				w.WriteHeader(http.StatusNoContent) // a browser asks for an icon
				return
			}
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprint(w, page)
		}))
		p.Go(server.URL)
		p.Look(1280, 2400, false)
		p.AwaitText(".verdict", fmt.Sprint(verdict))
		p.Await("a mark for every criterion", fmt.Sprintf(`((marks) => marks.length === %d && marks.every((m) => m.textContent.trim() !== "") && new Set(marks.map((m) => m.textContent)).size === 3)([...document.querySelectorAll("td.mark")])`, len(rec.Result.Criteria)))
		p.Readable(fmt.Sprint(verdict))
		for _, vision := range append(browser.Visions, "none") {
			p.See(vision)
			p.Shoot(fmt.Sprintf("report-%v-%s", verdict, vision))
		}
		p.Go("about:blank")
		server.Close()
	}
}
