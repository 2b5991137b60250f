package marathonlb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tmaxmax/go-sse"
)

const (
	readTimeout   = 20 * time.Second // a whole GET /v2/apps
	streamSilence = 60 * time.Second
	longestEvent  = 64 << 20 // deployment events hold two whole group trees
	longestApps   = 256 << 20
)

// marathon is a client of one or more Marathons of one cluster.
type marathon struct {
	client     *http.Client
	urls       []string
	turn       atomic.Int64
	user, pass string
}

// next makes the next URL the one to ask.
func (m *marathon) next() { m.turn.Add(1) }

func (m *marathon) url() string { return m.urls[int(m.turn.Load())%len(m.urls)] }

func (m *marathon) get(ctx context.Context, base, path, accept string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", accept)
	req.Header.Set("User-Agent", "marathon-lb")
	if m.user != "" {
		req.SetBasicAuth(m.user, m.pass)
	}
	resp, err := m.client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("GET %s%s: %s", base, path, resp.Status)
	}
	return resp, nil
}

// apps reads all apps with their tasks.
func (m *marathon) apps(ctx context.Context, base string) ([]app, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	resp, err := m.get(ctx, base, "/v2/apps?embed=apps.tasks", "application/json")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return decodeApps(io.LimitReader(resp.Body, longestApps))
}

var errSilent = errors.New("the event stream is silent")

// stream calls opened when the event stream stands and event for each event,
// until it breaks; the error says why.
func (m *marathon) stream(ctx context.Context, base string, opened func(), event func(kind string)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(streamSilence, func() { cancel(errSilent) })
	defer silence.Stop()
	resp, err := m.get(ctx, base, "/v2/events", "text/event-stream")
	if err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	defer resp.Body.Close()
	opened()
	body := &watched{Reader: resp.Body, read: func() { silence.Reset(streamSilence) }}
	for e, err := range sse.Read(body, &sse.ReadConfig{MaxEventSize: longestEvent}) {
		if err != nil {
			return errors.Join(err, context.Cause(ctx))
		}
		for _, kind := range kinds(e.Data) {
			event(kind)
		}
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return io.EOF
}

// watched reports each read.
type watched struct {
	io.Reader
	read func()
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	w.read()
	return n, err
}

// kinds returns the eventType of each JSON object in an event's data: Marathon
// puts several of them into one event at times.
func kinds(data string) []string {
	var out []string
	d := json.NewDecoder(strings.NewReader(data))
	for {
		var e struct {
			EventType string `json:"eventType"`
		}
		if err := d.Decode(&e); err != nil {
			return out
		}
		out = append(out, e.EventType)
	}
}
