package silence

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/mesoslab/lab/internal/labtest"
)

// TestMain also is the process whose sockets are silenced from outside: it
// listens on the address it is given and sends back what it gets.
func TestMain(m *testing.M) {
	if address := os.Getenv("SILENCE_TEST_LISTEN"); address != "" {
		l, err := listen(address)
		if err != nil {
			os.Exit(1)
		}
		os.Stdout.WriteString(l.Addr().String() + "\n")
		for {
			c, err := l.Accept()
			if err != nil {
				fmt.Fprintln(os.Stderr, "accept:", err)
				os.Exit(1)
			}
			go func() {
				defer c.Close()
				if _, err := io.Copy(c, c); err != nil {
					fmt.Fprintln(os.Stderr, "echo:", err)
				}
			}()
		}
	}
	os.Exit(m.Run())
}

// listen opens a socket of plain TCP: one of multipath TCP takes no filter.
func listen(address string) (net.Listener, error) {
	var c net.ListenConfig
	c.SetMultipathTCP(false)
	return c.Listen(context.Background(), "tcp", address)
}

func from(t *testing.T, ip, to string, wait time.Duration) (net.Conn, error) {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}, Timeout: wait}
	return d.Dial("tcp", to)
}

func echo(c net.Conn, text string, wait time.Duration) error {
	if _, err := c.Write([]byte(text)); err != nil {
		return err
	}
	if err := c.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, len(text)))
	return err
}

// TestSilence silences another process towards one of two clients: that one's
// open connection hangs, its new ones get no answer, the other's go on. When
// it is over, what was sent meanwhile arrives.
func TestSilence(t *testing.T) {
	if err := Supported(); err != nil {
		if os.Getenv("LAB_TEST_NO_SKIP") == "1" {
			t.Fatal(err)
		}
		t.Skip("silencing needs socket filters and pidfd_getfd:", err)
	}
	subnet := strings.TrimSuffix(labtest.Subnet(t), "0/24")
	a, b := subnet+"2", subnet+"3"
	cmd, address := echoServer(t, subnet+"1:0", nil)
	conn := map[string]net.Conn{}
	for _, ip := range []string{a, b} {
		var err error
		if conn[ip], err = from(t, ip, address, 5*time.Second); err != nil {
			t.Fatal(err)
		}
		defer conn[ip].Close()
		if err := echo(conn[ip], "before", 5*time.Second); err != nil {
			t.Fatal(ip, err)
		}
	}

	cut := NewSockets(List{netip.MustParseAddr(a), netip.MustParseAddr("127.1.2.3")})
	for range 2 {
		if err := cut.Process(cmd.Process.Pid); err != nil {
			t.Fatal(err)
		}
	}
	if err := echo(conn[a], "hello", 300*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the open connection of the silenced: %v", err)
	}
	if _, err := from(t, a, address, 300*time.Millisecond); err == nil || !err.(net.Error).Timeout() {
		t.Errorf("a new connection of the silenced: %v", err)
	}
	if err := echo(conn[b], "hello", 5*time.Second); err != nil {
		t.Errorf("the open connection of another: %v", err)
	}
	accepted, err := from(t, b, address, 5*time.Second)
	if err != nil {
		t.Fatalf("a new connection of another: %v", err)
	}
	defer accepted.Close()

	if err := NewSockets(nil).Process(cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	conn[a].SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.ReadFull(conn[a], make([]byte, len("hello"))); err != nil {
		t.Errorf("what was sent meanwhile: %v", err)
	}
	c, err := from(t, a, address, 5*time.Second)
	if err != nil {
		t.Fatalf("a new connection afterwards: %v", err)
	}
	c.Close()
}

func TestOwnSockets(t *testing.T) {
	l, err := listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	quiet := List{netip.MustParseAddr("127.0.0.1")}
	if err := quiet.Socket(l.(*net.TCPListener)); err != nil {
		t.Fatal(err)
	}
	if c, err := net.DialTimeout("tcp", l.Addr().String(), 200*time.Millisecond); err == nil {
		c.Close()
		t.Error("a silenced listener takes connections")
	}
	if err := NewSockets(nil).Process(os.Getpid()); err != nil {
		t.Fatal(err)
	}
	c, err := net.DialTimeout("tcp", l.Addr().String(), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if err := NewSockets(quiet).Process(1 << 22); err != nil {
		t.Errorf("a process that is not there: %v", err)
	}
}

// TestDeafen makes another process' listener hear nobody, and its connections
// as they were; what this process listens on itself is not touched.
func TestDeafen(t *testing.T) {
	if err := Supported(); err != nil {
		if os.Getenv("LAB_TEST_NO_SKIP") == "1" {
			t.Fatal(err)
		}
		t.Skip("silencing needs socket filters and pidfd_getfd:", err)
	}
	own, err := listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	subnet := strings.TrimSuffix(labtest.Subnet(t), "0/24")
	a, b := subnet+"2", subnet+"3"
	cmd, address := echoServer(t, subnet+"1:0", own)
	open, err := from(t, a, address, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()

	deaf, err := Deafen([]int{cmd.Process.Pid, 1 << 22})
	if err != nil {
		t.Fatal(err)
	}
	for _, ip := range []string{a, b} {
		if _, err := from(t, ip, address, 300*time.Millisecond); err == nil || !err.(net.Error).Timeout() {
			t.Errorf("a new connection from %s: %v", ip, err)
		}
	}
	if err := echo(open, "hello", 5*time.Second); err != nil {
		t.Errorf("an open connection: %v", err)
	}
	c, err := net.DialTimeout("tcp", own.Addr().String(), 5*time.Second)
	if err != nil {
		t.Fatalf("a socket that this process has, too: %v", err)
	}
	c.Close()

	if err := deaf.Restore(List{netip.MustParseAddr(b)}); err != nil {
		t.Fatal(err)
	}
	if c, err := from(t, a, address, 5*time.Second); err != nil {
		t.Errorf("afterwards: %v", err)
	} else {
		c.Close()
	}
	if _, err := from(t, b, address, 300*time.Millisecond); err == nil || !err.(net.Error).Timeout() {
		t.Errorf("afterwards, from whom the network is cut: %v", err)
	}
}

// echoServer starts the other process; it has a copy of inherited, too.
func echoServer(t *testing.T, address string, inherited net.Listener) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "SILENCE_TEST_LISTEN="+address)
	cmd.Stderr = os.Stderr
	if l, ok := inherited.(*net.TCPListener); ok {
		f, err := l.File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		cmd.ExtraFiles = []*os.File{f}
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return cmd, strings.TrimSpace(line)
}
