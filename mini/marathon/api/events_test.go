package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/mini/marathon/callback"
)

// eventFields reads the table of contracts section 3: the fields of every
// event that 1.1.1 knows; a field that may be missing ends with "?".
func eventFields(t *testing.T) map[string][]string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(labtest.Contracts(t), "contracts.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(b), "\n## 3. ")
	section, _, ok2 := strings.Cut(section, "\n## 4. ")
	if !ok || !ok2 {
		t.Fatal("contracts has no section 3")
	}
	out := map[string][]string{}
	old := regexp.MustCompile(`^\s*(all|≤|1\.4\+:)`)
	note := regexp.MustCompile(`\(.*`)
	for line := range strings.Lines(section) {
		cells := strings.Split(line, "|")
		if len(cells) < 5 || !old.MatchString(cells[3]) {
			continue
		}
		var fields []string
		for f := range strings.SplitSeq(note.ReplaceAllString(cells[2], ""), ",") {
			if f = strings.TrimSpace(f); f != "" && f != "—" {
				fields = append(fields, f)
			}
		}
		for kind := range strings.SplitSeq(cells[1], " / ") {
			out[strings.TrimSpace(kind)] = fields
		}
	}
	if len(out) != 23 {
		t.Fatalf("the table has %d events for 1.1.1: %v", len(out), slices.Sorted(maps.Keys(out)))
	}
	return out
}

const checked = `{"id":"/a/well","cmd":"x","cpus":0.1,"mem":32,
 "healthChecks":[{"protocol":"HTTP","intervalSeconds":2,"gracePeriodSeconds":0,"maxConsecutiveFailures":1,"timeoutSeconds":1}]}`

// TestEveryEvent brings about every event of 1.1.1 and compares its fields
// with the contracts'.
func TestEveryEvent(t *testing.T) {
	want := eventFields(t)
	inBubble(t, func(t *testing.T, r *rest) {
		r.callbacks(t)
		r.tasksAnswer.Store(200)
		r.want(201, "POST", "/v2/apps", checked)
		r.pass(5 * time.Second) // healthy: its deployment ends
		r.tasksAnswer.Store(500)
		r.pass(20 * time.Second) // sick, and killed for it
		r.tasksAnswer.Store(200)
		r.pass(30 * time.Second)
		r.want(200, "PUT", "/v2/apps/a/well", `{"cpus":1000}`) // hangs
		r.want(200, "PUT", "/v2/apps/a/well?force=true", `{"cpus":0.1}`)
		r.pass(10 * time.Second)
		r.want(422, "PUT", "/v2/apps/a/well", `{"dependencies":["/a/well"]}`)
		r.want(200, "DELETE", "/v2/apps/a/well", "")
		r.pass(5 * time.Second)
		r.twin.Message("S0", "executor-1", []byte("hi\xff"))
		r.term.Core.Disconnected()
		r.term.Core.Subscribed(t.Context(), "twin-0000", "master:5050")
		ctx, cancel := context.WithCancel(t.Context())
		req := httptest.NewRequestWithContext(ctx, "GET", "/v2/events?event_type=deployment_info", nil) // a filter since 1.3.7 only
		req.Header.Set("Accept", "text/event-stream")
		stream := httptest.NewRecorder()
		go r.handler.ServeHTTP(stream, req)
		synctest.Wait()
		cancel()
		synctest.Wait()
		if !strings.HasPrefix(stream.Body.String(), "event: event_stream_attached\r\ndata: {") {
			t.Errorf("stream %q", stream.Body)
		}
		r.want(200, "POST", "/v2/eventSubscriptions?callbackUrl=http://10.0.0.9/cb", "")
		r.want(200, "DELETE", "/v2/eventSubscriptions?callbackUrl=http://10.0.0.9/cb", "")
		r.pass(time.Second)

		seen := map[string]int{}
		for _, m := range r.events.all() {
			seen[m.Type]++
			compareFields(t, m.Type, m.JSON, want[m.Type])
		}
		for kind := range want {
			if seen[kind] == 0 {
				t.Errorf("%s never came", kind)
			}
		}
		for kind := range seen {
			if _, known := want[kind]; !known {
				t.Errorf("%s is no event of 1.1.1", kind)
			}
		}
	})
}

func compareFields(t *testing.T, kind string, body []byte, fields []string) {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(body, &m); err != nil {
		t.Errorf("%s: %v in %s", kind, err, body)
		return
	}
	if m["eventType"] != kind || m["timestamp"] == nil {
		t.Errorf("%s: %s", kind, body)
	}
	for _, f := range fields {
		name, maybe := strings.CutSuffix(f, "?")
		if _, ok := m[name]; !ok && !maybe {
			t.Errorf("%s has no %s: %s", kind, name, body)
		}
		delete(m, name)
	}
	delete(m, "eventType")
	delete(m, "timestamp")
	if len(m) > 0 {
		t.Errorf("%s has besides %v", kind, slices.Sorted(maps.Keys(m)))
	}
}

