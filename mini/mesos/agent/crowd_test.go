package agent

import (
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
)

// TestManyConnections: thousands of clients that are silent, stop in the middle
// of a head or a body, idle, or never read what they asked for, cost little each
// and are given up; others are served meanwhile.
func TestManyConnections(t *testing.T) {
	n := 5000
	if testing.Short() || bubble.Race {
		n = 500
	}
	const host = "Host: " + agentIP + "\r\n"
	kinds := []struct{ name, bytes string }{
		{"silent", ""},
		{"no HTTP", "\x16\x03\x01\x02\x00\x01"},
		{"half a head", "GET /state HT"},
		{"half a body", "POST /api/v1 HTTP/1.1\r\n" + host + "Content-Type: application/json\r\nContent-Length: 16000000\r\n\r\n{"},
		{"a body nobody wants", "GET /state HTTP/1.1\r\n" + host + "Content-Length: 100\r\n\r\n"},
		{"idle", "GET /health HTTP/1.1\r\n" + host + "\r\n"},
	}
	inBubble(t, func(t *testing.T, w *world) {
		m, _ := registered(w)
		sends := func(bytes string) net.Conn {
			c, err := w.net.Host("10.0.0.66").Dial(t.Context(), "tcp", agentIP+":5051")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(c, bytes); err != nil {
				t.Fatal(err)
			}
			return c
		}
		before := labtest.Memory()
		conns := make([]net.Conn, n)
		for i := range conns {
			if i%64 == 0 {
				synctest.Wait() // the network's listeners have a short backlog
			}
			conns[i] = sends(kinds[i%len(kinds)].bytes)
		}
		var deaf []net.Conn // they ask for more than the network holds, and do not read
		for range 32 {
			deaf = append(deaf, sends(strings.Repeat("GET /flags HTTP/1.1\r\n"+host+"\r\n", 1000)))
		}
		synctest.Wait()
		used := labtest.Memory() - before
		t.Logf("%d connections take %d MiB", n, used>>20)
		if used > uint64(n)*48<<10+32<<20 {
			t.Errorf("%d connections take %d MiB", n, used>>20)
		}
		m.running(w, id0, "a") // a task starts as ever
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		for i, c := range append(conns, deaf...) {
			c.SetReadDeadline(time.Now().Add(time.Millisecond))
			if _, err := io.Copy(io.Discard, c); err != nil {
				t.Errorf("connection %d is still open: %v", i, err)
				break
			}
			c.Close()
		}
		if code, _ := w.get("/health"); code != 200 {
			t.Errorf("afterwards: %d", code)
		}
		conns, deaf = nil, nil // what they were told
		time.Sleep(time.Minute)
		if left := int64(labtest.Memory()) - int64(before); left > 32<<20 {
			t.Errorf("%d MiB stay", left>>20)
		}
	})
}
