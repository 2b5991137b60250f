package marathonlb

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
	"github.com/mesoslab/lab/mini"
)

// Deployment events hold two group trees and are very large; what comes
// after one is still heard.
func TestLargeEvents(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		n := labtest.NewNetwork()
		h := n.Host("10.0.0.1")
		l, err := h.Listen(t.Context(), "tcp", ":8080")
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, "\r\nevent: deployment_info\r\ndata: {\"eventType\":\"deployment_info\",\"plan\":%q}\r\n\r\n\r\n", strings.Repeat("x", 3<<20))
			fmt.Fprint(w, "event: api_post_event\r\ndata: {\"eventType\":\"api_post_event\"}\r\n\r\n")
			fmt.Fprint(w, "event: status_update_event\ndata: {\"eventType\":\"unfinished") // no blank line: not an event
		})}
		go server.Serve(l)
		defer server.Close()
		m := &marathon{client: mini.Env{Dial: h.Dial}.HTTPClient(), urls: []string{"http://10.0.0.1:8080"}}
		var got []string
		opened := 0
		err = m.stream(t.Context(), m.url(), func() { opened++ }, func(kind string) { got = append(got, kind) })
		if err == nil || opened != 1 || !slices.Equal(got, []string{"deployment_info", "api_post_event"}) {
			t.Errorf("opened %d times, events %v, %v", opened, got, err)
		}
		m.client.CloseIdleConnections()
	})
}

func TestKinds(t *testing.T) {
	for data, want := range map[string][]string{
		"":                  nil,
		`{"eventType":"a"}`: {"a"},
		"{\"eventType\":\"a\"}\r\n{\"eventType\":\"b\"}": {"a", "b"},
		`{"timestamp":"x"}`:     {""},
		`{"eventType":"a"} rub`: {"a"},
		`[1]`:                   nil,
	} {
		if got := kinds(data); !slices.Equal(got, want) {
			t.Errorf("%q: %q", data, got)
		}
	}
}

func FuzzKinds(f *testing.F) {
	f.Add(`{"eventType":"a"}{"eventType":7}`)
	f.Fuzz(func(t *testing.T, data string) {
		if n := len(kinds(data)); n > strings.Count(data, "{")+strings.Count(data, "null") {
			t.Errorf("%q: %d events", data, n)
		}
	})
}
