//go:build linux

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/mesoslab/lab/e2e/rig"
	"github.com/mesoslab/lab/internal/labtest/browser"
)

// printer prints markup and numbers, and keeps a file in a folder.
const printer = `mkdir -p "sub dir"; echo deep inside > "sub dir/note.txt"; echo '%s'; echo trouble >&2; i=0; while true; do i=$((i+1)); echo "line $i"; sleep 0.2; done`

// mesosPage looks at the cluster through the master's page.
func mesosPage(t *testing.T, l *rig.Lab, p *browser.Page) {
	text, err := json.Marshal(map[string]any{"id": "printer", "cmd": fmt.Sprintf(printer, hostile), "cpus": 0.1, "mem": 16})
	if err != nil {
		t.Fatal(err)
	}
	l.Must("deploy", l.Write("printer.json", string(text)))
	p.Go(l.URL(1, 5050, "/"))
	p.AwaitText("#totals", "Agents active 2", "Tasks running 1")
	p.AwaitText("#agent-list", l.IP(2)+" ● active", l.IP(3)+" ● active", "0.1 of")
	p.AwaitText("#framework-list", "marathon ● active 1 task")
	p.AwaitText("#running", "printer", "● running")
	p.AwaitText("#over", "web", "○ killed")
	p.AwaitText("#ended", "● accepted for 1 task", "○ declined")
	p.Await("a mark that a reload would take away", `window.mark = "same page"`)
	looks(p, "mesos")
	stranger(t, l, p)
	sandbox(p)
	powerCut(l, p)
	p.Await("to be the page that was opened", `window.mark === "same page" && !window.hacked`)
}

// sandbox reads what a task prints while it prints, and its files.
func sandbox(p *browser.Page) {
	p.Click("#running a")
	p.AwaitText(`[data-file="stdout"]`, hostile, "line 1")
	p.AwaitText(`[data-file="stderr"]`, "trouble")
	n := p.Text(`document.querySelector('[data-file="stdout"]').textContent.match(/line (\d+)\n$/)[1]`)
	p.Await("more lines without a reload", fmt.Sprintf(`document.querySelector('[data-file="stdout"]').textContent.includes("line " + (%s + 5) + "\n")`, n))
	p.Await("every line once, in order", `(lines => lines.every((x, i) => x === "line " + (i + 1)))(document.querySelector('[data-file="stdout"]').textContent.trim().split("\n").filter((x) => x.startsWith("line ")))`)
	p.Shoot("mesos-sandbox")
	p.Click(`#sandbox td a[href*="sub"]`)
	p.AwaitText("#sandbox .crumbs", "sub dir")
	p.Click(`#sandbox button[data-path$="note.txt"]`)
	p.AwaitText(`[data-file="sub dir/note.txt"]`, "deep inside")
	p.Await("the file to come whole, as a file", `(window.got ??= fetch(document.querySelector('#sandbox a[download="note.txt"]').href).then(async (r) => window.file = [await r.text(), r.headers.get("Content-Disposition"), r.headers.get("Content-Type")].join("|"))) && window.file === "deep inside\n|attachment; filename*=UTF-8''note.txt|application/octet-stream"`)
	p.Await("no markup of what was printed", `!document.querySelector("main img, main script")`)
	p.Click(`#sandbox a[href="#tasks"]`)
	p.AwaitText("#running", "printer")
}

// powerCut takes the power of a machine: its agent goes, and with it what its
// tasks printed; both come back.
func powerCut(l *rig.Lab, p *browser.Page) {
	l.Must("break", "kill", "node3")
	p.AwaitText("#totals", "Agents active 1")
	p.Await("one agent", `document.querySelectorAll("#agent-list article").length === 1`)
	p.Shoot("mesos-power-cut")
	l.Must("heal")
	p.AwaitText("#totals", "Agents active 2")
}

// stranger is a framework with a hostile name that keeps offers, refuses them,
// and goes.
func stranger(t *testing.T, l *rig.Lab, p *browser.Page) {
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	call := func(stream string, v any) *http.Response {
		body, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.URL(1, 5050, "/api/v1/scheduler"), bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/json")
		if stream != "" {
			req.Header.Set("Mesos-Stream-Id", stream)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode >= 300 {
			t.Fatalf("%s: %s", body, resp.Status)
		}
		return resp
	}
	type m map[string]any
	subscribed := call("", m{"type": "SUBSCRIBE", "subscribe": m{"framework_info": m{"user": "root", "name": hostile, "webui_url": "javascript:window.hacked=1"}}})
	defer subscribed.Body.Close()
	p.AwaitText("#framework-list", hostile)
	p.AwaitText("#held", hostile, l.IP(2), l.IP(3))
	p.Await("offered resources in the bars", `document.querySelector("#agent-list rect.fill.offered")`)
	p.Shoot("mesos-held")
	p.Await("no markup of its name, no link of its address", `!document.querySelector("main img, main script, a[href^='javascript']")`)

	var feed struct {
		Held []struct {
			ID, Framework string
			FrameworkID   string `json:"framework_id"`
		}
	}
	if err := json.Unmarshal([]byte(l.Get(l.URL(1, 5050, "/webui/offers")).Body), &feed); err != nil {
		t.Fatal(err)
	}
	framework, offers := "", []m{}
	for _, o := range feed.Held {
		if o.Framework == hostile {
			framework = o.FrameworkID
			offers = append(offers, m{"value": o.ID})
		}
	}
	call(subscribed.Header.Get("Mesos-Stream-Id"), m{"type": "DECLINE", "framework_id": m{"value": framework},
		"decline": m{"offer_ids": offers, "filters": m{"refuse_seconds": 600}}}).Body.Close()
	p.AwaitText("#filters", hostile, "min")
	p.AwaitText("#ended", "all of it refused for 10 min")
	p.Shoot("mesos-filters")
	leave()
	l.Await("the master to let it go", func(context.Context) error {
		if ok, err := p.Is(`!document.querySelector("#framework-list").innerText.includes("img")`); err != nil || !ok {
			return errors.Join(errors.New("it is still shown"), err)
		}
		return nil
	})
}
