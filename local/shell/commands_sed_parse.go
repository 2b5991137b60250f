package shell

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// sedParser reads a script.
type sedParser struct {
	rest     string
	extended bool
	re       *regexp.Regexp // the last one, which an empty one stands for
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
		if c.from == nil || c.to == nil || c.to.step > 0 {
			return nil, errors.New("unexpected `,'")
		}
	}
	switch {
	case c.from != nil && c.from.plus >= 0:
		return nil, errors.New("unknown command: `+'")
	case isZero(c.from) && (c.to == nil || c.to.re == nil), isZero(c.to):
		return nil, errors.New("invalid usage of line address 0")
	case isZero(c.from): // as 1, but the range may end in that line
		return nil, errors.New("the address 0 is not known to this sed: 1 is")
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

func isZero(a *sedAddress) bool {
	return a != nil && a.line == 0 && a.step == 0 && a.plus < 0 && !a.last && a.re == nil
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
		return &sedAddress{last: true, plus: -1}, nil
	case s.rest[0] == '/':
		text, err := s.until('/', true)
		if err != nil {
			return nil, errors.New("unterminated address regex")
		}
		fold := strings.HasPrefix(s.rest, "I")
		s.rest = strings.TrimPrefix(s.rest, "I")
		re, err := s.regexp(text, fold)
		return &sedAddress{re: re, plus: -1}, err
	case s.rest[0] == '+':
		s.rest = s.rest[1:]
		n, given, err := s.number()
		if err == nil && !given {
			err = errors.New("expected a number after `+'")
		}
		return &sedAddress{plus: n}, err
	}
	line, given, err := s.number()
	if err != nil || !given {
		return nil, err
	}
	a := &sedAddress{line: line, plus: -1}
	if strings.HasPrefix(s.rest, "~") {
		s.rest = s.rest[1:]
		a.step, _, err = s.number()
	}
	return a, err
}

// number takes a number; given says that there is one.
func (s *sedParser) number() (n int, given bool, err error) {
	digits := len(s.rest) - len(strings.TrimLeft(s.rest, "0123456789"))
	if digits == 0 {
		return 0, false, nil
	}
	n, err = strconv.Atoi(s.rest[:digits])
	if err != nil || n > 1<<40 {
		return 0, false, fmt.Errorf("the number %.20s is too large", s.rest)
	}
	s.rest = s.rest[digits:]
	return n, true, nil
}

// until takes what stands between the delimiter at the beginning and the next
// one, which stays. In the brackets of a regular expression none counts.
func (s *sedParser) until(delimiter byte, isRegexp bool) (string, error) {
	var b strings.Builder
	for i := 1; i < len(s.rest); i++ {
		switch ch := s.rest[i]; {
		case isRegexp && ch == '[' && ch != delimiter:
			n := bracketEnd(s.rest[i:])
			if n == 0 {
				return "", errors.New("unterminated")
			}
			b.WriteString(s.rest[i : i+n])
			i += n - 1
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
	pattern, err := s.until(delimiter, c.name == 's')
	if err != nil {
		return unterminated
	}
	s.rest = string(delimiter) + s.rest
	with, err := s.until(delimiter, false)
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
			if c.number, _, err = s.number(); err != nil {
				return err
			}
			if c.number == 0 {
				return errors.New("number option to `s' command may not be zero")
			}
			continue
		}
		s.rest = s.rest[1:]
	}
	if c.with, err = sedParts(with); err != nil {
		return err
	}
	if c.re, err = s.regexp(pattern, fold); err != nil {
		return err
	}
	for _, part := range c.with {
		if part.group > c.re.NumSubexp() {
			return fmt.Errorf("invalid reference \\%d on `s' command's RHS", part.group)
		}
	}
	return s.end()
}
