package proxy

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesoslab/lab/internal/labtest/bubble"
)

// What the server sees of a request, and the client of an answer.
func TestRequestToTheLetter(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLab(t)
		seen := make(chan string, 1)
		l.raw(a, func(c net.Conn, r *bufio.Reader) {
			var head strings.Builder
			for {
				line, err := r.ReadString('\n')
				if err != nil || line == "\r\n" {
					break
				}
				head.WriteString(line)
			}
			seen <- head.String()
			io.WriteString(c, "HTTP/1.1 200 Fine\r\nX-Own: 1\r\nKeep-Alive: 5\r\nConnection: keep-alive\r\n\r\nhello")
		})
		l.apply(web(a))
		c := l.dial("10000")
		io.WriteString(c, "GET //x/%2f|;a?b;c=%zz HTTP/1.1\r\nHost: Some.Host:77\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nX-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Port: 9\r\n\r\n")
		answer, _ := io.ReadAll(c)
		head := <-seen
		for _, want := range []string{" HTTP/1.1\r\n", "Host: Some.Host:77\r\n", "X-Forwarded-For: 1.2.3.4\r\n", "X-Forwarded-For: 10.0.0.9\r\n", "X-Forwarded-Port: 10000\r\n", "Connection: close\r\n"} {
			if !strings.Contains(head, want) {
				t.Errorf("server does not see %q in\n%s", want, head)
			}
		}
		for _, no := range []string{"X-Hop", "User-Agent", "Accept-Encoding", "X-Forwarded-Port: 9\r\n"} {
			if strings.Contains(head, no) {
				t.Errorf("server sees %q in\n%s", no, head)
			}
		}
		text := string(answer)
		if !strings.HasPrefix(text, "HTTP/1.1 200") || !strings.Contains(text, "X-Own: 1\r\n") || !strings.Contains(text, "hello") {
			t.Errorf("client sees %q", text)
		}
		for _, no := range []string{"Date:", "Content-Type:", "Keep-Alive"} {
			if strings.Contains(text, no) {
				t.Errorf("client sees %q in %q", no, text)
			}
		}
	})
}

func TestPathIsNotRewritten(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.serve(a, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.RequestURI) }))
		l.apply(web(a))
		for _, uri := range []string{"/", "/a%2Fb?x=1;2&y", "/a|b/../c", "/?", "/ü", "/a?b?c"} {
			c := l.dial("10000")
			fmt.Fprintf(c, "GET %s HTTP/1.0\r\n\r\n", uri)
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			if body, _ := io.ReadAll(resp.Body); string(body) != uri {
				t.Errorf("%q arrives as %q", uri, body)
			}
			c.Close()
		}
	})
}

// Several requests of one connection go to several servers.
func TestKeepAliveClient(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLab(t)
		x, y := l.serve(a, nil), l.serve(b, nil)
		l.apply(web(a, b))
		c := l.dial("10000")
		r := bufio.NewReader(c)
		for range 4 {
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
		}
		if x.requests.Load() != 2 || y.requests.Load() != 2 {
			t.Errorf("%d and %d", x.requests.Load(), y.requests.Load())
		}
		took(t, time.Second, func() { // timeout http-keep-alive
			if _, err := r.ReadByte(); err != io.EOF {
				t.Error(err)
			}
		})
		l.wantStat("web_10000", "FRONTEND", Stat{"stot": "1", "req_tot": "4", "hrsp_2xx": "4"})
		l.wantStat("web_10000", "BACKEND", Stat{"stot": "4", "lbtot": "4", "hrsp_2xx": "4"})
	})
}

func TestSlowClientIs408(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.serve(a, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }))
		l.apply(web(a))
		c := l.dial("10000")
		io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
		took(t, 30*time.Second, func() {
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil || resp.StatusCode != http.StatusRequestTimeout {
				t.Errorf("%v, %v", resp, err)
			}
			io.Copy(io.Discard, c) // the connection ends by that, too
		})
		c.Close()
	})
}

func TestBodyBothWays(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.serve(a, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }))
		l.apply(web(a))
		h := l.net.Host("10.0.0.9")
		client := &http.Transport{DialContext: h.Dial, DisableKeepAlives: true}
		big := strings.Repeat("0123456789", 100_000)
		req, _ := http.NewRequest("POST", "http://10.0.0.1:10000/", struct{ io.Reader }{strings.NewReader(big)})
		resp, err := client.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(resp.Body); string(got) != big {
			t.Errorf("%d bytes of %d, %v", len(got), len(big), err)
		}
	})
}

