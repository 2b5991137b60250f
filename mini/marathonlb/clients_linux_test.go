package marathonlb

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// clients are trials of what clients do with their connections.
func clients() []trial {
	return []trial{
		{name: "keep-alive", servers: []string{"ok", "ok"}, run: keepAlive},
		{name: "idle", servers: []string{"ok"}, run: idle},
		{name: "half a request", servers: []string{"ok"}, run: halfRequest},
		{name: "client leaves during retries", servers: []string{"refuse"}, run: func(w *twin, note noter) {
			c, _ := w.dial()
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			w.until("the request has begun", func() bool { return w.rows()["web_10000/BACKEND"]["stot"] == "1" })
			c.Close()
		}},
		{name: "client resets during retries", servers: []string{"refuse"}, run: func(w *twin, note noter) {
			c, _ := w.dial()
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			w.until("the request has begun", func() bool { return w.rows()["web_10000/BACKEND"]["stot"] == "1" })
			_ = c.SetLinger(0)
			c.Close()
		}, theirs: []string{
			"web_10000/101_31001 stot=4", "web_10000/101_31001 econ=1", "web_10000/101_31001 wretr=3", "web_10000/101_31001 cli_abrt=1",
			"web_10000/BACKEND econ=1", "web_10000/BACKEND wretr=3", "web_10000/BACKEND hrsp_5xx=1", "web_10000/FRONTEND hrsp_5xx=1",
		}, ours: []string{
			"web_10000/101_31001 stot=1", "web_10000/101_31001 econ=0", "web_10000/101_31001 wretr=0", "web_10000/101_31001 cli_abrt=0",
			"web_10000/BACKEND econ=0", "web_10000/BACKEND wretr=0", "web_10000/BACKEND hrsp_5xx=0", "web_10000/FRONTEND hrsp_5xx=0",
		}},
		{name: "client leaves a slow answer", servers: []string{"slow"}, run: func(w *twin, note noter) {
			c, _ := w.dial()
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			w.until("the server was asked", func() bool { return len(w.asked.list()) == 1 })
			c.Close()
		}},
		{name: "a body in pieces", servers: []string{"ok"}, run: func(w *twin, note noter) {
			c, r := w.dial()
			io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n")
			io.WriteString(c, "3\r\nllo\r\n0\r\n\r\n")
			note("%s", statusAndRest(r))
		}},
		{name: "half a body", servers: []string{"ok"}, run: func(w *twin, note noter) {
			c, r := w.dial()
			io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
			note("%s", statusAndRest(r))
			w.until("the server has noticed", func() bool { return len(w.asked.list()) == 1 })
		}, theirs: []string{
			"504 EOF", "web_10000/BACKEND cli_abrt=0", "web_10000/BACKEND hrsp_4xx=0", "web_10000/BACKEND hrsp_5xx=1",
			"web_10000/FRONTEND hrsp_4xx=0", "web_10000/FRONTEND hrsp_5xx=1",
		}, ours: []string{
			"408 EOF", "web_10000/BACKEND cli_abrt=1", "web_10000/BACKEND hrsp_4xx=1", "web_10000/BACKEND hrsp_5xx=0",
			"web_10000/FRONTEND hrsp_4xx=1", "web_10000/FRONTEND hrsp_5xx=0",
		}},
		{name: "half-close", servers: []string{"ok"}, run: halfClose},
		{name: "http/1.0", servers: []string{"ok"}, run: func(w *twin, note noter) {
			c, r := w.dial()
			io.WriteString(c, "GET / HTTP/1.0\r\n\r\n")
			b, _ := io.ReadAll(r)
			note("%v %v", strings.HasPrefix(string(b), "HTTP/1.1 200"), strings.HasSuffix(string(b), "a"))
		}, theirs: []string{
			"asked a GET / HTTP/1.0  Host= X-Forwarded-For=9 X-Forwarded-Port=10000",
		}, ours: []string{
			"asked a GET / HTTP/1.1  Host=1:10000 X-Forwarded-For=9 X-Forwarded-Port=10000 Connection=close",
		}},
		{name: "not http", servers: []string{"ok"}, run: func(w *twin, note noter) {
			c, r := w.dial()
			io.WriteString(c, "this is not\r\nhttp\r\n\r\n")
			note("%s", statusAndRest(r))
		}},
	}
}

// keepAlive sends four requests over one connection, then waits for its end.
func keepAlive(w *twin, note noter) {
	c, r := w.dial()
	for range 4 {
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			note("%v", err)
			return
		}
		b, _ := io.ReadAll(resp.Body)
		note("%d %s %v", resp.StatusCode, b, resp.Close)
	}
	b, err := io.ReadAll(r)
	note("%q %v", b, err)
}

// statusAndRest reads an answer to its end: its status, and whether the
// connection ends with it.
func statusAndRest(r *bufio.Reader) string {
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return err.Error()
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_, err = r.ReadByte()
	return fmt.Sprint(resp.StatusCode, " ", err)
}

// idle connects and says nothing.
func idle(w *twin, note noter) {
	_, r := w.dial()
	note("%s", statusAndRest(r))
}

func halfRequest(w *twin, note noter) {
	c, r := w.dial()
	io.WriteString(c, "GET / HTTP/1.1\r\nHost:")
	note("%s", statusAndRest(r))
}

// halfClose asks and ends the client's side at once.
func halfClose(w *twin, note noter) {
	c, r := w.dial()
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	_ = c.CloseWrite()
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		note("%v", err)
		return
	}
	b, _ := io.ReadAll(resp.Body)
	note("%d %s", resp.StatusCode, b)
}
