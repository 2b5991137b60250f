package api_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/mini/marathon/api"
)

// TestWhatIsLeftOutIsAnUnknownURI: artifacts, plugins' paths, and the
// consoles answer like any other path that is not there.
func TestWhatIsLeftOutIsAnUnknownURI(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rest) {
		for _, c := range []struct{ method, path string }{
			{"GET", "/v2/artifacts"}, {"GET", "/v2/artifacts/a.tgz"}, {"POST", "/v2/artifacts"}, {"PUT", "/v2/artifacts/a/b"}, {"DELETE", "/v2/artifacts/a.tgz"},
			{"GET", "/v2/plugins/webjar/x"}, {"GET", "/v2/schemas/pod"}, {"GET", "/v2/pods"}, {"GET", "/help"}, {"GET", "/logging"}, {"GET", "/api-console"},
			{"GET", "/public/x"}, {"GET", "/v1/apps"}, {"POST", "/v3"},
		} {
			got := r.want(404, c.method, c.path, "")
			if at(got, "message") != "URI not found: "+c.path {
				t.Errorf("%s %s: %v", c.method, c.path, got)
			}
		}
		if got := at(r.want(200, "GET", "/v2/plugins", ""), "plugins"); len(got.([]any)) != 0 {
			t.Errorf("plugins %v", got)
		}
	})
}

// TestSchemaIsThatOf111: property by property, descriptions aside.
func TestSchemaIsThatOf111(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(labtest.Contracts(t), "marathon", "rest-api-v1.1.1", "v2", "schema", "AppDefinition.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want any
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	inBubble(t, func(t *testing.T, r *rest) {
		got := r.want(200, "GET", "/v2/schemas/app", "")
		if p := differences("", bare(want, false), got); len(p) > 0 {
			t.Errorf("%v", p)
		}
		known := at(got, "properties").(map[string]any)
		for _, k := range keys111[:slices.Index(keys111, "tasksStaged")] {
			if known[k] == nil {
				t.Errorf("an app has %s, the schema has not", k)
			}
		}
	})
}

// bare is a schema without its descriptions; a property may have that name.
func bare(v any, properties bool) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			if properties || k != "description" {
				out[k] = bare(x, k == "properties")
			}
		}
		return out
	case []any:
		var out []any
		for _, x := range v {
			out = append(out, bare(x, false))
		}
		return out
	}
	return v
}

