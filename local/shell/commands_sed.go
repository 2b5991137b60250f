package shell

import (
	"bufio"
	"context"
	"fmt"
	"io"
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
	until    int    // the line where that ends, 0 where it is not known
}

type sedAddress struct {
	line int
	step int // from line on every step-th one
	plus int // as the end of a range: so many lines after the first, -1 for none
	last bool
	re   *regexp.Regexp
}

// sedPart is a piece of a replacement: text, or a group of the match.
type sedPart struct {
	text  string
	group int // -1 for text
}

// sed knows the commands s y d p q a i c = with line numbers, FIRST~STEP, $,
// /re/, ranges and FROM,+N as addresses, !, and the options -n -e -E -r -i -s.
// What it does not know it refuses.
func sed(ctx context.Context, p *Proc) int {
	scripts, rest := sedScripts(p.Args[1:])
	o, names, err := parseOptions(rest, "nErsu quiet silent regexp-extended separate unbuffered")
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
	status := 0
	unreadable := func(name string, err error) int {
		status = 2
		p.errorf("can't read %s: %s", name, words(err))
		return status
	}
	switch at := slices.IndexFunc(p.Args[1:], isInPlace); {
	case at >= 0:
		suffix := strings.TrimPrefix(strings.TrimPrefix(p.Args[1+at], "--in-place"), "=")
		if strings.HasPrefix(p.Args[1+at], "-i") {
			suffix = p.Args[1+at][2:]
		}
		for _, name := range names {
			if err := p.sedInPlace(ctx, program, name, quiet, strings.TrimPrefix(suffix, "-Ei")); err != nil {
				unreadable(name, err)
			}
		}
	case o.has("s", "separate"):
		return p.eachOr(names, unreadable, func(_ string, r io.Reader) error { return runSed(ctx, program, r, p.Stdout, quiet) })
	default:
		if len(names) == 0 {
			names = []string{"-"}
		}
		in := &oneAfterAnother{names: names, open: p.open, unreadable: unreadable}
		defer in.Close()
		if err := runSed(ctx, program, in, p.Stdout, quiet); err != nil {
			return p.failed("couldn't write", err)
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
	return a == "-i" || strings.HasPrefix(a, "-i.") || a == "-Ei" || a == "--in-place" || strings.HasPrefix(a, "--in-place=")
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
		x := sedLine{text: text, newline: newline, number: n, out: out}
		if asks { // else nobody is made to type a line ahead
			_, err := in.Peek(1)
			x.last = err != nil
		}
		quit := x.run(program)
		if !quiet && !x.deleted {
			x.print()
			if !newline && x.after != "" {
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
	newline bool // it has one: the last of a file may not
	number  int
	last    bool
	deleted bool
	after   string // to be printed behind the line
	unended bool   // something was printed without a newline
	out     *bufio.Writer
}

func (x *sedLine) print() {
	if x.unended {
		x.out.WriteByte('\n')
	}
	x.out.WriteString(x.text)
	if x.newline {
		x.out.WriteByte('\n')
	}
	x.unended = !x.newline
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
			x.print()
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
		if c.until > 0 && x.number > c.until { // others took the lines between
			c.inside = c.from.matches(x)
			return c.inside
		}
		c.inside = x.number != c.until && !c.to.matches(x)
		return true
	case c.from.matches(x):
		if c.until = c.to.line; c.to.plus >= 0 {
			c.until = x.number + c.to.plus
		}
		c.inside = !x.last && (c.until == 0 || x.number < c.until)
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
	case a.step > 0:
		return x.number >= a.line && (x.number-a.line)%a.step == 0
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
		x.print()
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
