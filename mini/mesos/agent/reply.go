package agent

import (
	"compress/gzip"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/mesoslab/lab/mini/mesos/mjson"
)

// maxBody is the longest request body that is taken.
const maxBody = 16 << 20

// refusal is an answer with another status than 200, and its text.
type refusal struct {
	status int
	text   string
}

func (e *refusal) Error() string { return e.text }

func refuse(w http.ResponseWriter, e *refusal) {
	h := w.Header()
	if e.status == http.StatusMethodNotAllowed {
		h.Set("Allow", "POST")
	}
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(e.text)))
	w.WriteHeader(e.status)
	io.WriteString(w, e.text)
}

// terminating is the answer of an agent that has left its loop.
func terminating() *refusal {
	return &refusal{http.StatusServiceUnavailable, "the agent is terminating"}
}

// reply writes an answer as JSON, or as JSONP if that was asked for.
func reply(w http.ResponseWriter, r *http.Request, answer any) {
	body, kind := mjson.Marshal(answer), "application/json"
	if call := r.URL.Query().Get("jsonp"); call != "" {
		if !isName(call) {
			refuse(w, &refusal{http.StatusBadRequest, "jsonp must name a function"})
			return
		}
		kind = "text/javascript"
		body = append(append([]byte(call+"("), body...), ");"...)
	}
	send(w, r, kind, body)
}

// isName keeps a callback from being a program.
func isName(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r != '_' && r != '.' && r != '$' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

// minGzip is the length from which libprocess compresses an answer.
const minGzip = 1024

// send writes a 200, compressed if the client takes that.
func send(w http.ResponseWriter, r *http.Request, kind string, body []byte) {
	w.Header().Set("Content-Type", kind)
	if len(body) < minGzip || !acceptsGzip(r) {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.Write(body)
		return
	}
	w.Header().Set("Content-Encoding", "gzip")
	z := gzip.NewWriter(w)
	defer z.Close()
	z.Write(body)
}

func acceptsGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, params, _ := strings.Cut(part, ";")
		if name = strings.TrimSpace(name); name == "gzip" || name == "*" {
			q := strings.ReplaceAll(params, " ", "")
			return q != "q=0" && q != "q=0.0"
		}
	}
	return false
}
