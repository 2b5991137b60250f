package marathon

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab/mini"
)

// TestEventStreamIsWhatClientsExpect reads the raw frames of the stream,
// through a standby.
func TestEventStreamIsWhatClientsExpect(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.marathon(firstHost)
		w.up(firstHost)
		w.marathon(secondHost)
		w.up(secondHost)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		client := mini.Env{Dial: w.net.Host("10.0.0.98").Dial}.HTTPClient()
		defer client.CloseIdleConnections()
		req, _ := http.NewRequestWithContext(ctx, "GET", "http://"+net.JoinHostPort(secondHost, "8080")+"/v2/events", nil)
		req.Header.Set("Accept", "text/event-stream")
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		lines := make(chan string, 1000)
		go func() {
			defer close(lines)
			r := bufio.NewReader(res.Body)
			for {
				l, err := r.ReadString('\n')
				if err != nil {
					return
				}
				lines <- l
			}
		}()
		next := func() string {
			select {
			case l, ok := <-lines:
				if !ok {
					return "closed"
				}
				return l
			case <-time.After(time.Minute):
				return "silence"
			}
		}
		if l := next(); l != "event: event_stream_attached\r\n" {
			t.Errorf("first line %q", l)
		}
		if l := next(); !strings.HasPrefix(l, `data: {"remoteAddress":"`) || !strings.HasSuffix(l, "\"}\r\n") {
			t.Errorf("second line %q", l)
		}
		if l := next(); l != "\r\n" {
			t.Errorf("third line %q", l)
		}
		start := time.Now()
		if l := next(); l != "\r\n" || time.Since(start) > 11*time.Second {
			t.Errorf("keep-alive %q after %v", l, time.Since(start))
		}
		w.call("POST", firstHost, "/v2/apps", nginx)
		seen := map[string]bool{}
		for !seen["deployment_success"] {
			l := next()
			if kind, ok := strings.CutPrefix(l, "event: "); ok {
				seen[strings.TrimSpace(kind)] = true
			}
			if l == "closed" || l == "silence" {
				t.Fatalf("the stream is %s after %v", l, seen)
			}
		}
		for _, k := range []string{"api_post_event", "group_change_success", "deployment_info", "deployment_step_success", "status_update_event"} {
			if !seen[k] {
				t.Errorf("no %s", k)
			}
		}
		w.call("DELETE", firstHost, "/v2/leader", "")
		w.await("the end of the stream", func() bool {
			for {
				select {
				case _, ok := <-lines:
					if !ok {
						return true
					}
				default:
					return false
				}
			}
		})
	})
}
