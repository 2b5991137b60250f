package framework

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// master is as much of a Mesos master as one scheduler needs: events that are
// given, and the calls that come.
type master struct {
	t      *testing.T
	stream string // Mesos-Stream-Id; "" as in 0.26
	events []string
	held   chan struct{} // the stream stays open until it is closed

	mu    sync.Mutex
	calls []map[string]any
	got   chan struct{}
}

func (m *master) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var call map[string]any
	if err := json.NewDecoder(r.Body).Decode(&call); err != nil || r.URL.Path != "/api/v1/scheduler" || r.Header.Get("Content-Type") != "application/json" {
		http.Error(w, "bad", http.StatusBadRequest)
		return
	}
	if call["type"] != "SUBSCRIBE" {
		if r.Header.Get("Mesos-Stream-Id") != m.stream || call["framework_id"].(map[string]any)["value"] != "m-0007" {
			http.Error(w, "The stream ID included in this request didn't match", http.StatusBadRequest)
			return
		}
		m.mu.Lock()
		m.calls = append(m.calls, call)
		m.mu.Unlock()
		m.got <- struct{}{}
		w.WriteHeader(http.StatusAccepted)
		return
	}
	if m.stream != "" {
		w.Header().Set("Mesos-Stream-Id", m.stream)
	}
	w.WriteHeader(http.StatusOK)
	for _, e := range m.events {
		fmt.Fprintf(w, "%d\n%s", len(e), e)
	}
	w.(http.Flusher).Flush()
	select {
	case <-m.held:
	case <-r.Context().Done():
	}
}

func anOffer(id, cpus, mem string) string {
	return `{"id":{"value":"` + id + `"},"agent_id":{"value":"S1"},"hostname":"10.0.0.2","resources":[` +
		`{"name":"cpus","type":"SCALAR","scalar":{"value":` + cpus + `},"role":"*"},{"name":"mem","type":"SCALAR","scalar":{"value":` + mem + `},"role":"*"}]}`
}

const subscribed = `{"type":"SUBSCRIBED","subscribed":{"framework_id":{"value":"m-0007"}}}`

// TestOffers takes one task of an offer that has room, refuses the others and
// acknowledges what has to be, of masters with and without stream ids.
func TestOffers(t *testing.T) {
	for _, stream := range []string{"", "a-stream"} {
		m := &master{t: t, stream: stream, held: make(chan struct{}), got: make(chan struct{}, 10), events: []string{
			subscribed, `{"type":"HEARTBEAT"}`,
			`{"type":"OFFERS","offers":{"offers":[` + anOffer("O1", "1.0", "500.0") + `,` + anOffer("O2", "0.04", "500.0") + `,` + anOffer("O3", "1.0", "8.0") + `]}}`,
			`{"type":"UPDATE","update":{"status":{"task_id":{"value":"t"},"agent_id":{"value":"S1"},"uuid":"dXVpZA==","state":"TASK_RUNNING"}}}`,
			`{"type":"UPDATE","update":{"status":{"task_id":{"value":"t"},"state":"TASK_LOST"}}}`, // nothing to acknowledge
		}}
		srv := httptest.NewServer(m)
		ctx, cancel := context.WithCancel(t.Context())
		var seen []Decision
		done := make(chan error, 1)
		go func() {
			done <- Run(ctx, srv.Client(), srv.URL, Spec{Name: "red", Role: "red", CPUs: 0.05, Mem: 64, Image: "nginx", Env: map[string]string{"A": "b"}}, func(d Decision) { seen = append(seen, d) })
		}()
		for range 4 {
			<-m.got
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
		srv.Close()
		if len(seen) != 3 || seen[0].Task != "red.1-0007" || !strings.Contains(seen[1].Why, "0.04 cpus") || !strings.Contains(seen[2].Why, "8 MiB") {
			t.Errorf("decisions %+v", seen)
		}
		var words []string
		for _, c := range m.calls {
			text, _ := json.Marshal(c)
			words = append(words, string(text))
		}
		for i, want := range [][]string{
			{`"ACCEPT"`, `"value":"O1"`, `"refuse_seconds":0`, `"cpus"`, `"value":0.05`, `"image":"nginx"`, `"shell":false`, `"name":"A"`},
			{`"DECLINE"`, `"value":"O2"`, `"refuse_seconds":5`}, {`"DECLINE"`, `"value":"O3"`}, {`"ACKNOWLEDGE"`, `"uuid":"dXVpZA=="`},
		} {
			for _, w := range want {
				if !strings.Contains(words[i], w) {
					t.Errorf("call %d lacks %s: %s", i, w, words[i])
				}
			}
		}
	}
}

// TestGivesBack ends its newest task when it gets no more, so often and not
// more.
func TestGivesBack(t *testing.T) {
	running := func(id string) string {
		return `{"type":"UPDATE","update":{"status":{"task_id":{"value":"` + id + `"},"agent_id":{"value":"S1"},"state":"TASK_RUNNING"}}}`
	}
	m := &master{t: t, held: make(chan struct{}), got: make(chan struct{}, 10), events: []string{subscribed, running("a"), running("b"), running("c"),
		`{"type":"UPDATE","update":{"status":{"task_id":{"value":"c"},"agent_id":{"value":"S1"},"state":"TASK_FINISHED"}}}`}}
	srv := httptest.NewServer(m)
	defer srv.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- Run(ctx, srv.Client(), srv.URL, Spec{Name: "red", CPUs: 1, GivesBack: 1, BackEvery: time.Second}, nil)
	}()
	<-m.got
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if text, _ := json.Marshal(m.calls); len(m.calls) != 1 || !strings.Contains(string(text), `"KILL"`) || !strings.Contains(string(text), `"value":"b"`) {
		t.Errorf("calls %s", text)
	}
}

