package terminal

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"github.com/mesoslab/lab/internal/labtest/bubble"
)

// reads is what a program reads of typed keys: each Read between bars, an end
// of file as "EOF".
func reads(t *Terminal) string {
	t.Close()
	var out []string
	p := make([]byte, 64)
	for {
		t.mu.Lock()
		rest := len(t.lines) + len(t.keys)
		t.mu.Unlock()
		if rest == 0 {
			return strings.Join(out, "|")
		}
		n, err := t.Read(p)
		if err == io.EOF {
			out = append(out, "EOF")
			continue
		}
		out = append(out, string(p[:n]))
	}
}

func TestLines(t *testing.T) {
	for _, x := range []struct{ name, typed, read, screen string }{
		{"lines", "ls\rpwd\n", "ls\n|pwd\n", "ls\r\npwd\r\n"},
		{"backspace", "lx\x7fs\r", "ls\n", "lx\b \bs\r\n"},
		{"the other backspace", "lx\bs\r", "ls\n", "lx\b \bs\r\n"},
		{"backspace on nothing", "\x7f\x7fa\r", "a\n", "a\r\n"},
		{"backspace on two bytes", "aé\x7fb\r", "ab\n", "aé\b \bb\r\n"},
		{"backspace on two columns", "a节\x7fb\r", "ab\n", "a节\b \b\b \bb\r\n"},
		{"backspace on a tab", "ab\t\x7fc\r", "abc\n", "ab      \b \b\b \b\b \b\b \b\b \b\b \bc\r\n"},
		{"backspace on a control character", "a\x01\x7fb\r", "ab\n", "a^A\b \b\b \bb\r\n"},
		{"word", "docker  ps -a\x17\x17top\r", "docker  top\n", "docker  ps -a" + strings.Repeat("\b \b", 5) + "top\r\n"},
		{"kill", "wrong\x15right\r", "right\n", "wrong" + strings.Repeat("\b \b", 5) + "right\r\n"},
		{"reprint", "ab\x12c\r", "abc\n", "ab^R\r\nabc\r\n"},
		{"literal", "a\x16\x03\x16\r\r", "a\x03\r\n", "a^\b^C^\b^M\r\n"},
		{"end of file", "a\r\x04b\r", "a\n|EOF|b\n", "a\r\nb\r\n"},
		{"end within a line", "a\x04b\r", "a|b\n", "ab\r\n"},
		{"interrupt", "half\x03whole\r", "whole\n", "half^Cwhole\r\n"},
		{"quit and suspend", "a\x1cb\x1ac\r", "c\n", "a^\\b^Zc\r\n"},
		{"cursor keys", "a\x1b[A\r", "a\x1b[A\n", "a^[[A\r\n"},
		{"without an end", "abc", "abc", "abc"},
		{"flow", "a\x13b\x11c\r", "abc\n", "abc\r\n"},
	} {
		t.Run(x.name, func(t *testing.T) {
			for name, feed := range map[string]func(io.Reader) io.Reader{"at once": func(r io.Reader) io.Reader { return r }, "key by key": iotest.OneByteReader} {
				var screen bytes.Buffer
				term := New(&screen, Size{80, 24})
				if err := term.Feed(feed(strings.NewReader(x.typed))); err != nil {
					t.Fatal(err)
				}
				if got := reads(term); got != x.read || screen.String() != x.screen {
					t.Errorf("%s: %q on the screen %q,\nwant %q and %q", name, got, screen.String(), x.read, x.screen)
				}
			}
		})
	}
}

func TestSignals(t *testing.T) {
	term := New(io.Discard, Size{})
	var heard []Signal
	outer := term.Foreground(func(s Signal) { heard = append(heard, s) })
	inner := term.Foreground(func(s Signal) { heard = append(heard, -s) })
	term.Type([]byte("\x03\x1c"))
	inner()
	term.Type([]byte("\x1a"))
	term.SetMode(Raw())
	term.Type([]byte("\x03"))
	outer()
	term.SetMode(Cooked()) // nobody hears of the one that was typed ahead
	term.Type([]byte("\x03"))
	if want := []Signal{-Interrupt, -Quit, Suspend}; !slices.Equal(heard, want) {
		t.Errorf("heard %v, want %v", heard, want)
	}
}

