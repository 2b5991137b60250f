package webui

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab/internal/labtest/bubble"
	"github.com/mesoslab/lab/mini/mesos/master/cluster"
	"github.com/mesoslab/lab/mini/mesos/master/resource"
	"github.com/mesoslab/lab/mini/mesos/mjson"
	"github.com/mesoslab/lab/mini/page/pagetest"
)

func TestPageStandsAlone(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) {
		Page(w, View{Title: "<b>lab</b>", Hostname: "node1", Version: "1.3.2", Leading: true})
	})
	mux.HandleFunc("/", Assets)
	pagetest.StandsAlone(t, mux, "/", "/webui/")
}

func TestPageEscapes(t *testing.T) {
	for _, v := range []View{
		{Title: "<b>lab</b>", Hostname: "<i>", Leading: true},
		{Title: "<b>lab</b>", Leader: `10.0.0.1:5050"><i>`},
	} {
		w := httptest.NewRecorder()
		Page(w, v)
		if s := w.Body.String(); !strings.Contains(s, "&lt;b&gt;lab") || strings.Contains(s, "<b>lab") || strings.Contains(s, "<i>") {
			t.Errorf("%+v: %s", v, s)
		}
	}
}

// TestOffers: what the page gets is what the log holds.
func TestOffers(t *testing.T) {
	now := time.Unix(1000, 500e6)
	r := cluster.OfferRecord{ID: "O1", FrameworkID: "F", Framework: "<marathon>", AgentID: "S0", Hostname: "h", Role: "*",
		Resources: resource.CPUMem(0.5, 64), Made: now.Add(-3 * time.Second)}
	done := r
	done.Ended, done.Outcome, done.Tasks, done.Refuse = now, cluster.Accepted, []string{"t"}, 5*time.Second
	got := string(mjson.Marshal(Offers(cluster.OfferLog{Made: 2, Accepted: 1, Held: []cluster.OfferRecord{r}, Ended: []cluster.OfferRecord{done},
		Filters: []cluster.FilterRecord{{FrameworkID: "F", AgentID: "S0", Resources: resource.CPUMem(0.25, 0), Left: 1500 * time.Millisecond}}}, now)))
	var v struct {
		Now, Made, Accepted, Declined float64
		Held, Ended, Filters          []struct {
			ID, Framework, Outcome    string
			Tasks                     []string
			Refuse, Left, Made, Ended float64
			Resources                 struct{ CPUs, Mem float64 }
		}
	}
	if err := json.Unmarshal([]byte(got), &v); err != nil {
		t.Fatal(err)
	}
	switch {
	case v.Now != 1000.5 || v.Made != 2 || v.Accepted != 1 || v.Declined != 0:
		t.Errorf("counts: %s", got)
	case len(v.Held) != 1 || v.Held[0].Framework != "<marathon>" || v.Held[0].Made != 997.5 || v.Held[0].Resources.CPUs != 0.5:
		t.Errorf("held: %s", got)
	case len(v.Ended) != 1 || v.Ended[0].Outcome != "accepted" || v.Ended[0].Refuse != 5 || len(v.Ended[0].Tasks) != 1 || v.Ended[0].Ended != 1000.5:
		t.Errorf("ended: %s", got)
	case len(v.Filters) != 1 || v.Filters[0].Left != 1.5 || v.Filters[0].Resources.CPUs != 0.25:
		t.Errorf("filters: %s", got)
	}
}

// agent is an agent's answers as a RoundTripper.
type agent func(*http.Request) (*http.Response, error)

func (a agent) RoundTrip(r *http.Request) (*http.Response, error) { return a(r) }

func answer(r *http.Request, status int, kind, body string) *http.Response {
	return &http.Response{StatusCode: status, Request: r, Header: http.Header{"Content-Type": {kind}, "Set-Cookie": {"a=b"}}, Body: io.NopCloser(strings.NewReader(body))}
}

// TestAgent: what is passed on to an agent, and what comes back of it.
func TestAgent(t *testing.T) {
	var asked string
	client := &http.Client{Transport: agent(func(r *http.Request) (*http.Response, error) {
		asked = r.URL.String()
		if strings.Contains(asked, "nosuch") {
			return answer(r, 404, "text/html", "<b>not there</b>"), nil
		}
		return answer(r, 200, "text/html", "<script>1</script>"), nil
	})}
	find := func(id string) string {
		if id == "S0" {
			return "http://10.0.0.2:5051"
		}
		return ""
	}
	for _, c := range []struct {
		method, path    string
		status          int
		asked, kind, is string
	}{
		{"GET", "/webui/agent/S0/state", 200, "http://10.0.0.2:5051/state?", "application/json", "<script>"},
		{"GET", "/webui/agent/S0/files/browse?path=/tmp/mesos/a+b&jsonp=alert", 200, "http://10.0.0.2:5051/files/browse?path=%2Ftmp%2Fmesos%2Fa+b", "application/json", ""},
		{"GET", "/webui/agent/S0/files/read?path=/x&offset=-1&length=7&offset=9", 200, "http://10.0.0.2:5051/files/read?length=7&offset=-1&path=%2Fx", "application/json", ""},
		{"GET", "/webui/agent/S0/files/download?path=/x/evil.html", 200, "http://10.0.0.2:5051/files/download?path=%2Fx%2Fevil.html", "application/octet-stream", ""},
		{"GET", "/webui/agent/S0/files/read?path=/nosuch", 404, "http://10.0.0.2:5051/files/read?path=%2Fnosuch", "text/plain; charset=utf-8", "not there"},
		{"GET", "/webui/agent/S1/state", 404, "", "text/plain; charset=utf-8", "agent S1 is not registered"},
		{"GET", "/webui/agent/S0/flags", 404, "", "", ""},
		{"GET", "/webui/agent/S0/files/../state", 404, "", "", ""},
		{"GET", "/webui/agent/S0", 404, "", "", ""},
		{"POST", "/webui/agent/S0/state", 405, "", "", "GET"},
	} {
		asked = ""
		w := httptest.NewRecorder()
		Agent(w, httptest.NewRequest(c.method, c.path, nil), client, find)
		if w.Code != c.status || asked != c.asked || c.kind != "" && w.Header().Get("Content-Type") != c.kind || !strings.Contains(w.Body.String(), c.is) {
			t.Errorf("%s %s: %d %v %q, asked %q", c.method, c.path, w.Code, w.Header(), w.Body, asked)
		}
		if asked != "" && (w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Set-Cookie") != "") {
			t.Errorf("%s: headers %v", c.path, w.Header())
		}
		if d := w.Header().Get("Content-Disposition"); strings.Contains(c.path, "download") != strings.HasPrefix(d, "attachment") {
			t.Errorf("%s: %q", c.path, d)
		}
	}
}

// TestSilentAgent: an agent that does not answer is told of, and waited for
// no longer than agentPatience.
func TestSilentAgent(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		client := &http.Client{Transport: agent(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})}
		w := httptest.NewRecorder()
		start := time.Now()
		Agent(w, httptest.NewRequest("GET", "/webui/agent/S0/state", nil), client, func(string) string { return "http://10.0.0.2:5051" })
		if w.Code != 504 || !strings.Contains(w.Body.String(), "10.0.0.2:5051") || time.Since(start) != agentPatience {
			t.Errorf("after %s: %d %s", time.Since(start), w.Code, w.Body)
		}
	})
}
