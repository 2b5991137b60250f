package provision

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/client"
	"golang.org/x/crypto/ssh"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/internal/labtest/bubble"
)

func TestRun(t *testing.T) {
	s := newSSHD(t, "vagrant")
	s.run = func(cmd string, stdin io.Reader, stdout, stderr io.Writer) int {
		in, _ := io.ReadAll(stdin)
		fmt.Fprintf(stdout, "%s|%s", cmd, in)
		for i := range 30 {
			fmt.Fprintf(stderr, "line %d\n", i)
		}
		return map[string]int{"good": 0, "bad": 7, "cut": -1}[cmd]
	}
	h := s.start(t)
	out, err := h.Run(t.Context(), "good", strings.NewReader("input"))
	if err != nil || string(out) != "good|input" {
		t.Errorf("good: %q, %v", out, err)
	}
	_, err = h.Run(t.Context(), "bad", nil)
	failed, ok := errors.AsType[*CommandError](err)
	if !ok || failed.Exit != 7 || failed.Cmd != "bad" || failed.Host != "node1" {
		t.Fatalf("bad: %v", err)
	}
	if lines := strings.Split(failed.Stderr, "\n"); len(lines) != 20 || lines[0] != "line 10" || lines[19] != "line 29" {
		t.Errorf("stderr: %q, want the last 20 lines", failed.Stderr)
	}
	if want := "node1: bad: exit code 7: line 29"; err.Error() != want {
		t.Errorf("error %q, want %q", err, want)
	}
	_, err = h.Run(t.Context(), "cut", nil)
	if failed, ok := errors.AsType[*CommandError](err); !ok || failed.Exit != -1 {
		t.Errorf("command without exit code: %v", err)
	}
}

func TestRunLines(t *testing.T) {
	s := newSSHD(t, "vagrant")
	s.run = func(_ string, _ io.Reader, stdout, stderr io.Writer) int {
		io.WriteString(stdout, "one\ntw")
		io.WriteString(stdout, "o\r10 %\r\n\n  ")
		io.WriteString(stdout, strings.Repeat("x", longestLine+10)+"\nlast")
		io.WriteString(stderr, "broken")
		return 3
	}
	h := s.start(t)
	var said []string
	err := h.RunLines(t.Context(), "cmd", func(line string) { said = append(said, line) })
	if failed, ok := errors.AsType[*CommandError](err); !ok || failed.Exit != 3 || failed.Stderr != "broken" {
		t.Errorf("error %v", err)
	}
	slices.Sort(said) // stdout and stderr come on their own
	want := []string{"10 %", "broken", "last", "one", "two", strings.Repeat("x", longestLine-2)}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Error(diff)
	}
}

func TestRunEndsWithContext(t *testing.T) {
	s := newSSHD(t, "root")
	started := make(chan struct{})
	s.run = func(_ string, stdin io.Reader, _, _ io.Writer) int {
		close(started)
		io.Copy(io.Discard, stdin) // ends with the channel only
		return 0
	}
	h := s.start(t)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-started; cancel() }()
	reader, _ := io.Pipe() // never gives anything
	if _, err := h.Run(ctx, "sleep", reader); !errors.Is(err, context.Canceled) {
		t.Errorf("Run: %v, want the context's error", err)
	}
}

