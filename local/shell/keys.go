package shell

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/mesoslab/lab/local/terminal"
)

// promptKeys gives the editor the keys of one line: it must not hold keys that
// belong to the command.
type promptKeys struct {
	r           *terminal.Reader
	interrupted bool
	held        string // the beginning of a sequence
}

func (k *promptKeys) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, errors.New("a key sequence without an end")
	}
	room := p[:0:len(p)]
	for {
		n := copy(p, k.held)
		if n == len(p) { // nothing that begins a sequence is so long
			k.held = ""
			return n, nil
		}
		m, err := k.r.ReadKeys(p[n:], func(b byte) bool { return b == '\r' || b == '\n' || b == keyCtrlC })
		if n += m; n > 0 && p[n-1] == keyCtrlC {
			k.interrupted = true
			return 0, errKeyInterrupt
		}
		whole := n
		if err == nil {
			whole -= unfinished(string(p[:n]))
		}
		k.held = string(p[whole:n])
		if whole > 0 || err != nil {
			// Sequences only become shorter.
			return len(append(room, keySequences.Replace(string(p[:whole]))...)), err
		}
	}
}

// keySequences says those of Home and End, of the application mode, and of
// ctrl with an arrow in the editor's words.
var keySequences = strings.NewReplacer(
	"\x1b[1~", "\x1b[H", "\x1b[7~", "\x1b[H", "\x1b[4~", "\x1b[F", "\x1b[8~", "\x1b[F", "\x1bOH", "\x1b[H", "\x1bOF", "\x1b[F",
	"\x1bOA", "\x1b[A", "\x1bOB", "\x1b[B", "\x1bOC", "\x1b[C", "\x1bOD", "\x1b[D",
	"\x1b[1;5C", "\x1b[1;3C", "\x1b[1;5D", "\x1b[1;3D",
)

// pressedKeys passes keys on, sequences as a whole.
func pressedKeys(ctx context.Context, t *terminal.Terminal, keys chan<- string) {
	defer close(keys)
	r := t.Reader(ctx)
	buf, held := make([]byte, 256), ""
	for {
		n, err := r.Read(buf)
		if err != nil {
			return
		}
		typed := held + string(buf[:n])
		whole := len(typed) - unfinished(typed)
		held = typed[whole:]
		for _, k := range splitKeys(typed[:whole]) {
			select {
			case keys <- k:
			case <-ctx.Done():
				return
			}
		}
	}
}

var keySequence = regexp.MustCompile(`^\x1b(?:\[[0-9;]*[A-Za-z~]|O[A-Za-z])`)

var sequenceStart = regexp.MustCompile(`\x1b(?:\[[0-9;]*|O)?$`)

// unfinished is how many bytes at the end of what was typed are the beginning
// of a sequence, or of a character: the rest comes with a later packet.
func unfinished(typed string) int {
	if at := sequenceStart.FindStringIndex(typed); at != nil {
		return at[1] - at[0]
	}
	for n := 1; n < utf8.UTFMax && n <= len(typed); n++ {
		if tail := typed[len(typed)-n:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRuneInString(tail) {
				return n
			}
			break
		}
	}
	return 0
}

func splitKeys(typed string) []string {
	var out []string
	for typed != "" {
		n := len(keySequence.FindString(typed))
		if n == 0 {
			_, n = utf8.DecodeRuneInString(typed)
		}
		out, typed = append(out, typed[:n]), typed[n:]
	}
	return out
}
