//go:build linux

package e2e

import (
	"testing"

	"github.com/mesoslab/lab/e2e/rig"
	"github.com/mesoslab/lab/internal/labtest/browser"
)

// marked is whether every state has a mark and a word, and no mark stands for
// two kinds of state.
const marked = `((all) => all.length > 0 && all.every((s) => s.textContent.length > s.querySelector(".mark").textContent.length + 2 && s.querySelector(".mark").textContent !== "") &&
	((kinds) => new Set(kinds.values()).size === kinds.size)(new Map(all.map((s) => [s.className, s.querySelector(".mark").textContent]))))([...document.querySelectorAll(".state")])`

// readable checks a page by day and by night, and takes pictures of it as
// people see it who cannot tell colours.
func readable(p *browser.Page, name string) {
	for _, dark := range []bool{false, true} {
		at := map[bool]string{false: name, true: name + "-dark"}[dark]
		p.Look(1280, 2000, dark)
		p.Await("marks beside the words of states", marked)
		p.Readable(at)
		for _, vision := range append(browser.Visions, "none") {
			p.See(vision)
			p.Shoot(at + "-" + vision)
		}
	}
	p.Look(1280, 800, false)
}

// everyState looks at both pages while tasks are in every state.
func everyState(t *testing.T, l *rig.Lab, p *browser.Page) {
	sentLink(l, p)
	p.Go("about:blank")
	p.Go(l.URL(1, 8080, "/ui/#/group/shop?text=shop"))
	p.AwaitText("#app-list", "● Running", "◐ Waiting", "✕ Delayed", "○ Suspended", "● 2 healthy", "✕ 1 unhealthy", "◐ 1 staged", "▪ 2 running, no check")
	readable(p, "marathon-states")
	p.Go(l.URL(1, 8080, "/ui/#/group/shop"))
	p.AwaitText("#app-list", "eu/", "us/")
	readable(p, "marathon-folders")
	p.Go(l.URL(1, 8080, "/ui/#/apps/shop/eu/ill"))
	p.AwaitText("#app", "✕ unhealthy")
	readable(p, "marathon-unhealthy")
	p.Click(`#app button.danger[data-act="destroy"]`)
	p.AwaitText("#ask", "Destroy")
	readable(p, "marathon-ask")
	api(t, l, "DELETE", "/v2/apps/shop/eu/web", "")
	p.Go(l.URL(1, 5050, "/"))
	p.AwaitText("#running", "◐ staging", "● running")
	p.AwaitText("#over", "○ killed", "✕ failed")
	readable(p, "mesos-states")
	api(t, l, "DELETE", "/v2/groups/shop?force=true", "")
	p.AwaitText("#totals", "Tasks running 0")
}
