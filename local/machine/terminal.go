//go:build unix

package machine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"

	"golang.org/x/term"

	"github.com/mesoslab/lab/local/shell"
)

// interactive is a shell on a terminal: a line editor, a prompt, Ctrl-C and
// Ctrl-D. Keys that are pressed while a command runs wait for the prompt.
// Sizes may be nil.
func interactive(ctx context.Context, cfg shell.Config, in io.Reader, out io.Writer, sizes <-chan size) (int, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	keys := newTyped(in, nil)
	defer keys.Close()
	stop := context.AfterFunc(ctx, func() { keys.Close() })
	defer stop()
	t := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{keys, out}, "")
	go func() {
		for {
			select {
			case s, ok := <-sizes:
				if !ok {
					return
				}
				_ = t.SetSize(s.columns, s.rows) // a size it cannot take changes nothing
			case <-ctx.Done():
				return
			}
		}
	}()
	cfg.Stdin, cfg.Stdout, cfg.Stderr = nil, t, t
	sh, err := shell.New(cfg)
	if err != nil {
		return 126, err
	}
	home := "/root"
	if cfg.User != "root" {
		home = "/home/" + cfg.User
	}
	return dialogue(ctx, sh, t, keys, func() string { return prompt(cfg, sh.Dir(), home) })
}

// dialogue reads and runs commands until the shell is left.
func dialogue(ctx context.Context, sh *shell.Session, t *term.Terminal, keys *typed, prompt func() string) (int, error) {
	exit := 0
	for {
		t.SetPrompt(prompt())
		src := ""
		for {
			line, err := t.ReadLine()
			if err != nil && !errors.Is(err, term.ErrPasteIndicator) {
				io.WriteString(t, "logout\n")
				if errors.Is(err, io.EOF) {
					err = nil
				}
				return exit, err
			}
			if src += line + "\n"; !shell.Incomplete(src) {
				break
			}
			t.SetPrompt("> ")
		}
		t.SetPrompt("")
		running, cancel := context.WithCancel(ctx)
		keys.onInterrupt(func() {
			io.WriteString(t, "^C\n")
			cancel()
		})
		status, exited, err := sh.Line(running, src, noKeyboard{running})
		interrupted := running.Err() != nil && ctx.Err() == nil
		keys.onInterrupt(nil)
		cancel()
		exit = status
		switch {
		case exited:
			return status, nil
		case err != nil && !interrupted:
			return status, err
		}
	}
}

// noKeyboard is the input of a command at the prompt: it never comes, and ends
// with the command.
type noKeyboard struct{ ctx context.Context }

func (r noKeyboard) Read([]byte) (int, error) {
	<-r.ctx.Done()
	return 0, io.EOF
}

// typed is what comes from a keyboard. Ctrl-C interrupts the running command;
// at the prompt it empties the line.
type typed struct {
	mu        sync.Mutex
	change    *sync.Cond
	buf       bytes.Buffer
	err       error
	interrupt func()
	erase     []byte // keys that empty the line, not yet read
}

const (
	keyCtrlC = 3
	keyCtrlE = 5
	keyCtrlU = 21
)

func newTyped(r io.Reader, interrupt func()) *typed {
	k := &typed{interrupt: interrupt}
	k.change = sync.NewCond(&k.mu)
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := r.Read(b)
			k.take(b[:n], err)
			if err != nil {
				return
			}
		}
	}()
	return k
}

// maxTyped bounds what is typed while nobody reads.
const maxTyped = 1 << 20

func (k *typed) take(b []byte, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.buf.Write(b[:min(len(b), max(0, maxTyped-k.buf.Len()))])
	k.interruptLocked()
	if err != nil {
		k.err = err
	}
	k.change.Broadcast()
}

// onInterrupt says what Ctrl-C does while a command runs; nil while there is
// a prompt. One that was pressed since the command was entered counts.
func (k *typed) onInterrupt(fn func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.interrupt = fn
	k.interruptLocked()
}

// interruptLocked forgets what was typed up to a Ctrl-C and acts on it.
func (k *typed) interruptLocked() {
	if i := bytes.LastIndexByte(k.buf.Bytes(), keyCtrlC); i >= 0 && k.interrupt != nil {
		k.buf.Next(i + 1)
		go k.interrupt()
		k.interrupt = nil
	}
}

// Read gives the line editor what is typed; Ctrl-C empties its line.
func (k *typed) Read(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for k.buf.Len() == 0 && len(k.erase) == 0 && k.err == nil {
		k.change.Wait()
	}
	switch {
	case len(k.erase) > 0:
		n := copy(p, k.erase)
		k.erase = k.erase[n:]
		return n, nil
	case k.buf.Len() == 0:
		return 0, k.err
	}
	n := bytes.IndexByte(k.buf.Bytes(), keyCtrlC)
	switch {
	case n == 0:
		k.buf.Next(1)
		k.erase = []byte{keyCtrlE, keyCtrlU, '\r'}
		n = copy(p, k.erase)
		k.erase = k.erase[n:]
		return n, nil
	case n > 0:
		p = p[:min(n, len(p))]
	}
	return k.buf.Read(p)
}

// Close ends Read.
func (k *typed) Close() error {
	k.take(nil, io.EOF)
	return nil
}

// crlf writes lines as a terminal wants them.
type crlf struct {
	mu sync.Mutex
	w  io.Writer
}

func (c *crlf) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := c.w.Write(bytes.ReplaceAll(p, []byte("\n"), []byte("\r\n"))); err != nil {
		return 0, err
	}
	return len(p), nil
}