// TestTypedAhead: what nobody has read belongs to the next reader, in its
// mode.
func TestTypedAhead(t *testing.T) {
	var screen bytes.Buffer
	term := New(&screen, Size{})
	term.Type([]byte("one\rtw")) // while a program runs that does not read
	editing := Keys()
	if old := term.SetMode(editing); old != Cooked() {
		t.Errorf("the old mode is %+v", old)
	}
	p := make([]byte, 100)
	r := term.Reader(t.Context())
	n, err := r.ReadKeys(p, func(b byte) bool { return b == '\n' })
	if string(p[:n]) != "one\n" || err != nil {
		t.Errorf("the prompt gets %q, %v", p[:n], err)
	}
	term.Type([]byte("o\r\x04"))
	interrupted := 0
	defer term.Foreground(func(Signal) { interrupted++ })()
	term.SetMode(Cooked())
	if got := reads(term); got != "two\n|EOF" {
		t.Errorf("the next program gets %q", got)
	}
	if got := screen.String(); got != "one\r\ntw" {
		t.Errorf("on the screen: %q", got)
	}
	late := New(io.Discard, Size{})
	late.SetMode(editing)
	late.Type([]byte("sleep\r\x03x"))
	defer late.Foreground(func(Signal) { interrupted++ })()
	late.SetMode(Cooked())
	if got := reads(late); interrupted != 1 || got != "x" {
		t.Errorf("ctrl-C that was typed ahead: %d times, then %q", interrupted, got)
	}
}

func TestOutput(t *testing.T) {
	var screen bytes.Buffer
	term := New(&screen, Size{})
	for _, text := range []string{"a\nb", "\r", "\nc\r\nd\n"} {
		if n, err := io.WriteString(term, text); n != len(text) || err != nil {
			t.Fatal(n, err)
		}
	}
	term.SetMode(Raw())
	io.WriteString(term, "e\n")
	if got := screen.String(); got != "a\r\nb\r\nc\r\nd\r\ne\n" {
		t.Errorf("%q", got)
	}
	gone := New(brokenScreen{}, Size{})
	if _, err := io.WriteString(gone, "x"); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("a screen that is gone: %v", err)
	}
}

type brokenScreen struct{}

func (brokenScreen) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// TestWaiting: readers and writers wait, and end with their context, with the
// terminal or with room in the queue; nothing is left behind.
func TestWaiting(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		var screen bytes.Buffer
		term := New(&screen, Size{})
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("why")
		read := make(chan error, 1)
		go func() { _, err := term.Reader(ctx).Read(make([]byte, 10)); read <- err }()
		synctest.Wait()
		term.Type([]byte("unfinished"))
		synctest.Wait()
		cancel(why)
		if err := <-read; err != why {
			t.Errorf("a read that is called off: %v", err)
		}
		term.Type([]byte("\r"))
		if _, err := term.Reader(ctx).Read(make([]byte, 10)); err != why {
			t.Errorf("a reader that was called off took a line: %v", err)
		}

		term.Type([]byte("\x13")) // ctrl-S
		written := make(chan struct{})
		go func() { io.WriteString(term, "out"); close(written) }()
		synctest.Wait()
		if screen.String() != "unfinished\r\n" {
			t.Errorf("held back: %q", screen.String())
		}
		term.Type([]byte("\x11"))
		<-written

		term.SetMode(Raw())
		term.Flush()
		typed := make(chan struct{})
		go func() { term.Type(bytes.Repeat([]byte("x"), maxQueued+5)); close(typed) }()
		synctest.Wait()
		select {
		case <-typed:
			t.Error("the queue has no end")
		default:
		}
		n, err := io.ReadFull(term, make([]byte, maxQueued+5))
		<-typed
		if n != maxQueued+5 || err != nil {
			t.Errorf("read %d, %v", n, err)
		}
		go term.Type(bytes.Repeat([]byte("x"), maxQueued+5))
		synctest.Wait()
		term.Close()
		if rest, err := io.ReadAll(term); len(rest) != maxQueued || err != nil {
			t.Errorf("after the end: %d, %v", len(rest), err)
		}
	})
}