// TestForeignBodiesChangeNothing: too large, too deep, and ids that would
// lead elsewhere are refused, and the tree stays as it was.
func TestForeignBodiesChangeNothing(t *testing.T) {
	const mib = 1 << 20
	deep := func(n int) string { return strings.Repeat(`{"a":[`, n) + strings.Repeat(`]}`, n) }
	inBubble(t, func(t *testing.T, r *rest) {
		r.want(201, "POST", "/v2/apps", sleep)
		r.pass(time.Second)
		before := r.ask("GET", "/v2/groups", "").Body.String()
		for _, c := range []struct {
			name, method, path, body string
			status                   int
		}{
			{"a body of 17 MiB", "POST", "/v2/apps", `{"id":"x","cmd":"` + strings.Repeat("x", 17*mib) + `"}`, 413},
			{"spaces of 17 MiB", "PUT", "/v2/groups", strings.Repeat(" ", 17*mib), 413},
			{"ids of 17 MiB", "POST", "/v2/tasks/delete", `{"ids":["` + strings.Repeat("a", 17*mib) + `"]}`, 413},
			{"20000 levels", "POST", "/v2/apps", deep(10000), 400},
			{"20000 levels in an unknown key", "POST", "/v2/apps", `{"id":"x","cmd":"x","y":` + deep(10000) + `}`, 400},
			{"20000 open arrays", "PUT", "/v2/apps", strings.Repeat("[", 20000), 400},
			{"NUL", "POST", "/v2/apps", "\x00", 400},
			{"no UTF-8 in an id", "POST", "/v2/apps", "{\"id\":\"\xff\",\"cmd\":\"x\"}", 422},
			{"an upper id", "POST", "/v2/apps", `{"id":"../../X","cmd":"x"}`, 422},
			{"an id with a slash in disguise", "POST", "/v2/apps", `{"id":"a\\b","cmd":"x"}`, 422},
			{"an id with a colon", "POST", "/v2/apps", `{"id":"a:b","cmd":"x"}`, 422},
			{"an id with a percent", "POST", "/v2/apps", `{"id":"a%2fb","cmd":"x"}`, 422},
			{"an id with a NUL", "POST", "/v2/apps", `{"id":"a\u0000","cmd":"x"}`, 422},
			{"the root as an app", "POST", "/v2/apps", `{"id":"/","cmd":"x"}`, 422},
			{"the root as an app, in disguise", "POST", "/v2/apps", `{"id":"../..","cmd":"x"}`, 422},
			{"the root as an app, by path", "PUT", "/v2/apps/%2e%2e", `{"cmd":"x"}`, 422},
			{"a group beside its parent", "PUT", "/v2/groups/a", `{"groups":[{"id":"../b"}]}`, 422},
			{"a number beyond all", "POST", "/v2/apps", `{"id":"x","cmd":"x","instances":1e999}`, 400},
		} {
			if w := r.ask(c.method, c.path, c.body); w.Code != c.status || !json.Valid(w.Body.Bytes()) {
				t.Errorf("%s: %d %.200s, want %d", c.name, w.Code, w.Body, c.status)
			}
		}
		if after := r.ask("GET", "/v2/groups", "").Body.String(); after != before {
			t.Errorf("the tree was\n%s, is\n%s", before, after)
		}
	})
}

// TestBodiesAreJSON: curl without a header calls its data a form, and 1.1.1
// refuses it.
func TestBodiesAreJSON(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rest) {
		r.want(201, "POST", "/v2/apps", sleep)
		for kind, status := range map[string]int{"application/json": 200, "application/json; charset=utf-8": 200, "application/x-www-form-urlencoded": 415, "text/plain": 415, "x": 415} {
			for _, c := range [][3]string{{"PUT", "/v2/apps/a/sleep?force=true", `{"instances":2}`}, {"PUT", "/v2/groups/b", `{"apps":[]}`}, {"POST", "/v2/tasks/delete", `{"ids":[]}`}} {
				if w := r.ask(c[0], c[1], c[2], "Content-Type", kind); w.Code != status || status == 415 && w.Body.String() != "{\"message\":\"Unsupported Media Type\"}\n" {
					t.Errorf("%s as %s: %d %s", c[1], kind, w.Code, w.Body)
				}
			}
		}
	})
}

// TestCredentialsAreAskedOfEverybody: every path, whatever its method, as the
// security handler of 1.1.1 does; nothing leaks without them.
func TestCredentialsAreAskedOfEverybody(t *testing.T) {
	reached := 0
	c, err := api.ParseCredentials("lab:p:w", "Mesosphere")
	if err != nil {
		t.Fatal(err)
	}
	h := c.Require(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ }))
	try := func(path, user, password string) int {
		req := httptest.NewRequestWithContext(t.Context(), "GET", path, nil)
		if user != "" {
			req.SetBasicAuth(user, password)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if w.Code == 401 && w.Header().Get("WWW-Authenticate") != `basic realm="Mesosphere"` {
			t.Errorf("challenge %q", w.Header())
		}
		return w.Code
	}
	for _, path := range []string{"/ping", "/v2/apps", "/ui/", "/", "/metrics"} {
		for _, wrong := range [][2]string{{"", ""}, {"lab", "p"}, {"lab", ""}, {"other", "p:w"}} {
			if s := try(path, wrong[0], wrong[1]); s != 401 {
				t.Errorf("%s as %v: %d", path, wrong, s)
			}
		}
	}
	if reached != 0 {
		t.Errorf("%d requests came through", reached)
	}
	if s := try("/v2/apps", "lab", "p:w"); s != 200 || reached != 1 {
		t.Errorf("with the credentials: %d", s)
	}
	for _, bad := range []string{"lab", ":x", "lab:"} {
		if _, err := api.ParseCredentials(bad, ""); err == nil {
			t.Errorf("%q is taken for credentials", bad)
		}
	}
}

