package shell

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
)

// cat knows -n and -b, which number lines, -s, which squeezes blank ones, and
// -A -E -T -v -e -t, which show what is not seen.
func cat(_ context.Context, p *Proc) int {
	o, names, ok := p.options("nbuAvEeTts number number-nonblank squeeze-blank show-all show-ends show-tabs show-nonprinting")
	if !ok {
		return 1
	}
	if delete(o, "u"); len(o) == 0 {
		return p.each(names, func(_ string, r io.Reader) error { _, err := io.Copy(p.Stdout, r); return err })
	}
	number, nonblank := o.has("n", "number"), o.has("b", "number-nonblank")
	ends, tabs := o.has("A", "E", "e", "show-all", "show-ends"), o.has("A", "T", "t", "show-all", "show-tabs")
	visible := o.has("A", "v", "e", "t", "show-all", "show-nonprinting")
	n, blank := 0, 0
	return p.each(names, func(_ string, r io.Reader) error {
		return wholeLines(r, func(line string) error {
			text, newline := strings.CutSuffix(line, "\n")
			if blank++; text != "" {
				blank = 0
			}
			if blank > 1 && o.has("s", "squeeze-blank") {
				return nil
			}
			text = shownText(text, visible, tabs)
			if nonblank && text != "" || number && !nonblank {
				n++
				text = fmt.Sprintf("%6d\t%s", n, text)
			}
			if newline && ends {
				text += "$"
			}
			if newline {
				text += "\n"
			}
			_, err := io.WriteString(p.Stdout, text)
			return err
		})
	})
}

// shownText writes control characters as ^X, other bytes as M-x, as cat -v
// does, and tabs as ^I.
func shownText(text string, visible, tabs bool) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		switch {
		case c == '\t' && tabs:
			b.WriteString("^I")
			continue
		case c == '\t' || !visible:
			b.WriteByte(c)
			continue
		}
		if c >= 0x80 {
			b.WriteString("M-")
			c -= 0x80
		}
		if c < 0x20 || c == 0x7f {
			b.WriteByte('^')
			c ^= 0x40
		}
		b.WriteByte(c)
	}
	return b.String()
}

func tee(_ context.Context, p *Proc) int {
	o, names, ok := p.options("ai append")
	if !ok {
		return 1
	}
	more := os.O_TRUNC
	if o.has("a", "append") {
		more = os.O_APPEND
	}
	status := 0
	out := []io.Writer{p.Stdout}
	for _, name := range names {
		f, err := p.create(name, more)
		if err != nil {
			status = p.failed(name, err)
			continue
		}
		defer f.Close()
		out = append(out, f)
	}
	if _, err := io.Copy(io.MultiWriter(out...), p.Stdin); err != nil {
		return p.failed("standard output", err)
	}
	return status
}
