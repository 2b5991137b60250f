package shell

import (
	"context"
	"errors"
	"fmt"
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