// TestTextListsEveryApp: apps without tasks have their line, an app without
// ports has its hosts, a task without the port shows 0 (EndpointsHelper).
func TestTextListsEveryApp(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rest) {
		r.want(201, "POST", "/v2/apps", `{"id":"/a/none","cmd":"x","instances":0,"ports":[0,0]}`)
		r.want(201, "POST", "/v2/apps", `{"id":"/a/mute","cmd":"x","cpus":0.1,"mem":32,"ports":[]}`)
		r.pass(time.Second)
		host := at(r.want(200, "GET", "/v2/tasks", ""), "tasks", 0, "host").(string)
		want := "a_mute\t \t" + host + " \na_none\t10000\t\na_none\t10001\t\n"
		if got := r.ask("GET", "/v2/tasks", "", "Accept", "text/plain").Body.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if got := r.ask("GET", "/v2/apps/a/*/tasks", "", "Accept", "text/plain").Body.String(); got != want {
			t.Errorf("of the group: %q", got)
		}
		if got := r.ask("GET", "/v2/apps/a/none/tasks", "", "Accept", "text/plain").Body.String(); got != "a_none\t10000\t\na_none\t10001\t\n" {
			t.Errorf("of one: %q", got)
		}
	})
}

// FuzzRequests sends any request to any path: an answer with a body that is
// what its type says, never 500, never a panic.
func FuzzRequests(f *testing.F) {
	for _, s := range [][3]string{{"POST", "/v2/apps", sleep}, {"PUT", "/v2/apps/a/sleep?force=true", `{"instances":3}`}, {"GET", "/v2/apps/*", ""},
		{"GET", "/v2/apps?label=a%20in%20(b,c),!d&cmd=x&embed=apps.tasks", ""}, {"DELETE", "/v2/apps/a/sleep/tasks/x.y?scale=true", ""},
		{"PUT", "/v2/groups/a?dryRun=true", `{"scaleBy":-1e9}`}, {"PUT", "/v2/groups", `{"version":"2016-07-06T13:18:47.123Z"}`},
		{"POST", "/v2/tasks/delete?scale", `{"ids":["a_sleep.x"]}`}, {"DELETE", "/v2/queue/a/sleep/delay", ""}, {"GET", "/v2/apps/a/sleep/versions/x", ""},
		{"DELETE", "/v2/deployments/x?force=true", ""}, {"POST", "/v2/eventSubscriptions?callbackUrl=%zz", ""}, {"GET", "/v2/groups/a/versions/", ""}} {
		f.Add(s[0], s[1], s[2])
	}
	f.Fuzz(func(t *testing.T, method, path, body string) {
		u, err := url.ParseRequestURI(path)
		if err != nil || !strings.HasPrefix(path, "/") || u.Host != "" || strings.HasPrefix(u.Path, "/v2/events") || !validMethod(method) {
			return
		}
		inBubble(t, func(t *testing.T, r *rest) {
			r.want(201, "POST", "/v2/apps", sleep)
			w := r.ask(method, path, body)
			if w.Code >= 500 {
				t.Errorf("%s %q %q: %d %s", method, path, body, w.Code, w.Body)
			}
			if strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") && method != "HEAD" && !json.Valid(w.Body.Bytes()) {
				t.Errorf("%s %q: %d with %q", method, path, w.Code, w.Body)
			}
		})
	})
}

func validMethod(m string) bool {
	return slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}, m)
}
