//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/mesoslab/lab/e2e/rig"
	"github.com/mesoslab/lab/internal/labtest/browser"
)

// shop is a tree of groups with apps in every state that lasts: healthy,
// unhealthy, staged (what it fetches from %s does not come), not checked,
// suspended.
const shop = `{"id": "/shop", "groups": [
 {"id": "/shop/empty"},
 {"id": "/shop/eu", "apps": [
  {"id": "/shop/eu/web", "cmd": "sleep 1000", "cpus": 0.1, "mem": 16, "labels": {"tier": "front", "team": "red"}},
  {"id": "/shop/eu/good", "instances": 2, "cpus": 0.1, "mem": 16, "labels": {"tier": "back"},
   "container": {"type": "DOCKER", "docker": {"image": "nginx", "network": "BRIDGE", "portMappings": [{"containerPort": 80}]}},
   "healthChecks": [{"path": "/", "intervalSeconds": 1, "timeoutSeconds": 10, "gracePeriodSeconds": 60}]},
  {"id": "/shop/eu/ill", "cmd": "sleep 1000", "cpus": 0.1, "mem": 16, "ports": [0], "labels": {"tier": "back"},
   "healthChecks": [{"path": "/", "intervalSeconds": 1, "gracePeriodSeconds": 1, "maxConsecutiveFailures": 0}]}]},
 {"id": "/shop/us", "apps": [
  {"id": "/shop/us/slow", "cmd": "sleep 1000", "cpus": 0.1, "mem": 16, "fetch": [{"uri": "%s/never"}], "labels": {"tier": "front"}},
  {"id": "/shop/us/off", "cmd": "sleep 1000", "cpus": 0.1, "mem": 16, "instances": 0}]}]}`

// api asks Marathon for something, which it must do.
func api(t *testing.T, l *rig.Lab, method, path, body string) {
	t.Helper()
	a, err := rig.Ask(t.Context(), method, l.URL(1, 8080, path), body, map[string]string{"Content-Type": "application/json"})
	if err != nil || a.Status >= 300 {
		t.Fatalf("%s %s: %d %s %v", method, path, a.Status, a.Body, err)
	}
}

// openShop makes the tree of groups. end lets go of what is fetched.
func openShop(t *testing.T, l *rig.Lab, p *browser.Page) (end func()) {
	t.Helper()
	ended := make(chan struct{})
	never := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-ended:
		case <-r.Context().Done():
		}
	}))
	var err error
	if never.Listener, err = net.Listen("tcp", l.IP(1)+":0"); err != nil { // where machines can reach it
		t.Fatal(err)
	}
	never.Start()
	end = sync.OnceFunc(func() { close(ended); never.Close() })
	t.Cleanup(end)
	api(t, l, "POST", "/v2/groups", fmt.Sprintf(shop, never.URL))
	const row = `#app-list tr:has(a[href="#/group/shop"])`
	p.AwaitText(row, "shop/ 5 apps, 0.5 CPUs, 80 MB", "4 of 5", "◐ 1 staged", "5 Deploying")
	var deployments []struct{ ID string }
	if err := json.Unmarshal([]byte(l.Get(l.URL(1, 8080, "/v2/deployments")).Body), &deployments); err != nil || len(deployments) != 1 {
		t.Fatalf("deployments %v, %v", deployments, err)
	}
	// It would hold them all, and never end: /shop/us/slow never comes up.
	api(t, l, "DELETE", "/v2/deployments/"+deployments[0].ID+"?force=true", "")
	p.AwaitText(row, "● 4 Running", "○ 1 Suspended")
	api(t, l, "POST", "/v2/apps", `{"id": "/shop/us/giant", "cmd": "sleep 1000", "cpus": 50, "mem": 16}`)
	api(t, l, "POST", "/v2/apps", `{"id": "/shop/us/broken", "cmd": "exit 3", "cpus": 0.1, "mem": 16, "backoffSeconds": 900}`)
	p.AwaitText(row, "shop/ 7 apps, 50.6 CPUs, 112 MB", "4 of 7", "2 healthy", "1 unhealthy", "1 not checked", "1 staged", "✕ 1 Delayed", "◐ 1 Waiting", "● 4 Running", "○ 1 Suspended")
	return end
}

