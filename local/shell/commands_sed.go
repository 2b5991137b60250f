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
	"strconv"
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

// sedParser reads a script.
type sedParser struct {
	rest     string
	extended bool
}

func parseSed(script string, extended bool) ([]*sedCommand, error) {
	s := &sedParser{rest: script, extended: extended}
	var out []*sedCommand
	for {
		s.rest = strings.TrimLeft(s.rest, " \t\n;")
		if s.rest == "" {
			return out, nil
		}
		if s.rest[0] == '#' {
			_, s.rest, _ = strings.Cut(s.rest, "\n")
			continue
		}
		c, err := s.command()
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
}

func (s *sedParser) command() (*sedCommand, error) {
	c := &sedCommand{number: 1}
	var err error
	if c.from, err = s.address(); err != nil {
		return nil, err
	}
	if strings.HasPrefix(s.rest, ",") {
		s.rest = strings.TrimLeft(s.rest[1:], " ")
		if c.to, err = s.address(); err != nil {
			return nil, err
		}
		if c.from == nil || c.to == nil {
			return nil, errors.New("unexpected `,'")
		}
	}
	s.rest = strings.TrimLeft(s.rest, " \t")
	if strings.HasPrefix(s.rest, "!") {
		c.not, s.rest = true, strings.TrimLeft(s.rest[1:], " \t")
	}
	if s.rest == "" {
		return nil, errors.New("missing command")
	}
	c.name, s.rest = s.rest[0], s.rest[1:]
	switch c.name {
	case 'd', 'p', 'q', '=':
		return c, s.end()
	case 's', 'y':
		return c, s.replacement(c)
	case 'a', 'i', 'c':
		text, rest, _ := strings.Cut(s.rest, "\n")
		s.rest = rest
		c.text = strings.TrimLeft(strings.TrimPrefix(strings.TrimLeft(text, " \t"), "\\"), " \t\n")
		return c, nil
	}
	return nil, fmt.Errorf("unknown command: `%c' (this sed knows s y d p q a i c =)", c.name)
}

func (s *sedParser) end() error {
	s.rest = strings.TrimLeft(s.rest, " \t")
	if s.rest != "" && s.rest[0] != ';' && s.rest[0] != '\n' && s.rest[0] != '}' {
		return errors.New("extra characters after command")
	}
	return nil
}

func (s *sedParser) address() (*sedAddress, error) {
	switch {
	case s.rest == "":
		return nil, nil
	case s.rest[0] == '$':
		s.rest = s.rest[1:]
		return &sedAddress{last: true}, nil
	case s.rest[0] == '/':
		text, err := s.until('/')
		if err != nil {
			return nil, errors.New("unterminated address regex")
		}
		re, err := sedRegexp(text, s.extended, false)
		return &sedAddress{re: re}, err
	}
	n := 0
	for n < len(s.rest) && s.rest[n] >= '0' && s.rest[n] <= '9' {
		n++
	}
	if n == 0 {
		return nil, nil
	}
	line, err := strconv.Atoi(s.rest[:n])
	s.rest = s.rest[n:]
	return &sedAddress{line: line}, err
}

// until takes what stands between the delimiter at the beginning and the next
// one, which stays.
func (s *sedParser) until(delimiter byte) (string, error) {
	var b strings.Builder
	for i := 1; i < len(s.rest); i++ {
		switch ch := s.rest[i]; {
		case ch == '\\' && i+1 < len(s.rest):
			i++
			if s.rest[i] != delimiter {
				b.WriteByte('\\')
			}
			b.WriteByte(s.rest[i])
		case ch == delimiter:
			s.rest = s.rest[i+1:]
			return b.String(), nil
		default:
			b.WriteByte(ch)
		}
	}
	return "", errors.New("unterminated")
}

func (s *sedParser) replacement(c *sedCommand) error {
	unterminated := fmt.Errorf("unterminated `%c' command", c.name)
	if s.rest == "" || s.rest[0] == '\n' || s.rest[0] == '\\' {
		return unterminated
	}
	delimiter := s.rest[0]
	pattern, err := s.until(delimiter)
	if err != nil {
		return unterminated
	}
	s.rest = string(delimiter) + s.rest
	with, err := s.until(delimiter)
	if err != nil {
		return unterminated
	}
	if c.name == 'y' {
		c.text, c.with = pattern, []sedPart{{text: with}}
		if len([]rune(pattern)) != len([]rune(with)) {
			return errors.New("strings for `y' command are different lengths")
		}
		return s.end()
	}
	fold := false
	for s.rest != "" && strings.IndexByte("gpiI0123456789", s.rest[0]) >= 0 {
		switch f := s.rest[0]; f {
		case 'g':
			c.global = true
		case 'p':
			c.print = true
		case 'i', 'I':
			fold = true
		default:
			c.number = int(f - '0')
		}
		s.rest = s.rest[1:]
	}
	c.with = sedParts(with)
	if c.re, err = sedRegexp(pattern, s.extended, fold); err != nil {
		return err
	}
	return s.end()
}

func sedRegexp(text string, extended, fold bool) (*regexp.Regexp, error) {
	if !extended {
		text = basicRegexp(text)
	}
	if fold {
		text = "(?i)" + text
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, fmt.Errorf("invalid regular expression: %v", err)
	}
	return re, nil
}

// sedParts reads a replacement: & and \0 to \9 are groups.
func sedParts(with string) []sedPart {
	var out []sedPart
	var text strings.Builder
	group := func(n int) {
		if text.Len() > 0 {
			out = append(out, sedPart{text: text.String(), group: -1})
			text.Reset()
		}
		out = append(out, sedPart{group: n})
	}
	for i := 0; i < len(with); i++ {
		switch ch := with[i]; {
		case ch == '&':
			group(0)
		case ch == '\\' && i+1 < len(with):
			i++
			switch next := with[i]; {
			case next >= '0' && next <= '9':
				group(int(next - '0'))
			case next == 'n':
				text.WriteByte('\n')
			case next == 't':
				text.WriteByte('\t')
			default:
				text.WriteByte(next)
			}
		default:
			text.WriteByte(ch)
		}
	}
	if text.Len() > 0 {
		out = append(out, sedPart{text: text.String(), group: -1})
	}
	return out
}
