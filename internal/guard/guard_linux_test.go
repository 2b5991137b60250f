package guard

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
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

// TestSamePortsElsewhere: connections of ours between the same two ports, at
// other addresses of loopback, say nothing about another user's.
func TestSamePortsElsewhere(t *testing.T) {
	curl := labtest.NeedProgram(t, "curl")
	if os.Getuid() != 0 {
		t.Skip("only root can become another user")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	to := l.Addr().(*net.TCPAddr)
	srv := Policy{SameUser: true}.Server(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	go srv.Serve(l)
	t.Cleanup(func() { srv.Close() })
	from := 0
	for _, ip := range []string{"127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"} {
		other, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.ParseIP(ip), Port: to.Port})
		if err != nil {
			t.Skipf("the port is taken at another address: %v", err)
		}
		t.Cleanup(func() { other.Close() })
		conn, err := net.DialTCP("tcp", &net.TCPAddr{IP: net.ParseIP(ip), Port: from}, other.Addr().(*net.TCPAddr))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		from = conn.LocalAddr().(*net.TCPAddr).Port
		cmd := exec.CommandContext(t.Context(), curl, "-s", "-o", "/dev/null", "-w", "%{http_code}",
			"--interface", "127.0.0.9", "--local-port", strconv.Itoa(from), "http://"+to.String())
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		// The port is in use for a minute after each question: only the first
		// and the last situation are asked about.
		if ip != "127.0.0.2" && ip != "127.0.0.5" {
			continue
		}
		if ip == "127.0.0.5" {
			cmd.Args[slices.Index(cmd.Args, "127.0.0.9")] = "127.0.0.10"
		}
		out, err := cmd.Output()
		if err != nil || string(out) != "403" {
			t.Errorf("beside ours at %s another user gets %q, %v", ip, out, err)
		}
	}
}

// TestGoneBeforeItIsAsked: whoever has closed its end before we look is nobody
// of ours, whatever the kernel says of a socket without a process.
func TestGoneBeforeItIsAsked(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if uid, known := peerUID(conn); !known || uid != os.Getuid() {
		t.Errorf("while it is there: uid %d, known %t", uid, known)
	}
	client.Close()
	if uid, known := peerUID(conn); !known || uid != nobodyKnown {
		t.Errorf("when it has gone: uid %d, known %t", uid, known)
	}
}

func TestPeerByIPv6(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skipf("no IPv6 here: %v", err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if uid, known := peerUID(conn); !known || uid != os.Getuid() {
		t.Errorf("uid %d, known %t", uid, known)
	}
}

// TestDiagAnswers: what is cut off, or about another socket, tells nothing.
func TestDiagAnswers(t *testing.T) {
	asked := diagRequest{&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 40000}, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2), Port: 5050}}
	answer := make([]byte, diagAnswerLen)
	copy(answer[4:], asked.id())
	answer[diagUID], answer[diagInode] = 7, 9
	if s, err := parseDiag(answer, asked); err != nil || s != (diagSocket{7, 9}) {
		t.Errorf("%+v, %v", s, err)
	}
	listener := slices.Clone(answer)
	clear(listener[6:8]) // no remote port
	for name, b := range map[string][]byte{"nothing": nil, "cut off": answer[:diagAnswerLen-1], "a listener": listener} {
		if _, err := parseDiag(b, asked); err == nil {
			t.Errorf("%s was taken for an answer", name)
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
