package shell

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"

	"golang.org/x/term"

	"github.com/mesoslab/lab/local/terminal"
)

// errKeyInterrupt is ctrl-C at the prompt.
var errKeyInterrupt = errors.New("interrupted")

const (
	keyCtrlC = 0x03
	keyTab   = '\t'
	keyCtrlR = 0x12
)

// edit reads one line behind a prompt, with x/term's line editor. io.EOF is
// ctrl-D on an empty line, or the end of the keyboard.
func (s *Session) edit(ctx context.Context, ps string) (string, error) {
	t := s.cfg.Terminal
	keys := &promptKeys{r: t.Reader(ctx)}
	// A new one for each line: one that was interrupted keeps its line.
	e := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{keys, t}, "")
	e.History = s.prompt.history
	search := &search{history: s.prompt.history}
	e.AutoCompleteCallback = func(line string, pos int, key rune) (string, int, bool) {
		switch key {
		case keyTab:
			return s.complete(e, line, pos)
		case keyCtrlR:
			return search.next(line)
		}
		return "", 0, false
	}
	if above, last := cutLast(ps, "\n"); above != "" {
		io.WriteString(t, above)
		ps = last
	}
	e.SetPrompt(ps)
	following, stop := context.WithCancel(ctx)
	var size sync.WaitGroup
	size.Go(func() { followSize(following, t, e) })
	line, err := e.ReadLine()
	stop()
	size.Wait()
	if keys.interrupted {
		io.WriteString(t, "^C\n")
		return "", errKeyInterrupt
	}
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return line, err
}

func cutLast(text, sep string) (before, after string) {
	i := strings.LastIndex(text, sep) + len(sep)
	if i < len(sep) {
		return "", text
	}
	return text[:i], text[i:]
}

// followSize tells the editor how wide the terminal is.
func followSize(ctx context.Context, t *terminal.Terminal, e *term.Terminal) {
	for {
		changed := t.Resized()
		if s := t.Size(); s.Columns > 0 {
			_ = e.SetSize(s.Columns, max(s.Rows, 1)) // fails only with the screen
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// search is ctrl-R: the latest line that contains what is typed, and the one
// before it with each further ctrl-R.
type search struct {
	history *history
	what    string
	found   string
	at      int
}

func (x *search) next(line string) (string, int, bool) {
	if line != x.found || x.found == "" {
		x.what, x.at = line, -1
	}
	for i := x.at + 1; i < x.history.Len(); i++ {
		if l := x.history.At(i); strings.Contains(l, x.what) && l != line {
			x.found, x.at = l, i
			return l, len(l), true
		}
	}
	return line, len(line), true
}
