package provision

import (
	"errors"
	"fmt"
	"strings"
)

// /etc/default/docker is read by a shell (upstart, sysvinit) or by systemd's
// EnvironmentFile. setDefault writes what both understand alike.

// span is a command that assigns to a variable: [start, end) in the file.
// alone says that it is key=word, from the beginning of a line to its end; then
// value is the word's value if it is constant.
type span struct {
	start, end int
	alone      bool
	value      string
	constant   bool
}

// setDefault returns the file with key set to value. Nothing else changes: the
// assignment that decides (the last one) is replaced if it stands alone at the
// beginning of its line, else ours is appended. A file that says so already
// comes back as it is.
func setDefault(file []byte, key, value string) ([]byte, error) {
	if strings.ContainsAny(value, "\n\r\x00") {
		return nil, fmt.Errorf("%s must be one line", key)
	}
	text := string(file)
	spans, err := assignments(text, key)
	if err != nil {
		return nil, err
	}
	line := key + "=" + doubleQuote(value)
	if len(spans) > 0 {
		last := spans[len(spans)-1]
		if last.alone && last.constant && last.value == value {
			return file, nil
		}
		if last.alone {
			return []byte(text[:last.start] + line + text[last.end:]), nil
		}
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return []byte(text + line + "\n"), nil
}

// doubleQuote quotes for the shell and for systemd: both know the same four
// characters to escape between double quotes.
func doubleQuote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`, "`", "\\`").Replace(s) + `"`
}

// What cannot be added to.
var (
	errUnbalanced = errors.New("a quote is opened and never closed")
	errContinued  = errors.New("the last line ends with a backslash")
)

// assignments finds key=value at the start of commands, in the order of the
// file. It knows quotes, backslashes, comments, ; and &: as much of the shell
// as such files hold.
func assignments(text, key string) ([]span, error) {
	var found []span
	for pos := 0; pos < len(text); {
		start := pos + len(text[pos:]) - len(strings.TrimLeft(text[pos:], " \t\n;&"))
		if start >= len(text) {
			break
		}
		if text[start] == '#' {
			pos = start + lineLength(text[start:])
			continue
		}
		end, err := commandEnd(text, start)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", 1+strings.Count(text[:start], "\n"), err)
		}
		if s, ok := assignment(text[start:end], key); ok {
			atStart := start == 0 || text[start-1] == '\n'
			atEnd := end == len(text) || text[end] == '\n'
			s.start, s.end, s.alone = start, end, s.alone && atStart && atEnd
			found = append(found, s)
		}
		pos = end
	}
	return found, nil
}

// commandEnd returns where the command that begins at start ends: before an
// unquoted newline, ; or & or before a comment.
func commandEnd(text string, start int) (int, error) {
	quote := byte(0)
	for i := start; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\\' && quote != '\'':
			if i++; i >= len(text)-1 && (i == len(text) || text[i] == '\n') {
				return 0, errContinued
			}
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"' || c == '`':
			quote = c
		case c == '\n' || c == ';' || c == '&':
			return i, nil
		case c == '#' && (text[i-1] == ' ' || text[i-1] == '\t'):
			return i, nil
		}
	}
	if quote != 0 {
		return 0, errUnbalanced
	}
	return len(text), nil
}

// assignment looks whether a command is key=value, perhaps with export before
// it or += instead; alone is set for one that is nothing more.
func assignment(command, key string) (span, bool) {
	rest := command
	if after, ok := strings.CutPrefix(rest, "export"); ok {
		rest = strings.TrimLeft(after, " \t")
	}
	after, ok := strings.CutPrefix(rest, key)
	if !ok {
		return span{}, false
	}
	word, ok := strings.CutPrefix(after, "=")
	if !ok {
		return span{}, strings.HasPrefix(after, "+=")
	}
	value, single, constant := unquote(strings.TrimRight(word, " \t"))
	return span{alone: single && rest == command, value: value, constant: constant}, true
}

// unquote returns the value of a shell word, whether it is a single word, and
// whether it is constant: nothing in it is expanded.
func unquote(word string) (value string, single, constant bool) {
	var b strings.Builder
	quote := byte(0)
	single, constant = true, true
	for i := 0; i < len(word); i++ {
		c := word[i]
		switch {
		case quote == '\'' && c == '\'', quote == '"' && c == '"':
			quote = 0
			continue
		case quote == '\'':
		case c == '\\' && i+1 < len(word):
			i++
			if word[i] == '\n' {
				continue
			}
			if quote == '"' && strings.IndexByte("\\\"$`", word[i]) < 0 {
				b.WriteByte('\\')
			}
			c = word[i]
		case c == '$' || c == '`':
			constant = false
		case quote == '"':
		case c == '\'' || c == '"':
			quote = c
			continue
		case strings.IndexByte(" \t\n", c) >= 0:
			return "", false, false
		case strings.IndexByte("|<>()*?[~", c) >= 0:
			constant = false
		}
		b.WriteByte(c)
	}
	return b.String(), single, constant && quote == 0
}

func lineLength(s string) int {
	if i := strings.IndexByte(s, '\n'); i >= 0 {
		return i
	}
	return len(s)
}
