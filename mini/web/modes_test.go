package web

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
	"github.com/mesoslab/lab/mini"
)

// TestModesByTime asks modes that change with the time since the start.
func TestModesByTime(t *testing.T) {
	for _, c := range []struct {
		name    string
		environ []string
		at      []time.Duration // since the start, in order
		want    []int           // of / and of /healthz alike
	}{
		{"good", nil, []time.Duration{0, time.Hour}, []int{200, 200}},
		{"slow starter", []string{"LAB_WEB_START=10s"}, []time.Duration{0, 9 * time.Second, 10 * time.Second}, []int{503, 503, 200}},
		{"zombie", []string{"LAB_WEB_SICK_AFTER=5s"}, []time.Duration{0, 4 * time.Second, 5 * time.Second, time.Hour}, []int{200, 200, 500, 500}},
		{"bad from the start", []string{"LAB_WEB_SICK_AFTER=0s"}, []time.Duration{0}, []int{500}},
		{"both", []string{"LAB_WEB_START=2s", "LAB_WEB_SICK_AFTER=4s"}, []time.Duration{0, 2 * time.Second, 4 * time.Second}, []int{503, 200, 500}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
				begin := time.Now()
				r := start(t, append(slices.Clone(marathon), c.environ...))
				for i, at := range c.at {
					time.Sleep(time.Until(begin.Add(at)))
					for _, path := range []string{"/", "/healthz"} {
						resp, body := r.get(path)
						if resp.StatusCode != c.want[i] || resp.Header.Get("X-Lab-Task") != "nginx.1" {
							t.Errorf("%v after the start %s answers %d, %q; want %d", at, path, resp.StatusCode, body, c.want[i])
						}
					}
				}
			})
		})
	}
}

func TestRelease(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := start(t, []string{"LAB_WEB_RELEASE=v2", "LAB_WEB_DELAY=3s"})
		begin := time.Now()
		resp, body := r.get("/?format=json")
		if resp.Header.Get("X-Lab-Release") != "v2" || !strings.Contains(body, `"release":"v2"`) || time.Since(begin) != 3*time.Second {
			t.Errorf("%v %s after %v", resp.Header, body, time.Since(begin))
		}
		if resp, _ := r.get("/healthz"); resp.StatusCode != 200 || time.Since(begin) != 3*time.Second {
			t.Errorf("/healthz is slow, too: %v", time.Since(begin))
		}
	})
}

// TestFlapper ends by itself, and drops who is being served.
func TestFlapper(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		n := labtest.NewNetwork()
		h := n.Host("10.0.0.2")
		begin, said := time.Now(), &bytes.Buffer{}
		dropped := make(chan error, 1)
		go func() {
			time.Sleep(time.Second)
			resp, err := (&http.Client{Transport: &http.Transport{DialContext: n.Host("10.0.0.1").Dial}}).Get("http://10.0.0.2/")
			if err == nil {
				resp.Body.Close()
			}
			dropped <- err
		}()
		env := mini.Env{Environ: []string{"LAB_WEB_CRASH_AFTER=3s", "LAB_WEB_DELAY=1h"}, Listen: h.Listen, Dial: h.Dial, Stdout: io.Discard, Stderr: said}
		if code := Run(t.Context(), env); code != 1 || time.Since(begin) != 3*time.Second || !strings.Contains(said.String(), "LAB_WEB_CRASH_AFTER") {
			t.Errorf("exit %d after %v: %s", code, time.Since(begin), said)
		}
		if err := <-dropped; err == nil {
			t.Error("a request under way has been answered")
		}
	})
}

// TestCounterOutlivesTheProcess starts anew on the same folder, and on another.
func TestCounterOutlivesTheProcess(t *testing.T) {
	old, other := t.TempDir(), t.TempDir()
	for _, c := range []struct {
		root string
		want []string
	}{{old, []string{"1", "2", "3"}}, {old, []string{"4"}}, {other, []string{"1"}}, {old, []string{"5"}}} {
		bubble.Test(t, func(t *testing.T) {
			r := startIn(t, c.root, []string{"LAB_WEB_COUNTER=/data/count"})
			for _, want := range c.want {
				if resp, body := r.get("/"); resp.Header.Get("X-Lab-Count") != want || !strings.Contains(body, "count "+want) {
					t.Errorf("%v, %q; want %s", resp.Header, body, want)
				}
			}
		})
	}
	if text, err := os.ReadFile(filepath.Join(old, "data/count")); err != nil || string(text) != "5\n" {
		t.Errorf("file %q, %v", text, err)
	}
	if err := os.WriteFile(filepath.Join(old, "data/count"), []byte("many"), 0o644); err != nil {
		t.Fatal(err)
	}
	h, said := labtest.NewNetwork().Host("10.0.0.2"), &bytes.Buffer{}
	env := mini.Env{Root: old, Environ: []string{"LAB_WEB_COUNTER=/data/count"}, Listen: h.Listen, Dial: h.Dial, Stdout: io.Discard, Stderr: said}
	if code := Run(t.Context(), env); code != 1 || !strings.Contains(said.String(), "many") {
		t.Errorf("a broken counter: exit %d, %s", code, said)
	}
}

func TestJob(t *testing.T) {
	for _, c := range []struct {
		until time.Duration
		code  int
		last  string
	}{{time.Hour, 0, "job: 100 %"}, {35 * time.Second, 143, "job: told to end, unfinished"}} {
		bubble.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), c.until)
			defer cancel()
			out := &bytes.Buffer{}
			code := Run(ctx, mini.Env{Environ: []string{"LAB_WEB_JOB=100s"}, Stdout: out, Stderr: t.Output()})
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			if code != c.code || lines[len(lines)-1] != c.last {
				t.Errorf("exit %d, %q", code, lines)
			}
		})
	}
}

func TestMemoryHog(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		begin, said := time.Now(), make(chan string, 10)
		done := make(chan bool)
		go func() { fill(ctx, 50<<20, lines(said)); close(done) }()
		if text, took := <-said, time.Since(begin); text != "web: holds 50 MiB\n" || took != fillSteps*fillEvery {
			t.Errorf("said %q after %v, want it after %v", text, took, fillSteps*fillEvery)
		}
		cancel()
		<-done
	})
}

// lines takes what is written, write by write.
type lines chan<- string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}
