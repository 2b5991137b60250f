package zookeeper

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
	"github.com/mesoslab/lab/mini/zookeeper/jute"
)

// framed is a packet with its length.
func framed(v interface{ Encode(*jute.Encoder) }) string {
	var e jute.Encoder
	e.Int32(0)
	v.Encode(&e)
	b := e.Bytes()
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return string(b)
}

// TestManyConnections: thousands of clients that are silent, stop anywhere, or
// announce a megabyte and do not send it, cost little each and are given up;
// others are served meanwhile. One host alone has maxClientCnxns (60) at most.
func TestManyConnections(t *testing.T) {
	n := 5000
	if testing.Short() || bubble.Race {
		n = 500
	}
	const megabyte = "\x00\x0f\xff\xff"
	session := framed(newSession())
	kinds := []struct{ name, bytes string }{
		{"silent", ""},
		{"half a word", "ru"},
		{"a megabyte announced", megabyte},
		{"half a connect request", session[:20]},
		{"an idle session", session},
		{"a session's megabyte announced", session + megabyte + "\x00\x00\x00\x01"},
		{"a web page", "GET / HTTP/1.1\r\n\r\n"},
	}
	inBubble(t, func(t *testing.T, net0 *labtest.Network, r *running) {
		other := dial(t, serverAddr, 10*time.Second, net0.Host("10.0.0.2"))
		before := labtest.Memory()
		conns := make([]net.Conn, n)
		for i := range conns {
			if i%64 == 0 {
				synctest.Wait() // the network's listeners have a short backlog
			}
			conns[i] = sends(t, net0.Host(fmt.Sprintf("10.0.1.%d", 1+i/50)), kinds[i%len(kinds)].bytes)
		}
		synctest.Wait()
		used := labtest.Memory() - before
		t.Logf("%d connections take %d MiB", n, used>>20)
		if used > uint64(n)*32<<10+32<<20 {
			t.Errorf("%d connections take %d MiB", n, used>>20)
		}
		other.create(t, "/served", zk.FlagEphemeral)
		one := net0.Host("10.0.0.66")
		for range 100 {
			conns = append(conns, sends(t, one, ""))
			synctest.Wait()
		}
		if refused := strings.Count(r.out.String(), "refused a connection from 10.0.0.66"); refused != 40 {
			t.Errorf("%d of 100 connections of one host were refused, want 40", refused)
		}
		time.Sleep(time.Minute) // a newcomer has 40 s, a session the 10 s it asked for
		synctest.Wait()
		for i, c := range conns {
			c.SetReadDeadline(time.Now().Add(time.Millisecond))
			if _, err := io.Copy(io.Discard, c); err != nil {
				t.Errorf("connection %d, %s: still open: %v", i, kinds[i%len(kinds)].name, err)
				break
			}
			c.Close()
		}
		if !other.there(t, "/served") {
			t.Error("another's session is gone")
		}
		conns = nil
		if left := int64(labtest.Memory()) - int64(before); left > 16<<20 {
			t.Errorf("%d MiB stay", left>>20)
		}
	})
}

// sends connects a host that sends bytes and then nothing.
func sends(t *testing.T, h *labtest.Host, bytes string) net.Conn {
	t.Helper()
	c, err := h.Dial(t.Context(), "tcp", serverAddr)
	if err != nil {
		t.Fatal(err)
	}
	if bytes == "" {
		return c // also a write of nothing fails once the server has refused the connection
	}
	if _, err := io.WriteString(c, bytes); err != nil {
		t.Fatal(err)
	}
	return c
}
