package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mesoslab/lab"
	"github.com/mesoslab/lab/local/terminal"
)

// console is somebody at a terminal with an interactive shell.
type console struct {
	t    *testing.T
	root string // the machine's disk on the computer
	term *terminal.Terminal
	done chan struct{}
	exit int
	err  error

	mu     sync.Mutex
	seen   string // on the screen, and not yet awaited
	change chan struct{}
}

// Write is the screen.
func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen += string(p)
	close(c.change)
	c.change = make(chan struct{})
	return len(p), nil
}

// newConsole starts a shell that ends with the test.
func newConsole(t *testing.T, edit ...func(*Config)) *console {
	t.Helper()
	w := newWorld(t)
	c := &console{t: t, root: w.dir, done: make(chan struct{}), change: make(chan struct{})}
	c.term = terminal.New(c, terminal.Size{Columns: 80, Rows: 24})
	cfg := w.cfg
	cfg.Terminal = c.term
	for _, e := range edit {
		e(&cfg)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer close(c.done)
		c.exit, c.err = Interactive(ctx, cfg)
	}()
	t.Cleanup(func() {
		cancel()
		c.term.Close()
		<-c.done
		nothingRuns(t)
	})
	c.sees("$ ")
	return c
}

// nothingRuns fails when a goroutine of the shell or the terminal is left.
func nothingRuns(t *testing.T) {
	t.Helper()
	buf := make([]byte, 1<<20)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	if err := lab.Until(ctx, time.Millisecond, "the shell's goroutines to end", func(context.Context) error {
		for g := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			if (strings.Contains(g, "lab/local/") || strings.Contains(g, "mvdan.cc")) && !strings.Contains(g, "testing.tRunner") {
				return errors.New(g)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// inMode waits until the terminal is in a mode: what is typed at a prompt is
// the prompt's, and is not echoed to what runs next.
func (c *console) inMode(what string, is func(terminal.Mode) bool) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	if err := lab.Until(ctx, time.Millisecond, what, func(context.Context) error {
		if m := c.term.Mode(); !is(m) {
			return fmt.Errorf("%+v", m)
		}
		return nil
	}); err != nil {
		c.t.Fatal(err)
	}
}

// runs types a command that will read the keyboard, and waits until it has it.
func (c *console) runs(line string) {
	c.t.Helper()
	c.types(line + "\n")
	c.sees("\r\n")
	c.inMode("the command to have the keyboard", func(m terminal.Mode) bool { return m.Signals })
}

// types types; \n is the enter key.
func (c *console) types(text string) {
	c.term.Type([]byte(strings.ReplaceAll(text, "\n", "\r")))
}

// prompts waits for n prompts.
func (c *console) prompts(n int) {
	c.t.Helper()
	for range n {
		c.sees(ps1)
	}
}

// sees waits for a text on the screen, and forgets everything up to it.
func (c *console) sees(want string) {
	c.t.Helper()
	c.seesWithout(want, "\x00")
}

// seesWithout waits for a text and fails if another comes before.
func (c *console) seesWithout(want, unwanted string) {
	c.t.Helper()
	late := time.After(time.Minute)
	for {
		c.mu.Lock()
		before, after, found := strings.Cut(c.seen, want)
		change := c.change
		if found {
			c.seen = after
			c.mu.Unlock()
			if strings.Contains(before, unwanted) {
				c.t.Fatalf("%q came before %q:\n%s", unwanted, want, before)
			}
			return
		}
		seen := c.seen
		c.mu.Unlock()
		select {
		case <-change:
		case <-c.done:
			c.t.Fatalf("the shell ended with %d, %v; %q never came, but %q", c.exit, c.err, want, seen)
		case <-late:
			c.t.Fatalf("%q never came, but %.2000q", want, seen)
		}
	}
}

const ps1 = "vagrant@node2:~$ "

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

func TestInterrupts(t *testing.T) {
	c := newConsole(t)
	for _, line := range []string{
		"cat", "sleep 1000", "while :; do echo loop > /dev/null; done", "sleep 1000 | cat", "cat /dev/zero > /dev/null", "cat /dev/zero | sleep 1000", "read x", "sudo sh -c 'sleep 1000'",
		"tail -f /etc/passwd", "yes > /dev/null", "wait; sleep 1000", "timeout 1000 sleep 999", "watch -n 1000 date", "f() { cat; }; f", "mapfile m", "select x in a; do :; done", "journalctl; sleep 1000",
	} {
		c.types("echo running; " + line + "\n")
		c.sees("\r\nrunning\r\n")
		c.types("half a line\x03")
		c.sees("^C\r\n" + ps1)
		c.types("echo status $?\n")
		c.sees("status 130\r\n" + ps1)
	}
	c.types("echo running; sleep 1000\n")
	c.sees("\r\nrunning\r\n")
	c.types("\x1a")
	c.sees("cannot be stopped")
	c.types("\x1c")
	c.sees("^\\Quit\r\n" + ps1)
	c.types("echo status $?; never run\x03echo run\n")
	c.sees("^C\r\n" + ps1)
	c.seesWithout("run\r\n"+ps1, "never")
	c.types("for i in 1\n\x03")
	c.sees("> ^C\r\n" + ps1)
	c.types("cat /dev/zero | tr '\\000' x\n") // a flood
	c.sees("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")
	c.types("\x03")
	c.sees("^C\r\n" + ps1)
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

func TestResizeIsSeen(t *testing.T) {
	c := newConsole(t)
	c.types("stty size; echo $COLUMNS x $LINES\n")
	c.sees("24 80\r\n80 x 24\r\n")
	c.types("while sleep 0.01; do echo $(stty size </dev/tty) $COLUMNS; done\n")
	c.sees("24 80 80\r\n")
	c.term.Resize(terminal.Size{Columns: 120, Rows: 50})
	c.sees("50 120 120\r\n")
	c.types("\x03")
	c.sees("^C\r\n" + ps1)
	c.types("stty cols 40 rows 10; stty size; sh -c 'echo $COLUMNS'; echo $COLUMNS | cat\n")
	c.sees("10 40\r\n40\r\n40\r\n")
	c.types("env | grep -c COLUMNS\n")
	c.sees("0\r\n")
}

func TestJobs(t *testing.T) {
	c := newConsole(t)
	c.types("sleep 1000 & sleep 2000 & cat &\n")
	c.sees("[1] 5000001\r\n[2] 5000002\r\n[3] 5000003\r\n")
	c.types("while kill -0 %3 2>/dev/null; do sleep 0.01; done\n") // it has no keyboard
	c.sees("\r\n[3]  Done                    cat\r\n" + ps1)
	c.types("jobs\n")
	c.sees("[1]  Running                 sleep 1000 &\r\n[2]  Running                 sleep 2000 &\r\n")
	c.types("kill %1; wait %1; echo $?; echo last $!\n")
	c.sees("143\r\nlast 5000003\r\n")
	c.types("kill -9 5000002; wait 5000002; echo $?; kill %7; echo $?\n")
	c.sees("137\r\nbash: kill: %7: no such job\r\n1\r\n")
	c.types("(exit 5) & wait $!; echo \"code $?\"\n")
	c.sees("code 5\r\n")
	c.types("sleep 3000 &\n")
	c.sees("[1] 5000005\r\n" + ps1)
	c.types("fg\n")
	c.sees("\r\nsleep 3000\r\n")
	c.types("\x03")
	c.sees("^C\r\n" + ps1)
	c.types("for i in 1 2; do sleep 0.01 & done; wait; echo waited; jobs; echo none\n")
	c.sees("waited\r\nnone\r\n")
	c.types("for i in 1 2; do sleep 1000 & done\n")
	c.sees(ps1)
	c.runs("wait")
	c.types("\x03")
	c.sees("^C\r\n" + ps1)
	c.types("bg; fg %9; sleep 5000 & disown; jobs; echo end\n")
	c.sees("bash: bg: current: no such job\r\nbash: fg: %9: no such job\r\n")
	c.sees("end\r\n" + ps1)
}

func TestNestedShells(t *testing.T) {
	c := newConsole(t)
	c.types("sudo -i\n")
	c.sees("root@node2:~# ")
	c.types("id -un; pwd; sleep 1000\n")
	c.sees("root\r\n/root\r\n")
	c.types("\x03")
	c.sees("^C\r\nroot@node2:~# ")
	c.types("su - vagrant\n")
	c.sees(ps1)
	c.types("pwd; cd /tmp; bash\n")
	c.sees("/home/vagrant\r\nvagrant@node2:/tmp$ ")
	c.types("exit 3\n")
	c.sees("vagrant@node2:/tmp$ ")
	c.types("echo $?\n")
	c.sees("3\r\nvagrant@node2:/tmp$ ")
	c.types("\x04")
	c.sees("logout\r\nroot@node2:~# ")
	c.types("logout\n")
	c.sees(ps1)
	c.types("sudo -s\n")
	c.sees("root@node2:/home/vagrant# ")
	c.types("exit\nsudo -u vagrant -i pwd\n")
	c.sees("/home/vagrant\r\n" + ps1)
	c.types("sudo vim; echo $?\n")
	c.sees("sudo: vim: command not found\r\n")
	c.types("exit 5\n")
	<-c.done
	if c.exit != 5 || c.err != nil {
		t.Errorf("exit %d, %v", c.exit, c.err)
	}
}

func TestLeaving(t *testing.T) {
	for name, leave := range map[string]func(c *console){
		"ctrl-D":          func(c *console) { c.types("false\n"); c.sees(ps1); c.types("\x04") },
		"a blank line":    func(c *console) { c.types("false\n\n# a comment\n"); c.prompts(3); c.types("\x04") },
		"end of keyboard": func(c *console) { c.types("false\n"); c.sees(ps1); c.term.Close() },
		"while it runs":   func(c *console) { c.runs("cat; false"); c.term.Close() },
		"background":      func(c *console) { c.types("sleep 1000 & false\nexit\n") },
		"nested in nested": func(c *console) {
			c.types("bash\n")
			c.sees(ps1)
			c.types("false\nexit\nfalse\n")
			c.prompts(3)
			c.types("\x04")
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newConsole(t)
			leave(c)
			<-c.done
			if c.exit != 1 || c.err != nil {
				t.Errorf("exit %d, %v", c.exit, c.err)
			}
		})
	}
	t.Run("its context", func(t *testing.T) {
		why := errors.New("power cut")
		ctx, cancel := context.WithCancelCause(t.Context())
		w := newWorld(t)
		c := &console{t: t, done: make(chan struct{}), change: make(chan struct{})}
		c.term = terminal.New(c, terminal.Size{})
		w.cfg.Terminal = c.term
		go func() { defer close(c.done); c.exit, c.err = Interactive(ctx, w.cfg) }()
		c.sees(ps1)
		c.types("bash\n")
		c.sees(ps1)
		c.runs("sleep 1000 & cat | cat")
		cancel(why)
		<-c.done
		if !errors.Is(c.err, why) {
			t.Errorf("%v", c.err)
		}
		nothingRuns(t)
	})
}

func TestHistory(t *testing.T) {
	c := newConsole(t)
	c.types("echo one\necho two\n")
	c.sees("\r\ntwo\r\n" + ps1)
	c.types("\x1b[A\x1b[A\n") // twice up
	c.sees("\r\none\r\n" + ps1)
	c.types("!!\n")
	c.sees("\r\necho one\r\none\r\n" + ps1)
	c.types("echo last !$; echo 'not !!'\n")
	c.sees("\r\nlast one\r\nnot !!\r\n" + ps1)
	c.types("tw\x12\n") // ctrl-R
	c.sees("\r\ntwo\r\n" + ps1)
	for _, key := range []string{"cho split", "\x1b", "O", "H", "e\n", "\x1b", "[", "A", "\x1b[", "1", "~\x1b[4", "~s\n"} { // as packets may bring them
		c.types(key)
	}
	c.sees("\r\nsplit\r\n" + ps1)
	c.sees("\r\nsplits\r\n" + ps1)
	c.types("!nothing\n")
	c.sees("bash: !nothing: event not found\r\n" + ps1)
	c.types("for i in 1\ndo echo $i\ndone\nhistory 2\n")
	c.sees("for i in 1; do echo $i; done\r\n")
	c.sees("history 2\r\n" + ps1)
	c.types("history | grep -c echo; history x\n")
	c.sees("bash: history: x: numeric argument required\r\n" + ps1)
	c.types("exit\n")
	<-c.done
	text, err := os.ReadFile(filepath.Join(c.root, "home/vagrant/.bash_history"))
	if err != nil || !strings.Contains(string(text), "echo two\n") {
		t.Errorf("saved: %q, %v", text, err)
	}
}

func TestCompletion(t *testing.T) {
	c := newConsole(t)
	for _, name := range []string{"apple pie", "apricot", "dir/file"} {
		full := filepath.Join(c.root, "home/vagrant", name)
		os.MkdirAll(filepath.Dir(full), 0o755)
		os.WriteFile(full, []byte(name+"\n"), 0o644)
	}
	c.types("unam\t-s\n")
	c.sees("uname -s\r\nLinux\r\n" + ps1)
	c.types("cat apr\t\n")
	c.sees("cat apricot \r\napricot\r\n" + ps1)
	c.types("cat d\tf\t\n")
	c.sees("cat dir/file \r\ndir/file\r\n" + ps1)
	c.types("cat a\t\t\x15\n")
	c.sees("apple pie  apricot\r\n" + ps1)
	c.sees("\r\n" + ps1)
	c.types("cat ~/dir/\t\n")
	c.sees("\r\ndir/file\r\n" + ps1)
	c.types("sudo hostna\t\n")
	c.sees("hostname \r\nnode2\r\n" + ps1)
	c.types("cat nothing\t\x15echo ok\n")
	c.sees("\r\nok\r\n" + ps1)
}

func TestPrompts(t *testing.T) {
	c := newConsole(t)
	c.types("cd /etc\n")
	c.sees("vagrant@node2:/etc$ ")
	c.types("PS1='[\\W]\\$ '; PS2='more> '\n")
	c.sees("[etc]$ ")
	c.types("echo a \\\nb\n")
	c.sees("more> b\r\na b\r\n[etc]$ ")
	c.types("echo \"\x04")
	c.types("\x03")
	c.sees("^C\r\n[etc]$ ")
	c.types("echo a \\\\\necho c # no \\\n")
	c.sees("\r\na \\\r\n[etc]$ echo c # no \\\r\nc\r\n[etc]$ ")
	c.types("echo a \\\nb\n\x1b[A\n")
	c.sees("\r\na b\r\n[etc]$ ")
	c.sees("echo a b\r\na b\r\n[etc]$ ")
	c.types("( echo\n\x04")
	c.sees("bash: syntax error: unexpected end of file\r\n[etc]$ ")
}

func TestStartFiles(t *testing.T) {
	greeted := newConsole(t, func(cfg *Config) {
		cfg.Login = true
		for name, text := range map[string]string{"/etc/motd": "welcome\n", "/home/vagrant/.bashrc": "alias hi='echo hello'; x=5\n", "/home/vagrant/.profile": "echo profile\n"} {
			f, err := (Files{Root: cfg.Root}).OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o644)
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(f, text)
			f.Close()
		}
	})
	greeted.types("echo $x\n")
	greeted.sees("5\r\n" + ps1)
	greeted.types("\x04")
	greeted.sees("logout\r\n")
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

func TestPager(t *testing.T) {
	c := newConsole(t)
	c.types("seq 100 | less\n")
	c.sees("\x1b[H1\x1b[K\r\n")
	c.sees("23\x1b[K\r\n")
	for _, x := range []struct{ key, first string }{
		{" ", "24"}, {"j", "25"}, {"k", "24"}, {"b", "1"}, {"G", "78"}, {"g", "1"}, {"/^5\n", "5"}, {"n", "50"}, {"N", "5"}, {"\x1b[6~", "28"}, {"\x1b[A", "27"},
	} {
		c.types(x.key)
		c.sees("\x1b[H" + x.first + "\x1b[K\r\n")
	}
	c.term.Resize(terminal.Size{Columns: 40, Rows: 5})
	c.sees("\x1b[H27\x1b[K\r\n28\x1b[K\r\n29\x1b[K\r\n30\x1b[K\r\n:\x1b[K")
	c.types("q")
	c.sees("\x1b[?1049l" + ps1)
	c.types("seq 3 | more\n ")
	c.sees("\x1b[?1049l" + ps1)
	c.types("printf 'a\\tb\\033[31mred\\n' > f; less f nothing\n")
	c.sees("a       bred\x1b[K\r\n")
	c.types("q")
	c.sees("less: nothing: No such file or directory\r\n" + ps1)
	c.types("less +F f\n")
	c.sees("Waiting for data")
	f, err := os.OpenFile(filepath.Join(c.root, "home/vagrant/f"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fmt.Fprintln(f, "appended")
	c.sees("appended")
	c.types("\x03q")
	c.sees(ps1)
	c.types("less\n")
	c.sees("missing filename")
	c.types("seq 3 | less | cat; echo end\n")
	c.sees("\r\n1\r\n2\r\n3\r\nend\r\n")
}

func TestTopAndWatch(t *testing.T) {
	c := newConsole(t)
	c.types("top\n")
	c.sees("/lab mini zookeeper")
	c.types("q")
	c.sees(ps1)
	c.types("top -b -n 1 | head -1\n")
	c.sees("top - ")
	c.types("watch -n 1000 echo watched\n")
	c.sees("Every 1000.0s: echo watched")
	c.sees("watched")
	c.types("\x03")
	c.sees("^C\r\n" + ps1)
}

func TestHelpAndStty(t *testing.T) {
	c := newConsole(t)
	c.types("help\n")
	c.sees("curl")
	c.sees("Built into the shell:")
	c.types("help cd nothing\n")
	c.sees("bash: help: no help topics match `nothing'\r\n")
	c.types("stty -a; stty -icanon; s=$(stty -g </dev/tty); stty sane; stty $s; stty; stty sane\n")
	c.sees("rows 24; columns 80")
	c.sees("-icanon\r\n")
	c.types("stty nonsense; stty cols x; stty < /etc/passwd; reset; stty\n")
	c.sees("stty: invalid argument 'nonsense'\r\nstty: invalid integer argument: 'x'\r\nstty: 'standard input': Inappropriate ioctl for device\r\n")
}
