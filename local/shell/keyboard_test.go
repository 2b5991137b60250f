package shell

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mesoslab/lab/local/terminal"
)

// TestKeyboard runs commands that read what is typed: each is a line for the
// prompt, then in turns what is typed and what is seen of it.
func TestKeyboard(t *testing.T) {
	c := newConsole(t)
	for _, x := range []struct {
		line  string
		turns []string
	}{
		{"cat", []string{"one\n", "one\r\none\r\n", "two\n", "two\r\ntwo\r\n", "\x04", ps1}},
		{"read name; echo hi $name", []string{"Bob\n", "Bob\r\nhi Bob\r\n" + ps1}},
		{"cat; cat", []string{"a\n", "a\r\na\r\n", "\x04b\n", "b\r\nb\r\n", "\x04", ps1}}, // an end of file is for one reader
		{"cat > f", []string{"lx\x7fs\n\x04", "lx\b \bs\r\n" + ps1}},
		{"wc -l", []string{"a\nb\n\x04", "a\r\nb\r\n2\r\n" + ps1}},
		{"grep b", []string{"a\nab\n", "a\r\nab\r\nab\r\n", "\x04", ps1}},
		{"tee g", []string{"x\n", "x\r\nx\r\n", "\x04", ps1}},
		{"sh -c 'read a; echo $a'", []string{"inner\n", "inner\r\ninner\r\n" + ps1}},
		{"sudo cat", []string{"root\n", "root\r\nroot\r\n", "\x04", ps1}},
		{"(read a; echo $a)", []string{"sub\n", "sub\r\nsub\r\n" + ps1}},
		{"f() { read a; echo f$a; }; f", []string{"x\n", "x\r\nfx\r\n" + ps1}},
		{"while read l; do echo \"<$l>\"; done", []string{"1\n", "1\r\n<1>\r\n", "2\n", "2\r\n<2>\r\n", "\x04", ps1}},
		{"read a < /dev/tty; echo $a", []string{"tty\n", "tty\r\ntty\r\n" + ps1}},
		{"echo x | (cat; read b < /dev/tty; echo $b)", []string{"", "x\r\n", "y\n", "y\r\ny\r\n" + ps1}},
		{"cat | tr a b", []string{"abba\n\x04", "abba\r\nbbbb\r\n" + ps1}},
		{"read -p 'sure? ' k; echo \"<$k>\"", []string{"", "sure? ", "yes\n", "yes\r\n<yes>\r\n" + ps1}},
		{"mapfile -t m; echo ${#m[@]} ${m[1]}", []string{"a\nb\n\x04", "a\r\nb\r\n2 b\r\n" + ps1}},
		{"select x in one two; do echo \"$x $REPLY\"; break; done", []string{"", "1) one\r\n2) two\r\n#? ", "2\n", "2\r\ntwo 2\r\n" + ps1}},
		{"select x; do echo $x; done", []string{"", "#? ", "\x04", "\r\n" + ps1}},
	} {
		c.runs(x.line)
		for i := 0; i < len(x.turns); i += 2 {
			c.types(x.turns[i])
			c.sees(x.turns[i+1])
		}
	}
	for line, seen := range map[string]string{
		"read -t 0.01 k; echo $?":                            "142",
		"[ -t 0 ] && test -t 1 && [ -t 2 ] && echo terminal": "terminal",
		"[ -t 0 ] < f || echo file; echo | test -t 0 || echo pipe; x=$(test -t 1 || echo out); echo $x": "file\r\npipe\r\nout",
		"tty; tty < f":                    "/dev/tty\r\nnot a tty",
		"for i in 1 2\ndo echo n$i\ndone": "n1\r\nn2",
		"echo 'two\nlines'":               "two\r\nlines",
		"cat <<E\nhere\nE":                "here",
		"nosuch":                          "bash: nosuch: command not found\r\n(an embedded machine has commands of its own: help lists them)",
	} {
		c.types(line + "\n")
		c.sees("\r\n" + seen + "\r\n" + ps1)
	}
	c.types("vi x; echo $?\n")
	c.sees("cat > FILE")
	c.sees("127\r\n" + ps1)
}

