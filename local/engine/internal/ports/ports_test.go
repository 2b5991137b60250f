package ports

import (
	"errors"
	"io"
	"net"
	"runtime"
	"syscall"
	"testing"
)

func open(t *testing.T, n int) []net.Listener {
	t.Helper()
	var raw []net.Listener
	for range n {
		free, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := free.Addr().String()
		free.Close()
		l, err := net.Listen("tcp", address) // as the engine does: by its number
		if err != nil {
			t.Fatal(err)
		}
		raw = append(raw, l)
	}
	return raw
}

// ask connects and reads what the other side says.
func ask(t *testing.T, l net.Listener) (string, error) {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return "", err
	}
	defer c.Close()
	b, err := io.ReadAll(c)
	return string(b), err
}

// greet answers every connection with a word until the listener ends.
func greet(l net.Listener, word string) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		io.WriteString(c, word)
		c.Close()
	}
}

// wantRefused sees that nobody listens: a refusal on Linux, a reset elsewhere.
// The port stays taken.
func wantRefused(t *testing.T, l net.Listener) {
	t.Helper()
	want := syscall.ECONNRESET
	if runtime.GOOS == "linux" {
		want = syscall.ECONNREFUSED
	}
	if got, err := ask(t, l); !errors.Is(err, want) {
		t.Errorf("got %q, %v; want %v", got, err, want)
	}
	if other, err := net.Listen("tcp", l.Addr().String()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("somebody else could listen on %s: %v", l.Addr(), err)
		other.Close()
	}
}

func wantWord(t *testing.T, l net.Listener, word string) {
	t.Helper()
	if got, err := ask(t, l); got != word || err != nil {
		t.Errorf("got %q, %v; want %q", got, err, word)
	}
}

func TestClaims(t *testing.T) {
	raw := open(t, 2)
	p := Publish(raw)
	wantRefused(t, raw[0])
	l, err := p.Listen()
	if err != nil {
		t.Fatal(err)
	}
	go greet(l, "one")
	wantWord(t, raw[0], "one")
	wantWord(t, raw[1], "one")
	if _, err := p.Listen(); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("second claim: %v", err)
	}
	l.Close()
	wantRefused(t, raw[1])
	again, err := p.Listen()
	if err != nil {
		t.Fatal(err)
	}
	go greet(again, "two")
	l.Close() // an old claim gives nothing back
	wantWord(t, raw[0], "two")
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if _, err := again.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept after close: %v", err)
	}
	if _, err := ask(t, raw[0]); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial after close: %v", err)
	}
	if _, err := p.Listen(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("listen after close: %v", err)
	}
}

// TestUnwrap hands the sockets to "another process": copies of them.
func TestUnwrap(t *testing.T) {
	raw := open(t, 2)
	p := Publish(raw)
	defer p.Close()
	for _, word := range []string{"first", "second"} {
		claim, err := p.Listen()
		if err != nil {
			t.Fatal(err)
		}
		var copies []net.Listener
		for _, l := range claim.(interface{ Unwrap() []net.Listener }).Unwrap() {
			f, err := l.(*net.TCPListener).File()
			if err != nil {
				t.Fatal(err)
			}
			c, err := net.FileListener(f)
			f.Close()
			if err != nil {
				t.Fatal(err)
			}
			copies = append(copies, c)
			go greet(c, word)
		}
		for range 20 {
			wantWord(t, raw[0], word)
			wantWord(t, raw[1], word)
		}
		for _, c := range copies {
			c.Close()
		}
		claim.Close()
		wantRefused(t, raw[0])
		wantRefused(t, raw[1])
	}
}

// blunt is a listener that cannot be interrupted.
type blunt struct{ net.Listener }

func TestUnwrapWithoutDeadline(t *testing.T) {
	raw := open(t, 1)
	p := Publish([]net.Listener{blunt{raw[0]}})
	defer p.Close()
	l, err := p.Listen()
	if err != nil {
		t.Fatal(err)
	}
	if got := l.(*listener).Unwrap(); got != nil {
		t.Errorf("unwrapped %v", got)
	}
	go greet(l, "still here")
	wantWord(t, raw[0], "still here")
}

// TestNothingIsLostAtTheStart: whoever connects while the program begins to
// listen is refused or answered, never accepted and dropped, which a load
// balancer could not mend.
func TestNothingIsLostAtTheStart(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere connections are accepted and reset")
	}
	for range 20 {
		raw := open(t, 1)
		p := Publish(raw)
		answers := make(chan error, 50)
		for range cap(answers) {
			go func() {
				_, err := ask(t, raw[0])
				answers <- err
			}()
		}
		l, err := p.Listen()
		if err != nil {
			t.Fatal(err)
		}
		go greet(l, "hello")
		for range cap(answers) {
			if err := <-answers; err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("%v; want an answer or a refusal", err)
			}
		}
		p.Close()
	}
}
