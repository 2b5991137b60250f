//go:build unix

package handoff

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// machine serves one child in this process and records what it has open.
type machine struct {
	mu       sync.Mutex
	open     map[string]bool
	programs programs
}

type tracked struct {
	net.Listener
	close func()
}

func (t tracked) Unwrap() net.Listener { return t.Listener }
func (t tracked) Close() error         { t.close(); return t.Listener.Close() }

// several stands for one container port published to two host ports.
type several struct {
	net.Listener
	all []net.Listener
}

func (s several) Unwrap() []net.Listener { return s.all }
func (s several) Close() error {
	var err error
	for _, l := range s.all {
		err = errors.Join(err, l.Close())
	}
	return err
}

func (m *machine) listen(ctx context.Context, network, address string) (net.Listener, error) {
	if address == "hang" {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if address == "two" {
		a, err := m.listen(ctx, network, "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		b, err := m.listen(ctx, network, "127.0.0.1:0")
		return several{a, []net.Listener{a, b}}, err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, network, address)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open[l.Addr().String()] = true
	return tracked{l, func() { m.mu.Lock(); delete(m.open, l.Addr().String()); m.mu.Unlock() }}, nil
}

func (m *machine) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.open)
}

func start(t *testing.T) (*machine, *Client, <-chan error) {
	t.Helper()
	own, child, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{open: map[string]bool{}, programs: programs{make(chan string, 10), make(chan struct{})}}
	served := make(chan error, 1)
	go func() { served <- Host{Listen: m.listen, Programs: m.programs}.Serve(t.Context(), own) }()
	fd, err := unix.FcntlInt(child.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	child.Close()
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewClient(uintptr(fd))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); <-served })
	served2 := make(chan error, 1)
	go func() { err := <-served; served2 <- err; served <- err }()
	return m, c, served2
}

func echoOnce(t *testing.T, l net.Listener, network, address string) {
	t.Helper()
	go func() {
		if c, err := l.Accept(); err == nil {
			io.Copy(c, c)
			c.Close()
		}
	}()
	c, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintln(c, "hello")
	c.(interface{ CloseWrite() error }).CloseWrite()
	if b, err := io.ReadAll(c); string(b) != "hello\n" || err != nil {
		t.Fatalf("echo %q, %v", b, err)
	}
}

func TestListenersAreHandedOver(t *testing.T) {
	m, c, _ := start(t)
	l, err := c.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	echoOnce(t, l, "tcp", l.Addr().String())
	if m.count() != 1 {
		t.Fatalf("the machine holds %d listeners, want 1", m.count())
	}
	if _, err := c.Listen(t.Context(), "tcp", l.Addr().String()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("the same port again: %v, want EADDRINUSE", err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if m.count() != 0 {
		t.Error("the machine kept its handle of a closed listener")
	}
	again, err := c.Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatalf("a closed port is not free: %v", err)
	}
	again.Close()
}

func TestUnixAndSeveralSockets(t *testing.T) {
	m, c, _ := start(t)
	path := filepath.Join(t.TempDir(), "s")
	l, err := c.Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	echoOnce(t, l, "unix", path)
	l.Close()
	two, err := c.Listen(t.Context(), "tcp", "two")
	if err != nil {
		t.Fatal(err)
	}
	m.mu.Lock()
	var addresses []string
	for a := range m.open {
		addresses = append(addresses, a)
	}
	m.mu.Unlock()
	if len(addresses) != 2 {
		t.Fatalf("open: %v", addresses)
	}
	for _, a := range addresses {
		echoOnce(t, two, "tcp", a)
	}
	blocked := make(chan error)
	go func() { _, err := two.Accept(); blocked <- err }()
	two.Close()
	if err := <-blocked; !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept after close: %v", err)
	}
}

