package marathon

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
)

// TestManyConnections: thousands of clients that are silent, stop in the middle
// of a head or a body, or never read what they asked for, cost little each and
// are given up; others are served meanwhile. Who listens to events stays, as it
// may be that nothing happens.
func TestManyConnections(t *testing.T) {
	n := 5000
	if testing.Short() || bubble.Race {
		n = 500
	}
	const host = "Host: " + firstHost + ":8080\r\n"
	kinds := []struct{ name, bytes string }{
		{"silent", ""},
		{"half a head", "GET /v2/ap"},
		{"half a body", "POST /v2/apps HTTP/1.1\r\n" + host + "Content-Length: 16000000\r\n\r\n{"},
		{"a body nobody wants", "GET /ping HTTP/1.1\r\n" + host + "Content-Length: 100\r\n\r\n"},
		{"events", "GET /v2/events HTTP/1.1\r\n" + host + "Accept: text/event-stream\r\n\r\n"},
		{"idle", "GET /ping HTTP/1.1\r\n" + host + "\r\n"},
	}
	inWorld(t, func(t *testing.T, w *world) {
		m := w.marathon(firstHost)
		w.up(firstHost)
		before := labtest.Memory()
		conns := make([]net.Conn, n)
		for i := range conns {
			if i%64 == 0 {
				synctest.Wait() // the network's listeners have a short backlog
			}
			conns[i] = w.sends(kinds[i%len(kinds)].bytes)
		}
		var deaf []net.Conn // they ask for more than the network holds, and do not read
		for range 32 {
			deaf = append(deaf, w.sends(strings.Repeat("GET /v2/schemas/app HTTP/1.1\r\n"+host+"\r\n", 100)))
		}
		synctest.Wait()
		used := labtest.Memory() - before
		t.Logf("%d connections take %d MiB", n, used>>20)
		if used > uint64(n)*48<<10+32<<20 {
			t.Errorf("%d connections take %d MiB", n, used>>20)
		}
		w.call("POST", firstHost, "/v2/apps", nginx)
		w.running(firstHost, 2)
		time.Sleep(3 * time.Minute)
		for i, c := range conns {
			kind := kinds[i%len(kinds)].name
			said, closed := rest(c)
			if listens := kind == "events"; closed == listens || listens && !strings.Contains(said, "/nginx") {
				t.Errorf("connection %d, %s: closed %v, was told %.60q", i, kind, closed, said)
				break
			}
		}
		for _, c := range deaf {
			if _, closed := rest(c); !closed {
				t.Error("who does not read is still there")
				break
			}
		}
		if status, _, _ := w.call("GET", firstHost, "/v2/apps", ""); status != http.StatusOK {
			t.Errorf("afterwards: %d", status)
		}
		for _, c := range conns {
			c.Close()
		}
		conns, deaf = nil, nil // what they were told
		time.Sleep(time.Minute)
		if left := int64(labtest.Memory()) - int64(before); left > 32<<20 {
			t.Errorf("%d MiB stay", left>>20)
		}
		if strings.Contains(m.out.String(), "panic") {
			t.Error(m.out)
		}
	})
}

// sends connects a stranger that sends bytes and then nothing.
func (w *world) sends(bytes string) net.Conn {
	w.t.Helper()
	c, err := w.net.Host("10.0.0.66").Dial(w.t.Context(), "tcp", net.JoinHostPort(firstHost, "8080"))
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := io.WriteString(c, bytes); err != nil {
		w.t.Fatal(err)
	}
	return c
}

// rest is what waits to be read, and whether that is all there will be.
func rest(c net.Conn) (said string, closed bool) {
	c.SetReadDeadline(time.Now().Add(time.Millisecond))
	b, err := io.ReadAll(bufio.NewReader(c))
	nerr, ok := err.(net.Error)
	return string(b), !(ok && nerr.Timeout())
}
