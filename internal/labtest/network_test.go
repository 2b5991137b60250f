package labtest

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/mesoslab/lab/internal/labtest/bubble"
)

func connected(t *testing.T, n *Network) (client, server net.Conn) {
	t.Helper()
	l, err := n.Host("10.0.0.2").Listen(t.Context(), "tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	client, err = n.Host("10.0.0.1").Dial(t.Context(), "tcp", "10.0.0.2:80")
	if err != nil {
		t.Fatal(err)
	}
	server, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return client, server
}

func TestCutHoldsBackUntilMended(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		n := NewNetwork()
		client, server := connected(t, n)
		n.Cut("10.0.0.2")
		if _, err := client.Write([]byte("hello")); err != nil {
			t.Fatalf("write into silence: %v", err)
		}
		server.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := server.Read(make([]byte, 8)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("read while cut: %v, want a deadline", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := n.Host("10.0.0.1").Dial(ctx, "tcp", "10.0.0.2:80"); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("dial while cut: %v, want a time-out", err)
		}
		server.SetReadDeadline(time.Time{})
		n.Mend("10.0.0.2")
		client.Close()
		if b, err := io.ReadAll(server); string(b) != "hello" || err != nil {
			t.Fatalf("after mending: %q, %v", b, err)
		}
	})
}

func TestCrashResets(t *testing.T) {
	n := NewNetwork()
	client, _ := connected(t, n)
	n.Crash("10.0.0.2")
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("read: %v, want a reset", err)
	}
	if _, err := n.Host("10.0.0.1").Dial(t.Context(), "tcp", "10.0.0.2:80"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatalf("dial: %v, want refused", err)
	}
}

func TestHTTPInABubble(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		n := NewNetwork()
		l, err := n.Host("10.0.0.2").Listen(t.Context(), "tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for range 3 {
				io.WriteString(w, "tick ")
				w.(http.Flusher).Flush()
				time.Sleep(15 * time.Second)
			}
		})}
		go srv.Serve(l)
		tr := &http.Transport{DialContext: n.Host("10.0.0.1").Dial}
		start := time.Now()
		resp, err := (&http.Client{Transport: tr}).Get("http://10.0.0.2/")
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		if err != nil || string(b) != "tick tick tick " {
			t.Fatalf("%q, %v", b, err)
		}
		if d := time.Since(start); d != 45*time.Second {
			t.Fatalf("took %v of the bubble's time, want 45s", d)
		}
		resp.Body.Close()
		tr.CloseIdleConnections()
		srv.Close()
	})
}

func TestBackPressureAndHalfClose(t *testing.T) {
	n := NewNetwork()
	client, server := connected(t, n)
	const size = 3 * bufferSize
	go func() {
		client.Write(make([]byte, size))
		client.(interface{ CloseWrite() error }).CloseWrite()
	}()
	b, err := io.ReadAll(server)
	if len(b) != size || err != nil {
		t.Fatalf("%d bytes, %v; want %d", len(b), err, size)
	}
	if _, err := server.Write([]byte("still open")); err != nil {
		t.Fatalf("write after the other half closed: %v", err)
	}
}
