package engine

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestLineEditor(t *testing.T) {
	for _, x := range []struct{ name, typed, lines, echo string }{
		{"lines", "ls\rpwd\r", "ls\npwd\n", "ls\r\npwd\r\n"},
		{"backspace", "lx\x7fs\r", "ls\n", "lx\b \bs\r\n"},
		{"backspace on nothing", "\x7f\x7fa\r", "a\n", "a\r\n"},
		{"backspace on a wide letter", "aé\x7fb\r", "ab\n", "aé\b \bb\r\n"},
		{"interrupt", "half\x03whole\r", "whole\n", "half^C\r\nwhole\r\n"},
		{"end", "a\r\x04never\r", "a\n", "a\r\n"},
		{"ctrl-D inside a line", "a\x04b\r", "ab\n", "ab\r\n"},
		{"cursor keys", "a\x1b[A\x1b[1;5Cb\x1bOPc\r", "abc\n", "abc\r\n"},
		{"unfinished line", "abc", "", "abc"},
	} {
		t.Run(x.name, func(t *testing.T) {
			for name, in := range map[string]io.Reader{"at once": strings.NewReader(x.typed), "key by key": iotest.OneByteReader(strings.NewReader(x.typed))} {
				var echo bytes.Buffer
				interrupts := 0
				l := &lineEditor{in: in, echo: &echo, interrupt: func() { interrupts++ }}
				got, err := io.ReadAll(l)
				if err != nil || string(got) != x.lines || echo.String() != x.echo || interrupts != strings.Count(x.typed, "\x03") {
					t.Errorf("%s: %q, echo %q, %d interrupts, %v", name, got, echo.String(), interrupts, err)
				}
			}
		})
	}
}

func TestDetachKeys(t *testing.T) {
	for _, x := range []struct {
		keys, typed, passed string
		detached            bool
	}{
		{"", "ab\x10\x11cd", "ab", true},
		{"", "a\x10b", "a\x10b", false},
		{"", "a\x10\x10\x11", "a\x10", true},
		{"ctrl-a", "x\x01", "x", true},
		{"ctrl-a,d", "x\x01y\x01d", "x\x01y", true},
	} {
		for name, in := range map[string]io.Reader{"at once": strings.NewReader(x.typed), "key by key": iotest.OneByteReader(strings.NewReader(x.typed))} {
			got, err := io.ReadAll(&detachReader{r: in, keys: detachKeys(x.keys)})
			if string(got) != x.passed || errors.Is(err, errDetached) != x.detached {
				t.Errorf("%q with %q, %s: %q %v", x.typed, x.keys, name, got, err)
			}
		}
	}
	if keys := detachKeys("nonsense-x"); keys != nil {
		t.Errorf("nonsense is %v", keys)
	}
}

func TestCRLF(t *testing.T) {
	for in, want := range map[string]string{"a\nb\n": "a\r\nb\r\n", "a\r\n": "a\r\n", "": "", "\n": "\r\n"} {
		if got := string(crlf([]byte(in))); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}
