package terminal

import (
	"context"
	"io"
)

// Read waits until there is something for a program to read: in canonical
// mode at most one line, else whatever was typed. io.EOF is the end of a file
// only, in canonical mode: the next Read goes on. Once the terminal is closed
// and everything is read it stays io.EOF.
func (t *Terminal) Read(p []byte) (int, error) { return t.read(context.Background(), p) }

func (t *Terminal) read(ctx context.Context, p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		t.mu.Lock()
		// A reader that is called off takes nothing away from the next one.
		if ctx.Err() != nil {
			t.mu.Unlock()
			return 0, context.Cause(ctx)
		}
		n, err, ok := t.takeLocked(p)
		if ok {
			t.mu.Unlock()
			return n, err
		}
		change := t.waitLocked()
		t.mu.Unlock()
		select {
		case <-change:
		case <-ctx.Done():
		}
	}
}

// takeLocked takes what can be read now; ok says that there was something.
func (t *Terminal) takeLocked(p []byte) (n int, err error, ok bool) {
	switch {
	case t.mode.Canonical && len(t.lines) > 0:
		line := t.lines[0]
		n = copy(p, line)
		if len(line) == 0 {
			err = io.EOF
		}
		if t.lines[0] = line[n:]; n == len(line) {
			t.lines = t.lines[1:]
		}
	case !t.mode.Canonical && len(t.keys) > 0:
		n = copy(p, t.keys)
		t.keys = t.keys[n:]
	case t.closed:
		return 0, io.EOF, true
	default:
		return 0, nil, false
	}
	t.queued -= n
	t.wakeLocked() // there is room
	return n, err, true
}

// ReadKeys is a Read that ends behind the first byte that stop reports: what
// was typed after it stays for the next reader.
func (r *Reader) ReadKeys(p []byte, stop func(byte) bool) (int, error) {
	n := 0
	for n < len(p) {
		r.t.mu.Lock()
		more := n == 0 || len(r.t.keys) > 0
		r.t.mu.Unlock()
		if !more {
			break
		}
		if _, err := r.Read(p[n : n+1]); err != nil {
			return n, err
		}
		if n++; stop(p[n-1]) {
			break
		}
	}
	return n, nil
}

// Write puts a program's output on the screen.
func (t *Terminal) Write(p []byte) (int, error) {
	t.mu.Lock()
	for t.held {
		change := t.waitLocked()
		t.mu.Unlock()
		<-change
		t.mu.Lock()
	}
	output := t.mode.Output
	t.mu.Unlock()
	t.out.Lock()
	err := t.echoNow()
	if err == nil {
		err = t.put(p, output)
	}
	t.out.Unlock()
	t.show() // what was typed meanwhile
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// put writes to the screen; out is held.
func (t *Terminal) put(p []byte, output bool) error {
	if len(p) == 0 {
		return nil
	}
	before := t.last
	t.last = p[len(p)-1]
	if output {
		p = newlines(p, before)
	}
	_, err := t.screen.Write(p)
	return err
}

// newlines makes \n start a new line on a screen.
func newlines(p []byte, before byte) []byte {
	var out []byte
	from := 0
	for i, b := range p {
		if b == '\n' && before != '\r' {
			out = append(append(out, p[from:i]...), '\r')
			from = i
		}
		before = b
	}
	if out == nil {
		return p
	}
	return append(out, p[from:]...)
}

// echoNow writes what is to be echoed; out is held.
func (t *Terminal) echoNow() error {
	t.mu.Lock()
	echoes := t.echoes
	t.echoes = nil
	t.mu.Unlock()
	return t.put(echoes, true)
}

// show writes what is to be echoed, unless somebody is writing: then they do
// it when they have finished. So a screen that takes nothing does not keep
// ctrl-C from being heard.
func (t *Terminal) show() {
	for {
		t.mu.Lock()
		pending := len(t.echoes) > 0 && !t.held
		t.mu.Unlock()
		if !pending || !t.out.TryLock() {
			return
		}
		// A screen that is gone is noticed by whoever writes to it.
		_ = t.echoNow()
		t.out.Unlock()
	}
}
