package guard

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mesoslab/lab/internal/labtest"
)

func TestHandler(t *testing.T) {
	h := Policy{Names: []string{"node1"}}.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "in") }))
	for _, c := range []struct {
		name, method, host string
		header             map[string]string
		want               int
	}{
		{"an address", "GET", "127.168.59.1:8080", nil, 200},
		{"an IPv6 address", "GET", "[::1]:8080", nil, 200},
		{"localhost", "POST", "localhost:8080", nil, 200},
		{"a machine's name", "GET", "NODE1:8080", nil, 200},
		{"a rebound name", "GET", "evil.example:8080", nil, 403},
		{"a name that begins like ours", "GET", "node1.evil.example", nil, 403},
		{"a program's POST", "POST", "127.168.59.1:8080", nil, 200},
		{"our own page's POST", "POST", "127.168.59.1:8080", map[string]string{"Origin": "http://127.168.59.1:8080"}, 200},
		{"a foreign page's POST", "POST", "127.168.59.1:8080", map[string]string{"Origin": "http://evil.example"}, 403},
		{"a foreign page's POST, as browsers mark it", "POST", "127.168.59.1:8080", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		{"a foreign page's GET", "GET", "127.168.59.1:8080", map[string]string{"Origin": "http://evil.example"}, 200},
	} {
		r := httptest.NewRequest(c.method, "/", nil)
		r.Host = c.host
		for k, v := range c.header {
			r.Header.Set(k, v)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%s: %d %q, want %d", c.name, w.Code, w.Body, c.want)
		}
	}
}

// TestOtherUsersStayOut connects as another user, with a program that we did
// not write.
func TestOtherUsersStayOut(t *testing.T) {
	curl := labtest.NeedProgram(t, "curl")
	if os.Getuid() != 0 {
		t.Skip("only root can become another user")
	}
	for _, c := range []struct {
		same bool
		want string
	}{{true, "403"}, {false, "200"}} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		srv := Policy{SameUser: c.same}.Server(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		go srv.Serve(l)
		t.Cleanup(func() { srv.Close() })
		ask := func(uid uint32) string {
			cmd := exec.CommandContext(t.Context(), curl, "-s", "-o", "/dev/null", "-w", "%{http_code}", "http://"+l.Addr().String())
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			return strings.TrimSpace(string(out))
		}
		if got := ask(65534); got != c.want {
			t.Errorf("same user %v: another user gets %s, want %s", c.same, got, c.want)
		}
		if got := ask(0); got != "200" {
			t.Errorf("same user %v: we get %s", c.same, got)
		}
	}
}

func TestUnixSocketsTakeAnyHost(t *testing.T) {
	name := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", name)
	if err != nil {
		t.Fatal(err)
	}
	srv := Policy{SameUser: true}.Server(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	conn, err := net.Dial("unix", name)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: docker.example\r\nConnection: close\r\n\r\n")
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200") {
		t.Errorf("%q, %v", answer, err)
	}
}
