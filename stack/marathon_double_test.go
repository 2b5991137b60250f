package stack

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// marathonDouble is as much of Marathon's API as the tests need.
type marathonDouble struct {
	mu          sync.Mutex
	frameworkID string
	apps        map[string]map[string]any
	requests    []string      // method and path of changes
	locked      int           // so many changes are refused with 409
	refuse      string        // body of a 422 to every change
	launch      time.Duration // from a change until its instances are complete
	changed     time.Time
	failure     string    // of the last task, with the time failedAt
	failedAt    time.Time // zero: just now
	// spoilt is what the load balancer says of nginx' version; nil: it is a real
	// one, and says nothing.
	spoilt func(version string) string
}

// spoiltNow is what the load balancer says of the app as it is.
func (m *marathonDouble) spoiltNow() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	version, ok := m.apps["/nginx"]["version"].(string)
	if m.spoilt == nil || !ok {
		return ""
	}
	return m.spoilt(version)
}

func (m *marathonDouble) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case r.URL.Path == "/ping":
		io.WriteString(w, "pong")
	case r.URL.Path == "/v2/leader":
		io.WriteString(w, `{"leader":"127.168.59.1:8080"}`)
	case r.URL.Path == "/v2/info":
		var id any
		if m.frameworkID != "" {
			id = m.frameworkID
		}
		json.NewEncoder(w).Encode(map[string]any{"name": "marathon", "version": "1.1.1", "frameworkId": id, "leader": "127.168.59.1:8080", "elected": true})
	case r.URL.Path == "/v2/queue":
		io.WriteString(w, `{"queue":[{"app":{"id":"/big"},"count":3,"delay":{"timeLeftSeconds":0,"overdue":true}}]}`)
	case r.URL.Path == "/v2/deployments":
		io.WriteString(w, `[]`)
	case r.URL.Path == "/v2/apps" && r.Method == http.MethodGet:
		var list []any
		for _, a := range m.apps {
			list = append(list, m.shown(a))
		}
		json.NewEncoder(w).Encode(map[string]any{"apps": list})
	case strings.HasPrefix(r.URL.Path, "/v2/apps"):
		m.app(w, r)
	default:
		http.Error(w, `{"message":"nothing here"}`, http.StatusNotFound)
	}
}

func (m *marathonDouble) app(w http.ResponseWriter, r *http.Request) {
	id := strings.TrimPrefix(r.URL.Path, "/v2/apps")
	if r.Method == http.MethodGet {
		a, ok := m.apps[id]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprintf(w, `{"message":"App '%s' does not exist"}`, id)
			return
		}
		json.NewEncoder(w).Encode(map[string]any{"app": m.shown(a)})
		return
	}
	m.requests = append(m.requests, r.Method+" "+r.URL.Path)
	if m.locked > 0 {
		m.locked--
		w.WriteHeader(http.StatusConflict)
		io.WriteString(w, `{"message":"App is locked by one or more deployments. Override with the option '?force=true'.","deployments":[]}`)
		return
	}
	if m.refuse != "" {
		w.WriteHeader(http.StatusUnprocessableEntity)
		io.WriteString(w, m.refuse)
		return
	}
	var body map[string]any
	json.NewDecoder(r.Body).Decode(&body)
	if id == "" {
		id = "/" + strings.Trim(body["id"].(string), "/")
	}
	a := m.apps[id]
	if a == nil {
		a = map[string]any{"instances": 1.0}
		w.WriteHeader(http.StatusCreated)
	}
	for k, v := range body {
		a[k] = v
	}
	a["id"], a["version"] = id, time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	m.apps[id], m.changed = a, time.Now()
	if r.Method == http.MethodPost {
		json.NewEncoder(w).Encode(a)
		return
	}
	io.WriteString(w, `{"version":"2016-07-06T13:18:47.123Z","deploymentId":"d-1"}`)
}

// shown is the app with its counts and tasks as time has made them, and with
// the defaults that Marathon adds.
func (m *marathonDouble) shown(a map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range a {
		out[k] = v
	}
	for _, k := range []string{"cmd", "args", "user", "env"} {
		if _, ok := out[k]; !ok {
			out[k] = nil
		}
	}
	n := int(a["instances"].(float64))
	out["tasksStaged"], out["tasksRunning"], out["tasksHealthy"] = n, 0, 0
	out["deployments"] = []any{map[string]any{"id": "d-1"}}
	if time.Since(m.changed) >= m.launch {
		out["tasksStaged"], out["tasksRunning"], out["tasksHealthy"] = 0, n, n
		out["deployments"] = []any{}
	}
	if m.failure != "" {
		at := m.failedAt
		if at.IsZero() {
			at = time.Now()
		}
		out["lastTaskFailure"] = map[string]any{"appId": a["id"], "host": "127.168.59.2", "message": m.failure, "state": "TASK_FAILED",
			"timestamp": at.UTC().Format("2006-01-02T15:04:05.000Z"), "version": a["version"]}
	}
	var tasks []any
	for i := range n {
		tasks = append(tasks, map[string]any{"id": fmt.Sprintf("t.%d", i), "appId": a["id"], "host": fmt.Sprintf("127.168.59.%d", 2+i), "slaveId": "S0",
			"ports": []int{31001 + i}, "stagedAt": "2016-07-06T13:18:47.123Z", "startedAt": "2016-07-06T13:18:48.123Z", "version": a["version"],
			"healthCheckResults": []any{map[string]any{"alive": i == 0}}})
	}
	out["tasks"] = tasks
	return out
}
