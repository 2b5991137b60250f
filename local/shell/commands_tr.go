package shell

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// tr translates, deletes (-d) and squeezes (-s) characters, or all but those
// named (-c). What it has read it writes before it waits for more.
func tr(_ context.Context, p *Proc) int {
	x, err := newTranslation(p.Args[1:])
	if err != nil {
		return p.errorf("%v", err)
	}
	if err := x.copy(p.Stdout, p.Stdin); err != nil {
		return p.failed("write error", err)
	}
	return 0
}

// foreign is added to a byte that is no part of a character.
const foreign = utf8.MaxRune + 1

// translation is what tr does to each character.
type translation struct {
	from, to           []rune
	complement, delete bool
	squeeze            func(rune) bool
}

func newTranslation(args []string) (translation, error) {
	var x translation
	o, sets, err := parseOptions(args, "dscCt delete squeeze-repeats complement truncate-set1")
	if err != nil {
		return x, err
	}
	x.complement, x.delete = o.has("c", "C", "complement"), o.has("d", "delete")
	squeeze := o.has("s", "squeeze-repeats")
	least, most := 2, 2
	switch {
	case x.delete && !squeeze:
		least, most = 1, 1
	case squeeze && !x.delete:
		least = 1
	}
	switch {
	case len(sets) == 0:
		return x, fmt.Errorf("missing operand")
	case len(sets) < least:
		return x, fmt.Errorf("missing operand after '%s'", sets[0])
	case len(sets) > most:
		return x, fmt.Errorf("extra operand '%s'", sets[most])
	}
	if x.from, err = trSet(sets[0]); err != nil {
		return x, err
	}
	last := x.named
	if len(sets) == 2 {
		if x.to, err = trSet(sets[1]); err != nil {
			return x, err
		}
		last = func(r rune) bool { return slices.Contains(x.to, r) }
		if !x.delete && len(x.to) == 0 {
			return x, fmt.Errorf("when not truncating set1, string2 must be non-empty")
		}
	}
	x.squeeze = func(r rune) bool { return squeeze && last(r) }
	if o.has("t", "truncate-set1") && len(x.from) > len(x.to) {
		x.from = x.from[:len(x.to)]
	}
	return x, nil
}

// named reports whether the first set, or its complement, holds a character.
func (x translation) named(r rune) bool { return slices.Contains(x.from, r) != x.complement }

// char is what becomes of one character.
func (x translation) char(r rune) (rune, bool) {
	switch {
	case !x.named(r):
		return r, true
	case x.delete:
		return 0, false
	case len(x.to) == 0:
		return r, true
	case x.complement:
		return x.to[len(x.to)-1], true
	}
	return x.to[min(slices.Index(x.from, r), len(x.to)-1)], true
}

func (x translation) copy(w io.Writer, r io.Reader) error {
	in, out := bufio.NewReader(r), bufio.NewWriter(w)
	previous := rune(-1)
	for {
		if in.Buffered() == 0 {
			if err := out.Flush(); err != nil {
				return err
			}
		}
		char, size, err := in.ReadRune()
		if err == io.EOF {
			return out.Flush()
		}
		if err != nil {
			return err
		}
		if char == utf8.RuneError && size == 1 {
			if err := in.UnreadRune(); err != nil {
				return err
			}
			b, err := in.ReadByte()
			if err != nil {
				return err
			}
			char = foreign + rune(b)
		}
		char, kept := x.char(char)
		if !kept || char == previous && x.squeeze(char) {
			continue
		}
		if previous = char; char >= foreign {
			err = out.WriteByte(byte(char - foreign))
		} else {
			_, err = out.WriteRune(char)
		}
		if err != nil {
			return err
		}
	}
}

var trClasses = strings.NewReplacer(
	"[:lower:]", "a-z", "[:upper:]", "A-Z", "[:digit:]", "0-9", "[:alpha:]", "A-Za-z", "[:alnum:]", "0-9A-Za-z", "[:xdigit:]", "0-9A-Fa-f",
	"[:space:]", `\t-\r `, "[:blank:]", `\t `, "[:punct:]", "!-/:-@[-`{-~", "[:cntrl:]", `\000-\037\177`, "[:print:]", " -~", "[:graph:]", "!-~",
)

// trSet is the characters that a set names: as they are, escaped, as ranges,
// as classes.
func trSet(text string) ([]rune, error) {
	var out []rune
	text = trClasses.Replace(text)
	for text != "" {
		first, rest, _ := trChar(text)
		after, ranged := strings.CutPrefix(rest, "-")
		if !ranged || after == "" {
			out, text = append(out, first), rest
			continue
		}
		last, rest, source := trChar(after)
		if last < first {
			return nil, fmt.Errorf("range-endpoints of '%s-%s' are in reverse collating sequence order", strings.TrimSuffix(text, "-"+after), source)
		}
		for r := first; r <= last; r++ {
			out = append(out, r)
		}
		text = rest
	}
	return out, nil
}

// trChar is the first character of a set, what follows it, and how it is
// written.
func trChar(text string) (char rune, rest, source string) {
	if text[0] != '\\' || len(text) == 1 {
		r, size := utf8.DecodeRuneInString(text)
		if r == utf8.RuneError && size == 1 {
			r = foreign + rune(text[0])
		}
		return r, text[size:], text[:size]
	}
	n := 1
	for n < len(text) && n < 4 && text[n] >= '0' && text[n] <= '7' {
		n++
	}
	if n > 1 {
		code, err := strconv.ParseUint(text[1:n], 8, 8)
		if err != nil { // above \377: two digits, as GNU tr
			n--
			code, _ = strconv.ParseUint(text[1:n], 8, 8)
		}
		if code >= utf8.RuneSelf {
			code += foreign
		}
		return rune(code), text[n:], text[:n]
	}
	r, size := utf8.DecodeRuneInString(text[1:])
	if i := strings.IndexRune("abfnrtv", r); i >= 0 {
		r = rune("\a\b\f\n\r\t\v"[i])
	}
	return r, text[1+size:], text[:1+size]
}
