package mini

import (
	"io"
	"net/http"
	"time"
)

// Patience is how long a client may take to send a request's body, and to take
// 64 KiB of an answer. (Jetty, Marathon's container, gives up after 30 s without
// a byte.)
const Patience = 30 * time.Second

// Patient serves h to clients that keep up, and ends the connections of others:
// of those that announce a body and do not send it, and of those that ask and do
// not read. Streams live on as long as they are read. Handlers may set
// read deadlines of their own.
func Patient(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := &patientWriter{ResponseWriter: w, conn: http.NewResponseController(w)}
		out.wait()
		if r.ContentLength != 0 {
			// Also what no handler reads: the server looks for the next request
			// behind it.
			_ = out.conn.SetReadDeadline(time.Now().Add(Patience)) // a recorder of a test has none
			r.Body = &patientBody{r.Body, out.conn}
		}
		h.ServeHTTP(out, r)
		out.wait() // for what the server still holds
	})
}

type patientWriter struct {
	http.ResponseWriter
	conn *http.ResponseController
}

func (w *patientWriter) wait() { _ = w.conn.SetWriteDeadline(time.Now().Add(Patience)) }

// piece is how much of an answer has Patience of its own, in bytes.
const piece = 64 << 10

func (w *patientWriter) Write(b []byte) (n int, err error) {
	for {
		w.wait()
		m, err := w.ResponseWriter.Write(b[:min(len(b), piece)])
		n, b = n+m, b[m:]
		if err != nil || len(b) == 0 {
			return n, err
		}
	}
}

// FlushError is what http.ResponseController looks for.
func (w *patientWriter) FlushError() error {
	w.wait()
	return w.conn.Flush()
}

func (w *patientWriter) Flush() { _ = w.FlushError() }

// Unwrap lets http.ResponseController do the rest.
func (w *patientWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// patientBody lifts the deadline once the body is there: the server reads on to
// see whether the client goes.
type patientBody struct {
	io.ReadCloser
	conn *http.ResponseController
}

func (b *patientBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		_ = b.conn.SetReadDeadline(time.Time{})
	}
	return n, err
}
