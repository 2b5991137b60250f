package shell

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
)

// sedCommand is one command of a sed script with its addresses.
type sedCommand struct {
	from, to *sedAddress // nil where there is none
	not      bool
	name     byte
	re       *regexp.Regexp // of s
	with     []sedPart
	global   bool
	print    bool
	number   int    // which match s replaces, from 1
	text     string // of a, i and c; both sets of y
	inside   bool   // between from and to
}

type sedAddress struct {
	line int
	last bool
	re   *regexp.Regexp
}

// sedPart is a piece of a replacement: text, or a group of the match.
type sedPart struct {
	text  string
	group int // -1 for text
}

// sed knows the commands s y d p q a i c = with line numbers, $, /re/ and
// ranges as addresses, !, and the options -n -e -E -r -i -s.
func sed(ctx context.Context, p *Proc) int {
	scripts, rest := sedScripts(p.Args[1:])
	o, names, err := parseOptions(rest, "nErsuz quiet silent regexp-extended")
	if err != nil {
		return p.errorf("%v", err)
	}
	if len(scripts) == 0 {
		if len(names) == 0 {
			return p.errorf("usage: sed [-nEi] SCRIPT [FILE]...")
		}
		scripts, names = names[:1], names[1:]
	}
	program, err := parseSed(strings.Join(scripts, "\n"), o.has("E", "r", "regexp-extended"))
	if err != nil {
		return p.errorf("-e expression #1: %v", err)
	}
	quiet := o.has("n", "quiet", "silent")
	if !slices.ContainsFunc(p.Args[1:], isInPlace) {
		return p.each(names, func(_ string, r io.Reader) error { return runSed(ctx, program, r, p.Stdout, quiet) })
	}
	status := 0
	for _, name := range names {
		if err := p.sedInPlace(ctx, program, name, quiet); err != nil {
			status = p.failed("can't edit "+name, err)
		}
	}
	return status
}

// sedScripts takes -e SCRIPT and -i[SUFFIX] out: parseOptions knows neither
// repeated options nor optional values.
func sedScripts(args []string) (scripts, rest []string) {
	for i := 0; i < len(args); i++ {
		switch a := args[i]; {
		case a == "-e" && i+1 < len(args):
			i++
			scripts = append(scripts, args[i])
		case strings.HasPrefix(a, "--expression="):
			scripts = append(scripts, strings.TrimPrefix(a, "--expression="))
		case isInPlace(a):
		case a == "-ne" && i+1 < len(args):
			i++
			scripts, rest = append(scripts, args[i]), append(rest, "-n")
		default:
			rest = append(rest, a)
		}
	}
	return scripts, rest
}

func isInPlace(a string) bool {
	return a == "-i" || strings.HasPrefix(a, "-i.") || a == "-Ei" || a == "--in-place"
}

func (p *Proc) sedInPlace(ctx context.Context, program []*sedCommand, name string, quiet bool) error {
	file := p.Path(name)
	i, err := p.Files().Stat(file)
	if err != nil {
		return err
	}
	text, err := p.Files().ReadFile(file)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := runSed(ctx, program, bytes.NewReader(text), &out, quiet); err != nil {
		return err
	}
	f, err := p.Files().OpenFile(file, os.O_WRONLY|os.O_TRUNC, i.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = f.Write(out.Bytes())
	return errors.Join(err, f.Close())
}

// runSed runs a program over one input. Its state begins anew.
func runSed(ctx context.Context, program []*sedCommand, r io.Reader, w io.Writer, quiet bool) error {
	for _, c := range program {
		c.inside = false
	}
	asks := slices.ContainsFunc(program, func(c *sedCommand) bool { return c.from != nil && c.from.last || c.to != nil && c.to.last })
	in, out := bufio.NewReader(r), bufio.NewWriter(w)
	for n := 1; ctx.Err() == nil; n++ {
		line, err := in.ReadString('\n')
		if err != nil && err != io.EOF {
			return err
		}
		if line == "" {
			break
		}
		text, newline := strings.CutSuffix(line, "\n")
		x := sedLine{text: text, number: n, out: out}
		if asks { // else nobody is made to type a line ahead
			_, err := in.Peek(1)
			x.last = err != nil
		}
		quit := x.run(program)
		if !quiet && !x.deleted {
			out.WriteString(x.text)
			if newline || x.after != "" {
				out.WriteByte('\n')
			}
		}
		out.WriteString(x.after)
		if quit {
			break
		}
		if in.Buffered() == 0 { // somebody may be typing
			if err := out.Flush(); err != nil {
				return err
			}
		}
	}
	return out.Flush()
}

// sedLine is the line that a program works on.
type sedLine struct {
	text    string
	number  int
	last    bool
	deleted bool
	after   string // to be printed behind the line
	out     *bufio.Writer
}

// run reports whether the program wants to end.
func (x *sedLine) run(program []*sedCommand) (quit bool) {
	for _, c := range program {
		if c.selects(x) == c.not {
			continue
		}
		switch c.name {
		case 's':
			x.substitute(c)
		case 'y':
			x.transliterate(c)
		case 'd':
			x.deleted = true
			return false
		case 'p':
			fmt.Fprintln(x.out, x.text)
		case '=':
			fmt.Fprintln(x.out, x.number)
		case 'q':
			return true
		case 'i':
			fmt.Fprintln(x.out, c.text)
		case 'a':
			x.after += c.text + "\n"
		case 'c':
			if c.to == nil || !c.inside {
				fmt.Fprintln(x.out, c.text)
			}
			x.deleted = true
			return false
		}
	}
	return false
}

func (c *sedCommand) selects(x *sedLine) bool {
	switch {
	case c.from == nil:
		return true
	case c.to == nil:
		return c.from.matches(x)
	case c.inside:
		c.inside = !(c.to.matches(x) || c.to.line > 0 && x.number >= c.to.line)
		return true
	case c.from.matches(x):
		c.inside = !x.last && !(c.to.line > 0 && x.number >= c.to.line)
		return true
	}
	return false
}

func (a *sedAddress) matches(x *sedLine) bool {
	switch {
	case a.re != nil:
		return a.re.MatchString(x.text)
	case a.last:
		return x.last
	}
	return a.line == x.number
}

func (x *sedLine) substitute(c *sedCommand) {
	var b strings.Builder
	end, count, changed := 0, 0, false
	for _, m := range c.re.FindAllStringSubmatchIndex(x.text, -1) {
		count++
		if count < c.number || count > c.number && !c.global {
			continue
		}
		changed = true
		b.WriteString(x.text[end:m[0]])
		for _, part := range c.with {
			if part.group < 0 {
				b.WriteString(part.text)
			} else if 2*part.group+1 < len(m) && m[2*part.group] >= 0 {
				b.WriteString(x.text[m[2*part.group]:m[2*part.group+1]])
			}
		}
		end = m[1]
	}
	if !changed {
		return
	}
	x.text = b.String() + x.text[end:]
	if c.print {
		fmt.Fprintln(x.out, x.text)
	}
}

func (x *sedLine) transliterate(c *sedCommand) {
	from, to := []rune(c.text), []rune(c.with[0].text)
	x.text = strings.Map(func(r rune) rune {
		for i, f := range from {
			if f == r {
				return to[i]
			}
		}
		return r
	}, x.text)
}