// TestCtrlCOnAStuckScreen: a screen that takes nothing does not keep ctrl-C
// from being heard.
func TestCtrlCOnAStuckScreen(t *testing.T) {
	bubble.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		term := New(w, Size{})
		heard := make(chan Signal, 1)
		defer term.Foreground(func(s Signal) { heard <- s })()
		go io.WriteString(term, "flood")
		synctest.Wait()
		term.Type([]byte("x\x03"))
		<-heard
		p := make([]byte, 100)
		var seen string
		for seen != "floodx^C" {
			n, err := r.Read(p)
			if seen += string(p[:n]); err != nil {
				t.Fatalf("%v after %q", err, seen)
			}
		}
	})
}

func TestResize(t *testing.T) {
	term := New(io.Discard, Size{80, 24})
	next := term.Resized()
	term.Resize(Size{80, 24})
	select {
	case <-next:
		t.Error("the same size is a change")
	default:
	}
	term.Resize(Size{120, 50})
	<-next
	if term.Size() != (Size{120, 50}) {
		t.Errorf("size %v", term.Size())
	}
}

func TestLongLines(t *testing.T) {
	var screen bytes.Buffer
	term := New(&screen, Size{})
	term.Type(bytes.Repeat([]byte("x"), maxLine+10))
	term.Type([]byte("\r"))
	if got := reads(term); len(strings.ReplaceAll(got, "|", "")) != maxLine+1 || strings.Count(screen.String(), "\a") != 10 {
		t.Errorf("a line of %d bytes and %d beeps", len(got), strings.Count(screen.String(), "\a"))
	}
}

// TestEverybodyAtOnce is for the race detector: no key is lost or doubled.
func TestEverybodyAtOnce(t *testing.T) {
	var screen bytes.Buffer
	term := New(&screen, Size{})
	var work sync.WaitGroup
	var mu sync.Mutex
	var got []string
	for range 3 {
		work.Go(func() {
			p := make([]byte, 10)
			for {
				n, err := term.Read(p)
				if err != nil {
					return
				}
				mu.Lock()
				got = append(got, string(p[:n]))
				mu.Unlock()
			}
		})
	}
	work.Go(func() {
		for range 100 {
			io.WriteString(term, "out\n")
			term.Resize(Size{term.Size().Columns + 1, 1})
		}
	})
	for range 200 {
		term.Type([]byte("l\r"))
	}
	term.Close()
	work.Wait()
	echo := strings.ReplaceAll(screen.String(), "out\r\n", "") // output may come in the middle of what is typed
	if len(got) != 200 || strings.Count(echo, "l\r\n") != 200 {
		t.Errorf("%d lines read, screen %q", len(got), screen.String())
	}
}

func FuzzKeys(f *testing.F) {
	for _, s := range []string{"a\x7f\x7f\r", "\x16\x03\x04\x04a", "\x13\x11\xff\xc3\x7f", "节\x17\x15\t\x7f", "\x1b[A\x03"} {
		f.Add([]byte(s), uint8(0))
		f.Add([]byte(s), uint8(3))
	}
	f.Fuzz(func(t *testing.T, typed []byte, change uint8) {
		var screen bytes.Buffer
		term := New(&screen, Size{})
		for i, b := range typed {
			term.Type([]byte{b})
			if change > 0 && i%int(change) == 0 {
				term.SetMode([]Mode{Raw(), Keys(), Cooked()}[i%3])
			}
			term.mu.Lock()
			queued := term.queued
			term.countLocked()
			if queued != term.queued {
				t.Fatalf("%d bytes are counted, %d are there", queued, term.queued)
			}
			if erased := width(term.edit); erased < 0 {
				t.Fatalf("a line of width %d", erased)
			}
			term.mu.Unlock()
		}
		term.Close()
		total := 0
		p := make([]byte, 7)
		for ends := 0; ends <= len(typed); {
			n, err := term.Read(p)
			total += n
			if err == io.EOF {
				ends++
			}
		}
		if total > len(typed) {
			t.Fatalf("%d bytes of %d were read", total, len(typed))
		}
	})
}
