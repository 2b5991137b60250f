package v1call

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/mesos/mesos-go/api/v1/lib/master"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
)

func TestAccepted(t *testing.T) {
	for accept, want := range map[string]string{
		"": JSON, "*/*": JSON, "application/json": JSON, "application/x-protobuf": Protobuf,
		"text/html, application/x-protobuf;q=0.5": Protobuf, "application/x-protobuf, application/json": JSON,
		"text/html": "", "application/json;q=0": "",
	} {
		r := httptest.NewRequest("POST", "/", nil)
		if accept != "" {
			r.Header.Set("Accept", accept)
		}
		got, err := Accepted(r)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %s %v, want %s", accept, got, err, want)
		}
	}
}

// endless is a body that never ends.
type endless struct{ fill byte }

func (e endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = e.fill
	}
	return len(p), nil
}

func read(body func() *http.Request, dst Message) (status int, text string) {
	w := httptest.NewRecorder()
	if err := Read(w, body(), dst); err != nil {
		Refuse(w, err)
		return w.Code, w.Body.String()
	}
	return http.StatusOK, ""
}

// TestHostileBodies: what is too long or too deep is refused, and costs a
// bounded amount of memory.
func TestHostileBodies(t *testing.T) {
	deep := strings.Repeat(`{"accept":`, 1<<20)
	deepArray := `{"type":` + strings.Repeat("[", 8<<20)
	protobufGroups := bytes.Repeat([]byte{0x0b}, 1<<20) // groups that begin and never end
	for _, c := range []struct {
		name, media, body string
		length            int64 // 0: not told beforehand
		status            int
		text              string
	}{
		{"told to be long", JSON, "", MaxBody + 1, 413, "The body is longer than 16777216 bytes"},
		{"without an end", JSON, "", 0, 413, "The body is longer than 16777216 bytes"},
		{"deep objects", JSON, deep, 0, 400, "Failed to parse body into JSON: syntax error at line 1 near: "},
		{"deep arrays", JSON, deepArray, 0, 400, "Failed to parse body into JSON: syntax error at line 1 near: "},
		{"groups", Protobuf, string(protobufGroups), 0, 400, "Failed to parse body into Call protobuf"},
		{"huge length", Protobuf, "\x12\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 0, 400, "Failed to parse body into Call protobuf"},
		{"not UTF-8", JSON, "{\"type\":\"\xff\xfe\"}", 0, 400, "Failed to convert JSON into Call protobuf: Failed to find enum for "},
		{"two documents", JSON, `{"type":"REVIVE"}{"type":"REVIVE"}`, 0, 400, "Failed to parse body into JSON: syntax error"},
	} {
		t.Run(c.name, func(t *testing.T) {
			request := func() *http.Request {
				r := httptest.NewRequest("POST", "/", strings.NewReader(c.body))
				if c.status == http.StatusRequestEntityTooLarge {
					r = httptest.NewRequest("POST", "/", endless{' '})
					r.ContentLength = max(c.length, -1)
					if c.length == 0 {
						r.ContentLength = -1
					}
				}
				r.Header.Set("Content-Type", c.media)
				return r
			}
			for _, dst := range []Message{new(scheduler.Call), new(master.Call)} {
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				status, text := read(request, dst)
				runtime.ReadMemStats(&after)
				if status != c.status || !strings.HasPrefix(text, c.text) {
					t.Errorf("%d %.120q, want %d %q", status, text, c.status, c.text)
				}
				if len(text) > 1000 {
					t.Errorf("an answer of %d bytes", len(text))
				}
				// Growing a buffer to 16 MiB allocates a few times that.
				if got := after.TotalAlloc - before.TotalAlloc; got > 32*MaxBody {
					t.Errorf("%d MiB were allocated for it", got>>20)
				}
			}
		})
	}
}

// FuzzRead: no bytes make the parsers panic, and what was read can be written
// again.
func FuzzRead(f *testing.F) {
	for _, s := range []string{
		`{"type":"GET_STATE"}`, `{"type":"UPDATE_WEIGHTS","update_weights":{"weight_infos":[{"role":"a","weight":2}]}}`,
		`{"type":"READ_FILE","read_file":{"path":"/x","offset":1e3,"length":4}}`,
		`{"type":"SUBSCRIBE","subscribe":{"framework_info":{"user":"r","name":"x"}}}`, `[]`, `{"type":7}`, "\x08\x12",
	} {
		f.Add([]byte(s), true)
		f.Add([]byte(s), false)
	}
	f.Fuzz(func(t *testing.T, body []byte, json bool) {
		media := JSON
		if !json {
			media = Protobuf
		}
		for _, dst := range []Message{new(scheduler.Call), new(master.Call)} {
			r := httptest.NewRequest("POST", "/", bytes.NewReader(body))
			r.Header.Set("Content-Type", media)
			if Read(httptest.NewRecorder(), r, dst) != nil {
				continue
			}
			for _, as := range []string{JSON, Protobuf} {
				if b, err := Encode(dst, as); err != nil || as == JSON && len(b) < 2 {
					t.Errorf("read, but not written as %s: %q, %v", as, b, err)
				}
			}
		}
	})
}
