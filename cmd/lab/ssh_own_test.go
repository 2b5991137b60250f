//go:build unix

package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/crypto/ssh"
	"golang.org/x/term"

	"github.com/mesoslab/lab"
)

// sshPeer is a machine as far as ownSSH knows one: it notes what is asked of
// its terminal, and its program says "ready", repeats one line and ends with 5.
type sshPeer struct {
	machine lab.Machine

	mu    sync.Mutex
	asked []string
	size  string
}

// resized notes a size that differs from the last one: the first may be told
// once more at any time, a terminal can change while it is asked for.
func (p *sshPeer) resized(columns, rows uint32, err error) {
	now := fmt.Sprintf("%dx%d %v", columns, rows, err)
	p.mu.Lock()
	same := now == p.size
	p.size = now
	p.mu.Unlock()
	if !same {
		p.note("window %s", now)
	}
}

func (p *sshPeer) note(format string, a ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, fmt.Sprintf(format, a...))
}

func (p *sshPeer) has(what string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if all := strings.Join(p.asked, "; "); !strings.Contains(all, what) {
		return errors.New(all)
	}
	return nil
}

func newSSHPeer(t *testing.T) *sshPeer {
	t.Helper()
	_, hostKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	host, err := ssh.NewSignerFromKey(hostKey)
	if err != nil {
		t.Fatal(err)
	}
	_, userKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(userKey, "")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	p := &sshPeer{}
	p.machine.Name = "node2"
	p.machine.SSH = lab.SSHEndpoint{Addr: l.Addr().String(), User: "vagrant", KeyFile: file, HostKey: string(ssh.MarshalAuthorizedKey(host.PublicKey()))}
	cfg := &ssh.ServerConfig{PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) { return nil, nil }}
	cfg.AddHostKey(host)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(c, cfg)
		}
	}()
	return p
}

func (p *sshPeer) serve(c net.Conn, cfg *ssh.ServerConfig) {
	conn, channels, requests, err := ssh.NewServerConn(c, cfg)
	if err != nil {
		return
	}
	defer conn.Close()
	go ssh.DiscardRequests(requests)
	for ch := range channels {
		channel, requests, err := ch.Accept()
		if err != nil {
			return
		}
		go func() {
			for r := range requests {
				p.answer(channel, r)
			}
		}()
	}
}

func (p *sshPeer) answer(channel ssh.Channel, r *ssh.Request) {
	switch r.Type {
	case "pty-req":
		var v struct {
			Term                         string
			Columns, Rows, Width, Height uint32
			Modes                        string
		}
		err := ssh.Unmarshal(r.Payload, &v)
		p.note("pty %s", v.Term)
		p.resized(v.Columns, v.Rows, err)
	case "window-change":
		var v struct{ Columns, Rows, Width, Height uint32 }
		err := ssh.Unmarshal(r.Payload, &v)
		p.resized(v.Columns, v.Rows, err)
	case "shell", "exec":
		p.note("%s %q", r.Type, r.Payload[min(4, len(r.Payload)):])
		go func() {
			fmt.Fprint(channel, "ready ")
			line, b := "", make([]byte, 1)
			for b[0] != '\r' && b[0] != '\n' {
				if _, err := channel.Read(b); err != nil {
					break
				}
				line += string(b)
			}
			fmt.Fprintf(channel, "got %q\r\n", line)
			_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{5}))
			channel.Close()
		}()
	}
	if r.WantReply {
		_ = r.Reply(true, nil)
	}
}

// TestOwnSSHOnATerminal: a shell, or a command with -t, gets the terminal with
// every key and its size; then the terminal is as it was.
func TestOwnSSHOnATerminal(t *testing.T) {
	for _, x := range []struct {
		command []string
		tty     bool
		asked   string
	}{
		{nil, false, `pty dumb; window 80x24 <nil>; shell ""`},
		{[]string{"cat", "a b"}, true, `pty dumb; window 80x24 <nil>; exec "cat 'a b'"`},
	} {
		keys, screen, err := pty.Open()
		if err != nil {
			t.Fatal(err)
		}
		defer keys.Close()
		defer screen.Close()
		if err := pty.Setsize(keys, &pty.Winsize{Rows: 24, Cols: 80}); err != nil {
			t.Fatal(err)
		}
		before, err := term.GetState(int(screen.Fd()))
		if err != nil {
			t.Fatal(err)
		}
		p := newSSHPeer(t)
		a := &app{environ: []string{"TERM=dumb"}, in: screen, out: screen, err: screen}
		ended := make(chan error, 1)
		go func() { ended <- a.ownSSH(t.Context(), p.machine, x.command, x.tty) }()
		seen := ""
		until := func(want string) {
			t.Helper()
			b := make([]byte, 100)
			for !strings.Contains(seen, want) {
				n, err := keys.Read(b)
				if seen += string(b[:n]); err != nil {
					t.Fatalf("%q was awaited after %q: %v", want, seen, err)
				}
			}
		}
		until("ready ")
		if err := p.has(x.asked); err != nil {
			t.Errorf("asked %v, want %s", err, x.asked)
		}
		if err := pty.Setsize(keys, &pty.Winsize{Rows: 50, Cols: 120}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := lab.Until(ctx, 10*time.Millisecond, "the new size", func(context.Context) error {
			// The kernel tells processes of this terminal; the test is not one.
			if err := syscall.Kill(os.Getpid(), syscall.SIGWINCH); err != nil {
				return lab.Permanent(err)
			}
			return p.has("window 120x50 <nil>")
		}); err != nil {
			t.Error(err)
		}
		if _, err := keys.WriteString("a\x03\x1a\x04\r"); err != nil {
			t.Fatal(err)
		}
		until("got \"a\\x03\\x1a\\x04\\r\"\r\n") // keys, not signals, and no echo
		if strings.Contains(seen, "^C") {
			t.Errorf("echoed: %q", seen)
		}
		var code codeError
		if err := <-ended; !errors.As(err, &code) || code != 5 {
			t.Errorf("ended with %v", err)
		}
		after, err := term.GetState(int(screen.Fd()))
		if err != nil || *after != *before {
			t.Errorf("the terminal is %+v, was %+v, %v", after, before, err)
		}
	}
}

// TestOwnSSHWithoutATerminal: a command without -t has none, and nor has one
// whose input is none.
func TestOwnSSHWithoutATerminal(t *testing.T) {
	for _, tty := range []bool{false, true} {
		p := newSSHPeer(t)
		var out strings.Builder
		a := &app{in: strings.NewReader("piped\n"), out: &out, err: &out}
		var code codeError
		if err := a.ownSSH(t.Context(), p.machine, []string{"one line; or two"}, tty); !errors.As(err, &code) || code != 5 {
			t.Errorf("ended with %v", err)
		}
		if err := p.has("pty"); err == nil {
			t.Error("a terminal was asked for")
		}
		if err := p.has(`exec "one line; or two"`); err != nil || !strings.Contains(out.String(), `got "piped\n"`) {
			t.Errorf("asked %v, seen %q", err, out.String())
		}
	}
}
