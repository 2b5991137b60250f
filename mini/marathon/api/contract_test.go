package api_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/mini/marathon/app"
	"github.com/mesoslab/lab/mini/marathon/core"
	"github.com/mesoslab/lab/mini/marathon/event"
	"github.com/mesoslab/lab/mini/marathon/task"
	"github.com/mesoslab/lab/mini/marathon/view"
)

// exceptions are the examples that cannot be taken at their word, each with
// the reason. Everything else is accepted, and comes back as it is.
var exceptions = map[string]string{
	// Requests. The status is what the code of 1.1.1 answers.
	"POST /v2/apps (app.json)":                "400: no JSON, commas are missing in readinessChecks",
	"PUT /v2/apps/{app_id} (app.json)":        "400: no JSON, commas are missing in readinessChecks",
	"PUT /v2/groups (group.json)":             "422: it holds a version, which makes it a rollback, and the version never was",
	"PUT /v2/groups/{group_id} (group.json)":  "422: likewise",
	"POST /v2/groups (group.json)":            "409: / always exists; contracts 1",
	"POST /v2/groups/{group_id} (group.json)": "409: its id is /, which exists",
	"POST /v2/tasks/delete (inline)":          "400: task1 has no app in it, so it is malformed; contracts 1",
	// Answers.
	"POST /v2/apps 201 (app.json)":                                 "no JSON",
	"GET /v2/apps/{app_id}/versions/{version} 200 (app.json)":      "no JSON",
	"GET /v2/apps/{app_id} 200 (app_list.json)":                    "a list, where the code answers {\"app\":…}; contracts 1",
	"DELETE /v2/apps/{app_id}/tasks/{task_id} 200 (app_task.json)": "an array, where the code answers {\"task\":{…}}; contracts 1",
	"GET /v2/deployments 200 (deployments.json)":                   "steps in the form before 1.0; contracts 2.3 (the form of 1.1.1 is in go-marathon's fixtures)",
	"POST /v2/tasks/delete 400 (inline)":                           "the code says Invalid task id '…'.",
	"GET /v2/plugins 200 (inline)":                                 "plugins are left out: the list is empty",
	"GET /v2/eventSubscriptions 200 (inline)":                      "http_callback only, see TestEventCallbacks",
	"POST /v2/eventSubscriptions 200 (inline)":                     "http_callback only, see TestEventCallbacks",
	"DELETE /v2/eventSubscriptions 200 (inline)":                   "http_callback only, see TestEventCallbacks",
}

// TestRequestExamplesAreTaken sends every request body of the documents.
func TestRequestExamplesAreTaken(t *testing.T) {
	for _, e := range examples(t) {
		if e.Status != "" {
			continue
		}
		t.Run(e.String(), func(t *testing.T) {
			want := map[string]int{"POST": 201, "PUT": 200}[e.Method]
			if why, ok := exceptions[e.String()]; ok {
				if _, err := fmt.Sscanf(why, "%d:", &want); err != nil {
					t.Fatal(err)
				}
			}
			inBubble(t, func(t *testing.T, r *rest) {
				path := strings.NewReplacer("{app_id}", "foo", "{group_id}", "tools").Replace(e.Path)
				r.want(want, e.Method, path, e.Body)
			})
		})
	}
}

// TestAppExamplesAreTaken sends the apps and the group that 1.1.1 ships.
func TestAppExamplesAreTaken(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(labtest.Contracts(t), "marathon", "app-examples-v1.1.1", "*.json"))
	if len(files) < 9 {
		t.Fatalf("%d examples", len(files))
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			body, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			inBubble(t, func(t *testing.T, r *rest) {
				if filepath.Base(f) == "Group.json" {
					r.want(201, "POST", "/v2/groups", string(body))
					return
				}
				r.want(201, "POST", "/v2/apps", string(body))
			})
		})
	}
}

// TestWhatIsPrintedCanBePutBack: the configuration of an app as it is printed,
// without what changes by itself and with one of uris and fetch, changes
// nothing.
func TestWhatIsPrintedCanBePutBack(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(labtest.Contracts(t), "marathon", "app-examples-v1.1.1", "*.json"))
	for _, f := range files {
		body, err := os.ReadFile(f)
		if err != nil || filepath.Base(f) == "Group.json" {
			continue
		}
		inBubble(t, func(t *testing.T, r *rest) {
			id := "/v2/apps" + at(r.want(201, "POST", "/v2/apps", string(body)), "id").(string)
			r.pass(time.Second)
			printed := at(r.want(200, "GET", id, ""), "app").(map[string]any)
			version := printed["version"]
			for _, k := range []string{"version", "versionInfo", "tasks", "tasksStaged", "tasksRunning", "tasksHealthy", "tasksUnhealthy", "deployments", "uris"} {
				delete(printed, k)
			}
			again, err := json.Marshal(printed)
			if err != nil {
				t.Fatal(err)
			}
			r.want(200, "PUT", id+"?force=true", string(again))
			if now := at(r.want(200, "GET", id, ""), "app", "version"); now != version {
				t.Errorf("%s: version %v became %v: %s", filepath.Base(f), version, now, again)
			}
		})
	}
}