// TestValuesOfEvents looks into those whose values say something.
func TestValuesOfEvents(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rest) {
		r.want(201, "POST", "/v2/apps", `{"id":"/a/x","cmd":"x","cpus":0.1,"mem":32}`)
		r.pass(time.Second)
		r.want(200, "PUT", "/v2/apps/a/x", `{"cpus":1000}`)
		r.want(200, "PUT", "/v2/apps/a/x?force=true", `{"instances":0,"cpus":0.1}`)
		r.pass(5 * time.Second)
		r.twin.Message("S0", "executor-1", []byte("hi\xff"))
		r.pass(0)
		last := map[string]any{}
		var states []string
		for _, m := range r.events.all() {
			var v any
			if err := json.Unmarshal(m.JSON, &v); err != nil {
				t.Fatal(err)
			}
			last[m.Type] = v
			if m.Type == "status_update_event" {
				states = append(states, at(v, "taskStatus").(string))
			}
		}
		if !slices.Equal(states, []string{"TASK_RUNNING", "TASK_KILLED"}) { // never TASK_STAGING
			t.Errorf("states %v", states)
		}
		for _, c := range []struct {
			kind string
			path []any
			want any
		}{
			{"api_post_event", []any{"uri"}, "/v2/apps/a/x"}, {"api_post_event", []any{"clientIp"}, "192.0.2.1"}, {"api_post_event", []any{"appDefinition", "id"}, "/a/x"},
			{"group_change_success", []any{"groupId"}, "/a"}, {"deployment_step_failure", []any{"currentStep", "actions", 0, "type"}, "RestartApplication"},
			{"deployment_failed", []any{"plan", "steps", 0, "actions", 0, "type"}, "RestartApplication"},
			{"deployment_failed", []any{"plan", "target", "groups", 0, "apps", 0, "cpus"}, 1000.0},
			{"deployment_failed", []any{"plan", "original", "groups", 0, "apps", 0, "cpus"}, 0.1},
			{"framework_message_event", []any{"message", 0}, 104.0}, {"framework_message_event", []any{"message", 2}, -1.0},
			{"framework_message_event", []any{"slaveId"}, "S0"}, {"framework_message_event", []any{"executorId"}, "executor-1"},
			{"scheduler_registered_event", []any{"frameworkId"}, "twin-0000"}, {"scheduler_registered_event", []any{"master"}, "master:5050"},
		} {
			if got := at(last[c.kind], c.path...); got != c.want {
				t.Errorf("%s %v is %v, want %v", c.kind, c.path, got, c.want)
			}
		}
	})
}

// posts are what endpoints got.
type posts struct {
	mu     sync.Mutex
	bodies map[string][]string // by host
	status int
}

func (p *posts) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bodies[req.URL.Host] = append(p.bodies[req.URL.Host], string(body))
	return &http.Response{StatusCode: p.status, Status: http.StatusText(p.status), Body: io.NopCloser(bytes.NewReader(nil))}, nil
}

func (p *posts) of(host string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.bodies[host])
}

func (p *posts) answer(status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status = status
}

// callbacks turns --event_subscriber http_callback on.
func (r *rest) callbacks(t *testing.T) *posts {
	t.Helper()
	p := &posts{bodies: map[string][]string{}, status: 200}
	s, err := callback.New(t.Context(), callback.Deps{Store: r.store, Bus: r.term.Bus, Client: &http.Client{Transport: p}, Timeout: time.Second, Log: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	r.term.Callbacks = s
	return p
}

// TestEventCallbacks follows an endpoint from its subscription to its end.
func TestEventCallbacks(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rest) {
		const cb = "/v2/eventSubscriptions?callbackUrl=http://10.0.0.9/cb"
		if got := at(r.want(400, "POST", cb, ""), "message").(string); !strings.Contains(got, `"--event_subscriber http_callback"`) {
			t.Errorf("without the flag: %s", got)
		}
		p := r.callbacks(t)
		said := r.want(200, "POST", cb, "")
		if at(said, "eventType") != "subscribe_event" || at(said, "callbackUrl") != "http://10.0.0.9/cb" || at(said, "clientIp") != "192.0.2.1" {
			t.Errorf("answer %v", said)
		}
		if got := at(r.want(200, "GET", "/v2/eventSubscriptions", ""), "callbackUrls"); len(got.([]any)) != 1 || at(got, 0) != "http://10.0.0.9/cb" {
			t.Errorf("list %v", got)
		}
		for _, bad := range []string{"", "?callbackUrl=", "?callbackUrl=file:///etc/passwd", "?callbackUrl=http://", "?callbackUrl=%00"} {
			r.want(422, "POST", "/v2/eventSubscriptions"+bad, "")
		}
		r.want(201, "POST", "/v2/apps", sleep)
		r.pass(time.Second)
		var all []string
		for _, m := range r.events.all() {
			all = append(all, string(m.JSON))
		}
		first := slices.IndexFunc(all, func(s string) bool { return strings.Contains(s, "subscribe_event") })
		if got := p.of("10.0.0.9"); !slices.Equal(got, all[first:]) || len(got) < 5 {
			t.Errorf("posted\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(all[first:], "\n"))
		}
		// An endpoint that fails is left alone for two seconds.
		p.answer(500)
		r.want(200, "PUT", "/v2/apps/a/sleep", `{"instances":2}`)
		r.pass(time.Second)
		n := len(p.of("10.0.0.9"))
		p.answer(200)
		r.pass(3 * time.Second)
		r.want(200, "PUT", "/v2/apps/a/sleep", `{"instances":1}`)
		r.pass(time.Second)
		if m := len(p.of("10.0.0.9")); n != len(all)-first+1 || m <= n {
			t.Errorf("%d posts while it failed, %d later", n, m)
		}
		// The next leader knows it still.
		again := r.callbacks(t)
		r.want(200, "PUT", "/v2/apps/a/sleep", `{"instances":2}`)
		r.pass(time.Second)
		if len(again.of("10.0.0.9")) == 0 {
			t.Error("the next leader has forgotten it")
		}
		if got := r.want(200, "DELETE", cb, ""); at(got, "eventType") != "unsubscribe_event" {
			t.Errorf("unsubscribed %v", got)
		}
		r.pass(time.Second)
		n = len(again.of("10.0.0.9"))
		r.want(200, "PUT", "/v2/apps/a/sleep", `{"instances":1}`)
		r.pass(time.Second)
		if len(again.of("10.0.0.9")) != n {
			t.Error("it is posted to after its end")
		}
	})
}
