package marathon

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	client "github.com/gambol99/go-marathon"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/mini"
)

// TestAnAppLargerThanAZnodeIsRefused: 3 MiB that no gzip makes smaller. What
// was there stays, and the leader leads on.
func TestAnAppLargerThanAZnodeIsRefused(t *testing.T) {
	noise := make([]byte, 3<<20)
	_, _ = rand.Read(noise)
	inWorld(t, func(t *testing.T, w *world) {
		m := w.marathon(firstHost)
		w.up(firstHost)
		w.call("POST", firstHost, "/v2/apps", nginx)
		before := w.running(firstHost, 2)
		body := fmt.Sprintf(`{"id":"large","cmd":"x","cpus":0.1,"mem":32,"env":{"A":%q}}`, base64.StdEncoding.EncodeToString(noise))
		status, v, _ := w.call("POST", firstHost, "/v2/apps", body)
		if b, _ := json.Marshal(v); status != 422 || !strings.Contains(string(b), "maximum ZK node size (1024000 bytes)") {
			t.Errorf("%d %.300s", status, b)
		}
		if status, _, _ := w.call("GET", firstHost, "/v2/apps/large", ""); status != 404 {
			t.Errorf("the large app is there: %d", status)
		}
		if status, v, _ := w.call("PUT", firstHost, "/v2/apps/nginx", `{"instances":3}`); status != 200 {
			t.Errorf("a change after it: %d %v", status, v)
		}
		w.running(firstHost, len(before)+1)
		if n := strings.Count(m.out.String(), "elected as leader"); n != 1 {
			t.Errorf("elected %d times:\n%s", n, m.out)
		}
	})
}

// TestStandbyNamesItselfWhenItPassesOn: X-Marathon-Via on the way and back,
// X-Marathon-Leader from the leader, 502 for a loop and for a leader that
// refuses, 504 for one that is silent (contracts 1 and 4).
func TestStandbyNamesItselfWhenItPassesOn(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.marathon(firstHost)
		w.up(firstHost)
		w.marathon(secondHost, "--leader_proxy_read_timeout", "3000")
		w.up(secondHost)
		for host, via := range map[string]string{firstHost: "", secondHost: "1.1 " + secondHost + ":8080"} {
			for _, path := range []string{"/v2/apps", "/ping", "/v2/leader", "/metrics", "/v2/nothing"} {
				_, _, h := w.call("GET", host, path, "")
				if h.Get("X-Marathon-Leader") != "http://"+firstHost+":8080" || h.Get("X-Marathon-Via") != via {
					t.Errorf("%s of %s: leader %q, via %q", path, host, h.Get("X-Marathon-Leader"), h.Get("X-Marathon-Via"))
				}
			}
		}
		if status, text := w.raw(secondHost, http.Header{"X-Marathon-Via": {"1.1 other:8080", "1.1 " + secondHost + ":8080"}}); status != 502 || !strings.Contains(text, "Detected proxying loop.") {
			t.Errorf("a loop: %d %s", status, text)
		}
		w.net.Cut(firstHost) // silent: neither answers nor refuses
		start := time.Now()
		status, text := w.raw(secondHost, nil)
		if status != 504 && status != 502 || time.Since(start) > 9*time.Second || !strings.Contains(text, "Connection to leader") {
			t.Errorf("a silent leader: %d %s after %v", status, text, time.Since(start))
		}
		w.net.Mend(firstHost)
	})
}

// raw asks with headers of one's own and returns the body as it is.
func (w *world) raw(host string, h http.Header) (int, string) {
	w.t.Helper()
	client := mini.Env{Dial: w.net.Host("10.0.0.99").Dial}.HTTPClient()
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(w.t.Context(), "GET", "http://"+net.JoinHostPort(host, "8080")+"/v2/apps", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for k, v := range h {
		req.Header[k] = v
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	var b strings.Builder
	buf := make([]byte, 1024)
	for {
		n, err := res.Body.Read(buf)
		b.Write(buf[:n])
		if err != nil {
			return res.StatusCode, b.String()
		}
	}
}

// TestCredentialsGoThroughTheStandby: both ask for them, and what the client
// sent reaches the leader.
func TestCredentialsGoThroughTheStandby(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		for _, host := range []string{firstHost, secondHost} {
			w.marathon(host, "--http_credentials", "lab:secret", "--http_realm", "The lab")
			w.await("the port", func() bool { s, _, _ := w.call("GET", host, "/ping", ""); return s == 401 })
		}
		auth := http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte("lab:secret"))}}
		for _, host := range []string{firstHost, secondHost} {
			w.await("an answer of "+host, func() bool { s, _ := w.raw(host, auth); return s == 200 })
			cfg := client.NewDefaultConfig()
			cfg.URL, cfg.HTTPClient = "http://"+host+":8080", mini.Env{Dial: w.net.Host("10.0.0.97").Dial}.HTTPClient()
			cfg.HTTPBasicAuthUser, cfg.HTTPBasicPassword = "lab", "secret"
			apps := must[*client.Applications](t, "apps")(must[client.Marathon](t, "client")(client.NewClient(cfg)).Applications(nil))
			cfg.HTTPClient.CloseIdleConnections()
			if len(apps.Apps) != 0 {
				t.Errorf("apps %v", apps)
			}
			status, v, h := w.call("POST", host, "/v2/apps", nginx)
			if status != 401 || h.Get("WWW-Authenticate") != `basic realm="The lab"` || v["text"] == nil {
				t.Errorf("%s without: %d %v %v", host, status, v, h)
			}
		}
		if n := len(w.twin.Tasks()); n != 0 {
			t.Errorf("%d tasks run", n)
		}
	})
}

// TestInfoHasTheKeysOf111: every key of the documented /v2/info that this
// Marathon fills from its flags.
func TestInfoHasTheKeysOf111(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(labtest.Contracts(t), "marathon", "rest-api-v1.1.1", "v2", "examples", "info.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]map[string]any
	var raw map[string]any
	if err := json.Unmarshal(b, &raw); err != nil {
		t.Fatal(err)
	}
	want = map[string]map[string]any{}
	for k, v := range raw {
		if m, ok := v.(map[string]any); ok {
			want[k] = m
		}
	}
	inWorld(t, func(t *testing.T, w *world) {
		w.marathon(firstHost)
		w.up(firstHost)
		_, got, _ := w.call("GET", firstHost, "/v2/info", "")
		for section, keys := range want {
			have, _ := got[section].(map[string]any)
			for k, v := range keys {
				x, ok := have[k]
				if !ok || v != nil && x != nil && fmt.Sprintf("%T", x) != fmt.Sprintf("%T", v) {
					t.Errorf("%s/%s is %v (%v), in the documents %v", section, k, x, ok, v)
				}
			}
		}
		if len(want) != 3 {
			t.Errorf("%d sections", len(want))
		}
	})
}
