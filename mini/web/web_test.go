package web

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
	"github.com/mesoslab/lab/mini"
)

// running is a web program at 10.0.0.2.
type running struct {
	t      *testing.T
	net    *labtest.Network
	out    *bytes.Buffer // read it after stop
	cancel func()
	stop   func() int
}

// start must be called in a bubble.
func start(t *testing.T, environ []string, args ...string) *running {
	t.Helper()
	return startIn(t, "", environ, args...)
}

// startIn is start with a folder that stands for the container's root.
func startIn(t *testing.T, root string, environ []string, args ...string) *running {
	t.Helper()
	n := labtest.NewNetwork()
	h := n.Host("10.0.0.2")
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{t: t, net: n, out: &bytes.Buffer{}, cancel: cancel}
	code := make(chan int, 1)
	env := mini.Env{Args: args, Environ: environ, Root: root, Hostname: "node2", Listen: h.Listen, Dial: h.Dial, Stdout: r.out, Stderr: t.Output()}
	go func() { code <- Run(ctx, env) }()
	r.stop = sync.OnceValue(func() int { cancel(); return <-code })
	t.Cleanup(func() { r.stop() })
	synctest.Wait()
	return r
}

func (r *running) get(target string, header ...string) (*http.Response, string) {
	r.t.Helper()
	req, err := http.NewRequest("GET", "http://10.0.0.2"+target, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := (&http.Transport{DialContext: r.net.Host("10.0.0.1").Dial, DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp, string(body)
}

var marathon = []string{
	"HOST=192.168.59.2", "HOSTNAME=0123456789ab", "MESOS_CONTAINER_NAME=mesos-a.b", "MESOS_TASK_ID=nginx.1",
	"MARATHON_APP_ID=/nginx", "MARATHON_APP_VERSION=2016-02-01T22:57:48.784Z",
}

func TestSaysWhoAnswers(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := start(t, marathon, "nginx", "-g", "daemon off;")
		resp, body := r.get("/any/path?x=1", "Accept", "*/*")
		want := "lab-web on 192.168.59.2, container mesos-a.b, task nginx.1, app /nginx, version 2016-02-01T22:57:48.784Z, started 2000-01-01T00:00:00Z, request 1\n"
		if body != want {
			t.Errorf("got  %q\nwant %q", body, want)
		}
		for name, value := range map[string]string{"Server": "lab-web", "X-Lab-Machine": "192.168.59.2", "X-Lab-Container": "mesos-a.b",
			"X-Lab-Task": "nginx.1", "X-Lab-Version": "2016-02-01T22:57:48.784Z"} {
			if resp.Header.Get(name) != value {
				t.Errorf("%s: %q, want %q", name, resp.Header.Get(name), value)
			}
		}
		for _, ask := range [][]string{{"/?format=json"}, {"/", "Accept", "application/json"}} {
			_, body := r.get(ask[0], ask[1:]...)
			var p map[string]any
			if err := json.Unmarshal([]byte(body), &p); err != nil || p["task"] != "nginx.1" || p["machine"] != "192.168.59.2" || p["requests"].(float64) < 2 {
				t.Errorf("%v: %q, %v", ask, body, err)
			}
		}
		resp, body = r.get("/", "Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
		if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") || !strings.Contains(body, "Answered by 192.168.59.2") || !strings.Contains(body, "<dd>4</dd>") {
			t.Errorf("page: %s", body)
		}
		if resp, body := r.get("/healthz"); resp.StatusCode != 200 || body != "ok\n" {
			t.Errorf("healthz: %q", body)
		}
	})
}

func TestWithoutMarathon(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := start(t, []string{"HOSTNAME=0123456789ab"})
		resp, body := r.get("/")
		if !strings.HasPrefix(body, "lab-web on node2, container 0123456789ab, started") || resp.Header["X-Lab-Task"] != nil {
			t.Errorf("got %q, %v", body, resp.Header)
		}
	})
}