// folders walks through groups and searches, by keyboard alone, while the apps
// change. end lets go of what one of them fetches.
func folders(t *testing.T, l *rig.Lab, p *browser.Page) (end func()) {
	end = openShop(t, l, p)
	focus(t, p, `#app-list a[href="#/group/shop"]`)
	p.Press(kb.Enter)
	p.Await("the folder's address", `location.hash === "#/group/shop"`)
	p.AwaitText("#crumbs", "All applications / shop")
	p.AwaitText("#found", "7 apps, 50.6 CPUs, 112 MB in all")
	p.AwaitText("#app-list", "empty/ 0 apps, nothing", "eu/ 3 apps", "us/ 4 apps")
	p.Shoot("marathon-folder")
	focus(t, p, `#app-list a[href="#/group/shop/eu"]`)
	p.Press(kb.Enter)
	p.AwaitText("#app-list", "web", "good", "ill")
	p.Await("names within the folder, apps only", `[...document.querySelectorAll("#app-list td:first-child a")].map((a) => a.textContent).join(" ") === "good ill web"`)
	p.Await("the browser to go back", `history.back() || true`)
	p.Await("the folder above", `location.hash === "#/group/shop" && document.querySelector('#app-list a[href="#/group/shop/us"]')`)
	search(t, l, p)
	filters(t, p)
	return end
}

// names waits for the apps that the list shows.
func names(p *browser.Page, want string) {
	p.Await("the list to show "+want, fmt.Sprintf(`[...document.querySelectorAll("#app-list td:first-child a")].map((a) => a.textContent).join(" ") === %q`, want))
}

// search types; an app that changes meanwhile takes neither the focus nor what
// is typed.
func search(t *testing.T, l *rig.Lab, p *browser.Page) {
	p.Press("/")
	p.Await("the search to have the focus", `document.activeElement?.id === "filter-text"`)
	p.Press("tier:FRONT e")
	names(p, "/shop/eu/web /shop/us/slow")
	p.AwaitText("#found", "2 of 7 apps")
	p.Press("u/")
	names(p, "/shop/eu/web")
	p.Await("the search in the address", `location.hash === "#/group/shop?text=tier%3AFRONT+eu%2F"`)
	p.Await("the caret to go back", `document.activeElement.setSelectionRange(4, 6) || true`)
	api(t, l, "PUT", "/v2/apps/shop/eu/web", `{"instances": 2}`)
	p.AwaitText("#app-list", "2 of 2")
	p.Await("focus, text and selection as they were", `((e) => e.id === "filter-text" && e.value === "tier:FRONT eu/" && e.selectionStart === 4 && e.selectionEnd === 6)(document.activeElement)`)
	p.Await("the address as it was", `location.hash === "#/group/shop?text=tier%3AFRONT+eu%2F"`)
	p.Shoot("marathon-search")
	p.Press(kb.Enter) // sends no form
	names(p, "/shop/eu/web")
}

// filters chooses by label, state and health with the keyboard, and comes back
// by an address that somebody sent.
func filters(t *testing.T, p *browser.Page) {
	focus(t, p, "#filter-clear")
	p.Press(kb.Enter)
	p.Await("the search to have the focus", `document.activeElement?.id === "filter-text" && document.activeElement.value === ""`)
	names(p, "empty/ eu/ us/")
	focus(t, p, "#filter-label")
	p.Press("tier:b")
	names(p, "/shop/eu/good /shop/eu/ill")
	focus(t, p, "#filter-health")
	p.Press("unh")
	names(p, "/shop/eu/ill")
	p.Await("all of it in the address", `location.hash === "#/group/shop?label=tier%3Aback&health=unhealthy"`)
	focus(t, p, "#app-list td:first-child a")
	p.Press(kb.Enter)
	p.AwaitText("#app", "All applications / shop / eu / ill", "✕ unhealthy")
	p.Click(`#app header a.right`)
	names(p, "/shop/eu/ill")
	p.Await("the choice as it was", `document.querySelector("#filter-label").value === "tier:back" && document.querySelector("#filter-health").value === "unhealthy"`)
	p.Click(`#crumbs a[href^="#/group?"]`)
	p.AwaitText("#found", "1 of 7 apps")
	focus(t, p, "#filter-status")
	p.Press("Sus")
	p.AwaitText("#app-list", "No app matches.")
	p.Click(`.top nav a[href="#apps"]`)
	names(p, "shop/")
}

// sentLink opens addresses as somebody gets them who was not there.
func sentLink(l *rig.Lab, p *browser.Page) {
	p.Go("about:blank")
	p.Go(l.URL(1, 8080, "/ui/#/group/shop?text=us&status=Suspended"))
	names(p, "/shop/us/off")
	p.Await("the fields to say so", `document.querySelector("#filter-text").value === "us" && document.querySelector("#filter-status").value === "Suspended"`)
	p.Go("about:blank")
	p.Go(l.URL(1, 8080, "/ui/#/group/shop/no%20such/%zz?label=<b>&text="+"%3Cimg%20src%3Dx%3E"))
	p.AwaitText("#app-list", "No app matches.")
	p.AwaitText("#crumbs", "All applications / shop / no such / %zz")
	p.Await("no markup of an address", `!document.querySelector("main img, main b:not(.tile b)") && document.querySelector("#filter-text").value === "<img src=x>"`)
}