// TestSingleKeys: read -n ends with the key, and gives the mode back.
func TestSingleKeys(t *testing.T) {
	c := newConsole(t)
	c.types("read -n 1 k; echo \"<$k>\"; stty | grep -c icanon\n")
	c.inMode("single keys", func(m terminal.Mode) bool { return m.Signals && !m.Canonical })
	c.types("q")
	c.sees("q<q>\r\n0\r\n" + ps1)
}

// TestPasswordIsNotShown: nothing of read -s is on the screen.
func TestPasswordIsNotShown(t *testing.T) {
	silent := func(m terminal.Mode) bool { return m.Canonical && !m.Echo }
	c := newConsole(t)
	c.types("read -s pw; echo \"${#pw}\"\n")
	c.inMode("no echo", silent)
	c.types("topsecret\n")
	c.seesWithout("9\r\n"+ps1, "topsecret")
	c.types("stty -echo\n")
	c.sees(ps1)
	c.types("read x; echo $?\n")
	c.inMode("no echo", silent)
	c.types("hidden\n")
	c.seesWithout("0\r\n"+ps1, "hidden")
	c.types("stty sane; stty | grep -c -e -echo\n")
	c.sees("\r\n0\r\n")
}

// TestTypeAhead: what is typed while a command runs that does not read belongs
// to the next one that does, or to the prompt.
func TestTypeAhead(t *testing.T) {
	c := newConsole(t)
	gate := filepath.Join(c.root, "tmp/gate")
	c.runs("until [ -e /tmp/gate ]; do sleep 0.01; done; cat")
	c.types("ahead of cat\n\x04echo ahead of the prompt\nech")
	c.sees("ech")
	if err := os.WriteFile(gate, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	c.sees("ahead of cat\r\n" + ps1 + "echo ahead of the prompt\r\nahead of the prompt\r\n" + ps1 + "ech")
	c.types("o whole\n")
	c.sees("\r\nwhole\r\n" + ps1)
	c.types("rm /tmp/gate; read a; read b; echo $a$b\nx\ny\n") // all in one piece
	c.sees("xy\r\n" + ps1)
}

// TestOnATerminal runs single command lines as ssh -t does.
func TestOnATerminal(t *testing.T) {
	w := newWorld(t)
	c := &console{t: t, done: make(chan struct{}), change: make(chan struct{})}
	c.term = terminal.New(c, terminal.Size{Columns: 80, Rows: 24})
	w.cfg.Stdin, w.cfg.Stdout, w.cfg.Stderr = c.term, c.term, c.term
	for typed, x := range map[string]struct {
		script, seen string
		exit         int
	}{
		"line\r": {"read a; echo \"<$a>\"", "line\r\n<line>\r\n", 0},
		"\x03":   {"echo runs; sleep 1000", "runs\r\n^C", 130},
		"\x1c":   {"echo runs; cat", "runs\r\n^\\", 131},
		"a\r":    {"cat | sh -c 'read b; echo $b; exit 3'", "a\r\na\r\n", 3},
	} {
		ended := make(chan error, 1)
		exit := 0
		go func() {
			var err error
			exit, err = Run(t.Context(), w.cfg, x.script)
			ended <- err
		}()
		if strings.Contains(x.seen, "runs") {
			c.sees("runs\r\n")
			x.seen = strings.TrimPrefix(x.seen, "runs\r\n")
		}
		c.term.Type([]byte(typed))
		c.sees(x.seen)
		if typed == "a\r" {
			c.term.Type([]byte("\x04"))
		}
		if err := <-ended; err != nil || exit != x.exit {
			t.Errorf("%s: exit %d, %v, want %d", x.script, exit, err, x.exit)
		}
	}
	nothingRuns(t)
}