// groupView is group.View with its apps decoded.
type groupView struct {
	ID           string      `json:"id"`
	Apps         []view.App  `json:"apps"`
	Groups       []groupView `json:"groups"`
	Dependencies []string    `json:"dependencies"`
	Version      app.Time    `json:"version"`
}

// answers are our types for the answers of the documents.
var answers = map[string]func() any{
	"app_list.json":           func() any { return &struct{ Apps []view.App }{} },
	"app_tasks.json":          func() any { return &struct{ Tasks []task.View }{} },
	"tasks.json":              func() any { return &struct{ Tasks []task.View }{} },
	"group.json":              func() any { return &groupView{} },
	"deployments_result.json": func() any { return &core.Result{} },
	"queue.json":              func() any { return &struct{ Queue []view.Item }{} },
	"GET /v2/apps/{app_id}/versions 200 (inline)":     func() any { return &struct{ Versions []app.Time }{} },
	"GET /v2/groups/versions 200 (inline)":            func() any { return &[]app.Time{} },
	"GET /v2/groups/{group_id}/versions 200 (inline)": func() any { return &[]app.Time{} },
	"GET /v2/leader 200 (inline)":                     func() any { return &struct{ Leader string }{} },
	"DELETE /v2/leader 200 (inline)":                  func() any { return &struct{ Message string }{} },
}

// TestAnswerExamplesComeBack decodes every answer of the documents into our
// types and prints it again: nothing may be lost and nothing added but what
// is null, empty or zero (1.1.1 prints every key, the examples are older).
func TestAnswerExamplesComeBack(t *testing.T) {
	seen := map[string]bool{}
	for _, e := range examples(t) {
		if e.Status == "" || e.Type != "application/json" || e.Status >= "400" {
			continue
		}
		if why := exceptions[e.String()]; why != "" || strings.HasPrefix(e.Path, "/metrics") || e.Source == "info.json" {
			continue // info and metrics: TestInfoAndMetricsHaveTheKeys
		}
		make := answers[e.Source]
		if make == nil {
			make = answers[e.String()]
		}
		if make == nil {
			t.Errorf("%s: nobody knows what to decode it into", e)
			continue
		}
		seen[e.Source] = true
		comesBack(t, e.String(), e.Body, make())
	}
	if len(seen) < 6 {
		t.Errorf("only %v were compared", seen)
	}
}

func comesBack(t *testing.T, what, body string, into any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	again, err := json.Marshal(into)
	if err != nil {
		t.Fatal(err)
	}
	var want, got any
	if err := json.Unmarshal([]byte(body), &want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(again, &got); err != nil {
		t.Fatal(err)
	}
	for _, p := range differences("", want, got) {
		t.Errorf("%s: %s", what, p)
	}
}

// differences compares a document with what came back.
func differences(path string, want, got any) (out []string) {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return []string{fmt.Sprintf("%s is %v", path, got)}
		}
		lower := map[string]any{} // encoding/json knows keys by any case; ours without a tag print their Go name
		for k, v := range g {
			lower[strings.ToLower(k)] = v
		}
		for k, v := range w {
			out = append(out, differences(path+"/"+k, v, lower[strings.ToLower(k)])...)
			delete(lower, strings.ToLower(k))
		}
		for k, v := range lower {
			if !blank(v) {
				out = append(out, fmt.Sprintf("%s/%s is added: %v", path, k, v))
			}
		}
	case []any:
		g, _ := got.([]any)
		if len(g) != len(w) {
			return []string{fmt.Sprintf("%s has %d elements, not %d", path, len(g), len(w))}
		}
		for i := range w {
			out = append(out, differences(fmt.Sprintf("%s(%d)", path, i), w[i], g[i])...)
		}
	default:
		if want != got && !(blank(want) && blank(got)) {
			out = append(out, fmt.Sprintf("%s is %v, not %v", path, got, want))
		}
	}
	return out
}

// blank is null, empty or zero, which clients have to treat alike (contracts
// 12); objects of blanks are blank.
func blank(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case float64:
		return v == 0
	case bool:
		return !v
	case []any:
		return len(v) == 0
	case map[string]any:
		for _, x := range v {
			if !blank(x) {
				return false
			}
		}
		return true
	}
	return false
}

