package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesoslab/lab/internal/labtest/bubble"
	"github.com/mesoslab/lab/mini/marathon/api"
	"github.com/mesoslab/lab/mini/marathon/core"
	"github.com/mesoslab/lab/mini/marathon/event"
	"github.com/mesoslab/lab/mini/marathon/health"
	"github.com/mesoslab/lab/mini/marathon/scheduler"
	"github.com/mesoslab/lab/mini/marathon/store"
	"github.com/mesoslab/lab/mini/marathon/ui"
)

// rest is a REST interface over a Core, a Mesos twin and a store in memory.
type rest struct {
	t        *testing.T
	twin     *scheduler.Twin
	term     *api.Term
	leader   string
	abdicted int
	store    *store.Memory
	handler  http.Handler
	// tasksAnswer is what tasks say to health checks; 0 refuses the
	// connection.
	tasksAnswer atomic.Int32
	events      eventLog
}

// eventLog keeps everything that was published.
type eventLog struct {
	mu   sync.Mutex
	msgs []event.Message
}

func (l *eventLog) keep(sub *event.Subscription) {
	for m := range sub.C {
		l.mu.Lock()
		l.msgs = append(l.msgs, m)
		l.mu.Unlock()
	}
}

func (l *eventLog) all() []event.Message {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.msgs)
}

// dial is a task's server for one request.
func (r *rest) dial(context.Context, string, string) (net.Conn, error) {
	status := r.tasksAnswer.Load()
	if status == 0 {
		return nil, errors.New("connection refused")
	}
	a, b := net.Pipe()
	go func() {
		defer b.Close()
		if _, err := b.Read(make([]byte, 4096)); err == nil {
			fmt.Fprintf(b, "HTTP/1.1 %d x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status)
		}
	}()
	return a, nil
}

func (r *rest) Term() *api.Term { return r.term }
func (r *rest) Leader() string  { return r.leader }
func (r *rest) Abdicate()       { r.abdicted++ }

// inBubble plays fn over a leading Marathon with two agents.
func inBubble(t *testing.T, fn func(t *testing.T, r *rest)) {
	t.Helper()
	bubble.Test(t, func(t *testing.T) {
		twin := scheduler.NewTwin()
		twin.StartDelay, twin.StopDelay = 200*time.Millisecond, 100*time.Millisecond
		for i := range 2 {
			twin.AddAgent(fmt.Sprintf("S%d", i), fmt.Sprintf("10.0.0.%d", i+1), 4, 4096, nil)
		}
		r := &rest{t: t, twin: twin, leader: "me:8080", store: store.NewMemory("me:8080")}
		ctx, cancel := context.WithCancel(t.Context())
		bus := event.NewBus()
		go r.events.keep(bus.Subscribe())
		c, err := core.New(ctx, core.Defaults(), core.Deps{Store: r.store, Mesos: twin, Bus: bus, Probe: health.Prober{Dial: r.dial}})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			twin.Attach(ctx, c)
			c.Wait()
		}()
		r.term = &api.Term{Core: c, Bus: bus}
		srv := &api.Server{Lead: r, Info: api.Info{Version: "1.1.1"}, Address: "me:8080", UI: ui.Handler(), NoLeaderPatience: 2500 * time.Millisecond}
		r.handler = srv.Handler()
		synctest.Wait()
		defer func() {
			cancel()
			<-done
			bus.Close()
			synctest.Wait()
		}()
		fn(t, r)
	})
}

// ask does one request.
func (r *rest) ask(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	r.t.Helper()
	req := httptest.NewRequestWithContext(r.t.Context(), method, path, strings.NewReader(body))
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	r.handler.ServeHTTP(w, req)
	synctest.Wait()
	return w
}

// want does one request and decodes the answer into a tree.
func (r *rest) want(status int, method, path, body string) any {
	r.t.Helper()
	w := r.ask(method, path, body)
	if w.Code != status {
		r.t.Errorf("%s %s: %d, want %d: %s", method, path, w.Code, status, w.Body)
	}
	var v any
	if w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
			r.t.Errorf("%s %s: %v in %s", method, path, err, w.Body)
		}
	}
	return v
}

// at walks into a decoded document: keys and indexes.
func at(v any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, ok := v.(map[string]any)
			if !ok {
				return nil
			}
			v = m[p]
		case int:
			l, ok := v.([]any)
			if !ok || p >= len(l) {
				return nil
			}
			v = l[p]
		}
	}
	return v
}

func (r *rest) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
