//go:build linux

package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/mesoslab/lab/e2e/rig"
	"github.com/mesoslab/lab/internal/labtest/browser"
)

// hostile is what a stranger would like a page to take for markup.
const hostile = `<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>`

// web is an app with a health check that soon tells.
const web = `{"id": "/web", "instances": 1, "cpus": 0.1, "mem": 16,
 "container": {"type": "DOCKER", "docker": {"image": "nginx", "network": "BRIDGE", "portMappings": [{"containerPort": 80}]}},
 "healthChecks": [{"path": "/", "intervalSeconds": 1, "timeoutSeconds": 10, "gracePeriodSeconds": 60}]}`

// TestPages works with both web pages as people do, in a browser: what it does
// is seen on the page, without loading it again. It has the computer to
// itself: browsers are large.
func TestPages(t *testing.T) {
	l := rig.New(t)
	l.Write("lab.yaml", "local: {allow_root_cmd: true}\napp: none\n")
	p := browser.Open(t, "about:blank")
	l.Create("--fast")
	p.Go(l.URL(1, 8080, "/"))
	p.Await("Marathon's page", `location.pathname === "/ui/"`)
	p.AwaitText("#app-list", "No app yet.")
	p.AwaitText("#live", "live")
	p.Await("a mark that a reload would take away", `window.mark = "same page"`)
	createApp(p)
	scaleAndKill(t, p)
	changeAndRollBack(t, p)
	waitingApp(p)
	delayedApp(p)
	destroyApp(p)
	keyboardOnly(t, p)
	end := folders(t, l, p)
	p.Await("to be the page that was opened", `window.mark === "same page" && !window.hacked`)
	everyState(t, l, p)
	end()
	mesosPage(t, l, p)
	l.Must("destroy")
	l.MustBeGone()
}

const submit = `#ask button[type="submit"]`

// appButton finds a button of an app, in the list or on its own page.
func appButton(act, id string) string {
	return fmt.Sprintf(`#overview:not([hidden]) button[data-act=%q][data-id=%q], #app:not([hidden]) button[data-act=%q][data-id=%q]`, act, id, act, id)
}

// confirm presses a dialog's button, and waits until the dialog has gone.
func confirm(p *browser.Page) {
	p.Click(submit)
	p.Await("the dialog to close", `!document.querySelector("#ask")`)
}

// killable are the ids of the tasks on an app's own page.
func killable(p *browser.Page) []string {
	return strings.Fields(p.Text(`[...document.querySelectorAll("#app button[data-act=kill]")].map((b) => b.dataset.task).join(" ")`))
}

// awaitHealthy waits for n healthy tasks and no deployment.
func awaitHealthy(p *browser.Page, n int) {
	p.AwaitText("#app-list tr:has(a[href='#/apps/web'])", fmt.Sprintf("%d of %d", n, n), fmt.Sprintf("%d healthy", n), "Running")
}

// createApp is refused three times and told why, then makes an app.
func createApp(p *browser.Page) {
	p.Click("header button[data-act=create]")
	p.Fill("#json", "{")
	p.Click(submit)
	p.AwaitText("#ask .said", "This is not JSON")
	p.Fill("#json", `{"id": "/web", "cpus": -1, "cmd": "true"}`)
	p.Click(submit)
	p.AwaitText("#ask .said", "Object is not valid", "/cpus")
	p.Fill("#json", `{"id": "/<img src=x>", "cmd": "true"}`)
	p.Click(submit)
	p.AwaitText("#ask .said", "/id")
	p.Await("no markup of an id", `!document.querySelector("main img, dialog img")`)
	p.Shoot("marathon-refused")
	p.Fill("#json", web)
	confirm(p)
	awaitHealthy(p, 1)
	p.AwaitText("#event-list", "deployment success", "health status changed /web · alive")
}

