package master

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/mesoslab/lab/internal/labtest/bubble"
)

// TestRefusals: status codes and texts of the scheduler API and /teardown as
// measured on Mesos 1.3.2 (captures-mesos, v1sched-A-main).
func TestRefusals(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.master(masterIP, nil)
		s := r.scheduler(framework("f"))
		gone := r.scheduler(framework("gone"))
		gone.stop()
		<-gone.done
		synctest.Wait()
		id := `"framework_id":{"value":"` + s.id + `"}`
		revive := `{"type":"REVIVE",` + id + `}`
		const api, validate = "/api/v1/scheduler", "Failed to validate scheduler::Call: "
		type header map[string]string
		stream := header{"Mesos-Stream-Id": "11111111-2222-3333-4444-555555555555"}
		for _, c := range []struct {
			name, method, path, body string
			header                   header
			status                   int
			text                     string
		}{
			{"bad JSON", "POST", api, "{bad json", nil, 400, "Failed to parse body into JSON: syntax error at line 1 near: bad json"},
			{"empty body", "POST", api, "", nil, 400, "Failed to parse body into JSON: syntax error at line 1 near: "},
			{"empty object", "POST", api, "{}", nil, 400, validate + "Expecting 'type' to be present"},
			{"unknown type", "POST", api, `{"type":"NOPE"}`, nil, 400, "Failed to convert JSON into Call protobuf: Failed to find enum for 'NOPE'"},
			{"call of 1.9", "POST", api, `{"type":"UPDATE_FRAMEWORK",` + id + `}`, nil, 400, "Failed to convert JSON into Call protobuf: Failed to find enum for 'UPDATE_FRAMEWORK'"},
			{"no framework id", "POST", api, `{"type":"ACCEPT"}`, nil, 400, validate + "Expecting 'framework_id' to be present"},
			{"no accept", "POST", api, `{"type":"ACCEPT",` + id + `}`, nil, 400, validate + "Expecting 'accept' to be present"},
			{"no stream id", "POST", api, revive, nil, 400, "All non-subscribe calls should include the 'Mesos-Stream-Id' header"},
			{"wrong stream id", "POST", api, revive, stream, 400, "The stream ID '11111111-2222-3333-4444-555555555555' included in this request didn't match the stream ID currently associated with framework ID " + s.id},
			{"unknown framework", "POST", api, `{"type":"REVIVE","framework_id":{"value":"no"}}`, nil, 400, "Framework cannot be found"},
			{"disconnected framework", "POST", api, strings.ReplaceAll(revive, s.id, gone.id), stream, 403, "Framework is not subscribed"},
			{"no subscribe", "POST", api, `{"type":"SUBSCRIBE"}`, nil, 400, validate + "Expecting 'subscribe' to be present"},
			{"no user", "POST", api, `{"type":"SUBSCRIBE","subscribe":{"framework_info":{"name":"x"}}}`, nil, 400, "Failed to convert JSON into Call protobuf: Missing required fields: subscribe.framework_info.user"},
			{"subscribe with stream id", "POST", api, `{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"r","name":"x"}}}`, stream, 400, "Subscribe calls should not include the 'Mesos-Stream-Id' header"},
			{"two ids", "POST", api, `{"type":"SUBSCRIBE","framework_id":{"value":"aa"},"subscribe":{"framework_info":{"user":"r","name":"x","id":{"value":"bb"}}}}`, nil, 400, validate + "'framework_id' differs from 'subscribe.framework_info.id'"},
			{"wrong content type", "POST", api, revive, header{"Content-Type": "text/plain"}, 415, "Expecting 'Content-Type' of application/json or application/x-protobuf"},
			{"no content type", "POST", api, revive, header{"Content-Type": ""}, 400, "Expecting 'Content-Type' to be present"},
			{"wrong accept", "POST", api, `{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"r","name":"x"}}}`, header{"Accept": "text/html"}, 406, "Expecting 'Accept' to allow 'application/x-protobuf' or 'application/json'"},
			{"no protobuf", "POST", api, revive, header{"Content-Type": "application/x-protobuf"}, 400, "Failed to parse body into Call protobuf"},
			{"GET", "GET", api, "", nil, 405, "Expecting one of { 'POST' }, but received 'GET'"},
			{"PUT", "PUT", api, "{}", nil, 405, "Expecting one of { 'POST' }, but received 'PUT'"},
			{"under master", "PUT", "/master" + api, "{}", nil, 405, "Expecting one of { 'POST' }, but received 'PUT'"},
			{"unknown version", "POST", "/api/v2/scheduler", revive, nil, 404, ""},
			{"unknown path", "GET", "/master/nosuch", "", nil, 404, ""},
			{"unknown process", "GET", "/nosuch/x", "", nil, 404, ""},
			{"stats.json", "GET", "/stats.json", "", nil, 404, ""},
			{"teardown without id", "POST", "/master/teardown", "", nil, 400, "Missing 'frameworkId' query parameter in the request body"},
			{"teardown of nobody", "POST", "/teardown", "frameworkId=nosuch", nil, 400, "No framework found with specified ID"},
			{"GET teardown", "GET", "/teardown", "", nil, 405, "Expecting one of { 'POST' }, but received 'GET'"},
			{"health", "HEAD", "/master/health", "", nil, 200, ""},
			{"health", "GET", "/health", "", nil, 200, ""},
		} {
			resp, text := r.do(c.method, c.path, c.body, c.header)
			if resp.StatusCode != c.status || text != c.text {
				t.Errorf("%s: %d %q\nwant %d %q", c.name, resp.StatusCode, text, c.status, c.text)
			}
			if c.status == 405 && resp.Header.Get("Allow") != "POST" {
				t.Errorf("%s: Allow %q", c.name, resp.Header.Get("Allow"))
			}
		}
		if resp, _ := r.do("POST", "/master/teardown", "frameworkId="+s.id, nil); resp.StatusCode != 200 {
			t.Errorf("teardown: %d", resp.StatusCode)
		}
		<-s.done
		for _, method := range []string{"GET", "HEAD", "OPTIONS", "POST", "DELETE"} {
			if resp, _ := r.do(method, "/master/state", "", nil); resp.StatusCode != 200 {
				t.Errorf("%s /master/state: %d", method, resp.StatusCode)
			}
		}
	})
}

