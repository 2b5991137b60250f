package stack

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/mesoslab/lab"
)

func configOf(t *testing.T, text string) json.RawMessage {
	t.Helper()
	var a App
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		t.Fatal(err)
	}
	c, err := a.Config()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestConfigIsWhatWasAskedFor(t *testing.T) {
	made := configOf(t, `{"id":"/nginx","instances":2,"cpus":0.2,"env":{},"version":"1","tasksRunning":2,"tasks":[{"id":"a"}],"deployments":[]}`)
	for text, same := range map[string]bool{
		`{"id":"/nginx","instances":2,"cpus":0.2,"env":{},"version":"2","tasksRunning":1,"deployments":[{"id":"x"}],"lastTaskFailure":{}}`: true,
		`{"id":"/nginx","instances":5,"cpus":0.2,"env":{},"version":"2"}`:                                                                  true, // instances are compared by themselves
		`{"id":"/nginx","instances":2,"cpus":0.3,"env":{},"version":"1"}`:                                                                  false,
		`{"id":"/nginx","instances":2,"cpus":0.2,"env":{"A":"b"},"version":"1"}`:                                                           false,
		`{"id":"/nginx","instances":2,"cpus":0.2,"env":{},"constraints":[["hostname","UNIQUE"]],"version":"1"}`:                            false,
	} {
		if got := SameConfig(made, configOf(t, text)); got != same {
			t.Errorf("%s: same %t, want %t", text, got, same)
		}
	}
	fetched := configOf(t, `{"id":"/x","uris":["u"],"fetch":[{"uri":"u"}],"version":"1"}`)
	if string(fetched) != `{"fetch":[{"uri":"u"}],"id":"/x"}` { // both would be refused
		t.Errorf("what is fetched: %s", fetched)
	}
	if !SameConfig(fetched, json.RawMessage(`{"id":"/x","uris":["u"],"fetch":[{"uri":"u"}]}`)) {
		t.Error("a record with both is another configuration")
	}
	if SameConfig(made, nil) {
		t.Error("nothing recorded is the same as something")
	}
}

func TestTeardown(t *testing.T) {
	var asked string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = r.Method + " " + r.URL.Path + " " + string(body)
		switch string(body) {
		case "frameworkId=known+1":
		case "frameworkId=gone":
			http.Error(w, "No framework found with specified ID", http.StatusBadRequest)
		default:
			http.Error(w, "no leader", http.StatusServiceUnavailable)
		}
	}))
	defer srv.Close()
	m := &Mesos{Base: srv.URL, HTTP: srv.Client()}
	if err := m.Teardown(t.Context(), "known 1"); err != nil || asked != "POST /master/teardown frameworkId=known+1" {
		t.Errorf("%v, asked %q", err, asked)
	}
	if err := m.Teardown(t.Context(), "gone"); !errors.Is(err, lab.ErrNotFound) {
		t.Errorf("one that is gone: %v", err)
	}
	if err := m.Teardown(t.Context(), "x"); err == nil || errors.Is(err, lab.ErrNotFound) {
		t.Errorf("a master that does not lead: %v", err)
	}
}

func TestResetDelay(t *testing.T) {
	var asked string
	answer := http.StatusNoContent
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.Method + " " + r.URL.Path
		w.WriteHeader(answer)
		if answer == http.StatusNotFound {
			io.WriteString(w, `{"message":"Application /a/b not found in tasks queue."}`)
		}
	}))
	defer srv.Close()
	m := &Marathon{Base: srv.URL, HTTP: srv.Client()}
	for _, answer = range []int{http.StatusNoContent, http.StatusNotFound} {
		if err := m.ResetDelay(t.Context(), "/a/b"); err != nil || asked != "DELETE /v2/queue/a/b/delay" {
			t.Errorf("%d: %v, asked %q", answer, err, asked)
		}
	}
	answer = http.StatusInternalServerError
	if err := m.ResetDelay(t.Context(), "/a/b"); err == nil {
		t.Error("a failure is no error")
	}
}