func scaleAndKill(t *testing.T, p *browser.Page) {
	p.Click(appButton("scale", "/web"))
	p.Fill("#instances", "3")
	confirm(p)
	awaitHealthy(p, 3)
	looks(p, "marathon")
	p.Click(`#app-list a[href="#/apps/web"]`)
	p.AwaitText("#app", "Tasks", "Versions", "Definition")
	p.Await("three tasks", `document.querySelectorAll("#app button[data-act=kill]").length === 3`)
	before := killable(p)
	p.Click(fmt.Sprintf(`button[data-task=%q]`, before[0]))
	confirm(p)
	p.Await("another task instead", fmt.Sprintf(`!document.querySelector('[data-task=%q]') && document.querySelectorAll("#app button[data-act=kill]").length === 3`, before[0]))
	awaitHealthy(p, 3)
	after := killable(p)
	if kept := intersection(before, after); kept != 2 {
		t.Errorf("one task was killed: %v became %v", before, after)
	}
	p.Click(appButton("restart", "/web"))
	confirm(p)
	p.Await("none of the old tasks", fmt.Sprintf(`!%q.split(" ").some((id) => document.querySelector('[data-task="' + id + '"]'))`, strings.Join(after, " ")))
	awaitHealthy(p, 3)
	p.Shoot("marathon-app")
	p.Click("#app button[data-act=kill]")
	p.Click("#shrink")
	confirm(p)
	awaitHealthy(p, 2)
}

func intersection(a, b []string) int {
	n := 0
	for _, x := range a {
		for _, y := range b {
			if x == y {
				n++
			}
		}
	}
	return n
}

// changeAndRollBack gives the app a hostile label, and takes it back by its
// versions.
func changeAndRollBack(t *testing.T, p *browser.Page) {
	// The list of versions comes a moment later than the app.
	p.Await("the smaller app's version to be the first", `(JSON.parse(document.querySelector("#app pre").textContent).instances === 2) &&
		!document.querySelector('#app [data-act="rollback"][data-version="' + document.querySelector('#app [data-act="version"]').dataset.version + '"]')`)
	old := p.Text(`document.querySelector('#app [data-act="version"]').dataset.version`)
	p.Click(appButton("change", "/web"))
	p.Await("the definition to change", `document.querySelector("#json")`)
	text := p.Text(`JSON.stringify({ ...JSON.parse(document.querySelector("#json").value), mem: 17, labels: { evil: ` + fmt.Sprintf("%q", hostile) + ` } })`)
	p.Fill("#json", text)
	confirm(p)
	p.Await("the label as text", fmt.Sprintf(`JSON.parse(document.querySelector("#app pre").textContent).labels?.evil === %q`, hostile))
	p.Await("no markup of it", `!document.querySelector("main img, main script") && !window.hacked`)
	awaitHealthy(p, 2)
	p.Click(fmt.Sprintf(`[data-act="version"][data-version=%q]`, old))
	p.Await("the old version", `JSON.parse(document.querySelector("#ask pre").textContent).mem === 16`)
	p.Press(kb.Escape)
	p.Await("Escape to close it", `!document.querySelector("#ask")`)
	p.Click(fmt.Sprintf(`[data-act="rollback"][data-version=%q]`, old))
	confirm(p)
	p.Await("the old definition", `(d => d.mem === 16 && !d.labels)(JSON.parse(document.querySelector("#app pre").textContent))`)
	awaitHealthy(p, 2)
	if n := p.Text(`document.querySelectorAll('#app [data-act="version"]').length`); n < "4" {
		t.Errorf("%s versions", n)
	}
	p.Click(`#app a[href="#apps"]`)
}

// waitingApp is larger than every agent: the page says what it waits for.
// While its deployment holds it, a change must be forced; cancelling takes the
// app back.
func waitingApp(p *browser.Page) {
	p.Click("header button[data-act=create]")
	p.Fill("#json", `{"id": "/giant", "cmd": "true", "cpus": 50, "mem": 16}`)
	confirm(p)
	p.AwaitText("#app-list", "Waiting", "no offer with enough yet for 1 more: 50 CPUs, 16 MB")
	p.AwaitText("#deployment-list", "/giant", "step 2 of 2", "▶ scale /giant")
	p.Click(appButton("scale", "/giant"))
	p.Fill("#instances", "2")
	p.Click(submit)
	p.AwaitText("#ask", "App is locked", "(force)")
	p.Shoot("marathon-locked")
	p.Click("#force")
	confirm(p)
	p.AwaitText("#app-list", "0 of 2", "for 2 more")
	p.Shoot("marathon-waiting")
	p.Click("#deployment-list button[data-act=cancel]")
	confirm(p)
	p.AwaitText("#app-list", "0 of 1")
}

