package scenarios

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// serving serves each connection with the next of these ways; the last one
// stays.
func serving(t *testing.T, ways ...func(net.Conn)) (url string, connections *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	connections = &atomic.Int32{}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			n := int(connections.Add(1))
			go func() {
				defer c.Close()
				ways[min(n, len(ways))-1](c)
			}()
		}
	}()
	return "http://" + l.Addr().String() + "/", connections
}

// heard reads one request; false at the end of the connection.
func heard(c net.Conn) bool {
	var text strings.Builder
	b := make([]byte, 1)
	for !strings.HasSuffix(text.String(), "\r\n\r\n") {
		if _, err := c.Read(b); err != nil {
			return false
		}
		text.Write(b)
	}
	return true
}

const fine = "HTTP/1.1 200 OK\r\nX-Lab-Task: a.1\r\nContent-Length: 2\r\n\r\nok"

func says(text string) func(net.Conn) {
	return func(c net.Conn) {
		for heard(c) {
			if _, err := io.WriteString(c, text); err != nil {
				return
			}
		}
	}
}

func once(text string) func(net.Conn) {
	return func(c net.Conn) {
		heard(c)
		io.WriteString(c, text)
	}
}

func TestAsking(t *testing.T) {
	for _, c := range []struct {
		name        string
		ways        []func(net.Conn)
		how         Connections
		requests    int
		connections int32
		want        string // of the last request: status, or what its error is
	}{
		{"kept", []func(net.Conn){says(fine)}, ConnectionsKept, 3, 1, "200 OK"},
		{"new", []func(net.Conn){says(fine)}, ConnectionsNew, 3, 3, "200 OK"},
		{"kept, and closed meanwhile", []func(net.Conn){once(fine), says(fine)}, ConnectionsKept, 2, 2, "200 OK"},
		{"the server closes", []func(net.Conn){says(strings.Replace(fine, "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1))}, ConnectionsKept, 2, 2, "200 OK"},
		{"another status", []func(net.Conn){once("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")}, ConnectionsNew, 1, 1, "503 Service Unavailable"},
		{"a body that breaks off", []func(net.Conn){once("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nok")}, ConnectionsKept, 1, 1, "cut off"},
		{"a head that breaks off", []func(net.Conn){once("HTTP/1.1 200 OK\r\nConte")}, ConnectionsKept, 1, 1, "connection broke off"},
		{"no word", []func(net.Conn){once("")}, ConnectionsKept, 1, 1, "connection broke off"},
		{"garbage", []func(net.Conn){once("220 mail.example ESMTP\r\n")}, ConnectionsNew, 1, 1, "connection broke off"},
		{"a reset", []func(net.Conn){func(c net.Conn) { heard(c); c.(*net.TCPConn).SetLinger(0) }}, ConnectionsNew, 1, 1, "connection broke off"},
		{"silence", []func(net.Conn){func(c net.Conn) { io.Copy(io.Discard, c) }}, ConnectionsNew, 1, 1, "timed out"},
	} {
		t.Run(c.name, func(t *testing.T) {
			url, connections := serving(t, c.ways...)
			a, err := newAsker(url, "test", c.how, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer a.hangUp()
			patience := time.Minute
			if c.want == "timed out" {
				patience = 50 * time.Millisecond
			}
			got := ""
			for range c.requests {
				r, err := a.ask(t.Context(), patience)
				switch {
				case err != nil:
					got = noAnswer(err)
				case r.cutOff:
					got = "cut off"
				default:
					got = r.status
				}
				if got == "200 OK" && r.header.Get("X-Lab-Task") != "a.1" {
					t.Errorf("answer %+v", r)
				}
			}
			if got != c.want || connections.Load() != c.connections {
				t.Errorf("%s over %d connections, want %s over %d", got, connections.Load(), c.want, c.connections)
			}
		})
	}
}

func TestAskingNobody(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	a, err := newAsker("http://"+address, "test", ConnectionsNew, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.ask(t.Context(), time.Minute); noAnswer(err) != "connection refused" {
		t.Errorf("%v", err)
	}
	for _, wrong := range []string{"https://a/", "/a", "http://", "http://a b/"} {
		if _, err := NewProbe(wrong, 1, ConnectionsNew, nil); err == nil {
			t.Errorf("%q can be asked", wrong)
		}
	}
}

// TestAskingIsHeard looks at the request from the other side, with net/http.
func TestAskingIsHeard(t *testing.T) {
	requests := make(chan *http.Request, 1)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { requests <- r })}
	go srv.Serve(l)
	defer srv.Close()
	for _, how := range []Connections{ConnectionsNew, ConnectionsKept} {
		a, err := newAsker("http://"+l.Addr().String()+"/a?b=c", "test/1", how, nil)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := a.ask(t.Context(), time.Minute); err != nil || !r.ok {
			t.Fatalf("%+v, %v", r, err)
		}
		r := <-requests
		if r.Method != http.MethodGet || r.Host != l.Addr().String() || r.RequestURI != "/a?b=c" || r.UserAgent() != "test/1" || r.Close != (how == ConnectionsNew) {
			t.Errorf("%s: %+v", how, r)
		}
		a.hangUp()
	}
	if err := srv.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
}
