package health

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab/mini/marathon/app"
)

func TestKillComesAtTheFailureAfterTheLast(t *testing.T) {
	c := app.HealthCheck{GracePeriodSeconds: 10, MaxConsecutiveFailures: 2}
	start := time.Unix(1000, 0)
	var s State
	for i, want := range []struct {
		after time.Duration
		fail  bool
		out   Outcome
		alive bool
	}{
		{5 * time.Second, true, Outcome{Ignored: true}, false}, {11 * time.Second, true, Outcome{}, false}, {12 * time.Second, false, Outcome{Changed: true}, true},
		{13 * time.Second, false, Outcome{}, true}, {14 * time.Second, true, Outcome{Changed: true}, false}, {15 * time.Second, true, Outcome{}, false},
		{16 * time.Second, true, Outcome{Kill: true}, false}, {17 * time.Second, false, Outcome{Changed: true}, true},
		{17 * time.Second, true, Outcome{Changed: true}, false},
	} {
		var out Outcome
		if want.fail {
			s, out = s.Fail(start.Add(want.after), c, start, "cause")
		} else {
			s, out = s.Pass(start.Add(want.after))
		}
		if out != want.out || s.Alive() != want.alive {
			t.Errorf("%d: %+v alive %v, want %+v", i, out, s.Alive(), want)
		}
	}
	never := app.HealthCheck{}
	for range 100 {
		var out Outcome
		if s, out = s.Fail(start.Add(time.Hour), never, start, ""); out.Kill {
			t.Fatal("0 failures allowed means never kill")
		}
	}
}

func TestProbes(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/moved":
			w.Header().Set("Location", "/bad")
			w.WriteHeader(http.StatusFound)
		case "/bad":
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer srv.Close()
	tls := httptest.NewTLSServer(http.NotFoundHandler())
	defer tls.Close()
	var d net.Dialer
	p := Prober{d.DialContext}
	plain, secure := srv.Listener.Addr().(*net.TCPAddr).Port, tls.Listener.Addr().(*net.TCPAddr).Port
	for _, c := range []struct {
		protocol, path string
		port           int
		cause          string
	}{
		{"HTTP", "/", plain, ""}, {"HTTP", "/moved", plain, ""}, {"HTTP", "/bad", plain, "500 Internal Server Error"}, {"TCP", "", plain, ""},
		{"TCP", "", 1, "TCP: "}, {"HTTP", "/", 1, "HTTP: "}, {"HTTPS", "/", secure, "404 Not Found"}, {"HTTPS", "/", plain, "HTTPS: "},
	} {
		check := app.HealthCheck{Protocol: c.protocol, Path: &c.path, TimeoutSeconds: 1}
		got := p.Probe(context.Background(), check, "127.0.0.1", c.port)
		if (c.cause == "") != (got == "") || !strings.HasPrefix(got, c.cause) {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

func TestPortOfACheck(t *testing.T) {
	one, five, eighty := 1, 5, 80
	ports := []int{31000, 31001}
	for _, c := range []struct {
		check app.HealthCheck
		want  int
		ok    bool
	}{{app.HealthCheck{PortIndex: &one}, 31001, true}, {app.HealthCheck{PortIndex: &five}, 0, false}, {app.HealthCheck{Port: &eighty, PortIndex: &one}, 80, true}, {app.HealthCheck{}, 0, false}} {
		if got, ok := Port(c.check, ports); got != c.want || ok != c.ok {
			t.Errorf("%+v: %d %v", c.check, got, ok)
		}
	}
}
