package vagrant

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"unicode"
)

// maxLine is how much of one line of output is kept; the rest of a longer
// one is read and dropped.
const maxLine = 64 << 10

// record is one line of Vagrant's output. Machine-readable lines are
// "time,target,kind,data…"; of all others only Text is set.
type record struct {
	Target string   // the machine, or ""
	Kind   string   // ui, action, state, error-exit …
	Data   []string // unescaped
	Text   string   // a line that is not machine-readable
}

// data returns one field of the record, or "".
func (r record) data(i int) string {
	if i < len(r.Data) {
		return r.Data[i]
	}
	return ""
}

var unescape = strings.NewReplacer(`%!(VAGRANT_COMMA)`, ",", `\n`, "\n", `\r`, "\r")

// parse reads one line, without its end.
func parse(line string) record {
	line = strings.ToValidUTF8(line, "\uFFFD")
	parts := strings.Split(line, ",")
	if len(parts) < 4 || !digits(parts[0]) {
		return record{Text: line}
	}
	r := record{Target: parts[1], Kind: parts[2]}
	for _, p := range parts[3:] {
		r.Data = append(r.Data, unescape.Replace(p))
	}
	return r
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// readLines calls fn for each line until the reader ends. Lines end with \n;
// a progress bar's \r leaves only what it showed last.
func readLines(in io.Reader, fn func(line string)) error {
	r := bufio.NewReaderSize(in, maxLine)
	for {
		line, err := r.ReadSlice('\n')
		text := string(line)
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = r.ReadSlice('\n')
		}
		if text != "" {
			text = strings.TrimRight(text, "\r\n")
			if i := strings.LastIndexByte(text, '\r'); i >= 0 {
				text = text[i+1:]
			}
			fn(text)
		}
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// progress is what a person should read of a record, or "": Vagrant's own
// words in whatever language, in one line, without the machine's name.
func (r record) progress() string {
	text := r.Text
	if r.Kind == "ui" && len(r.Data) >= 2 {
		text = strings.Join(r.Data[1:], ",")
	} else if r.Kind != "" {
		return ""
	}
	var words []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "==>"))
		if r.Target != "" {
			line = strings.TrimPrefix(line, r.Target+":")
		}
		words = append(words, line)
	}
	text = strings.Join(words, " ")
	text = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > 160 {
		text = string(runes[:159]) + "…"
	}
	return text
}
