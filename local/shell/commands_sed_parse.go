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