func TestAccessLog(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := start(t, nil, "web", "--port", "8000")
		_, body := r.get(":8000/a?b", "User-Agent", `x"y\`, "Referer", "http://z/")
		r.stop()
		want := regexp.MustCompile(`^10\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "GET /a\?b HTTP/1\.1" 200 (\d+) "http://z/" "x\\x22y\\x5C"\n$`)
		m := want.FindStringSubmatch(r.out.String())
		if m == nil {
			t.Fatalf("log %q", r.out)
		}
		if m[1] != strconv.Itoa(len(body)) {
			t.Errorf("%s bytes logged of %d", m[1], len(body))
		}
	})
}

// The end of the context lets a request under way end and takes no new one.
func TestEndsGracefully(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := start(t, []string{"LAB_WEB_DELAY=5s"})
		var done sync.WaitGroup
		begin := time.Now()
		done.Go(func() {
			if resp, _ := r.get("/"); resp.StatusCode != 200 || time.Since(begin) != 5*time.Second {
				t.Errorf("%d after %v", resp.StatusCode, time.Since(begin))
			}
		})
		time.Sleep(time.Second)
		r.cancel()
		synctest.Wait()
		if _, err := r.net.Host("10.0.0.1").Dial(t.Context(), "tcp", "10.0.0.2:80"); err == nil {
			t.Error("the port is still open")
		}
		done.Wait()
		if code := r.stop(); code != 0 {
			t.Errorf("exit %d", code)
		}
	})
}

// A client that goes during the delay is logged as nginx does.
func TestClientGone(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := start(t, []string{"LAB_WEB_DELAY=1h"})
		c, err := r.net.Host("10.0.0.1").Dial(t.Context(), "tcp", "10.0.0.2:80")
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		synctest.Wait()
		c.Close()
		synctest.Wait()
		r.stop()
		if !strings.Contains(r.out.String(), `" 499 0 "`) {
			t.Errorf("log %q", r.out)
		}
	})
}

func TestWrongUse(t *testing.T) {
	for _, c := range []struct {
		environ []string
		args    []string
	}{
		{nil, []string{"apache"}}, {nil, []string{"web", "--port", "99999"}}, {nil, []string{"web", "-g", "x"}},
		{[]string{"LAB_WEB_DELAY=soon"}, nil}, {[]string{"LAB_WEB_DELAY=-1s"}, nil},
		{[]string{"LAB_WEB_START=3"}, nil}, {[]string{"LAB_WEB_CRASH_AFTER=x"}, nil}, {[]string{"LAB_WEB_SICK_AFTER=soon"}, nil},
		{[]string{"LAB_WEB_JOB=-1s"}, nil}, {[]string{"LAB_WEB_COUNTER=count"}, nil}, {[]string{"LAB_WEB_RELEASE=v 2"}, nil},
		{[]string{"LAB_WEB_MEMORY=64"}, nil}, {[]string{"LAB_WEB_MEMORY=0MiB"}, nil}, {[]string{"LAB_WEB_MEMORY=99999MiB"}, nil},
	} {
		var said bytes.Buffer
		h := labtest.NewNetwork().Host("10.0.0.2")
		env := mini.Env{Args: c.args, Environ: c.environ, Listen: h.Listen, Dial: h.Dial, Stdout: io.Discard, Stderr: &said}
		if code := Run(t.Context(), env); code != 2 || said.Len() == 0 {
			t.Errorf("%v %v: exit %d, %q", c.environ, c.args, code, &said)
		}
	}
}

func TestTakenPort(t *testing.T) {
	h := labtest.NewNetwork().Host("10.0.0.2")
	l, err := h.Listen(t.Context(), "tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	env := mini.Env{Listen: h.Listen, Dial: h.Dial, Stdout: io.Discard, Stderr: io.Discard}
	if code := Run(t.Context(), env); code != 1 {
		t.Errorf("exit %d", code)
	}
}

func FuzzEscape(f *testing.F) {
	f.Add("GET /\" \\ \n\x00é")
	f.Fuzz(func(t *testing.T, s string) {
		out := escape(s)
		for i := range len(out) {
			if c := out[i]; c < ' ' || c > '~' || c == '"' {
				t.Fatalf("%q: %q", s, out)
			}
		}
	})
}
