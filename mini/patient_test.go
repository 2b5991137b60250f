package mini_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
	"github.com/mesoslab/lab/mini"
)

// patientServer serves /long, whose end it tells, /stream and /deaf.
func patientServer(t *testing.T, l net.Listener) (end func(), ended chan string) {
	mux := http.NewServeMux()
	ended = make(chan string, 1)
	mux.HandleFunc("/long", func(w http.ResponseWriter, _ *http.Request) {
		_, err := io.WriteString(w, strings.Repeat("x", length))
		ended <- fmt.Sprint("cut off: ", err != nil)
	})
	mux.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Error(err)
		}
		for range 10 {
			select {
			case <-r.Context().Done():
				t.Error("the stream was cut")
			case <-time.After(time.Minute):
			}
			fmt.Fprintln(w, "tick")
			w.(http.Flusher).Flush()
		}
	})
	mux.HandleFunc("/deaf", func(http.ResponseWriter, *http.Request) {})
	server := mini.Env{}.Server(mini.Patient(mux))
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	return func() { server.Close(); <-done }, ended
}

const length = 4 << 20 // of the long answer

// TestPatient: who reads slowly gets a long answer whole, and a stream lives as
// long as it is read; who does not read, or announces a body and does not send
// it, is cut off.
func TestPatient(t *testing.T) {
	for _, c := range []struct {
		name, send string
		read       func(t *testing.T, c net.Conn, ended chan string)
	}{
		{"slowly", "GET /long HTTP/1.1\r\nHost: 10.0.0.1\r\nConnection: close\r\n\r\n", func(t *testing.T, c net.Conn, ended chan string) {
			n, part := 0, make([]byte, 100<<10)
			for {
				m, err := c.Read(part)
				n += m
				if err != nil {
					break
				}
				time.Sleep(10 * time.Second)
			}
			if end := <-ended; n < length || end != "cut off: false" {
				t.Errorf("%d bytes, %s", n, end)
			}
		}},
		{"not at all", "GET /long HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n", func(t *testing.T, _ net.Conn, ended chan string) {
			begun := time.Now()
			if end := <-ended; end != "cut off: true" || time.Since(begun) > 2*mini.Patience {
				t.Errorf("%s after %v", end, time.Since(begun))
			}
		}},
		{"a stream", "POST /stream HTTP/1.1\r\nHost: 10.0.0.1\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}", func(t *testing.T, c net.Conn, _ chan string) {
			b, err := io.ReadAll(c)
			if n := strings.Count(string(b), "tick"); n != 10 || err != nil {
				t.Errorf("%d ticks, %v", n, err)
			}
		}},
		{"no body", "POST /deaf HTTP/1.1\r\nHost: 10.0.0.1\r\nContent-Length: 2\r\n\r\n", func(t *testing.T, c net.Conn, _ chan string) {
			begun := time.Now()
			_, err := io.Copy(io.Discard, bufio.NewReader(c))
			if after := time.Since(begun); err != nil || after > mini.Patience+time.Second {
				t.Errorf("%v after %v", err, after)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
				n := labtest.NewNetwork()
				l, err := n.Host("10.0.0.1").Listen(t.Context(), "tcp", "10.0.0.1:80")
				if err != nil {
					t.Fatal(err)
				}
				end, ended := patientServer(t, l)
				defer end()
				conn, err := n.Host("10.0.0.2").Dial(t.Context(), "tcp", "10.0.0.1:80")
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				if _, err := io.WriteString(conn, c.send); err != nil {
					t.Fatal(err)
				}
				c.read(t, conn, ended)
			})
		})
	}
}
