package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// xargs knows -n, -I, -0, -d, -r and -t; -P is accepted.
func xargs(ctx context.Context, p *Proc) int {
	args, size, replace, sep := p.Args[1:], 1000, "", ""
	skipEmpty, show, byLine := false, false, false
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' {
		flag, value := args[0][:2], args[0][2:]
		if strings.Contains("-n-I-d-P-L", flag) && value == "" && len(args) > 1 {
			value, args = args[1], args[1:]
		}
		args = args[1:]
		switch flag {
		case "-r":
			skipEmpty = true
		case "-t":
			show = true
		case "-0":
			sep = "\x00"
		case "-d":
			sep = strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\0`, "\x00").Replace(value)
		case "-I":
			replace, size, byLine = value, 1, true
		case "-n", "-L":
			n, err := strconv.Atoi(value)
			if err != nil || n < 1 {
				return p.errorf("invalid number '%s'", value)
			}
			size, byLine = n, flag == "-L"
		case "-P":
		default:
			return p.errorf("invalid option %s", flag)
		}
	}
	if len(args) == 0 {
		args = []string{"echo"}
	}
	text, err := io.ReadAll(p.Stdin)
	if err != nil {
		return p.errorf("%s", words(err))
	}
	items, err := xargsItems(string(text), sep, byLine)
	if err != nil {
		return p.errorf("%v", err)
	}
	if len(items) == 0 && (skipEmpty || replace != "") {
		return 0
	}
	cfg := p.config()
	cfg.Stdin = nil
	status := 0
	for first := true; (first || len(items) > 0) && ctx.Err() == nil; first = false {
		n := min(size, len(items))
		command := slices.Concat(args, items[:n])
		if byLine && replace == "" {
			command = slices.Clone(args)
			for _, line := range items[:n] {
				of, err := xargsItems(line, "", false)
				if err != nil {
					return p.errorf("%v", err)
				}
				command = append(command, of...)
			}
		}
		if replace != "" {
			command = slices.Clone(args)
			for i := range command {
				command[i] = strings.ReplaceAll(command[i], replace, items[0])
			}
		}
		if show {
			fmt.Fprintln(p.Stderr, strings.Join(command, " "))
		}
		switch code := p.start(ctx, cfg, command); code {
		case 0:
		case 126, 127:
			return code
		default:
			status = 123
		}
		items = items[n:]
	}
	return status
}

// xargsItems splits the input: at a separator, at lines, or at blanks outside
// quotes and not behind a backslash.
func xargsItems(text, sep string, byLine bool) ([]string, error) {
	switch {
	case text == "":
		return nil, nil
	case sep != "":
		return strings.Split(strings.TrimSuffix(text, sep), sep), nil
	case byLine:
		all := slices.DeleteFunc(strings.Split(text, "\n"), func(l string) bool { return strings.TrimSpace(l) == "" })
		for i, l := range all {
			all[i] = strings.TrimLeft(l, " \t")
		}
		return all, nil
	}
	var out []string
	var b strings.Builder
	quote, inside, escaped := rune(0), false, false
	for _, r := range text {
		switch {
		case escaped:
			b.WriteRune(r)
			escaped = false
		case r == '\\' && quote == 0:
			escaped, inside = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote, inside = r, true
		case quote == 0 && (r == ' ' || r == '\t' || r == '\n'):
			if inside {
				out = append(out, b.String())
				b.Reset()
			}
			inside = false
		default:
			b.WriteRune(r)
			inside = true
		}
	}
	switch quote {
	case '"':
		return nil, errors.New("unmatched double quote; by default quotes are special to xargs unless you use the -0 option")
	case '\'':
		return nil, errors.New("unmatched single quote; by default quotes are special to xargs unless you use the -0 option")
	}
	if inside {
		out = append(out, b.String())
	}
	return out, nil
}
