// Package callback posts events to HTTP endpoints that have asked for them:
// what 1.1.1 does when it is started with --event_subscriber http_callback
// (contracts 1 and 3).
//
// Nouns: Service (the endpoints of one term of leadership). Endpoints that
// subscribed are kept in the Store, under the key events:subscribers; those of
// --http_endpoints are added to them. Each endpoint gets every event of the
// Bus, one POST after the other; one that is slow loses the newest beyond
// the Bus's buffer, one that fails loses the event and is left alone for 2,
// 4, 8 … seconds, as in 1.1.1. Safe for concurrent use; everything ends with
// the context of New, see Wait.
package callback

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/mesoslab/lab/mini/marathon/app"
	"github.com/mesoslab/lab/mini/marathon/event"
	"github.com/mesoslab/lab/mini/marathon/store"
	"github.com/mesoslab/lab/mini/marathon/turn"
)

// key is where the endpoints lie; state of other kinds never begins so.
const key = "events:subscribers"

// maxSubscribers bounds what anybody may have us post to.
const maxSubscribers = 100

// Deps are what a Service works with.
type Deps struct {
	Store  store.Store
	Bus    *event.Bus
	Client *http.Client
	// Endpoints are subscribed from the start (--http_endpoints).
	Endpoints []string
	// Timeout bounds one POST.
	Timeout time.Duration
	// Log gets a line for each POST that fails.
	Log func(format string, args ...any)
}

// Service posts events.
type Service struct {
	Deps
	ctx context.Context
	wg  sync.WaitGroup

	changes *turn.Turn // orders Subscribe and Unsubscribe
	stop    map[string]context.CancelFunc

	mu   sync.Mutex // guards urls, which only who has the turn replaces
	urls []string
}

// New loads the endpoints and begins to post to them until ctx ends.
func New(ctx context.Context, d Deps) (*Service, error) {
	s := &Service{Deps: d, ctx: ctx, changes: turn.New(), stop: map[string]context.CancelFunc{}}
	data, err := d.Store.Get(ctx, key)
	if err == nil {
		err = json.Unmarshal(data, &s.urls)
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("load event subscribers: %w", err)
	}
	for _, u := range slices.Concat(s.urls, d.Endpoints) {
		if !slices.Contains(s.urls, u) {
			s.urls = append(s.urls, u)
		}
		s.begin(u)
	}
	return s, nil
}

// Wait returns when the context has ended and nothing is under way any more.
func (s *Service) Wait() {
	<-s.ctx.Done()
	s.wg.Wait()
}

// URLs lists the endpoints.
func (s *Service) URLs() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.urls)
}

// Subscribe adds an endpoint; one that is there already stays. The error is
// an *app.InvalidError if it is no URL that can be posted to.
func (s *Service) Subscribe(ctx context.Context, endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return &app.InvalidError{Problems: []app.Problem{{Path: "/callbackUrl", Errors: []string{
			fmt.Sprintf("%q is no http or https URL with a host", endpoint)}}}}
	}
	if err := s.changes.Take(ctx); err != nil {
		return fmt.Errorf("subscribe %s: %w", endpoint, err)
	}
	defer s.changes.Give()
	if slices.Contains(s.urls, endpoint) {
		return nil
	}
	if len(s.urls) >= maxSubscribers {
		return &app.InvalidError{Problems: []app.Problem{{Path: "/callbackUrl", Errors: []string{
			fmt.Sprintf("there are %d subscribers already, no more are taken", maxSubscribers)}}}}
	}
	if err := s.save(ctx, append(slices.Clone(s.urls), endpoint)); err != nil {
		return err
	}
	s.begin(endpoint)
	return nil
}

// Unsubscribe removes an endpoint; an unknown one is no error.
func (s *Service) Unsubscribe(ctx context.Context, endpoint string) error {
	if err := s.changes.Take(ctx); err != nil {
		return fmt.Errorf("unsubscribe %s: %w", endpoint, err)
	}
	defer s.changes.Give()
	if err := s.save(ctx, slices.DeleteFunc(slices.Clone(s.urls), func(u string) bool { return u == endpoint })); err != nil {
		return err
	}
	if stop := s.stop[endpoint]; stop != nil {
		stop()
		delete(s.stop, endpoint)
	}
	return nil
}

// save writes the endpoints down and makes them those that count.
func (s *Service) save(ctx context.Context, urls []string) error {
	data, err := json.Marshal(urls)
	if err != nil {
		return fmt.Errorf("encode event subscribers: %w", err)
	}
	if err := s.Store.Put(ctx, key, data); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.urls = urls
	return nil
}

// begin starts to post to an endpoint.
func (s *Service) begin(endpoint string) {
	if s.stop[endpoint] != nil {
		return
	}
	ctx, stop := context.WithCancel(s.ctx)
	s.stop[endpoint] = stop
	sub := s.Bus.Subscribe()
	s.wg.Go(func() {
		defer sub.Cancel()
		var failures float64
		var quiet time.Time
		for {
			select {
			case <-ctx.Done():
				return
			case m, ok := <-sub.C:
				if !ok {
					return
				}
				if time.Now().Before(quiet) {
					continue // lost, as in 1.1.1
				}
				if err := s.post(ctx, endpoint, m.JSON); err != nil {
					failures++
					wait := time.Duration(math.Pow(2, min(failures, 12))) * time.Second
					quiet = time.Now().Add(wait)
					s.Log("post %s to %s: %v; no more for %v", m.Type, endpoint, err, wait)
					continue
				}
				failures = 0
			}
		}
	})
}

func (s *Service) post(ctx context.Context, endpoint string, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := s.Client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, 64<<10) // so that the connection serves again
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return errors.New(res.Status)
	}
	return nil
}