func TestFiles(t *testing.T) {
	s := newSSHD(t, "root")
	h := s.start(t)
	if _, err := h.ReadFile(t.Context(), "/etc/default/docker"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if err := h.Exists(t.Context(), "/etc/default/docker"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file exists: %v", err)
	}
	for _, content := range []string{"first", "second, longer", ""} {
		if err := h.WriteFile(t.Context(), "/etc/default/docker", []byte(content), 0o640); err != nil {
			t.Fatal(err)
		}
		got, err := h.ReadFile(t.Context(), "/etc/default/docker")
		if err != nil || string(got) != content {
			t.Errorf("read back %q, %v, want %q", got, err, content)
		}
	}
	for _, name := range []string{"/etc/default/docker", "/etc/default"} {
		if err := h.Exists(t.Context(), name); err != nil {
			t.Error(err)
		}
	}
	if left := names(t, h, "/etc/default"); left != "docker" {
		t.Errorf("the folder holds %q after writing, want only docker", left)
	}
}

// names lists a folder through a fresh SFTP client.
func names(t *testing.T, h *Host, dir string) string {
	t.Helper()
	c, err := h.sftpClient(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	list, err := c.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range list {
		out = append(out, f.Name())
	}
	return strings.Join(out, " ")
}

func TestWriteFileBySudo(t *testing.T) {
	s := newSSHD(t, "vagrant")
	s.files = guard(s.files)
	var ran []string
	given := ""
	s.run = func(cmd string, stdin io.Reader, _, _ io.Writer) int {
		ran = append(ran, cmd)
		data, _ := io.ReadAll(stdin)
		given += string(data)
		return 0
	}
	h := s.start(t)
	c, err := h.sftpClient(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Mkdir("/tmp"); err != nil {
		t.Fatal(err)
	}
	if err := h.WriteFile(t.Context(), "/etc/docker/x y.conf", []byte("content"), 0o644); err != nil {
		t.Fatal(err)
	}
	if left := names(t, h, "/tmp"); left != "" {
		t.Errorf("a small file left %q in /tmp", left)
	}
	if len(ran) != 1 || !strings.HasPrefix(ran[0], "sudo -n sh -c ") || !strings.HasSuffix(ran[0], " 0644 7") || given != "content" {
		t.Errorf("ran %q with input %q, want one command", ran, given)
	}
	ran = nil
	if err := h.Upload(t.Context(), "/etc/docker/x y.conf", strings.NewReader("content"), 0o755); err != nil {
		t.Fatal(err)
	}
	temp := names(t, h, "/tmp") // the double's rm does nothing
	data, err := h.ReadFile(t.Context(), "/tmp/"+temp)
	if err != nil || string(data) != "content" {
		t.Errorf("uploaded %q: %q, %v", temp, data, err)
	}
	want := Quote("sudo", "-n", "sh", "-c", installScript, "sh", "/etc/docker", "/etc/docker/x y.conf", "/etc/docker/"+temp, "0755", "/tmp/"+temp)
	if len(ran) != 1 || ran[0] != want {
		t.Errorf("ran\n%s\nwant\n%s", strings.Join(ran, "\n"), want)
	}
	ran = nil
	h.ReadFile(t.Context(), "/root/secret")
	if len(ran) != 1 || ran[0] != "sudo -n cat /root/secret" {
		t.Errorf("reading what only root may read ran %q", ran)
	}
}

// engineDouble is an engine that speaks up to a version of the API. It says so
// at /_ping unless it is old (below 1.25), and counts how often it is asked for its
// version.
type engineDouble struct {
	*pipeListener
	versions atomic.Int32
}

func newEngineDouble(t *testing.T, api string) *engineDouble {
	t.Helper()
	l := &engineDouble{pipeListener: newPipeListener()}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_ping", func(w http.ResponseWriter, _ *http.Request) {
		if !VersionLess(api, "1.25") {
			w.Header().Set("Api-Version", api)
		}
		io.WriteString(w, "OK")
	})
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		l.versions.Add(1)
		w.Header().Set("Server", "Docker/20.10.24 (linux)")
		json.NewEncoder(w).Encode(map[string]string{"Version": "20.10.24+dfsg1", "ApiVersion": api, "MinAPIVersion": "1.12"})
	})
	mux.HandleFunc("GET /v"+api+"/containers/json", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `[{"Id":"a1"}]`) })
	server := &http.Server{Handler: mux}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return l
}

// TestVersionIsCostly makes clients of engines: only one that is old, or newer
// than what we speak, is asked for its whole version.
func TestVersionIsCostly(t *testing.T) {
	for api, want := range map[string]int32{"1.24": 1, "1.25": 0, "1.41": 0, "1.99": 1} {
		engine := newEngineDouble(t, api)
		c, err := newDocker(t.Context(), "node1", func(context.Context, string, string) (net.Conn, error) { return engine.dial() })
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		if got := engine.versions.Load(); got != want {
			t.Errorf("an engine of API %s was asked %d times for its version, want %d", api, got, want)
		}
	}
}

