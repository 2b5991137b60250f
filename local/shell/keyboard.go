package shell

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/mesoslab/lab/local/terminal"
)

// keyboardOf finds the terminal behind an input, screenOf the one behind an
// output; nil where there is none.
func keyboardOf(r io.Reader) *terminal.Terminal {
	switch r := r.(type) {
	case *terminal.Terminal:
		return r
	case *terminal.Reader:
		return r.Terminal()
	}
	return nil
}

func screenOf(w io.Writer) *terminal.Terminal {
	for {
		switch x := w.(type) {
		case *terminal.Terminal:
			return x
		case interface{ Unwrap() io.Writer }:
			w = x.Unwrap()
		default:
			return nil
		}
	}
}

// output is where a command writes. Nothing more comes of it after ctx: a
// command that is interrupted in the middle of a long text falls silent.
type output struct {
	ctx context.Context
	w   io.Writer
}

func (o output) Write(p []byte) (int, error) {
	if o.ctx.Err() != nil {
		return 0, context.Cause(o.ctx)
	}
	return o.w.Write(p)
}

func (o output) Unwrap() io.Writer { return o.w }

// standIn is a file that the interpreter takes for its standard input where
// that is the terminal. It is always at its end: the commands, and the builtins
// that read, are given the terminal itself instead. A pipe with a copying
// goroutine, which is what the interpreter makes of other readers, would take
// keys away from the next command.
func standIn() (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("shell: %w", err)
	}
	return r, w.Close()
}

// isKeyboard reports whether the interpreter's input stands for the terminal.
func (s *Session) isKeyboard(in io.Reader) bool {
	f, ok := in.(*os.File)
	if !ok || f == nil {
		return false
	}
	_, other := s.ttys.Load(f)
	return f == s.keyboard || other
}

// openTTY is /dev/tty opened for reading.
func (s *Session) openTTY() (*os.File, error) {
	f, err := standIn()
	if err == nil {
		s.ttys.Store(f, true)
	}
	return f, err
}

// input is what a command reads, given the interpreter's input. Reads end with
// ctx; stop ends that, so that the next command can read.
func (s *Session) input(ctx context.Context, in io.Reader) (r io.Reader, stop func()) {
	f, ok := in.(*os.File)
	switch {
	case in == nil, ok && f == nil:
		return strings.NewReader(""), func() {}
	case s.isKeyboard(in):
		return s.cfg.Terminal.Reader(ctx), func() {}
	case !ok:
		return in, func() {}
	}
	called := make(chan struct{})
	off := context.AfterFunc(ctx, func() {
		_ = f.SetReadDeadline(time.Unix(1, 0)) // a file without deadlines does not block
		close(called)
	})
	return f, func() {
		if !off() {
			<-called
			_ = f.SetReadDeadline(time.Time{})
		}
	}
}

// Keyboard is the terminal that the command's input comes from, nil where it
// comes from elsewhere: what isatty(0) asks.
func (p *Proc) Keyboard() *terminal.Terminal { return keyboardOf(p.Stdin) }

// Screen is the terminal that the command's output goes to, or nil.
func (p *Proc) Screen() *terminal.Terminal { return screenOf(p.Stdout) }

// Terminal is the controlling terminal, wherever input and output go, or nil.
func (p *Proc) Terminal() *terminal.Terminal { return p.session.cfg.Terminal }

// columns is how wide output may be: the screen's width, or 80.
func (p *Proc) columns() int {
	if t := p.Screen(); t != nil && t.Size().Columns > 0 {
		return t.Size().Columns
	}
	return 80
}
