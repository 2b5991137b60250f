package marathonlb

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab/mini"
)

// A real run on loopback sockets, asked with curl.
func TestCurl(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl is not installed")
	}
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %d for %s", r.Method, len(body), r.Header.Get("X-Forwarded-For"))
	}))
	defer site.Close()
	app := freePort(t)
	marathon := httptest.NewServer(realMarathon(nginx(site.Listener.Addr().String()), app))
	defer marathon.Close()
	stats := freePort(t)
	var log logText
	var dialer net.Dialer
	listen := func(ctx context.Context, network, address string) (net.Listener, error) {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		if port == "80" || port == "9091" {
			return nil, fmt.Errorf("port %s is not for tests", port)
		}
		return (&net.ListenConfig{}).Listen(ctx, network, net.JoinHostPort("127.0.0.1", port))
	}
	ctx, cancel := context.WithCancel(t.Context())
	code := make(chan int, 1)
	go func() {
		code <- Run(ctx, mini.Env{Environ: []string{"MARATHON_URL=" + marathon.URL, "LAB_LB_STATS_PORT=" + strconv.Itoa(stats)},
			Root: t.TempDir(), Listen: listen, Dial: dialer.DialContext, Stdout: io.Discard, Stderr: &log})
	}()
	ask := func(args ...string) string {
		out, err := exec.CommandContext(ctx, curl, append([]string{"-sS", "--noproxy", "*", "--max-time", "20"}, args...)...).CombinedOutput()
		if err != nil {
			return err.Error()
		}
		return string(out)
	}
	url := fmt.Sprintf("http://127.0.0.1:%d/", app)
	want := "GET 0 for 127.0.0.1"
	deadline := time.After(20 * time.Second)
	for ask(url) != want {
		select {
		case <-deadline:
			t.Fatalf("%s answers %q\n%s", url, ask(url), log.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
	if got := ask("-d", strings.Repeat("x", 100_000), url); got != "POST 100000 for 127.0.0.1" {
		t.Errorf("POST: %q", got)
	}
	if got := ask(url, url, url); got != want+want+want {
		t.Errorf("one connection, three requests: %q", got)
	}
	if got := ask(fmt.Sprintf("http://127.0.0.1:%d/haproxy?stats;csv", stats)); !strings.HasPrefix(got, "# pxname,") {
		t.Errorf("statistics: %q", got)
	}
	cancel()
	if c := <-code; c != 0 {
		t.Errorf("exit %d\n%s", c, log.String())
	}
}

// realMarathon serves one app whose service port is free here.
func realMarathon(a map[string]any, port int) http.Handler {
	a["portDefinitions"] = []any{map[string]any{"port": port}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v2/apps", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(map[string]any{"apps": []any{a}})
	})
	mux.HandleFunc("GET /v2/events", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	return mux
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
