package terminal

import (
	"context"
	"io"
	"sync"
)

// Size is the screen's, in characters. Zero is unknown.
type Size struct{ Columns, Rows int }

// Mode says what happens between the keyboard, the program and the screen.
type Mode struct {
	Canonical bool // whole lines that can be corrected (ICANON)
	Echo      bool // show what is typed (ECHO)
	Signals   bool // ^C ^\ ^Z are signals (ISIG)
	Enter     bool // the enter key, \r, is \n (ICRNL)
	Flow      bool // ^S and ^Q (IXON)
	Output    bool // \n goes to the screen as \r\n (OPOST, ONLCR)
}

// Cooked is the mode of a new Terminal, and what programs expect.
func Cooked() Mode {
	return Mode{Canonical: true, Echo: true, Signals: true, Enter: true, Flow: true, Output: true}
}

// Raw is for programs that do all by themselves, on their own screen.
func Raw() Mode { return Mode{} }

// Keys is for programs that read single keys and still write lines.
func Keys() Mode { return Mode{Output: true} }

// Signal is what a key asks of the program in the foreground.
type Signal int

// The signals: ^C, ^\ and ^Z.
const (
	Interrupt Signal = iota + 1
	Quit
	Suspend
)

// Terminal is one terminal.
type Terminal struct {
	screen io.Writer
	out    sync.Mutex // held while something is written to the screen
	last   byte       // the last byte on the screen; guarded by out

	mu         sync.Mutex
	change     chan struct{} // closed when a waiter should look again; nil while nobody waits
	mode       Mode
	size       Size
	resized    chan struct{} // closed and renewed with each size
	foreground []*func(Signal)

	keys    []byte   // not canonical: typed, not yet read
	lines   [][]byte // canonical: complete, not yet read; an empty one is an end of file
	edit    []byte   // canonical: the line that is being typed
	queued  int      // bytes in the three of them
	literal bool     // ^V came: the next key is taken as it is
	echoes  []byte   // to be shown
	held    bool     // ^S came
	closed  bool     // nothing more will be typed
}

// New returns a terminal in cooked mode. The screen gets what programs write
// and what is echoed, one call at a time.
func New(screen io.Writer, size Size) *Terminal {
	return &Terminal{screen: screen, mode: Cooked(), size: size, resized: make(chan struct{})}
}

// waitLocked is closed when it is time to look again.
func (t *Terminal) waitLocked() <-chan struct{} {
	if t.change == nil {
		t.change = make(chan struct{})
	}
	return t.change
}

// wakeLocked lets everybody who waits look again.
func (t *Terminal) wakeLocked() {
	if t.change != nil {
		close(t.change)
		t.change = nil
	}
}

// Close says that nothing more will be typed: reads return what is there and
// then io.EOF. Writing goes on.
func (t *Terminal) Close() error {
	t.mu.Lock()
	t.closed, t.held = true, false
	if t.mode.Canonical {
		t.pushLocked()
	}
	t.wakeLocked()
	t.mu.Unlock()
	t.show()
	return nil
}

// Mode returns the mode.
func (t *Terminal) Mode() Mode {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.mode
}

// SetMode changes the mode at once and returns the one before.
func (t *Terminal) SetMode(m Mode) Mode {
	t.mu.Lock()
	defer t.show()
	defer t.mu.Unlock()
	old := t.mode
	t.mode = m
	switch {
	case old.Canonical && !m.Canonical:
		for _, line := range t.lines {
			t.keys = append(t.keys, line...)
		}
		t.keys = append(t.keys, t.edit...)
		t.lines, t.edit, t.literal = nil, nil, false
		t.countLocked()
	case !old.Canonical && m.Canonical:
		keys := t.keys
		t.keys = nil
		t.countLocked()
		for _, b := range keys {
			t.keyLocked(b, false)
		}
	}
	if !m.Flow {
		t.held = false
	}
	t.wakeLocked()
	return old
}

func (t *Terminal) countLocked() {
	t.queued = len(t.keys) + len(t.edit)
	for _, line := range t.lines {
		t.queued += len(line)
	}
}

// Size returns the screen's size.
func (t *Terminal) Size() Size {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.size
}

// Resize tells the screen's new size.
func (t *Terminal) Resize(s Size) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.size == s {
		return
	}
	t.size = s
	close(t.resized)
	t.resized = make(chan struct{})
}

// Resized is closed at the next change of the size. Take it before the size:
// then no change is missed.
func (t *Terminal) Resized() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.resized
}

// Foreground makes fn the one that hears of signals, until restore is called:
// then the one before hears again. fn must return soon; it may be called from
// Type and SetMode. Without any, signals only throw away what was typed.
func (t *Terminal) Foreground(fn func(Signal)) (restore func()) {
	entry := &fn
	t.mu.Lock()
	defer t.mu.Unlock()
	t.foreground = append(t.foreground, entry)
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		for i, e := range t.foreground {
			if e == entry {
				t.foreground = append(t.foreground[:i:i], t.foreground[i+1:]...)
				return
			}
		}
	}
}

// Flush throws away what was typed and not yet read.
func (t *Terminal) Flush() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.flushLocked()
}

func (t *Terminal) flushLocked() {
	t.keys, t.lines, t.edit, t.literal, t.queued = nil, nil, nil, false, 0
	t.wakeLocked()
}

// Reader reads a terminal until a context ends.
type Reader struct {
	ctx context.Context
	t   *Terminal
}

// Reader returns the program's side for reading; see Read. A read that waits
// when ctx ends returns its cause.
func (t *Terminal) Reader(ctx context.Context) *Reader { return &Reader{ctx, t} }

// Terminal is what the reader reads.
func (r *Reader) Terminal() *Terminal { return r.t }

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) { return r.t.read(r.ctx, p) }
