// Package realzk gives tests a real ZooKeeper server, of Debian's package
// zookeeper, on a loopback address: to compare ours with it, and to put it in
// ours' place.
//
// It owns the process, its folder and its configuration, and removes them when
// the test ends. Where the package is missing the test skips, or fails under
// LAB_TEST_NO_SKIP=1. What is asked of the server is its callers' matter.
package realzk

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/internal/labtest"
)

// Classpath is what Debian's scripts give Java.
const Classpath = "/etc/zookeeper/conf:/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-simple.jar"

// patience is a bound against hanging.
const patience = 2 * time.Minute

// Need skips where there is no ZooKeeper, and returns the path of Java.
func Need(t testing.TB) (java string) {
	t.Helper()
	java = labtest.NeedProgram(t, "java")
	for _, name := range filepath.SplitList(Classpath) {
		if _, err := os.Stat(name); err != nil {
			labtest.Missing(t, "the package zookeeper is not installed: "+err.Error())
		}
	}
	return java
}

// Server is a real ZooKeeper.
type Server struct {
	Addr string // host:port

	t      testing.TB
	java   string
	config string
	log    string // the file of what it says
	cmd    *exec.Cmd
}

// Start starts a server without data on an address (host:port; port 0 chooses
// one) and returns when it answers.
func Start(t testing.TB, addr string) *Server {
	t.Helper()
	s := &Server{t: t, java: Need(t)}
	l, err := net.Listen("tcp", addr) // taken, or which one
	if err != nil {
		t.Fatalf("real ZooKeeper: %v", err)
	}
	s.Addr = l.Addr().String()
	l.Close()
	host, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s.config, s.log = filepath.Join(dir, "zoo.cfg"), filepath.Join(dir, "log")
	text := fmt.Sprintf("dataDir=%s\nclientPortAddress=%s\nclientPort=%s\ntickTime=2000\nmaxClientCnxns=0\nadmin.enableServer=false\n4lw.commands.whitelist=*\n",
		filepath.Join(dir, "data"), host, port)
	if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	s.Again()
	return s
}

// Again starts the server after Kill, with the data that it has.
func (s *Server) Again() {
	s.t.Helper()
	out, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer out.Close() // the process has its own
	s.cmd = exec.Command(s.java, "-Xmx128m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
		"-cp", Classpath, "org.apache.zookeeper.server.quorum.QuorumPeerMain", s.config)
	s.cmd.Stdout, s.cmd.Stderr = out, out
	if err := s.cmd.Start(); err != nil {
		s.t.Fatalf("real ZooKeeper: %v", err)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	if err := lab.Until(ctx, 50*time.Millisecond, "the real ZooKeeper", func(ctx context.Context) error {
		// It says imok before it takes sessions, and nothing at all to who asks
		// too early for more.
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		answer, err := s.Word(ctx, "srvr")
		if err == nil && !strings.Contains(answer, "Mode: ") {
			err = fmt.Errorf("it says %q", answer)
		}
		return err
	}); err != nil {
		s.Kill()
		s.t.Fatalf("%v\n%s", err, s.said())
	}
}

// Kill ends the process by SIGKILL; its data stay.
func (s *Server) Kill() {
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	_ = s.cmd.Process.Kill() // it may have ended
	_ = s.cmd.Wait()
	s.cmd = nil
	if s.t.Failed() {
		s.t.Logf("real ZooKeeper:\n%s", s.said())
	}
}

func (s *Server) said() string {
	text, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Word asks the server one of its four-letter words.
func (s *Server) Word(ctx context.Context, word string) (string, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", s.Addr)
	if err != nil {
		return "", err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	if _, err := io.WriteString(c, word); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(c)
	return string(answer), err
}