func TestDeathOfTheChildClosesItsListeners(t *testing.T) {
	m, c, served := start(t)
	for range 5 {
		if _, err := c.Listen(t.Context(), "tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	c.Close()
	if err := <-served; !errors.Is(err, io.EOF) {
		t.Errorf("served until %v, want end of file", err)
	}
	if m.count() != 0 {
		t.Errorf("%d listeners outlived the child", m.count())
	}
	if _, err := c.Listen(t.Context(), "tcp", "127.0.0.1:0"); err == nil {
		t.Error("a closed client still listens")
	}
}

func TestListenEndsWithItsContext(t *testing.T) {
	_, c, _ := start(t)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() { _, err := c.Listen(ctx, "tcp", "hang"); failed <- err }()
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want canceled", err)
	}
	l, err := c.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("a waiting request blocks others: %v", err)
	}
	l.Close()
}

func TestDialerComesFromTheMachinesAddress(t *testing.T) {
	l, err := net.Listen("tcp", "127.202.1.1:0")
	if err != nil {
		t.Skipf("this computer lacks 127.202.1.1: %v", err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	from := make(chan string, 8)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			from <- c.RemoteAddr().(*net.TCPAddr).IP.String()
			c.Close()
		}
	}()
	dial := Dialer("127.202.1.2", Hosts{"node1": "127.202.1.1"})
	for _, host := range []string{"node1", "127.202.1.1"} {
		c, err := dial(t.Context(), "tcp", net.JoinHostPort(host, port))
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		if got := <-from; got != "127.202.1.2" {
			t.Errorf("%s: came from %s", host, got)
		}
	}
	own := Dialer("127.202.1.1", nil)
	for _, host := range []string{"localhost", "127.0.0.1", "0.0.0.0"} {
		c, err := own(t.Context(), "tcp", net.JoinHostPort(host, port))
		if err != nil {
			t.Fatalf("%s: %v", host, err)
		}
		c.Close()
		<-from
	}
	if _, err := dial(t.Context(), "tcp", "example.com:80"); err == nil || !strings.Contains(err.Error(), "no machine of this lab") {
		t.Errorf("a foreign name: %v", err)
	}
}

func TestDialerTakesLongUnixPathsRelatively(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 30))
	if err := os.MkdirAll(filepath.Join(dir, "var/run"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	l, err := net.Listen("unix", "var/run/x.sock")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := Dialer("127.0.0.1", nil)(t.Context(), "unix", "/var/run/x.sock")
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestHosts(t *testing.T) {
	h := ParseHosts("node2=127.1.1.2, node1=127.1.1.1,broken,=127.1.1.3,x=y")
	if h.String() != "node1=127.1.1.1,node2=127.1.1.2" {
		t.Errorf("hosts %q", h)
	}
}

func TestWorldOutsideAMachineIsThePlainNetwork(t *testing.T) {
	w, err := FromEnviron(func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	l, err := w.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, err := w.Dial(ctx, "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if _, err := FromEnviron(func(k string) string { return map[string]string{EnvIP: "127.0.0.1"}[k] }); err == nil {
		t.Error("LAB_IP without LAB_HANDOFF_FD is no error")
	}
}

func FuzzServer(f *testing.F) {
	f.Add([]byte(`{"op":"listen","id":1,"network":"tcp","address":"127.0.0.1:0"}` + "\n" + `{"op":"close","id":1}` + "\n"))
	f.Add([]byte(`{"op":"start","id":1,"name":"a","order":"/o"}` + "\n" + `{"op":"wait","id":2}` + "\n" + `{"op":"stop","id":3,"process":{"pid":1,"start":"x"},"grace":1}` + "\n"))
	f.Add([]byte("{\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		own, child, err := Pair()
		if err != nil {
			t.Fatal(err)
		}
		refuse := func(context.Context, string, string) (net.Listener, error) { return nil, syscall.EADDRINUSE }
		done := make(chan error, 1)
		go func() { done <- Host{Listen: refuse}.Serve(t.Context(), own) }()
		conn, err := net.FileConn(child)
		child.Close()
		if err != nil {
			t.Fatal(err)
		}
		go io.Copy(io.Discard, conn)
		conn.Write(raw)
		conn.Close()
		<-done
	})
}
