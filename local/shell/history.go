package shell

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// history is a term.History that keeps no empty line and none twice in a row.
// The editor adds nothing by itself: a line is added when it is known whole.
type history struct {
	mu    sync.Mutex // history | less runs beside the shell
	lines []string
}

const maxHistory = 1000

// Add implements term.History.
func (h *history) Add(string) {}

// Len implements term.History.
func (h *history) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.lines)
}

// At implements term.History: 0 is the latest.
func (h *history) At(i int) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lines[len(h.lines)-1-i]
}

func (h *history) all() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.lines)
}

func (h *history) clear() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lines = nil
}

// add remembers a line; goesOn says that it continues the one before.
func (h *history) add(line string, goesOn bool) {
	line = strings.TrimRight(line, " \t")
	if strings.TrimSpace(line) == "" {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	n := len(h.lines)
	switch {
	case goesOn && n > 0:
		h.lines[n-1] = joinLines(h.lines[n-1], line)
	case n == 0 || h.lines[n-1] != line:
		h.lines = append(h.lines, line)
	}
	if len(h.lines) > maxHistory {
		h.lines = slices.Clone(h.lines[len(h.lines)-maxHistory:])
	}
}

// joinLines makes one line of two, where that means the same.
func joinLines(a, b string) string {
	if joinsNext(a) {
		return strings.TrimSuffix(a, `\`) + b
	}
	sep := "; "
	for _, end := range []string{"do", "then", "else", "{", "(", "|", "&&", "||", ";", "in"} {
		if strings.HasSuffix(a, end) {
			sep = " "
		}
	}
	if joined := a + sep + b; Incomplete(joined+"\n") || parses(joined) {
		return joined
	}
	return a + "\n" + b // within quotes
}

func parses(src string) bool {
	_, err := parse(src, "")
	return err == nil
}

// expand replaces !!, !$, !n and !-n, !word at the beginning of a word, outside
// single quotes.
func (h *history) expand(line string) (string, error) {
	var b strings.Builder
	quoted := false
	for i := 0; i < len(line); i++ {
		c := line[i]
		if c == '\'' {
			quoted = !quoted
		}
		start := i == 0 || strings.IndexByte(" \t;|&(\"", line[i-1]) >= 0
		if c != '!' || quoted || !start || i+1 == len(line) || strings.IndexByte(" \t=(\"", line[i+1]) >= 0 {
			b.WriteByte(c)
			continue
		}
		event := line[i : i+1+eventLength(line[i+1:])]
		text, ok := h.event(event[1:])
		if !ok {
			return "", fmt.Errorf("bash: %s: event not found", event)
		}
		b.WriteString(text)
		i += len(event) - 1
	}
	return b.String(), nil
}

func eventLength(rest string) int {
	if rest[0] == '!' || rest[0] == '$' {
		return 1
	}
	if n := strings.IndexAny(rest, " \t;|&)\"'"); n >= 0 {
		return n
	}
	return len(rest)
}

func (h *history) event(word string) (string, bool) {
	lines := h.all()
	if len(lines) == 0 {
		return "", false
	}
	last := lines[len(lines)-1]
	switch word {
	case "!":
		return last, true
	case "$":
		words := strings.Fields(last)
		return words[len(words)-1], true
	}
	if n, err := strconv.Atoi(word); err == nil {
		if n < 0 {
			n += len(lines) + 1
		}
		if n < 1 || n > len(lines) {
			return "", false
		}
		return lines[n-1], true
	}
	for _, line := range slices.Backward(lines) {
		if strings.HasPrefix(line, word) {
			return line, true
		}
	}
	return "", false
}

const historyFile = ".bash_history"

// loadHistory reads what an earlier shell of the user has left.
func (s *Session) loadHistory() *history {
	h := &history{}
	text, err := s.files.ReadFile(homeOf(s.cfg.User) + "/" + historyFile)
	if err != nil {
		return h // there is none, or it cannot be had
	}
	for line := range bytes.Lines(text) {
		h.add(strings.TrimSuffix(string(line), "\n"), false)
	}
	return h
}

// saveHistory leaves the lines for the next shell. A disk that takes nothing
// costs the history only.
func (s *Session) saveHistory() {
	name := homeOf(s.cfg.User) + "/" + historyFile
	f, err := s.files.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, fs.FileMode(0o600))
	if err != nil {
		return
	}
	defer f.Close()
	for _, line := range s.prompt.history.all() {
		fmt.Fprintln(f, line)
	}
}

// listHistory is the builtin: history, history N, history -c.
func listHistory(_ context.Context, p *Proc) int {
	if p.session.prompt == nil {
		return 0
	}
	h := p.session.prompt.history
	first := 0
	if len(p.Args) > 1 {
		n, err := strconv.Atoi(p.Args[1])
		switch {
		case p.Args[1] == "-c":
			h.clear()
			return 0
		case err != nil || n < 0:
			p.Args[0] = "bash: history"
			return p.errorf("%s: numeric argument required", p.Args[1])
		}
		first = max(0, h.Len()-n)
	}
	for i, line := range h.all()[first:] {
		p.printf("%5d  %s\n", first+i+1, line)
	}
	return 0
}
