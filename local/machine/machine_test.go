//go:build unix

package machine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/mesoslab/lab/internal/labtest"
	"github.com/mesoslab/lab/local/folder"
	"github.com/mesoslab/lab/local/handoff"
	"github.com/mesoslab/lab/local/shell"
)

func testNetwork(t *testing.T) *network {
	ip := strings.TrimSuffix(labtest.Subnet(t), "0/24") + "1"
	t.Chdir(t.TempDir()) // a machine's working directory is its folder
	return newNetwork(ip, handoff.Hosts{"node1": ip})
}

func TestHushedListenersTakeNobody(t *testing.T) {
	n := testNetwork(t)
	own, err := n.listen(t.Context(), "tcp", ":0") // accepted here
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	handed, err := n.listen(t.Context(), "tcp", "localhost:0") // accepted elsewhere, by a process that is frozen
	if err != nil {
		t.Fatal(err)
	}
	defer handed.Close()
	accepted := make(chan net.Conn, 100)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := own.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	})
	before, err := net.Dial("tcp", own.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer before.Close()
	(<-accepted).Close()

	if err := n.hush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*socket{own, handed} {
		for range 2 {
			_, err := net.DialTimeout("tcp", s.Addr().String(), 200*time.Millisecond)
			if ne, ok := errors.AsType[net.Error](err); !ok || !ne.Timeout() {
				t.Errorf("dial %s: %v, want a time-out", s.Addr(), err)
			}
		}
	}
	if len(accepted) > 0 {
		t.Error("a hushed listener accepted the connection that fills it")
	}
	if err := n.speak(); err != nil {
		t.Fatal(err)
	}
	after, err := net.DialTimeout("tcp", own.Addr().String(), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer after.Close()
	for {
		c := <-accepted // the filler may come first
		done := c.RemoteAddr().String() == after.LocalAddr().String()
		c.Close()
		if done {
			break
		}
	}
	own.Close()
	serving.Wait()
}

// freeAddress is one of the machine's on which nobody listens.
func freeAddress(t *testing.T, n *network) string {
	t.Helper()
	free, err := n.listen(t.Context(), "tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer free.Close()
	return free.Addr().String()
}

// TestQuietSocketsRefuse: a port behind which nobody listens yet refuses, but
// not while the machine has no power.
func TestQuietSocketsRefuse(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere such a port accepts and resets")
	}
	n := testNetwork(t)
	address := freeAddress(t, n)
	s, err := n.listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	dial := func() error {
		c, err := net.DialTimeout("tcp", address, 200*time.Millisecond)
		if err == nil {
			c.Close()
		}
		return err
	}
	want := func(when string, refused bool) {
		t.Helper()
		if err := dial(); errors.Is(err, syscall.ECONNREFUSED) != refused || !refused && err == nil && n.hushed {
			t.Errorf("%s: %v", when, err)
		}
	}
	if err := dial(); err != nil {
		t.Errorf("it listens: %v", err)
	}
	for _, step := range []struct {
		do      func() error
		refused bool
		when    string
	}{
		{func() error { return s.SetQuiet(true) }, true, "quiet"},
		{func() error { return n.hush(t.Context()) }, false, "without power"},
		{n.speak, true, "with power again"},
		{func() error { return s.SetQuiet(false) }, false, "it listens again"},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.when, err)
		}
		want(step.when, step.refused)
	}
	if err := dial(); err != nil {
		t.Errorf("at the end it listens: %v", err)
	}
}

