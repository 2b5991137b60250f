package engine

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"

	"github.com/mesoslab/lab/local/engine/internal/api"
)

// vars are the named parts of a path.
type vars map[string]string

// endpoint answers a request or returns an error, which becomes the answer. An
// error after the first byte of the answer only ends it.
type endpoint func(w http.ResponseWriter, r *http.Request, v vars) error

// route is a method, a path whose {parts} match one element each ({part*}:
// one or more), and what answers.
type route struct {
	method string
	parts  []string
	do     endpoint
}

func on(method, pattern string, do endpoint) route {
	return route{method, strings.Split(strings.Trim(pattern, "/"), "/"), do}
}

// match compares a path with the route; tail patterns take as much as they
// can.
func (t route) match(path []string) (vars, bool) {
	v := vars{}
	for i, p := range t.parts {
		name, isVar := strings.CutPrefix(p, "{")
		if many, ok := strings.CutSuffix(name, "*}"); isVar && ok {
			take := len(path) - (len(t.parts) - 1)
			if take < 1 {
				return nil, false
			}
			v[many] = strings.Join(path[i:i+take], "/")
			path = append(append(path[:i:i], ""), path[i+take:]...)
			continue
		}
		if i >= len(path) || !isVar && path[i] != p || isVar && path[i] == "" {
			return nil, false
		}
		if isVar {
			v[strings.TrimSuffix(name, "}")] = path[i]
		}
	}
	return v, len(path) == len(t.parts)
}

// Handler serves the API, with and without a version in front of the path.
func (e *Engine) Handler() http.Handler {
	routes := e.routes()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Api-Version", APIVersion)
		h.Set("Docker-Experimental", "false")
		h.Set("Ostype", runtime.GOOS)
		h.Set("Server", fmt.Sprintf("%s/%s (%s)", ServerName, e.cfg.Version, runtime.GOOS))
		version, path := api.SplitVersion(r.URL.Path)
		if err := checkVersion(version); err != nil {
			writeError(w, err)
			return
		}
		elements := strings.Split(strings.Trim(path, "/"), "/")
		for _, t := range routes {
			if t.method != r.Method && (t.method != http.MethodGet || r.Method != http.MethodHead) {
				continue
			}
			if v, ok := t.match(elements); ok {
				e.serve(t, version, w, r, v)
				return
			}
		}
		writeError(w, api.NotFound("page not found"))
	})
}

// serve runs an endpoint. The version is in the vars as "version".
func (e *Engine) serve(t route, version string, w http.ResponseWriter, r *http.Request, v vars) {
	if version == "" {
		version = APIVersion
	}
	v["version"] = version
	answer := &tracked{ResponseWriter: w}
	err := t.do(answer, r, v)
	switch {
	case err == nil:
	case answer.begun:
		e.cfg.Log.Debug("answer broken off", "method", r.Method, "path", r.URL.Path, "error", err)
	default:
		writeError(w, err)
	}
}

// tracked knows whether an answer has begun.
type tracked struct {
	http.ResponseWriter
	begun bool
}

// WriteHeader keeps the first status: wait sends its header long before its
// answer.
func (t *tracked) WriteHeader(code int) {
	if !t.begun {
		t.ResponseWriter.WriteHeader(code)
	}
	t.begun = true
}

func (t *tracked) Write(p []byte) (int, error) {
	t.begun = true
	return t.ResponseWriter.Write(p)
}

// FlushError sends what is buffered.
func (t *tracked) FlushError() error {
	t.begun = true
	return http.NewResponseController(t.ResponseWriter).Flush()
}

// Hijack takes over the connection.
func (t *tracked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(t.ResponseWriter).Hijack()
	t.begun = t.begun || err == nil
	return conn, rw, err
}

// checkVersion refuses versions outside of ours, in dockerd's words.
func checkVersion(s string) error {
	if s == "" {
		return nil
	}
	v, _ := api.ParseVersion(s)
	newest, _ := api.ParseVersion(APIVersion)
	oldest, _ := api.ParseVersion(MinAPIVersion)
	switch {
	case newest.Less(v):
		return api.BadRequest("client version %s is too new. Maximum supported API version is %s", s, APIVersion)
	case v.Less(oldest):
		return api.BadRequest("client version %s is too old. Minimum supported API version is %s, please upgrade your client to a newer version", s, MinAPIVersion)
	}
	return nil
}

// before tells whether the request speaks a version older than the given one.
func (v vars) before(version string) bool {
	have, _ := api.ParseVersion(v["version"])
	limit, _ := api.ParseVersion(version)
	return have.Less(limit)
}

// statusOf is the status code that an error becomes; 200 for none.
func statusOf(err error) int {
	if err == nil {
		return http.StatusOK
	}
	if e, ok := errors.AsType[*api.Error](err); ok {
		return e.Status
	}
	return http.StatusInternalServerError
}

func writeError(w http.ResponseWriter, err error) {
	status := statusOf(err)
	if status == http.StatusNotModified {
		w.WriteHeader(status)
		return
	}
	writeJSON(w, status, map[string]string{"message": err.Error()})
}

func writeJSON(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, err = w.Write(append(b, '\n'))
	return err
}

// maxBody bounds request bodies that are JSON.
const maxBody = 4 << 20

// readJSON reads a request's body; an empty one leaves v as it is.
func readJSON(r *http.Request, v any) error {
	if r.Body == nil {
		return nil
	}
	b, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return api.BadRequest("read request: %v", err)
	}
	if len(b) > maxBody {
		return api.Errorf(http.StatusRequestEntityTooLarge, "request body is larger than %d bytes", maxBody)
	}
	if len(b) == 0 {
		return nil
	}
	if err := json.Unmarshal(b, v); err != nil {
		return api.BadRequest("invalid JSON: %v", err)
	}
	return nil
}
