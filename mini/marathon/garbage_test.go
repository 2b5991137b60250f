package marathon

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestForeignBytesOnThePort: what is no HTTP gets an error or a closed
// connection, slow clients are given up, and others are served all the time.
func TestForeignBytesOnThePort(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.marathon(firstHost)
		w.up(firstHost)
		dial := func() net.Conn {
			c, err := w.net.Host("10.0.0.66").Dial(t.Context(), "tcp", net.JoinHostPort(firstHost, "8080"))
			if err != nil {
				t.Fatal(err)
			}
			time.AfterFunc(2*time.Minute, func() { c.Close() }) // so that a missing answer ends the test
			return c
		}
		host := "Host: " + firstHost + ":8080\r\n"
		for _, c := range []struct {
			name, bytes, answer string
			within              time.Duration
		}{
			{"no HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n", "HTTP/1.1 400 ", time.Second},
			{"no version", "GET /\r\n\r\n", "HTTP/1.1 400 ", time.Second},
			{"two hosts", "GET /ping HTTP/1.1\r\n" + host + host + "\r\n", "HTTP/1.1 400 ", time.Second},
			{"two lengths", "POST /v2/apps HTTP/1.1\r\n" + host + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx", "HTTP/1.1 400 ", time.Second},
			{"a length below zero", "POST /v2/apps HTTP/1.1\r\n" + host + "Content-Length: -1\r\n\r\n", "HTTP/1.1 400 ", time.Second},
			{"headers of 2 MiB", "GET /ping HTTP/1.1\r\n" + host + "X: " + strings.Repeat("x", 2<<20) + "\r\n\r\n", "HTTP/1.1 431 ", time.Second},
			{"a chunk that is none", "POST /v2/apps HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\nzz\r\n", "HTTP/1.1 400 ", time.Second},
			{"half a request", "GET /ping HTTP/1.1\r\nHost:", "", 11 * time.Second},
			{"no body", "POST /v2/apps HTTP/1.1\r\n" + host + "Content-Length: 1000\r\n\r\n{", "HTTP/1.1 408 ", 31 * time.Second},
		} {
			conn := dial()
			go func() { _, _ = io.WriteString(conn, c.bytes) }()
			start := time.Now()
			line, _ := bufio.NewReader(conn).ReadString('\n')
			if !strings.HasPrefix(line, c.answer) || c.answer == "" && line != "" || time.Since(start) > c.within {
				t.Errorf("%s: %q after %v, want %q", c.name, line, time.Since(start), c.answer)
			}
			conn.Close()
		}
		var held []net.Conn
		for i := range 300 {
			synctest.Wait() // the listener takes them one by one
			conn := dial()
			held = append(held, conn)
			go func() { fmt.Fprintf(conn, "POST /v2/apps HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n", host, 1<<20+i) }()
		}
		time.Sleep(time.Second)
		if s, v, _ := w.call("GET", firstHost, "/v2/apps", ""); s != http.StatusOK {
			t.Errorf("while 300 clients dawdle: %d %v", s, v)
		}
		time.Sleep(40 * time.Second)
		for i, conn := range held {
			line, err := bufio.NewReader(conn).ReadString('\n')
			if !strings.HasPrefix(line, "HTTP/1.1 408") {
				t.Errorf("client %d was told %q, %v", i, line, err)
				break
			}
		}
		for _, conn := range held {
			conn.Close()
		}
	})
}