func TestUpgrade(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.raw(a, func(c net.Conn, r *bufio.Reader) {
			if _, err := http.ReadRequest(r); err != nil {
				t.Error(err)
			}
			io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
			io.Copy(c, r)
		})
		l.apply(web(a))
		c := l.dial("10000")
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
		r := bufio.NewReader(c)
		resp, err := http.ReadResponse(r, nil)
		if err != nil || resp.StatusCode != 101 {
			t.Fatalf("%v, %v", resp, err)
		}
		time.Sleep(time.Minute)
		io.WriteString(c, "ping\n")
		if line, _ := r.ReadString('\n'); line != "ping\n" {
			t.Errorf("got %q", line)
		}
	})
}

func TestStickyCookie(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLab(t)
		echo := func(addr string) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				fmt.Fprintf(w, "%s [%s]", addr, r.Header.Get("Cookie"))
			})
		}
		l.serve(a, echo(a))
		l.serve(b, echo(b))
		c := web(a, b)
		c.Backends[0].Cookie = "sid"
		c.Backends[0].Servers[0].Cookie, c.Backends[0].Servers[1].Cookie = "aaa", "bbb"
		l.apply(c)
		resp, err := l.do()
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := resp.Header.Get("Set-Cookie"); got != "sid=aaa; path=/" || resp.Header.Get("Cache-Control") != "private" {
			t.Errorf("Set-Cookie %q", got)
		}
		for range 3 {
			resp, err := l.do("Cookie", "x=1; sid=bbb; y=2")
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			if string(body) != b+" [x=1; y=2]" || resp.Header.Get("Set-Cookie") != "" {
				t.Errorf("got %q, %v", body, resp.Header)
			}
		}
		c = web(a)
		c.Backends[0].Cookie, c.Backends[0].Servers[0].Cookie = "sid", "aaa"
		l.apply(c)
		resp, err = l.do("Cookie", "sid=bbb")
		if err != nil || resp.Header.Get("Set-Cookie") != "sid=aaa; path=/" {
			t.Errorf("after its server left: %v, %v", resp, err)
		}
		resp.Body.Close()
	})
}

func TestRules(t *testing.T) {
	rule := func(host, path, app string) Rule {
		r := Rule{Path: path, AppID: app}
		if host != "" {
			r.Hosts = strings.Split(host, ",")
		}
		return r
	}
	r, _ := http.NewRequest("GET", "http://a.example/foo/bar", nil)
	r.Header.Set("X-Marathon-App-Id", "/Nginx")
	for _, c := range []struct {
		rule Rule
		want bool
	}{
		{rule("", "", ""), true}, {rule("A.example", "", ""), true}, {rule("b.example,a.example", "/foo", ""), true},
		{rule("b.example", "", ""), false}, {rule("a.example", "/bar", ""), false}, {rule("", "", "/nginx"), true}, {rule("", "", "/other"), false},
	} {
		if got := c.rule.matches(r); got != c.want {
			t.Errorf("%+v: %v", c.rule, got)
		}
	}
}

func TestLeastConn(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLab(t)
		release := make(chan struct{})
		l.serve(a, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
		y := l.serve(b, nil)
		c := web(a, b)
		c.Backends[0].Balance = LeastConn
		l.apply(c)
		go l.get()
		synctest.Wait()
		for range 5 {
			l.get()
			synctest.Wait() // the session has ended, too
		}
		if n := y.requests.Load(); n != 5 {
			t.Errorf("%d requests at the idle server", n)
		}
		close(release)
		synctest.Wait()
	})
}

func TestCSV(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		l := newLab(t)
		l.serve(a, nil)
		l.apply(web(a))
		l.get()
		var w strings.Builder
		if err := WriteCSV(&w, l.proxy.Stats()); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(w.String(), "# pxname,svname,qcur,") {
			t.Errorf("head %q", w.String()[:40])
		}
		rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(w.String(), "# "))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) != 4 || len(rows[0]) != 63 {
			t.Fatalf("%d rows, %d columns", len(rows), len(rows[0]))
		}
		for i, want := range []string{"svname", "FRONTEND", "10_0_0_2_31001", "BACKEND"} {
			if rows[i][1] != want {
				t.Errorf("row %d is %q, want %q", i, rows[i][1], want)
			}
		}
	})
}
