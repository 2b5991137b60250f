package api

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/mesoslab/lab/mini/marathon/event"
)

// keepAlive is how often an idle stream gets an empty line, as from Jetty.
const keepAlive = 10 * time.Second

// streamEvents is GET /v2/events: CRLF frames until the client goes or the
// leadership ends.
func streamEvents(r *request) error {
	if !strings.Contains(r.Header.Get("Accept"), "text/event-stream") {
		htmlError(r.w, http.StatusMethodNotAllowed, "HTTP method GET is not supported by this URL")
		return nil
	}
	sub := r.bus.Subscribe()
	defer sub.Cancel()
	remote := event.Remote{RemoteAddress: r.clientIP()}
	r.bus.Publish(event.StreamAttached, remote)
	defer r.bus.Publish(event.StreamDetached, remote)

	r.w.Header().Set("Content-Type", "text/event-stream;charset=UTF-8")
	r.w.Header().Set("Cache-Control", "no-cache, no-store, must-revalidate")
	r.w.WriteHeader(http.StatusOK)
	out := http.NewResponseController(r.w)
	tick := time.NewTicker(keepAlive)
	defer tick.Stop()
	for {
		if err := out.Flush(); err != nil {
			return nil // the client has gone
		}
		var err error
		select {
		case <-r.Context().Done():
			return nil
		case m, ok := <-sub.C:
			if !ok {
				return nil
			}
			_, err = fmt.Fprintf(r.w, "event: %s\r\ndata: %s\r\n\r\n", m.Type, m.JSON)
		case <-tick.C:
			_, err = fmt.Fprint(r.w, "\r\n")
		}
		if err != nil {
			return nil
		}
	}
}