func TestDockerOverStreamlocal(t *testing.T) {
	for _, api := range []string{"1.23", "1.41"} {
		t.Run(api, func(t *testing.T) {
			engine := newEngineDouble(t, api)
			s := newSSHD(t, "root")
			s.dial = func(network, addr string) (net.Conn, error) {
				if network != "unix" || addr != dockerSocket {
					return nil, errors.New("nobody there")
				}
				return engine.dial()
			}
			h := s.start(t)
			d, err := h.Docker(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if d.ClientVersion() != api {
				t.Errorf("client speaks %s, want the engine's %s", d.ClientVersion(), api)
			}
			list, err := d.ContainerList(t.Context(), client.ContainerListOptions{})
			if err != nil || len(list.Items) != 1 {
				t.Errorf("list: %v, %v", list, err)
			}
			if again, _ := h.Docker(t.Context()); again != d {
				t.Error("a second client was made")
			}
		})
	}
}

func TestDockerTooOld(t *testing.T) {
	engine := newEngineDouble(t, "1.15")
	s := newSSHD(t, "root")
	s.dial = func(string, string) (net.Conn, error) { return engine.dial() }
	h := s.start(t)
	if _, err := h.Docker(t.Context()); lab.ErrorID(err) != "docker-too-old" {
		t.Errorf("error %v, want docker-too-old", err)
	}
}

func TestDockerOverStdio(t *testing.T) {
	for user, want := range map[string]string{
		"vagrant": "[ -S /var/run/docker.sock ] || { echo no /var/run/docker.sock >&2; exit 1; }; sudo -n docker system dial-stdio || exec sudo -n nc -U /var/run/docker.sock",
		"root":    "[ -S /var/run/docker.sock ] || { echo no /var/run/docker.sock >&2; exit 1; }; docker system dial-stdio || exec nc -U /var/run/docker.sock",
	} {
		t.Run(user, func(t *testing.T) { dockerOverStdio(t, user, want) })
	}
}

func dockerOverStdio(t *testing.T, user, want string) {
	engine := newEngineDouble(t, "1.41")
	s := newSSHD(t, user)
	s.forbid = true
	var ran []string
	s.run = func(cmd string, stdin io.Reader, stdout, _ io.Writer) int {
		ran = append(ran, cmd)
		conn, err := engine.dial()
		if err != nil {
			return 1
		}
		go io.Copy(conn, stdin)
		io.Copy(stdout, conn)
		return 0
	}
	h := s.start(t)
	d, err := h.Docker(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.ContainerList(t.Context(), client.ContainerListOptions{}); err != nil {
		t.Error(err)
	}
	if len(ran) == 0 || ran[0] != want {
		t.Errorf("ran %q, want %q", ran, want)
	}
	if n := s.forwards(); n != 1 {
		t.Errorf("asked for forwarding %d times, want once: the command is known to work", n)
	}
}

func TestDockerNotThere(t *testing.T) {
	s := newSSHD(t, "vagrant")
	s.run = func(_ string, _ io.Reader, _, stderr io.Writer) int {
		io.WriteString(stderr, "docker: command not found\n")
		return 127
	}
	h := s.start(t)
	_, err := h.Docker(t.Context())
	if err == nil || !strings.Contains(err.Error(), "docker: command not found") {
		t.Errorf("error %v, want what the command said", err)
	}
}

func TestDialTCP(t *testing.T) {
	s := newSSHD(t, "root")
	var asked string
	s.dial = func(network, addr string) (net.Conn, error) {
		asked = network + " " + addr
		a, b := net.Pipe()
		go func() { io.Copy(b, b); b.Close() }()
		return a, nil
	}
	h := s.start(t)
	conn, err := h.Dial(t.Context(), "tcp", "127.0.0.1:2375")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if asked != "tcp 127.0.0.1:2375" {
		t.Errorf("asked for %q", asked)
	}
	io.WriteString(conn, "echo")
	buf := make([]byte, 4)
	if _, err := io.ReadFull(conn, buf); err != nil || string(buf) != "echo" {
		t.Errorf("read %q, %v", buf, err)
	}
}

func TestConnectFailures(t *testing.T) {
	other, _ := newSigner(t)
	for _, tt := range []struct {
		name   string
		change func(*sshd, *lab.Machine)
		id     string
	}{
		{"wrong host key", func(_ *sshd, m *lab.Machine) { m.SSH.HostKey = string(ssh.MarshalAuthorizedKey(other.PublicKey())) }, "ssh-host-key"},
		{"no host key", func(_ *sshd, m *lab.Machine) { m.SSH.HostKey = "" }, "ssh-host-key"},
		{"no key file", func(_ *sshd, m *lab.Machine) { m.SSH.KeyFile += "gone" }, "ssh-key"},
		{"key refused", func(s *sshd, _ *lab.Machine) { s.rejected = true }, "ssh-refused"},
		{"nobody listens", func(_ *sshd, m *lab.Machine) { m.SSH.Addr = "10.0.0.1:23" }, "ssh-timeout"},
		{"silent", func(_ *sshd, m *lab.Machine) { m.SSH.Addr = "10.0.0.9:22" }, "ssh-timeout"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newSSHD(t, "root") // keys are made outside the bubble
			bubble.Test(t, func(t *testing.T) {
				net := labtest.NewNetwork()
				l, err := net.Host("10.0.0.1").Listen(t.Context(), "tcp", ":22")
				if err != nil {
					t.Fatal(err)
				}
				defer s.hangUp()
				defer l.Close()
				go s.serve(l)
				net.Cut("10.0.0.9")
				m := s.machine("10.0.0.1:22")
				tt.change(s, &m)
				start := time.Now()
				_, err = Connector{Dial: net.Host("10.0.0.254").Dial, Wait: time.Minute}.Connect(t.Context(), m)
				if lab.ErrorID(err) != tt.id {
					t.Errorf("error %v, id %q, want %q", err, lab.ErrorID(err), tt.id)
				}
				if tt.id == "ssh-timeout" && time.Since(start) != time.Minute {
					t.Errorf("gave up after %s", time.Since(start))
				}
				if e, ok := errors.AsType[*lab.Error](err); !ok || e.Advice == "" {
					t.Errorf("no advice in %v", err)
				}
			})
		})
	}
}

func TestConnectWaitsForSSH(t *testing.T) {
	s := newSSHD(t, "root")
	s.rejected = true
	bubble.Test(t, func(t *testing.T) {
		network := labtest.NewNetwork()
		var l net.Listener
		go func() {
			time.Sleep(20 * time.Second) // the machine boots
			l, _ = network.Host("10.0.0.1").Listen(t.Context(), "tcp", ":22")
			go s.serve(l)
			time.Sleep(5 * time.Second) // the key is put in place
			s.mu.Lock()
			s.rejected = false
			s.mu.Unlock()
		}()
		h, err := Connector{Dial: network.Host("10.0.0.254").Dial}.Connect(t.Context(), s.machine("10.0.0.1:22"))
		if err != nil {
			t.Fatal(err)
		}
		h.Close()
		l.Close()
		synctest.Wait()
	})
}

func TestKeepAliveEndsDeadConnection(t *testing.T) {
	s := newSSHD(t, "root")
	s.run = func(_ string, stdin io.Reader, _, _ io.Writer) int { io.Copy(io.Discard, stdin); return -1 }
	bubble.Test(t, func(t *testing.T) {
		network := labtest.NewNetwork()
		l, err := network.Host("10.0.0.1").Listen(t.Context(), "tcp", ":22")
		if err != nil {
			t.Fatal(err)
		}
		go s.serve(l)
		h, err := Connector{Dial: network.Host("10.0.0.254").Dial}.Connect(t.Context(), s.machine("10.0.0.1:22"))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		select {
		case <-h.Done():
			t.Fatal("an idle connection to a living machine was closed")
		default:
		}
		network.Cut("10.0.0.1")
		start := time.Now()
		reader, writer := io.Pipe()
		_, err = h.Run(t.Context(), "wait", reader)
		writer.Close()
		if !errors.Is(err, errSilent) {
			t.Errorf("Run on a machine without power: %v", err)
		}
		if took := time.Since(start); took > 15*time.Second {
			t.Errorf("noticed after %s, want at most 15 s", took)
		}
		<-h.Done()
		l.Close()
		s.hangUp()
		synctest.Wait()
	})
}

func TestUploadLarge(t *testing.T) {
	s := newSSHD(t, "root")
	h := s.start(t)
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // 1 MiB: many packets
	if err := h.Upload(t.Context(), "/big", bytes.NewReader(data), 0o755); err != nil {
		t.Fatal(err)
	}
	got, err := h.ReadFile(t.Context(), "/big")
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("read back %d bytes, %v", len(got), err)
	}
}
