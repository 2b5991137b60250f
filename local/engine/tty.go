package engine

import (
	"bytes"
	"io"
	"unicode/utf8"
)

// crlf is what a terminal makes of a program's line ends.
func crlf(p []byte) []byte {
	out := make([]byte, 0, len(p)+bytes.Count(p, []byte("\n")))
	for i, b := range p {
		if b == '\n' && (i == 0 || p[i-1] != '\r') {
			out = append(out, '\r')
		}
		out = append(out, b)
	}
	return out
}

// crlfWriter applies crlf to a stream.
type crlfWriter struct{ w io.Writer }

func (c crlfWriter) Write(p []byte) (int, error) {
	if _, err := c.w.Write(crlf(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// lineEditor is a terminal's line discipline: it echoes what a client in raw
// mode types, lets it correct the line, and passes whole lines on. ctrl-C
// drops the line and calls interrupt; ctrl-D on an empty line is the end.
type lineEditor struct {
	in        io.Reader
	echo      io.Writer
	interrupt func()

	line, ready []byte
	escape      int // 0 none, 1 after ESC, 2 within ESC [
	err         error
}

func (l *lineEditor) Read(p []byte) (int, error) {
	buf := make([]byte, 512)
	for len(l.ready) == 0 {
		if l.err != nil {
			return 0, l.err
		}
		n, err := l.in.Read(buf)
		for _, b := range buf[:n] {
			l.key(b)
		}
		if err != nil && l.err == nil {
			l.err = err
		}
	}
	n := copy(p, l.ready)
	l.ready = l.ready[n:]
	return n, nil
}

// key takes one byte that the client typed.
func (l *lineEditor) key(b byte) {
	switch {
	case l.err != nil:
	case l.escape > 0:
		l.escaped(b)
	case b == 0x1b:
		l.escape = 1
	case b == '\r' || b == '\n':
		l.show("\r\n")
		l.ready = append(append(l.ready, l.line...), '\n')
		l.line = l.line[:0]
	case b == 0x7f || b == 0x08:
		if len(l.line) > 0 {
			_, size := utf8.DecodeLastRune(l.line)
			l.line = l.line[:len(l.line)-size]
			l.show("\b \b")
		}
	case b == 0x03:
		l.show("^C\r\n")
		l.line = l.line[:0]
		l.interrupt()
	case b == 0x04:
		if len(l.line) == 0 {
			l.err = io.EOF
		}
	case b >= 0x20 || b == '\t':
		l.line = append(l.line, b)
		l.show(string([]byte{b}))
	}
}

// escaped swallows the sequences of cursor and function keys.
func (l *lineEditor) escaped(b byte) {
	switch {
	case l.escape == 1 && (b == '[' || b == 'O'):
		l.escape = 2
	case l.escape == 2 && (b >= '0' && b <= '9' || b == ';'):
	default:
		l.escape = 0
	}
}

// show echoes; a client that is gone is noticed elsewhere.
func (l *lineEditor) show(s string) { io.WriteString(l.echo, s) }
