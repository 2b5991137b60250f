package shell

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// bracketEnd is how long the bracket expression at the beginning is, 0 where it
// has no end.
func bracketEnd(text string) int {
	n := 1
	if n < len(text) && text[n] == '^' {
		n++
	}
	if n < len(text) && text[n] == ']' {
		n++
	}
	for n < len(text) {
		switch {
		case text[n] == ']':
			return n + 1
		case text[n] == '[' && n+1 < len(text) && strings.IndexByte(":.=", text[n+1]) >= 0:
			end := strings.Index(text[n+2:], text[n+1:n+2]+"]")
			if end < 0 {
				return 0
			}
			n += end + 4
		default:
			n++
		}
	}
	return 0
}

// regexp compiles an expression, which finds the longest of the leftmost
// matches as POSIX wants. An empty one is the one before.
func (s *sedParser) regexp(text string, fold bool) (*regexp.Regexp, error) {
	if text == "" {
		if s.re == nil {
			return nil, errors.New("no previous regular expression")
		}
		return s.re, nil
	}
	if !s.extended {
		text = basicRegexp(text)
	}
	if fold {
		text = "(?i)" + text
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, fmt.Errorf("invalid regular expression: %v", err)
	}
	re.Longest()
	s.re = re
	return re, nil
}

// sedParts reads a replacement: & and \0 to \9 are groups.
func sedParts(with string) ([]sedPart, error) {
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
			case strings.IndexByte("ULEul", next) >= 0:
				return nil, fmt.Errorf("this sed does not change case: \\%c", next)
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
	return out, nil
}
