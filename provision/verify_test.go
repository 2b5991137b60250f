package provision

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
)

func TestVerifyTCP(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int // 0: nobody listens
		cut    bool
		says   string
		advice string
	}{
		{"refused", 0, false, "refused", "DOCKER_OPTS"},
		{"another server", 404, false, "404", "DOCKER_OPTS"},
		{"silence", 200, true, "deadline", "firewall"},
		{"comes up", 200, false, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble.Test(t, func(t *testing.T) {
				network := labtest.NewNetwork()
				server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(tt.status) })}
				defer server.Close()
				defer time.Sleep(pingTimeout) // the last dial ends by itself
				if tt.status != 0 {
					go func() {
						time.Sleep(2 * time.Second)
						if l, err := network.Host("10.0.0.1").Listen(t.Context(), "tcp", ":2375"); err == nil {
							server.Serve(l)
						}
					}()
				}
				if tt.cut {
					network.Cut("10.0.0.1")
				}
				err := VerifyTCPFrom(t.Context(), network.Host("10.0.0.254").Dial, "10.0.0.1", 2375, 30*time.Second)
				if tt.says == "" {
					if err != nil {
						t.Error(err)
					}
					return
				}
				e, ok := errors.AsType[*lab.Error](err)
				if !ok || e.ID != "docker-port-closed" || !strings.Contains(e.Error(), tt.says) || !strings.Contains(e.Advice, tt.advice) {
					t.Errorf("error %v (%+v), want docker-port-closed that says %q and advises %q", err, e, tt.says, tt.advice)
				}
			})
		})
	}
}

// TestVerifyTCPBetween asks one machine's engine from another: through its SSH,
// or by a command where it forwards nothing.
func TestVerifyTCPBetween(t *testing.T) {
	to := lab.Machine{Node: lab.Node{Name: "node1", IP: netip.MustParseAddr("192.168.59.1")}}
	for _, tt := range []struct {
		name   string
		dial   bool   // node1's port is open, by SSH
		forbid bool   // sshd forwards nothing
		says   string // what the command prints
		id     string
	}{
		{name: "open", dial: true},
		{name: "closed", id: "docker-port-closed"},
		{name: "no forwarding, open", forbid: true, says: "HTTP/1.0 200 OK\r\n"},
		{name: "no forwarding, closed", forbid: true, id: "docker-port-closed"},
		{name: "no forwarding, another program", forbid: true, says: "HTTP/1.0 403 Forbidden\r\n", id: "docker-port-closed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			engine := newPipeListener()
			server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Host != "192.168.59.1:2375" || r.URL.Path != "/_ping" {
					w.WriteHeader(http.StatusForbidden)
				}
			})}
			go server.Serve(engine)
			t.Cleanup(func() { server.Close() })
			s := newSSHD(t, "vagrant")
			s.prohibit = tt.forbid
			if tt.dial {
				s.dial = func(network, addr string) (net.Conn, error) {
					if network != "tcp" || addr != "192.168.59.1:2375" {
						t.Errorf("dialled %s %s", network, addr)
					}
					return engine.dial()
				}
			}
			s.run = func(cmd string, _ io.Reader, stdout, _ io.Writer) int {
				if !strings.HasPrefix(cmd, "timeout 5 bash -c ") || !strings.Contains(cmd, "/dev/tcp/192.168.59.1/2375") {
					t.Errorf("ran %s", cmd)
				}
				io.WriteString(stdout, tt.says)
				return map[bool]int{true: 1, false: 0}[tt.says == ""]
			}
			err := VerifyTCPBetween(t.Context(), s.start(t), to, 2375, 300*time.Millisecond)
			if lab.ErrorID(err) != tt.id {
				t.Fatalf("error %v", err)
			}
			if e, ok := errors.AsType[*lab.Error](err); ok && (e.Machine != "node1" || !strings.Contains(e.Advice, "another machine of the lab does not")) {
				t.Errorf("%+v", e)
			}
		})
	}
}

// TestVerifyByCommand runs the command by the real bash.
func TestVerifyByCommand(t *testing.T) {
	labtest.NeedProgram(t, "bash")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/_ping" {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer server.Close()
	host, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	n, _ := strconv.Atoi(port)
	if err := verifyByCommand(t.Context(), shellHost{sh: "bash"}, host, n, 10*time.Second); err != nil {
		t.Error(err)
	}
	server.Close()
	if err := verifyByCommand(t.Context(), shellHost{sh: "bash"}, host, n, 100*time.Millisecond); lab.ErrorID(err) != "docker-port-closed" {
		t.Errorf("nobody listens: %v", err)
	}
}