func (r *rig) do(method, path, body string, header map[string]string) (*http.Response, string) {
	r.t.Helper()
	return r.at(masterAddr, method, path, body, header)
}

// at makes a request and follows no redirect.
func (r *rig) at(addr, method, path, body string, header map[string]string) (*http.Response, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.ctx, method, "http://"+addr+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	for k, v := range header {
		if v == "" {
			req.Header.Del(k)
		} else {
			req.Header.Set(k, v)
		}
	}
	client := r.client("10.0.9.9")
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp, string(b)
}

// TestGuard: a web page of somebody else gets nothing.
func TestGuard(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.master(masterIP, nil)
		if resp, _ := r.do("POST", "/teardown", "frameworkId=x", map[string]string{"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}); resp.StatusCode != 403 {
			t.Errorf("foreign origin: %d", resp.StatusCode)
		}
		req, _ := http.NewRequestWithContext(r.ctx, "GET", "http://"+masterAddr+"/state", nil)
		req.Host = "evil.example:5050"
		resp, err := r.client("10.0.9.9").Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 403 {
			t.Errorf("foreign host: %d", resp.StatusCode)
		}
	})
}

func TestWebPage(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.master(masterIP, nil, "--cluster=<b>lab</b>")
		resp, body := r.get(masterAddr, "/")
		page := string(body)
		if resp.StatusCode != 200 || !strings.Contains(page, "&lt;b&gt;lab") || strings.Contains(page, "<b>lab</b>") {
			t.Errorf("page: %d %s", resp.StatusCode, page)
		}
		if csp := resp.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") {
			t.Errorf("Content-Security-Policy: %s", csp)
		}
		for path, ct := range map[string]string{"/webui/mesos.js": "javascript", "/webui/page.js": "javascript", "/webui/mesos.css": "css", "/webui/offers": "json"} {
			resp, body := r.get(masterAddr, path)
			if resp.StatusCode != 200 || !strings.Contains(resp.Header.Get("Content-Type"), ct) || len(body) == 0 {
				t.Errorf("%s: %d %s", path, resp.StatusCode, resp.Header.Get("Content-Type"))
			}
		}
	})
}