// TestFormOf111InTheFixtures decodes the deployments as go-marathon knows
// them from a real 1.1.1.
func TestFormOf111InTheFixtures(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(labtest.Contracts(t), "marathon", "go-marathon-fixtures", "methods.yml"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(b), "scope: v1.1.1\n")
	_, rest, ok2 := strings.Cut(rest, "content: |\n")
	body, _, ok3 := strings.Cut(rest, "\n- uri:")
	if !ok || !ok2 || !ok3 {
		t.Fatal("the fixture is not where it was")
	}
	comesBack(t, "deployments of 1.1.1", body, &[]view.Deployment{})
}

// TestStreamExampleComesBack reads the example of an event stream.
func TestStreamExampleComesBack(t *testing.T) {
	n := 0
	for _, e := range examples(t) {
		if e.Type != "text/event-stream" {
			continue
		}
		kind := ""
		for line := range strings.Lines(e.Body) {
			if k, ok := strings.CutPrefix(line, "event: "); ok {
				kind = strings.TrimSpace(k)
			}
			data, ok := strings.CutPrefix(line, "data: ")
			if !ok {
				continue
			}
			var head struct{ Timestamp app.Time }
			if err := json.Unmarshal([]byte(data), &head); err != nil {
				t.Fatal(err)
			}
			payload := map[string]any{"event_stream_attached": &event.Remote{}, "status_update_event": &event.Status{}}[kind]
			if err := json.Unmarshal([]byte(data), payload); err != nil {
				t.Fatal(err)
			}
			if got := string(event.Print(kind, payload, head.Timestamp.Time)); got != strings.TrimSpace(data) {
				t.Errorf("came back as\n%s, was\n%s", got, data)
			}
			n++
		}
	}
	if n != 3 {
		t.Errorf("%d events", n)
	}
}

// TestPlainTextExamples compares the form of the lines.
func TestPlainTextExamples(t *testing.T) {
	form := func(s string) (out [][]int) { // per line: lengths in words of app, port, endpoints
		for line := range strings.Lines(strings.TrimSpace(s)) {
			var f []int
			for _, w := range strings.Split(strings.TrimSpace(line), "\t") {
				f = append(f, strings.Count(w, ":"))
			}
			out = append(out, f)
		}
		return out
	}
	for _, e := range examples(t) {
		if e.Type != "text/plain" || e.Path == "/ping" {
			continue
		}
		inBubble(t, func(t *testing.T, r *rest) {
			r.want(201, "POST", "/v2/apps", `{"id":"/minecraft/survival-world","cmd":"x","cpus":0.1,"mem":32}`)
			if e.Path == "/v2/tasks" {
				r.want(201, "POST", "/v2/apps", `{"id":"/tools/docker/registry","cmd":"x","cpus":0.1,"mem":32}`)
			}
			r.pass(time.Second)
			got := r.ask("GET", strings.ReplaceAll(e.Path, "{app_id}", "minecraft/survival-world"), "", "Accept", "text/plain").Body.String()
			if !slices.EqualFunc(form(got), form(e.Body), slices.Equal) {
				t.Errorf("%s: got\n%s, the documents have\n%s", e, got, e.Body)
			}
		})
	}
}

// TestInfoAndMetricsHaveTheKeys: every key of the documents is there, with a
// value of the same kind.
func TestInfoAndMetricsHaveTheKeys(t *testing.T) {
	var missing func(path string, want, got any) []string
	missing = func(path string, want, got any) (out []string) {
		w, ok := want.(map[string]any)
		if !ok {
			if want != nil && got != nil && fmt.Sprintf("%T", want) != fmt.Sprintf("%T", got) {
				return []string{fmt.Sprintf("%s is %T, not %T", path, got, want)}
			}
			return nil
		}
		g, _ := got.(map[string]any)
		for k, v := range w {
			if strings.HasPrefix(k, "name.of.") {
				continue
			}
			x, ok := g[k]
			if !ok {
				out = append(out, path+"/"+k+" is missing")
				continue
			}
			out = append(out, missing(path+"/"+k, v, x)...)
		}
		return out
	}
	n := 0
	for _, e := range examples(t) {
		if e.Path != "/v2/info" && e.Path != "/metrics" {
			continue
		}
		var want any
		if err := json.Unmarshal([]byte(e.Body), &want); err != nil {
			t.Fatal(err)
		}
		inBubble(t, func(t *testing.T, r *rest) {
			for _, p := range missing("", want, r.want(200, "GET", e.Path, "")) {
				if !strings.Contains(p, "_config/") { // filled by the program, see its TestInfo
					t.Errorf("%s: %s", e, p)
				}
			}
		})
		n++
	}
	if n != 2 {
		t.Errorf("%d documents", n)
	}
}