// delayedApp fails and has to wait long for its next try, which can be had at
// once. Its deployment never ends by itself.
func delayedApp(p *browser.Page) {
	p.Click("header button[data-act=create]")
	p.Fill("#json", `{"id": "/broken", "cmd": "exit 3", "cpus": 0.1, "mem": 16, "backoffSeconds": 900}`)
	confirm(p)
	p.AwaitText("#app-list", "✕ Delayed", "min until the next try, for 1 task")
	p.Shoot("marathon-delayed")
	p.Click(`#app-list a[href="#/apps/broken"]`)
	p.AwaitText("#app", "Last failure ✕ failed", "exited with status 3")
	task := p.Text(`document.querySelector("#app [data-key=failure] .id").textContent`)
	p.Click(appButton("retry", "/broken"))
	p.Await("another failure", fmt.Sprintf(`document.querySelector("#app [data-key=failure] .id").textContent !== %q`, task))
	p.Click(`#app a[href="#apps"]`)
	p.Click("#deployment-list .deployment:has(.now) button[data-act=stop]")
	confirm(p)
	p.AwaitText("#event-list", "deployment failed")
}

func destroyApp(p *browser.Page) {
	for _, id := range []string{"/broken", "/giant", "/web"} {
		p.Click(appButton("destroy", id))
		confirm(p)
		p.Await(id+" to go", fmt.Sprintf(`!document.querySelector('#app-list [data-id=%q]')`, id))
	}
	p.AwaitText("#app-list", "No app yet.")
	p.AwaitText("#deployment-list", "Nothing is being deployed.")
}

// focus presses Tab until what a selector finds has the focus.
func focus(t *testing.T, p *browser.Page, selector string, opts ...chromedp.KeyOption) {
	t.Helper()
	for range 60 {
		if ok, err := p.Is(fmt.Sprintf(`document.activeElement?.matches(%q)`, selector)); err != nil {
			t.Fatal(err)
		} else if ok {
			return
		}
		p.Press(kb.Tab, opts...)
	}
	t.Fatalf("Tab does not reach %s", selector)
}

// keyboardOnly makes and destroys an app without a mouse.
func keyboardOnly(t *testing.T, p *browser.Page) {
	focus(t, p, "header button[data-act=create]")
	p.Press(kb.Enter)
	p.Await("the definition to have the focus", `document.activeElement?.id === "json"`)
	p.Press("a", chromedp.KeyModifiers(chromedp.ModifierCtrl))
	p.Press(`{"id": "/keys", "cmd": "sleep 1000", "cpus": 0.1, "mem": 16}`)
	focus(t, p, submit)
	p.Press(kb.Enter)
	p.AwaitText("#app-list", "/keys", "1 of 1")
	focus(t, p, `button[data-act="destroy"]`)
	p.Await("to see where the focus is", `getComputedStyle(document.activeElement).outlineStyle === "solid"`)
	p.Press(kb.Enter)
	p.Await("the harmless button to have the focus", `document.activeElement?.textContent === "Cancel"`)
	p.Press(kb.Enter)
	p.Await("nothing to happen", `!document.querySelector("#ask") && document.activeElement?.dataset.act === "destroy"`)
	p.Press(kb.Enter)
	p.Await("the dialog", `document.querySelector("#ask")`)
	focus(t, p, submit)
	p.Press(kb.Enter)
	p.AwaitText("#app-list", "No app yet.")
}

// looks takes pictures of a page as a laptop, a projector and a telephone
// show it, and checks that it fits.
func looks(p *browser.Page, name string) {
	for _, v := range []struct {
		name          string
		width, height int
		dark          bool
	}{
		{"laptop", 1280, 800, false}, {"laptop-dark", 1280, 800, true}, {"wall", 1920, 1080, false}, {"wall-dark", 1920, 1080, true}, {"narrow", 400, 900, false},
	} {
		p.Look(v.width, v.height, v.dark)
		p.Await("the page to fit "+v.name, `document.documentElement.scrollWidth <= innerWidth && [...document.querySelectorAll(".card")].every((c) => c.scrollWidth <= c.clientWidth)`)
		p.Shoot(name + "-" + v.name)
	}
	p.Look(1280, 800, false)
}
