package proxy

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"time"
)

// answer is the way back to the client: it remembers the status, adds no
// header of its own, passes bytes on as they come, and gives up on a client
// that takes nothing for too long.
type answer struct {
	http.ResponseWriter
	limit      time.Duration
	status     int
	own        bool // the proxy's own page
	fromServer bool
}

func (a *answer) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		a.status, a.fromServer = status, !a.own
		for _, name := range []string{"Date", "Content-Type"} {
			if h := a.Header(); len(h[name]) == 0 {
				h[name] = nil
			}
		}
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(p []byte) (int, error) {
	control := http.NewResponseController(a.ResponseWriter)
	_ = control.SetWriteDeadline(time.Now().Add(a.limit))
	n, err := a.ResponseWriter.Write(p)
	if err == nil {
		err = control.Flush()
	}
	return n, err
}

// Unwrap lets http.ResponseController flush and hijack.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// patientBody reads a request's body; each read may take as long as a client
// may be silent.
type patientBody struct {
	io.ReadCloser
	control *http.ResponseController
	limit   time.Duration
	due     atomic.Int64 // unix nanoseconds: when the read under way gives up
}

func (b *patientBody) Read(p []byte) (int, error) {
	due := time.Now().Add(b.limit)
	b.due.Store(due.UnixNano())
	_ = b.control.SetReadDeadline(due)
	n, err := b.ReadCloser.Read(p)
	if err == nil || err == io.EOF {
		b.due.Store(0)
	}
	if err == io.EOF { // else http.Server would wait for the rest without limit
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

// late says whether the client let a read run into its limit. The server
// cancels the request's context before that read returns, so the error alone
// does not tell.
func (b *patientBody) late() bool {
	if b == nil {
		return false
	}
	due := b.due.Load()
	return due != 0 && time.Now().UnixNano() >= due
}

// patientAnswer reads an answer's body; each read may take as long as a
// server may be silent. An answer that breaks off counts as the server's
// failure, unless the client has gone.
type patientAnswer struct {
	io.ReadCloser
	exchange *exchange
	client   context.Context
	limit    time.Duration
	failed   bool
}

func (b *patientAnswer) Read(p []byte) (int, error) {
	_ = b.exchange.link.SetReadDeadline(time.Now().Add(b.limit))
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF && !b.failed && b.client.Err() == nil {
		b.failed = true
		for _, c := range []*counters{&b.exchange.backend.counters, &b.exchange.link.server.counters} {
			c.failedAnswers.Add(1)
			c.srvAbrt.Add(1)
		}
	}
	return n, err
}
