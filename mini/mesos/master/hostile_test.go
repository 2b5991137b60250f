package master

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mesoslab/lab/internal/labtest/bubble"
	"github.com/mesoslab/lab/mini/mesos/wire"
)

// raw opens a connection to the master and sends bytes.
func (r *rig) raw(ip, send string) net.Conn {
	r.t.Helper()
	c, err := r.net.Host(ip).Dial(r.ctx, "tcp", masterAddr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	if _, err := io.WriteString(c, send); err != nil {
		r.t.Fatal(err)
	}
	return c
}

// ends returns what the master says on a connection until it closes it, and
// after how long.
func ends(c net.Conn) (said string, after time.Duration, closed bool) {
	begun := time.Now()
	c.SetReadDeadline(begun.Add(10 * time.Minute))
	b, err := io.ReadAll(c)
	var timeout net.Error
	return string(b), time.Since(begun), !(errors.As(err, &timeout) && timeout.Timeout())
}

const upgrade = "GET " + wire.Path + " HTTP/1.1\r\nHost: 10.0.0.1\r\nConnection: Upgrade\r\nUpgrade: " + wire.Protocol + "\r\n\r\n"

// TestHostilePeers: whoever sends nonsense, or nothing, is answered with an
// error or cut off in bounded time; others are served all the while.
func TestHostilePeers(t *testing.T) {
	const post = "POST /api/v1/scheduler HTTP/1.1\r\nHost: 10.0.0.1\r\nContent-Type: application/json\r\nContent-Length: "
	for _, c := range []struct {
		name, send, says string
		within           time.Duration
	}{
		{"nothing", "", "", introduction},
		{"half a head", "GET /state HTTP/1.1\r\nHost: 10.", "", introduction},
		{"garbage", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\xff\r\n\r\n", "HTTP/1.1 400", introduction},
		{"a head without end", "GET / HTTP/1.1\r\nHost: 10.0.0.1\r\nX: " + strings.Repeat("x", 4*maxHeader), "HTTP/1.1 431", introduction},
		{"half a body", post + "1000\r\n\r\n{", "", patience + time.Second}, // 400, if there is still time to say so
		{"a negative body", post + "-1\r\n\r\n", "HTTP/1.1 400", introduction},
		{"a body told to be huge", post + "99999999999\r\n\r\n{", "HTTP/1.1 413", patience + time.Second},
		{"an agent that says nothing", upgrade, "HTTP/1.1 101", introduction},
		{"an agent's half frame", upgrade + "\x00\x00\x01\x00\x02\x00\x00", "HTTP/1.1 101", introduction},
		{"an agent's huge frame", upgrade + "\xff\xff\xff\xff\x02\x00\x00\x00\x00\x00\x00\x00\x01{}", "HTTP/1.1 101", introduction},
		{"an agent of another version", upgrade + "\x00\x00\x00\x02\x63\x00\x00\x00\x00\x00\x00\x00\x01{}", "HTTP/1.1 101", introduction},
		{"an agent's frame of garbage", upgrade + "\x00\x00\x00\x02\x02\x00\x00\x00\x00\x00\x00\x00\x01{}", "HTTP/1.1 101", introduction},
		{"another upgrade", "GET " + wire.Path + " HTTP/1.1\r\nHost: 10.0.0.1\r\nConnection: close\r\n\r\n", "HTTP/1.1 426", introduction},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.master(masterIP, nil)
				conn := r.raw("10.0.6.6", "")
				go io.WriteString(conn, c.send)
				synctest.Wait()
				if resp, _ := r.get(masterAddr, "/state"); resp.StatusCode != 200 {
					t.Errorf("others get %d", resp.StatusCode)
				}
				said, after, closed := ends(conn)
				if !closed || after > c.within || !strings.HasPrefix(said, c.says) {
					t.Errorf("closed %v after %v, said %.60q; want within %v: %s", closed, after, said, c.within, c.says)
				}
				time.Sleep(time.Second) // the server's connections end after a moment
			})
		})
	}
}

// TestSlowReader: who asks and does not take the answers is cut off, and what
// waits for it is bounded.
func TestSlowReader(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.master(masterIP, nil)
		for i := range 20 {
			r.agent(fmt.Sprintf("10.0.1.%d", i+1))
		}
		conn := r.raw("10.0.6.6", "")
		asked := make(chan int, 1)
		go func() {
			n := 0
			for n < 100_000 {
				if _, err := io.WriteString(conn, "GET /state HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n"); err != nil {
					break
				}
				n++
			}
			asked <- n
		}()
		time.Sleep(2*patience + time.Second)
		synctest.Wait()
		select {
		case n := <-asked:
			if n >= 100_000 {
				t.Errorf("all %d requests were taken", n)
			}
		default:
			t.Error("the connection is still open")
		}
		if resp, _ := r.get(masterAddr, "/state"); resp.StatusCode != 200 {
			t.Errorf("others get %d", resp.StatusCode)
		}
	})
}

// TestManyConnections: thousands of silent connections are held for a moment
// and then closed; others are served meanwhile.
func TestManyConnections(t *testing.T) {
	n := 5000
	if testing.Short() {
		n = 500
	}
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.master(masterIP, nil)
		a := r.agent("10.0.0.2")
		var conns []net.Conn
		for i := range n {
			if i%64 == 0 {
				synctest.Wait() // the network's listeners have a short backlog
			}
			conns = append(conns, r.raw("10.0.6.6", "GET /st"))
		}
		synctest.Wait()
		if resp, _ := r.get(masterAddr, "/state"); resp.StatusCode != 200 {
			t.Errorf("others get %d", resp.StatusCode)
		}
		time.Sleep(introduction + time.Second)
		for i, c := range conns {
			if _, after, closed := ends(c); !closed || after > 0 {
				t.Fatalf("connection %d is open after %v", i, introduction)
			}
		}
		if st := r.state(); st.Activated != 1 || a.agentID() == "" {
			t.Errorf("state: %+v", st)
		}
	})
}

// TestLongBodies: what is too long is refused on every path that takes a body.
func TestLongBodies(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.master(masterIP, nil)
		for path, length := range map[string]int{"/api/v1/scheduler": 16<<20 + 1, "/master/api/v1": 16<<20 + 1, "/teardown": 1<<16 + 1, "/weights": 1<<16 + 1} {
			method := map[bool]string{true: "PUT", false: "POST"}[path == "/weights"]
			conn := r.raw("10.0.6.6", fmt.Sprintf("%s %s HTTP/1.1\r\nHost: 10.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", method, path, length))
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil || resp.StatusCode != http.StatusRequestEntityTooLarge {
				t.Errorf("%s: %v, %v", path, resp, err)
			}
			conn.Close()
		}
		for _, path := range []string{"/master/../../etc/passwd", "/master/%2e%2e/%2e%2e/etc/passwd", "/files/../registry.json", "//etc/passwd", "/master/master/state"} {
			if resp, _ := r.get(masterAddr, path); resp.StatusCode != 404 {
				t.Errorf("%s: %d", path, resp.StatusCode)
			}
		}
		time.Sleep(time.Second)
	})
}
