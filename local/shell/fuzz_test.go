package shell

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// FuzzSed: any script is refused or runs to the end of its input.
func FuzzSed(f *testing.F) {
	for _, s := range []string{"s/a/b/g;1d", "/x/,+2!s,\\(a\\)[^]/]*,<\\1&>,2p", "0~3p;$!y/ab/cd/", "1i\\\nx\n$a y\n2,/z/Ic q", "s/[[:alpha:]", "//d", "2,1p;=;q", "s/a/\\9/", "1~0p"} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, script string, extended bool) {
		program, err := parseSed(script, extended)
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := runSed(t.Context(), program, strings.NewReader("one\ntwo a\n\nb z"), &out, false); err != nil {
			t.Fatalf("%q: %v", script, err)
		}
	})
}

// FuzzSCP plays the other side of scp -t: whatever it sends, files appear below
// the target only.
func FuzzSCP(f *testing.F) {
	for _, s := range []string{"C0644 2 f\nhi\x00", "D0755 0 d\nT1 0 2 0\nC0600 1 g\nx\x00E\n", "C0644 5 ../up\nhello\x00", "D0755 0 ..\nC0644 1 x\nx\x00", "C9999 -1 x\n", "\x01warning\n\x02end\n", "C0644 99999999999999 big\nx"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		outer := t.TempDir()
		dir := filepath.Join(outer, "root")
		if err := os.MkdirAll(filepath.Join(dir, "in"), 0o755); err != nil {
			t.Fatal(err)
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		var out, errOut lockedBuffer
		cfg := Config{Root: root, Dir: "/in", User: "root", Stdin: bytes.NewReader(sent), Stdout: &out, Stderr: &errOut}
		if _, err := RunArgv(t.Context(), cfg, []string{"scp", "-r", "-p", "-t", "/in"}); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(errOut.String(), "Segmentation fault") {
			t.Fatal(errOut.String())
		}
		for of, want := range map[string]int{outer: 1, dir: 1} {
			if entries, err := os.ReadDir(of); err != nil || len(entries) != want {
				t.Errorf("%s: %v, %v", of, entries, err)
			}
		}
	})
}

// FuzzSCPControl: a name that is taken is one name.
func FuzzSCPControl(f *testing.F) {
	for _, s := range []string{"C0644 12 a b", "D0755 0 d", "E", "T12 0 13 0", "C0644 12", "Cx 1 a", "T", "C0644 1 .."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		c, err := parseControl(line)
		if err != nil {
			return
		}
		named := c.kind == 'C' || c.kind == 'D'
		if named != (c.name != "") || c.name != "" && (filepath.Base(c.name) != c.name || c.name == "..") || c.size < 0 || c.mode&^0o777 != 0 {
			t.Errorf("%q: %+v", line, c)
		}
	})
}

// FuzzRead: read takes no byte that belongs to the next command.
func FuzzRead(f *testing.F) {
	f.Add([]byte("a\\\nb\nrest"), byte('\n'), uint8(0), false, false)
	f.Add([]byte("häß"), byte('\n'), uint8(2), true, true)
	f.Add([]byte("\xc3\xc3\xff"), byte('x'), uint8(1), true, false)
	f.Add([]byte("\\"), byte('\n'), uint8(0), false, true)
	f.Fuzz(func(t *testing.T, input []byte, delimiter byte, count uint8, raw, exact bool) {
		in := bytes.NewReader(input)
		r := readOptions{delimiter: delimiter, count: int(count), raw: raw, exact: exact, limit: -1}
		line, err := readUntil(in, r)
		taken := input[:len(input)-in.Len()]
		if err != nil && in.Len() > 0 {
			t.Errorf("%q ends after %q: %v", input, taken, err)
		}
		if i := bytes.IndexByte(taken, delimiter); raw && !exact && i >= 0 && i+1 < len(taken) {
			t.Errorf("%q taken beyond the delimiter", taken)
		}
		if len(line) > len(taken) {
			t.Errorf("%q of %q", line, taken)
		}
	})
}

// FuzzKeys: keys are lost nowhere, however they come in pieces.
func FuzzKeys(f *testing.F) {
	f.Add("ab\x1b[1;5Cc\x1bOH\x1b", "x")
	f.Add("\xc3", "\xa4\x1b[")
	f.Fuzz(func(t *testing.T, a, b string) {
		n := unfinished(a)
		if n < 0 || n > len(a) {
			t.Fatalf("%d of %q", n, a)
		}
		got := append(splitKeys(a[:len(a)-n]), splitKeys(a[len(a)-n:]+b)...)
		if strings.Join(got, "") != a+b {
			t.Errorf("%q of %q and %q", got, a, b)
		}
		for _, k := range got {
			if k == "" {
				t.Errorf("an empty key in %q", got)
			}
		}
	})
}

// FuzzCommandLine: nothing that is typed breaks the history, the search for a
// continuation, or what a script is made ready by.
func FuzzCommandLine(f *testing.F) {
	for _, s := range []string{"echo !! !$ !1 !-1 !x '!' \"!\"", "for i in 1 2\ndo", "echo a \\", "cat <<E\nx", "select x in a; do :; done", "echo ~root {~a,~b} $(x <(y))", "alias a=~x", "# \\", "!", "! a"} {
		f.Add("echo first", s)
		f.Add(s, "echo !!")
	}
	f.Fuzz(func(t *testing.T, before, line string) {
		h := &history{}
		h.add(before, false)
		h.add(line, true)
		if _, err := h.expand(line); err != nil && !strings.Contains(err.Error(), "event not found") {
			t.Error(err)
		}
		Incomplete(line + "\n")
		homesInAlias(line)
		if file, err := parse(line, ""); err == nil {
			leavesSomething(line)
			for _, stmt := range file.Stmts {
				source(stmt)
			}
		}
	})
}

// FuzzFormats: what people write in a small language of one command is refused
// or has a meaning.
func FuzzFormats(f *testing.F) {
	for _, s := range []string{"u+x,g=u,o-r", "0644", "1-3,5-", "a-z\\377", "[:alpha:]-", "@1.5", "2024-02-29", "%Y %q %", "1.5h", "-k2,3nr", "a\"b c\\ d'e f'", "-d, -f1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if m, err := fileMode(text, 0o644, true); err == nil && m&^0o777 != 0 {
			t.Errorf("mode %q: %o", text, m)
		}
		if keep, err := cutList(text); err == nil {
			keep(1)
		}
		if d, err := duration(text); err == nil && d < 0 {
			t.Errorf("duration %q: %v", text, d)
		}
		if x, err := newTranslation([]string{text, "x"}); err == nil {
			if err := x.copy(&bytes.Buffer{}, strings.NewReader("abc\xff"+text)); err != nil {
				t.Errorf("tr %q: %v", text, err)
			}
		}
		t0, err := readDate(text, someTime)
		if err == nil {
			strftime(text, t0)
		}
		_, _ = xargsItems(text, "", false)
		_, _, _ = parseOptions(strings.Fields(text), "abc:d: long value=")
		_, _ = signalOf(text)
		reverse, numeric := false, false
		if key, err := sortKey(text, "", &reverse, &numeric); err == nil {
			sortNumber(key(text))
		}
		if _, err := parseRead(strings.Fields(text)); err != nil && err.Error() == "" {
			t.Error("an error without a word")
		}
	})
}

var someTime = time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC)
