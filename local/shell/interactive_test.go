package shell

import (
	"context"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/mesoslab/lab/local/terminal"
)

func TestInterrupts(t *testing.T) {
	c := newConsole(t)
	first := map[string]string{
		"tail -f /etc/passwd": "root:inside\r\n", "watch -n 1000 echo hi": "hi\x1b[K\x1b[J", "select x in a; do :; done": "#? ", "journalctl; sleep 1000": "-- No entries --\r\n",
	}
	for _, line := range []string{
		"cat", "sleep 1000", "while :; do echo loop > /dev/null; done", "sleep 1000 | cat", "cat /dev/zero > /dev/null", "cat /dev/zero | sleep 1000", "read x", "sudo sh -c 'sleep 1000'",
		"tail -f /etc/passwd", "yes > /dev/null", "wait; sleep 1000", "timeout 1000 sleep 999", "watch -n 1000 echo hi", "f() { cat; }; f", "mapfile m", "select x in a; do :; done", "journalctl; sleep 1000",
	} {
		c.types("echo running; " + line + "\n")
		c.sees("\r\nrunning\r\n")
		c.sees(first[line]) // what it prints by itself would come behind the ^C
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
	c.types("echo status $?; never run\x03")
	c.sees("^C\r\n" + ps1)
	c.types("echo run $?\n")
	c.seesWithout("\r\nrun 130\r\n"+ps1, "never")
	c.types("for i in 1\n\x03")
	c.sees("> ^C\r\n" + ps1)
	c.types("cat /dev/zero | tr '\\000' x\n") // a flood
	c.sees("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx")
	c.types("\x03")
	c.sees("^C") // what was on its way comes behind it
	c.sees("\r\n" + ps1)
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
	c.sees("^C") // what was on its way comes behind it
	c.sees("\r\n" + ps1)
	c.types("stty cols 40 rows 10; stty size; sh -c 'echo $COLUMNS'; echo $COLUMNS | cat\n")
	c.sees("10 40\r\n40\r\n40\r\n")
	c.types("env | grep -c COLUMNS\n")
	c.sees("0\r\n")
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
