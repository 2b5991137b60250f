package terminal

import (
	"io"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// The keys that the line discipline knows.
const (
	keyInterrupt = 0x03 // ^C
	keyEnd       = 0x04 // ^D
	keyErase     = 0x08 // ^H
	keyDelete    = 0x7f // ^?
	keyStart     = 0x11 // ^Q
	keyReprint   = 0x12 // ^R
	keyStop      = 0x13 // ^S
	keyKill      = 0x15 // ^U
	keyLiteral   = 0x16 // ^V
	keyWord      = 0x17 // ^W
	keySuspend   = 0x1a // ^Z
	keyQuit      = 0x1c // ^\
)

// maxQueued bounds what is typed and not read: then the user's side waits.
// maxLine bounds a line without an end, which nobody can read yet: further
// characters are dropped with a beep, as the kernel does at 4095.
const (
	maxQueued = 1 << 20
	maxLine   = 64 << 10
)

// Type takes what the user typed. It waits while the queue is full, and
// returns at once when the terminal is closed.
func (t *Terminal) Type(p []byte) {
	defer t.show()
	for _, b := range p {
		t.mu.Lock()
		for t.queued >= maxQueued && !t.closed {
			change := t.waitLocked()
			t.mu.Unlock()
			t.show()
			<-change
			t.mu.Lock()
		}
		if t.closed {
			t.mu.Unlock()
			return
		}
		t.keyLocked(b, true)
		t.mu.Unlock()
	}
}

// Feed types what r gives until r ends, and closes the terminal.
func (t *Terminal) Feed(r io.Reader) error {
	defer t.Close()
	buf := make([]byte, 4096)
	for {
		n, err := r.Read(buf)
		t.Type(buf[:n])
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// keyLocked takes one key. echo is false for keys that nobody read in another
// mode: they were seen then, or were not to be seen.
func (t *Terminal) keyLocked(b byte, echo bool) {
	echo = echo && t.mode.Echo
	switch {
	case t.literal:
		t.literal = false
		t.insertLocked(b, echo)
	case t.mode.Flow && b == keyStop:
		t.held = true
	case t.mode.Flow && b == keyStart:
		t.held = false
		t.wakeLocked()
	case t.mode.Signals && (b == keyInterrupt || b == keyQuit || b == keySuspend):
		t.signalLocked(b)
	case !t.mode.Canonical:
		if b == '\r' && t.mode.Enter {
			b = '\n'
		}
		if echo {
			t.echoLocked(b)
		}
		t.keys = append(t.keys, b)
		t.queued++
		t.wakeLocked()
	default:
		t.editLocked(b, echo)
	}
}

// signalLocked throws away what was typed and tells the foreground.
func (t *Terminal) signalLocked(b byte) {
	if t.mode.Echo {
		t.echoLocked(b)
	}
	t.held = false
	t.flushLocked()
	if len(t.foreground) == 0 {
		return
	}
	fn := *t.foreground[len(t.foreground)-1]
	t.mu.Unlock()
	defer t.mu.Lock()
	fn(map[byte]Signal{keyInterrupt: Interrupt, keyQuit: Quit, keySuspend: Suspend}[b])
}

// editLocked takes a key of a line.
func (t *Terminal) editLocked(b byte, echo bool) {
	switch {
	case b == '\n' || b == '\r' && t.mode.Enter:
		t.edit = append(t.edit, '\n')
		t.queued++
		if echo {
			t.echoes = append(t.echoes, '\n')
		}
		t.pushLocked()
	case b == keyEnd:
		if len(t.edit) == 0 {
			t.lines = append(t.lines, nil)
		}
		t.pushLocked()
	case b == keyErase || b == keyDelete:
		_, size := utf8.DecodeLastRune(t.edit)
		t.eraseLocked(len(t.edit)-size, echo)
	case b == keyWord:
		t.eraseLocked(lastWord(t.edit), echo)
	case b == keyKill:
		t.eraseLocked(0, echo)
	case b == keyReprint:
		if echo {
			t.echoLocked(b)
			t.echoes = append(append(t.echoes, '\n'), shown(t.edit)...)
		}
	case b == keyLiteral:
		t.literal = true
		if echo {
			t.echoes = append(t.echoes, "^\b"...)
		}
	default:
		t.insertLocked(b, echo)
	}
}

// insertLocked adds a byte to the line.
func (t *Terminal) insertLocked(b byte, echo bool) {
	if len(t.edit) >= maxLine {
		t.echoes = append(t.echoes, '\a')
		return
	}
	switch {
	case !echo:
	case b == '\t':
		t.echoes = append(t.echoes, spaces[width(t.edit)%8:]...)
	case b >= utf8.RuneSelf:
		t.echoes = append(t.echoes, b) // a part of a character
	default:
		t.echoes = append(t.echoes, shown([]byte{b})...)
	}
	t.edit = append(t.edit, b)
	t.queued++
}

// spaces are what a tab stands for.
const spaces = "        "

// echoLocked shows a byte outside a line.
func (t *Terminal) echoLocked(b byte) {
	if b == '\n' || b == '\r' || b == '\t' {
		t.echoes = append(t.echoes, b)
		return
	}
	t.echoes = append(t.echoes, shown([]byte{b})...)
}

// eraseLocked shortens the line to n bytes.
func (t *Terminal) eraseLocked(n int, echo bool) {
	if n < 0 || n >= len(t.edit) {
		return
	}
	columns := width(t.edit) - width(t.edit[:n])
	t.queued -= len(t.edit) - n
	t.edit = t.edit[:n]
	t.wakeLocked()
	for range columns {
		if echo {
			t.echoes = append(t.echoes, "\b \b"...)
		}
	}
}

// pushLocked hands out the line as it is.
func (t *Terminal) pushLocked() {
	if len(t.edit) > 0 {
		t.lines = append(t.lines, t.edit)
		t.edit = nil
	}
	t.wakeLocked()
}

// shown is a line as it is echoed: control characters as ^X, tabs as the
// spaces they stand for if the line began at the left.
func shown(line []byte) []byte {
	var out []byte
	column := 0
	for len(line) > 0 {
		switch b := line[0]; {
		case b == '\t':
			out = append(out, spaces[column%8:]...)
			column += 8 - column%8
			line = line[1:]
		case b < 0x20 || b == 0x7f:
			out = append(out, '^', b^0x40)
			column += 2
			line = line[1:]
		default:
			n := 1
			for n < len(line) && line[n] >= 0x20 && line[n] != 0x7f {
				n++
			}
			out = append(out, line[:n]...)
			column += uniseg.StringWidth(string(line[:n]))
			line = line[n:]
		}
	}
	return out
}

// width is how many columns a line takes.
func width(line []byte) int { return uniseg.StringWidth(string(shown(line))) }

// lastWord is where the last word of a line begins: letters, digits and
// underscores, with what is behind them.
func lastWord(line []byte) int {
	seen := false
	for n := len(line); n > 0; {
		r, size := utf8.DecodeLastRune(line[:n])
		if unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' {
			seen = true
		} else if seen {
			return n
		}
		n -= size
	}
	return 0
}
