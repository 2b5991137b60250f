package webui

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mesoslab/lab/mini/page"
)

const (
	// agentPatience is how long an agent may take to begin its answer.
	agentPatience = 5 * time.Second
	// maxAnswer bounds what of an agent's JSON is passed on.
	maxAnswer = 16 << 20
)

// agentPaths are the places of an agent that the page asks for, and whether
// they answer in JSON (else with a file). They are at the port's root: /files is
// not the process slave(1).
var agentPaths = map[string]bool{"state": true, "files/browse": true, "files/read": true, "files/download": false}

// Agent passes a GET of /webui/agent/ID/… on to that agent. find returns
// where a registered agent answers (http://ip:port), or "".
//
// Whatever the agent sends, a browser takes it for JSON or saves it as a file,
// and runs nothing of it: a sandbox holds what strangers put there.
func Agent(w http.ResponseWriter, r *http.Request, client *http.Client, find func(id string) string) {
	id, what, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/webui/agent/"), "/")
	isJSON, known := agentPaths[what]
	switch {
	case !known:
		http.NotFound(w, r)
		return
	case r.Method != http.MethodGet:
		w.Header().Set("Allow", http.MethodGet)
		http.Error(w, "only GET is passed on to agents", http.StatusMethodNotAllowed)
		return
	}
	base := find(id)
	if base == "" {
		http.Error(w, fmt.Sprintf("agent %s is not registered with this master: what its tasks printed can be seen when it is back", id), http.StatusNotFound)
		return
	}
	query := url.Values{}
	for _, k := range []string{"path", "offset", "length"} {
		if v, given := r.URL.Query()[k]; given {
			query.Set(k, v[0])
		}
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	late := time.AfterFunc(agentPatience, cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/"+what+"?"+query.Encode(), nil)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	resp, err := client.Do(req)
	if !late.Stop() || err != nil {
		if err == nil {
			resp.Body.Close()
		}
		http.Error(w, fmt.Sprintf("agent %s does not answer at %s", id, req.URL.Host), http.StatusGatewayTimeout)
		return
	}
	defer resp.Body.Close()
	pass(w, resp, isJSON)
}

// pass hands an agent's answer on.
func pass(w http.ResponseWriter, resp *http.Response, isJSON bool) {
	h := w.Header()
	page.Secure(h)
	var body io.Reader = resp.Body
	switch {
	case resp.StatusCode != http.StatusOK:
		h.Set("Content-Type", "text/plain; charset=utf-8")
		body = io.LimitReader(body, 1<<10)
	case isJSON:
		h.Set("Content-Type", "application/json")
		body = io.LimitReader(body, maxAnswer)
	default:
		h.Set("Content-Type", "application/octet-stream")
		name := "file"
		if u := resp.Request.URL.Query().Get("path"); u != "" {
			name = u[strings.LastIndexByte(u, '/')+1:]
		}
		h.Set("Content-Disposition", "attachment; filename*=UTF-8''"+url.PathEscape(name))
	}
	w.WriteHeader(resp.StatusCode)
	io.Copy(w, body) // one of the two may have gone
}