// TestGivesBackUntilItComesBack: a framework with more than its share gives until
// it has it, and stops when that is so.
func TestGivesBackUntilItComesBack(t *testing.T) {
	kills := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		kills++
		w.WriteHeader(http.StatusAccepted)
	}))
	defer srv.Close()
	for _, c := range []struct{ has, share, most, want int }{
		{5, 5, 30, comesBack},
		{9, 5, 30, 4 + comesBack},
		{2, 5, 30, comesBack},
		{9, 5, 3, 3},
	} {
		kills = 0
		f := &scheduler{client: srv.Client(), url: srv.URL, spec: Spec{GivesBack: c.most}}
		for range c.has {
			f.running = append(f.running, status{State: "TASK_RUNNING"})
		}
		for range 20 {
			before := kills
			if err := f.giveBack(t.Context()); err != nil {
				t.Fatal(err)
			}
			if kills > before && len(f.running) > c.share {
				f.running = f.running[1:] // another framework has got it
			}
		}
		if kills != c.want {
			t.Errorf("%+v: %d were given back", c, kills)
		}
	}
}

// TestEnds tells why a framework could not go on.
func TestEnds(t *testing.T) {
	for name, c := range map[string]struct {
		events []string
		want   string
	}{
		"refused":      {[]string{`{"type":"ERROR","error":{"message":"Role 'x' is not present in the master's --roles"}}`}, "framework red: Role 'x' is not present"},
		"the end":      {[]string{subscribed}, "the master ended the stream"},
		"not an event": {[]string{"{"}, "event"},
	} {
		m := &master{t: t, held: make(chan struct{}), got: make(chan struct{}, 10), events: c.events}
		close(m.held)
		srv := httptest.NewServer(m)
		if err := Run(t.Context(), srv.Client(), srv.URL, Spec{Name: "red"}, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		srv.Close()
	}
}

func FuzzReadRecord(f *testing.F) {
	f.Add("3\nabc2\nde")
	f.Add("-1\n")
	f.Add("99999999999999999999\n")
	f.Add("5\nab")
	f.Fuzz(func(t *testing.T, text string) {
		r := bufio.NewReader(strings.NewReader(text))
		for {
			record, err := readRecord(r)
			if err != nil {
				return
			}
			if len(record) > len(text) {
				t.Fatalf("%d bytes of %d", len(record), len(text))
			}
		}
	})
}
