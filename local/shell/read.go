package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"

	"github.com/mesoslab/lab/local/terminal"
)

// The builtins that read. The interpreter's own would read its standard input,
// which stands for the terminal but is not it; and they know fewer options.
// Ours read, and answer with what sets the variables.

// readOptions are those of the builtin read.
type readOptions struct {
	names       []string
	array       string
	prompt      string
	raw, silent bool
	count       int // characters, 0 for a line
	exact       bool
	delimiter   byte
	limit       time.Duration // negative for none
}

func parseRead(args []string) (readOptions, error) {
	r := readOptions{delimiter: '\n', limit: -1}
	o, names, err := parseOptions(args, "rsea:p:n:N:d:t:i:u:")
	if err != nil {
		return r, err
	}
	r.names, r.array, r.prompt, r.raw, r.silent = names, o["a"], o["p"], o.has("r"), o.has("s")
	for _, name := range append(names, r.array) {
		if name != "" && !syntax.ValidName(name) {
			return r, fmt.Errorf("`%s': not a valid identifier", name)
		}
	}
	if text := o["n"] + o["N"]; o.has("n", "N") {
		r.exact = o.has("N")
		if r.count, err = strconv.Atoi(text); err != nil || r.count < 0 {
			return r, fmt.Errorf("%s: invalid number", text)
		}
	}
	if o.has("d") {
		r.delimiter = (o["d"] + "\x00")[0]
	}
	if text, given := o["t"]; given {
		if r.limit, err = duration(text); err != nil {
			return r, fmt.Errorf("%s: invalid timeout specification", text)
		}
	}
	if fd := o["u"]; fd != "" && fd != "0" {
		return r, fmt.Errorf("%s: invalid file descriptor: only 0 is there", fd)
	}
	return r, nil
}

// read is the builtin; it returns the command to run instead.
func (s *Session) read(ctx context.Context, args []string) []string {
	r, err := parseRead(args[1:])
	if err != nil {
		return []string{builtinPrefix + "refuse", "read: " + err.Error()}
	}
	hc := interp.HandlerCtx(ctx)
	status := 0
	line, err := s.readLine(ctx, hc, r)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		status = 142
	case err != nil:
		status = 1
	}
	var script strings.Builder
	cfg := &expand.Config{Env: hc.Env}
	switch {
	case r.array != "":
		script.WriteString(r.array + "=(")
		for _, f := range expand.ReadFields(cfg, line, -1, r.raw) {
			script.WriteString(" " + quote(f))
		}
		script.WriteString(")\n")
	case len(r.names) == 0:
		if !r.raw {
			line = unescaped(line)
		}
		script.WriteString("REPLY=" + quote(line) + "\n")
	case r.exact:
		script.WriteString(r.names[0] + "=" + quote(line) + "\n")
	default:
		values := expand.ReadFields(cfg, line, len(r.names), r.raw)
		for i, name := range r.names {
			value := ""
			if i < len(values) {
				value = values[i]
			}
			script.WriteString(name + "=" + quote(value) + "\n")
		}
	}
	if status != 0 {
		fmt.Fprintf(&script, "(exit %d)\n", status)
	}
	return []string{"eval", script.String()}
}

func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

func unescaped(line string) string {
	var b strings.Builder
	for i := 0; i < len(line); i++ {
		if line[i] == '\\' && i+1 < len(line) {
			i++
		} else if line[i] == '\\' {
			break
		}
		b.WriteByte(line[i])
	}
	return b.String()
}

// readLine reads what read wants from the command's input.
func (s *Session) readLine(ctx context.Context, hc interp.HandlerContext, r readOptions) (string, error) {
	if r.limit >= 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.limit)
		defer cancel()
	}
	in, stop := s.input(ctx, hc.Stdin)
	defer stop()
	if t := keyboardOf(in); t != nil {
		io.WriteString(hc.Stderr, r.prompt)
		mode := t.Mode()
		wanted := mode
		wanted.Echo = mode.Echo && !r.silent
		wanted.Canonical = mode.Canonical && r.count == 0 && r.delimiter == '\n'
		if wanted != mode {
			t.SetMode(wanted)
			defer t.SetMode(mode)
		}
	}
	line, err := readUntil(in, r)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return line, err
}

// readUntil reads byte by byte: what follows belongs to the next command.
func readUntil(in io.Reader, r readOptions) (string, error) {
	var line []byte
	var b [1]byte
	for escaped, characters := false, 0; ; {
		n, err := in.Read(b[:])
		if n == 0 {
			if err == nil {
				continue
			}
			return string(line), err
		}
		switch {
		case escaped && b[0] == '\n': // the line goes on
			line = line[:len(line)-1]
			escaped = false
			continue
		case b[0] == r.delimiter && !escaped && !r.exact:
			return string(line), nil
		}
		escaped = !r.raw && !escaped && b[0] == '\\'
		line = append(line, b[0])
		if b[0]&0xc0 != 0x80 { // the beginning of a character
			characters++
		}
		if r.count > 0 && characters >= r.count && wholeCharacters(line) {
			return string(line), nil
		}
	}
}

// wholeCharacters reports whether a text does not end within a character.
func wholeCharacters(text []byte) bool {
	for i := len(text) - 1; i >= 0 && i >= len(text)-4; i-- {
		switch b := text[i]; {
		case b < 0x80:
			return true
		case b >= 0xc0:
			want := 2
			if b >= 0xf0 {
				want = 4
			} else if b >= 0xe0 {
				want = 3
			}
			return len(text)-i >= want
		}
	}
	return true
}

// mapfile is the builtin, also called readarray.
func (s *Session) mapfile(ctx context.Context, args []string) []string {
	o, names, err := parseOptions(args[1:], "td:n:s:O:u:c:C:")
	name := "MAPFILE"
	if len(names) > 0 {
		name = names[0]
	}
	if err == nil && !syntax.ValidName(name) {
		err = fmt.Errorf("`%s': not a valid identifier", name)
	}
	most, skip := 0, 0
	for letter, to := range map[string]*int{"n": &most, "s": &skip} {
		if text, given := o[letter]; given && err == nil {
			if *to, err = strconv.Atoi(text); err != nil || *to < 0 {
				err = fmt.Errorf("%s: invalid line count", text)
			}
		}
	}
	if err != nil {
		return []string{builtinPrefix + "refuse", args[0] + ": " + err.Error()}
	}
	r := readOptions{raw: true, delimiter: '\n', limit: -1}
	if o.has("d") {
		r.delimiter = (o["d"] + "\x00")[0]
	}
	var script strings.Builder
	script.WriteString(name + "=(")
	hc := interp.HandlerCtx(ctx)
	for n := 0; most == 0 || n < most+skip; n++ {
		line, err := s.readLine(ctx, hc, r)
		if err != nil && line == "" {
			break
		}
		if !o.has("t") && err == nil {
			line += string(r.delimiter)
		}
		if n >= skip {
			script.WriteString(" " + quote(line))
		}
		if err != nil {
			break
		}
	}
	return []string{"eval", script.String() + ")"}
}

// onTerminal answers test -t.
func (s *Session) onTerminal(ctx context.Context, fd string) bool {
	hc := interp.HandlerCtx(ctx)
	var t *terminal.Terminal
	switch fd {
	case "0":
		if s.isKeyboard(hc.Stdin) {
			t = s.cfg.Terminal
		}
	case "1":
		t = screenOf(hc.Stdout)
	case "2":
		t = screenOf(hc.Stderr)
	}
	return t != nil
}
