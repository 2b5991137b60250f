package proxy

import (
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesoslab/lab/internal/labtest/bubble"
)

// A client that ends its side, or both, during the pauses does not end its
// request: HAProxy tells the two apart no earlier than when it answers.
func TestClientLeavesDuringRetries(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.apply(web(a))
		c := l.dial("10000")
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		time.Sleep(1500 * time.Millisecond)
		c.Close()
		time.Sleep(time.Minute)
		l.wantStat("web_10000", "10_0_0_2_31001", Stat{"wretr": "3", "econ": "1", "scur": "0"})
		l.wantStat("web_10000", "BACKEND", Stat{"hrsp_5xx": "1", "cli_abrt": "0", "scur": "0"})
		l.wantStat("web_10000", "FRONTEND", Stat{"scur": "0", "hrsp_5xx": "1"})
	})
}

// A client whose machine answers with resets ends its request; no retry is
// made for nobody.
func TestClientCrashesDuringRetries(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.apply(web(a))
		c := l.dial("10000")
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		time.Sleep(1500 * time.Millisecond)
		l.net.Crash("10.0.0.9")
		time.Sleep(time.Minute)
		l.wantStat("web_10000", "10_0_0_2_31001", Stat{"wretr": "1", "econ": "0", "scur": "0"})
		l.wantStat("web_10000", "BACKEND", Stat{"cli_abrt": "1", "scur": "0"})
		l.wantStat("web_10000", "FRONTEND", Stat{"scur": "0", "hrsp_5xx": "0"})
	})
}

// A client that ends its side after the request still gets its answer, and
// Close does not wait for it.
func TestHalfClosedClient(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.serve(a, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(10 * time.Second)
			body, _ := io.ReadAll(r.Body)
			io.WriteString(w, "got "+string(body))
		}))
		l.apply(web(a))
		ask := func(request string) io.Reader {
			c := l.dial("10000")
			io.WriteString(c, request)
			c.(interface{ CloseWrite() error }).CloseWrite()
			return c
		}
		for request, want := range map[string]string{
			"GET / HTTP/1.0\r\n\r\n": "got ", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody": "got body",
		} {
			if answer, err := io.ReadAll(ask(request)); !strings.HasSuffix(string(answer), want) {
				t.Errorf("%q: %q, %v", request, answer, err)
			}
		}
		ask("GET / HTTP/1.0\r\n\r\n")
		time.Sleep(time.Second)
		took(t, 0, l.proxy.Close)
		time.Sleep(10 * time.Second) // the server's handler
	})
}

// A client that does not get to the end of its headers is told so once; one
// that stays silent after an answer is not.
func TestLateClientIs408(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.serve(a, nil)
		l.apply(web(a))
		for _, begin := range []string{"", "GET / HTTP/1.1\r\nHost:"} {
			c := l.dial("10000")
			io.WriteString(c, begin)
			took(t, 15*time.Second, func() { // timeout http-request
				answer, err := io.ReadAll(c)
				if !strings.HasPrefix(string(answer), "HTTP/1.1 408 ") || strings.Count(string(answer), "408") != 2 {
					t.Errorf("%q: %q, %v", begin, answer, err)
				}
			})
			c.Close()
		}
		time.Sleep(time.Second)
		l.wantStat("web_10000", "FRONTEND", Stat{"ereq": "2", "hrsp_4xx": "2", "req_tot": "2", "scur": "0"})
	})
}

// A server that breaks off in the middle of an answer breaks the client's
// connection: a short answer must not look whole.
func TestTruncatedAnswer(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.serve(a, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, strings.Repeat("x", 10_000))
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}))
		l.apply(web(a))
		if status, body := l.get(); status != 0 {
			t.Errorf("got %d, %d bytes", status, len(body))
		}
		l.wantStat("web_10000", "10_0_0_2_31001", Stat{"eresp": "1", "srv_abrt": "1", "cli_abrt": "0"})
	})
}

// A server that falls silent in the middle of an answer is given up after
// the server time-out.
func TestSilentInTheMiddle(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.serve(a, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "begin")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}))
		l.apply(web(a))
		took(t, 30*time.Second, func() {
			if status, _ := l.get(); status != 0 {
				t.Errorf("got %d", status)
			}
		})
	})
}

// Nothing stays behind a request, whichever way it ended.
func TestNothingStaysBehind(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.serve(a, nil)
		l.serve(b, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
		l.apply(web(a, b, "10.0.0.4:1"))
		l.get()
		time.Sleep(time.Minute)
		synctest.Wait()
		before := runtime.NumGoroutine()
		for range 50 {
			l.get()
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if after := runtime.NumGoroutine(); after > before+5 {
			t.Errorf("%d goroutines before, %d after", before, after)
		}
		for _, row := range l.proxy.Stats() {
			if row["scur"] != "0" {
				t.Errorf("%s/%s has %s sessions", row["pxname"], row["svname"], row["scur"])
			}
		}
	})
}

// Bytes are passed on as they come, with a known length and without.
func TestPassesOnAsItComes(t *testing.T) {
	for _, length := range []string{"", "2"} {
		bubble.Test(t, func(t *testing.T) {
			l := newLab(t)
			l.serve(a, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if length != "" {
					w.Header().Set("Content-Length", length)
				}
				io.WriteString(w, "a")
				w.(http.Flusher).Flush()
				time.Sleep(5 * time.Second)
				io.WriteString(w, "b")
			}))
			l.apply(web(a))
			begin := time.Now()
			resp, err := l.do()
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if got := resp.Header.Get("Content-Length"); got != length {
				t.Errorf("Content-Length %q, want %q", got, length)
			}
			for i, want := range []string{"a", "b"} {
				var b [1]byte
				if _, err := io.ReadFull(resp.Body, b[:]); err != nil || string(b[:]) != want {
					t.Errorf("got %q, %v", b, err)
				}
				if d := time.Since(begin); d != time.Duration(i)*5*time.Second {
					t.Errorf("%s comes after %v", want, d)
				}
			}
		})
	}
}