// TestBoundPortsAreQuietFromTheStart: whoever connects while a port is bound,
// roused and closed is refused, or waits until somebody listens. Nobody is
// heard and reset, which costs a load balancer the request.
func TestBoundPortsAreQuietFromTheStart(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere such a port accepts and resets")
	}
	n := testNetwork(t)
	address := freeAddress(t, n)
	ctx, end := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	var answered, refused atomic.Int64
	for range 4 {
		callers.Go(func() {
			for ctx.Err() == nil {
				c, err := net.Dial("tcp", address)
				if err != nil {
					if !errors.Is(err, syscall.ECONNREFUSED) {
						t.Errorf("dial: %v", err)
					}
					refused.Add(1)
					continue
				}
				if _, err := io.ReadAll(c); err != nil {
					t.Errorf("heard, and then: %v", err)
				}
				c.Close()
				answered.Add(1)
			}
		})
	}
	for range 500 {
		s, err := n.bind(address)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.SetQuiet(true); err != nil { // the engine asks for it, too
			t.Fatal(err)
		}
		s.Close()
	}
	s, err := n.bind(address)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.bind(address); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("bound twice: %v", err)
	}
	before := refused.Load()
	if err := s.SetQuiet(false); err != nil {
		t.Fatal(err)
	}
	c, err := s.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	end()
	go func() { // for those that still call
		for {
			c, err := s.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	callers.Wait()
	s.Close()
	if before == 0 || answered.Load() == 0 {
		t.Errorf("%d refused, %d answered", before, answered.Load())
	}
}

func TestListenAddresses(t *testing.T) {
	n := testNetwork(t)
	for _, host := range []string{"", "0.0.0.0", "localhost", "127.0.0.1", "[::]", "node1", n.ip} {
		l, err := n.listen(t.Context(), "tcp", host+":0")
		if err != nil {
			t.Errorf("%q: %v", host, err)
			continue
		}
		if got := l.Addr().(*net.TCPAddr).IP.String(); got != n.ip {
			t.Errorf("%q listens on %s", host, got)
		}
		l.Close()
	}
	if _, err := n.listen(t.Context(), "tcp", "192.168.59.1:0"); !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("a foreign address: %v", err)
	}
	if _, err := n.listen(t.Context(), "udp", ":0"); err == nil {
		t.Error("udp is taken")
	}
	l, err := n.listen(t.Context(), "tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := n.listen(t.Context(), "tcp", l.Addr().String()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("twice: %v", err)
	}
	for _, address := range []string{"127.0.0.2:1", "10.0.0.1:80", "example.com:80"} {
		if c, err := n.dialLab(t.Context(), "tcp", address); err == nil {
			c.Close()
			t.Errorf("%s is dialled", address)
		} else if errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%s was tried: %v", address, err)
		}
	}
}

// TestDeadlinesSurviveAHush: whoever waits with a deadline of its own gets it
// after the power is back.
func TestDeadlinesSurviveAHush(t *testing.T) {
	n := testNetwork(t)
	l, err := n.listen(t.Context(), "tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	failed := make(chan error, 1)
	go func() { _, err := l.Accept(); failed <- err }()
	if err := n.hush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.SetDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-failed:
		t.Fatalf("accept ended in the hush: %v", err)
	default:
	}
	if err := n.speak(); err != nil {
		t.Fatal(err)
	}
	for {
		if err := <-failed; errors.Is(err, os.ErrDeadlineExceeded) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		go func() { _, err := l.Accept(); failed <- err }() // that was the filler
	}
}

func TestScriptProcess(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	start := func(script string, out io.Writer) *script {
		return startScript(t.Context(), shell.Config{Root: root, Dir: "/", User: "root", Stdout: out, Stderr: io.Discard}, []string{"sh", "-c", script})
	}
	var out bytes.Buffer
	s := start("echo a; exit 3", &out)
	if exit, err := s.Wait(t.Context()); exit != 3 || err != nil || out.String() != "a\n" {
		t.Errorf("exit %d, %v, %q", exit, err, out.String())
	}
	for sig, want := range map[syscall.Signal]int{syscall.SIGTERM: 143, syscall.SIGKILL: 137} {
		s := start("sleep 1000", io.Discard)
		s.Signal(syscall.SIGCONT)
		s.Signal(sig)
		if exit, err := s.Wait(t.Context()); exit != want || err != nil {
			t.Errorf("after %v: %d, %v, want %d", sig, exit, err, want)
		}
	}
	paused := start("while true; do echo x; done", io.Discard)
	paused.Pause()
	paused.Signal(syscall.SIGKILL)
	if exit, _ := paused.Wait(t.Context()); exit != 137 {
		t.Errorf("a paused script that is killed: %d", exit)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	hanging := start("sleep 1000", io.Discard)
	if _, err := hanging.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("wait: %v", err)
	}
	hanging.Signal(syscall.SIGKILL)
}

func TestHostKeyIsMadeOnce(t *testing.T) {
	f := folder.Folder(t.TempDir())
	_, first, err := HostKey(f)
	if err != nil {
		t.Fatal(err)
	}
	_, second, err := HostKey(f)
	if err != nil || first != second {
		t.Errorf("%q, then %q, %v", first, second, err)
	}
	if key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(first)); err != nil || key.Type() != "ssh-ed25519" {
		t.Errorf("host key %q: %v", first, err)
	}
	if i, err := os.Stat(f.Path(folder.HostKeyFile)); err != nil || i.Mode().Perm() != 0o600 {
		t.Errorf("the private half: %v, %v", i, err)
	}
}

func TestMainRefusesNonsense(t *testing.T) {
	for _, args := range [][]string{nil, {"fly"}, {"run"}, {"run", "a", "b"}, {"run", "--x", "a"}} {
		var log bytes.Buffer
		if code := Main(t.Context(), args, Config{Log: &log}); code != 2 || log.Len() == 0 {
			t.Errorf("%v: exit code %d, %q", args, code, log.String())
		}
	}
	if code := Main(t.Context(), []string{"run", filepath.Join(t.TempDir(), "nothing")}, Config{}); code != 1 {
		t.Errorf("a folder that is not there: exit code %d", code)
	}
}
